/** The attempts to commit one group, each in a lane of the process. */
import type { StoredEvent } from "../../domain/event/event.ts";
import { END, endOf, type Position } from "../../domain/event/position.ts";
import { createDigestSet, type DigestSet } from "../dedup/digest_set.ts";
import { counts } from "../journal/header.ts";
import type { Journal } from "../journal/journal_state.ts";
import { readJournal } from "../journal/read_journal.ts";
import type { Ticket } from "../journal/tickets.ts";
import type { Lane } from "../lanes/lanes.ts";
import type { Membership } from "../lanes/membership.ts";
import type { Clock } from "../store/clock.ts";
import { BatchTooLarge, NotServing, StorageUnavailable } from "../store/errors.ts";
import type { Store } from "../store/store.ts";
import {
  answer,
  type CommitLimits,
  digestsOf,
  type Fresh,
  freshOf,
  prepare,
  type Prepared,
  type Request,
} from "./commit_group.ts";
import { knownIds, type KnownNow } from "./known_ids.ts";

/** Told of commits, once for each; it must never throw. */
export interface AppendObserver {
  /** A commit is in the journal: how long storage took, how many events, bytes of its header and bodies. */
  committed?(commit: { durationMs: number; events: number; bytes: number }): void;
  /** A commit was not done, or storage did not say that it was: it is tried again. */
  retried?(): void;
}

/** What attempts work with. */
export interface AttemptOptions {
  store: Store;
  journal: Journal;
  membership: Membership;
  clock: Clock;
  limits: CommitLimits;
  newId(): string;
  /** Throws where nothing may be committed now; without it nothing keeps the process from it. */
  guard?(): void;
  /** The version of the suppression list; and whether it has an event of a request, by what is known now. */
  suppression?: { version(): number; isAny(events: readonly StoredEvent[]): Promise<boolean> };
  observer?: AppendObserver | undefined;
}

/** A group under way. */
export interface Group {
  requests: Request[];
  digests: Uint32Array;
  ticket: Ticket;
  lane: Lane;
  deadlineMs: number;
  /** An attempt whose outcome is not known, and a position that is before it. */
  unknown: { commit: string; after: Position } | undefined;
  /** Ids that such an attempt has written. */
  ours: DigestSet | undefined;
  late(): Error;
}

/** Storage is asked again after this time. */
const AGAIN_MS = 3;

/** Makes the attempts. `putBack` is given the requests of a group that one commit cannot hold. */
export function createAttempts(options: AttemptOptions & { putBack(requests: Request[]): void }) {
  const { store, journal, membership, clock, limits, newId } = options;

  /** Tries once; false if nothing was written. */
  async function attempt(group: Group): Promise<boolean> {
    await judgeAgain(group);
    const known = await knownIds(group.digests, options);
    const { alone } = known;
    const { requests, digests, ours } = group;
    const fresh = freshOf(requests, digests, known);
    if (fresh.lines.length === 0) {
      answer(requests, digests, { fresh, known, ours, copies: undefined });
      journal.drop(group.ticket);
      if (ours !== undefined) journal.advanced();
      return true;
    }
    options.guard?.();
    const prepared = prepareOf(group, fresh, known);
    if (prepared === undefined) return true;
    const { commit, own, bytes, stamped } = prepared;
    if (alone === undefined) journal.expect(commit);
    group.unknown = { commit, after: known.end };
    const began = clock.monotonic();
    try {
      const stamp = await membership.write(group.lane, { attempt: commit, alone, stamped });
      group.unknown = undefined;
      if (stamp === undefined) return false;
      let copies: Uint8Array | undefined;
      if (alone !== undefined) journal.committed(group.ticket, { ...own, stamp });
      else {
        await readTo(group, endOf(stamp));
        copies = await journal.copiesOfOwn(commit, stamp);
        journal.drop(group.ticket);
      }
      answer(group.requests, digests, { fresh, known, ours, copies });
      journal.advanced();
      options.observer?.committed?.({
        durationMs: clock.monotonic() - began,
        events: fresh.lines.length,
        bytes,
      });
      return true;
    } finally {
      if (alone === undefined) journal.forgetOwn(commit);
    }
  }

  /** What an attempt writes; `undefined` where it is too much, and the group was made smaller and is done. */
  function prepareOf(
    group: Group,
    fresh: Fresh,
    { alone, end }: KnownNow,
  ): Prepared & { commit: string } | undefined {
    const { events, at } = journal.head();
    const commit = newId();
    const attempt = {
      commit,
      at: Math.max(clock.now(), at),
      total: events + fresh.lines.length,
      known: alone === undefined ? end : undefined,
    };
    const prepared = prepare(fresh, attempt, limits);
    if (prepared !== undefined) return { ...prepared, commit };
    const { requests } = group;
    if (requests.length === 1) {
      throw new BatchTooLarge(`The batch exceeds ${limits.commitBytes / 1000} KB after compression.`);
    }
    journal.drop(group.ticket);
    group.requests = [];
    options.putBack(requests);
    return undefined;
  }

  /** Reads the journal up to a position, as often as storage needs to be asked. */
  async function readTo({ deadlineMs }: Group, end: Position): Promise<void> {
    while (journal.end() < end) {
      try {
        await journal.sync();
      } catch (error) {
        if (!(error instanceof StorageUnavailable) || clock.monotonic() > deadlineMs) throw error;
        await clock.sleep(AGAIN_MS);
      }
    }
  }

  /** Joins again after an eviction, and finds what an attempt has written that was cut off. */
  async function rejoin(group: Group): Promise<void> {
    membership.release(group.lane);
    for (;;) {
      if (clock.monotonic() > group.deadlineMs) throw group.late();
      await membership.join();
      const lane = membership.take();
      if (lane !== undefined) {
        group.lane = lane;
        break;
      }
      await clock.sleep(AGAIN_MS);
    }
    const { unknown } = group;
    if (unknown === undefined) return;
    await journal.sync();
    for await (const { end, header } of readJournal(store, { after: unknown.after, upTo: END })) {
      if (header.commit !== unknown.commit) continue;
      const copies = journal.tail().copiesOf(end);
      group.ours = createDigestSet(header.n);
      for (let at = 0; at < header.n; at++) {
        if (counts(header, at, copies)) group.ours.add(header.digests, at);
      }
      break;
    }
    group.unknown = undefined;
  }

  /** Refuses a request of somebody who was suppressed after it was judged. */
  async function judgeAgain(group: Group): Promise<void> {
    const { suppression } = options;
    if (suppression === undefined) return;
    const version = suppression.version();
    const old = group.requests.filter(({ judged }) => judged !== undefined && judged !== version);
    if (old.length === 0) return;
    for (const request of old) {
      if (!await suppression.isAny(request.events)) request.judged = version;
      else {request.reject(
          new NotServing("A person of this request was just suppressed; retry.", "contention"),
        );}
    }
    const left = group.requests.filter(({ judged }) => judged === undefined || judged === version);
    if (left.length === group.requests.length) return;
    group.requests = left;
    group.digests = digestsOf(left);
  }

  return { attempt, rejoin };
}
