/**
 * The committer, one per process: it takes all requests that are waiting and appends their events to the journal by one
 * atomic operation. While that is under way the next group gathers; where storage is far, several commits are under way
 * at once, each in a lane. No actor is read to accept an event.
 *
 * Why it is exact: a process that is alone knows all ids that are in the journal, and its commit fails if that is no
 * longer so. A process that is not reads, after its commit, all that was committed before, and so knows which of its
 * events were the first with their ids. What became of an attempt, its lane tells.
 */
import type { StoredEvent } from "../../domain/event/event.ts";
import { END, endOf, type Position } from "../../domain/event/position.ts";
import { Evicted, type Lane } from "../lanes/lanes.ts";
import type { Membership } from "../lanes/membership.ts";
import type { Clock } from "../store/clock.ts";
import { BatchTooLarge, NotServing, StorageUnavailable } from "../store/errors.ts";
import type { Store } from "../store/store.ts";
import { withTimeout } from "../store/timeout.ts";
import {
  answer,
  type CommitLimits,
  digestsOf,
  type Fresh,
  freshOf,
  type Known,
  prepare,
  type Prepared,
  type Receipt,
  type Request,
  type StoredBefore,
  wordsOf,
} from "./commit_group.ts";
import { ERASED_EVENT, ERASED_LINE } from "./body.ts";
import { addProbes, lookUp, type Probe } from "./dedup_index.ts";
import { DIGEST_WORDS, digestOf } from "./digest.ts";
import { createDigestSet, type DigestSet } from "./digest_set.ts";
import { counts } from "./header.ts";
import type { Journal } from "./journal_state.ts";
import { readJournal } from "./read_journal.ts";
import type { Ticket } from "./tickets.ts";

/** Told of commits, once for each; it must never throw. */
export interface AppendObserver {
  /** A commit is in the journal: how long storage took, how many events, bytes of its header and bodies. */
  committed?(commit: { durationMs: number; events: number; bytes: number }): void;
  /** A commit was not done, or storage did not say that it was: it is tried again. */
  retried?(): void;
}

/** A group gathers for so long at the most. */
const GATHER_MS = 3;

/** A further commit begins beside others when the last began so long ago: where storage is near, it is done by then. */
const NEXT_MS = 3;

/** A request is answered or refused within this time. */
const DEADLINE_MS = 10_000;

/** Requests that wait hold at most so much JSON: beyond it new ones are refused at once. */
const WAITING_BYTES = 64 * 1024 * 1024;

/** What the committer is given. */
export interface CommitterOptions {
  store: Store;
  journal: Journal;
  membership: Membership;
  /** The secret that digests of message ids are made with: the same for all who use the database. */
  secret: string;
  clock: Clock;
  limits: CommitLimits;
  newId(): string;
  /** Throws where nothing may be committed now; without it nothing keeps the process from it. */
  guard?(): void;
  /** Resolves when the tail has room for so many events: at once, or slower the fuller it is; or at the deadline. */
  room(events: number, deadlineMs: number): Promise<void>;
  /** The version of the suppression list; and whether it has an event of a request, by what is known now. */
  suppression?: { version(): number; isAny(events: readonly StoredEvent[]): Promise<boolean> };
  observer?: AppendObserver | undefined;
}

/** Which ids are known, and of the same moment: whether the process was alone, and up to where it knew the journal. */
interface KnownNow extends Known {
  alone: string | undefined;
  end: Position;
}

/** A group under way. */
interface Group {
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

/** Makes the committer. */
export function createCommitter(options: CommitterOptions) {
  const { store, journal, membership, secret, clock, limits, newId } = options;
  let waiting: Request[] = [];
  let waitingBytes = 0;
  let working: Promise<void> | undefined;
  let underWay = 0;
  let beganMs = -Infinity;
  /** Resolves when the next group is done. */
  let done = Promise.withResolvers<void>();
  /** Requests of the next group at the most: a group that was too large is taken again in halves. */
  let maxRequests = Infinity;

  async function work(): Promise<void> {
    while (waiting.length > 0) {
      await pace();
      await gather();
      const lane = await freeLane();
      if (lane === undefined) continue;
      const requests = takeGroup();
      if (requests.length === 0) {
        membership.release(lane);
        // All that wait have ids that are under way; or nobody waits any more.
        if (waiting.length > 0) await wait(Infinity);
        continue;
      }
      beganMs = clock.monotonic();
      underWay++;
      void run(requests, lane);
    }
    // In the same step as the last look at who waits: who comes next begins anew.
    working = undefined;
  }

  /**
   * Waits while requests keep coming, turn by turn of the event loop: a commit costs as much as taking in some ten
   * events, and those who were just answered are about to send again. Who sends alone waits for one turn.
   */
  async function gather(): Promise<void> {
    const until = clock.monotonic() + GATHER_MS;
    for (let count = 0; waiting.length > count && waitingBytes < limits.groupBytes;) {
      count = waiting.length;
      await clock.turn();
      if (clock.monotonic() > until) return;
    }
  }

  /** Waits until the commit under way is done, or has taken so long that another is worth while. */
  async function pace(): Promise<void> {
    const leftMs = beganMs + NEXT_MS - clock.monotonic();
    if (underWay > 0 && leftMs > 0) await wait(leftMs);
  }

  /** A free lane; `undefined` where that took long, or nobody waits any more. */
  async function freeLane(): Promise<Lane | undefined> {
    if (waiting.length === 0) return undefined;
    const lane = membership.take();
    if (lane !== undefined) return lane;
    if (underWay > 0) {
      await wait(Infinity);
      return undefined;
    }
    const joining = membership.join();
    const first = waiting[0]!;
    await withTimeout(joining.then(() => true, (error) => refuseAll(error)), {
      clock,
      ms: Math.max(0, first.cameMs + DEADLINE_MS - clock.monotonic()),
      onTimeout: () => expire(notAcknowledged),
    });
    return membership.take();
  }

  /** Waits until a group is done, at most so long; refuses the requests that have waited too long. */
  async function wait(ms: number): Promise<void> {
    const oldestMs = waiting.length === 0 ? Infinity : waiting[0]!.cameMs + DEADLINE_MS - clock.monotonic();
    const leftMs = Math.min(ms, Math.max(0, oldestMs));
    if (leftMs === Infinity) await done.promise;
    else await withTimeout(done.promise, { clock, ms: leftMs, onTimeout() {} });
    expire();
  }

  function expire(late = waitedTooLong): void {
    const nowMs = clock.monotonic();
    while (waiting.length > 0 && nowMs - waiting[0]!.cameMs >= DEADLINE_MS) {
      const request = waiting.shift()!;
      waitingBytes -= request.bytes;
      request.reject(late());
    }
  }

  function refuseAll(error: unknown): void {
    for (const request of waiting) request.reject(error);
    [waiting, waitingBytes] = [[], 0];
  }

  /** Takes the requests that came first, whole, up to `groupBytes`; not those with an id that is under way. */
  function takeGroup(): Request[] {
    const group: Request[] = [];
    let bytes = 0;
    let events = 0;
    let rest: Request[] | undefined;
    for (const [index, request] of waiting.entries()) {
      const isFull = bytes + request.bytes > limits.groupBytes || group.length >= maxRequests ||
        events + request.events.length > limits.groupEvents;
      if (group.length > 0 && isFull) {
        rest = [...rest ?? [], ...waiting.slice(index)];
        break;
      }
      if (journal.underWay() > 0 && isHeld(request)) {
        rest ??= [];
        rest.push(request);
        continue;
      }
      bytes += request.bytes;
      events += request.events.length;
      group.push(request);
    }
    maxRequests = Infinity;
    waiting = rest ?? [];
    waitingBytes -= bytes;
    return group;
  }

  function isHeld(request: Request): boolean {
    const words = wordsOf(request);
    for (let at = 0; at < request.events.length; at++) if (journal.isUnderWay(words, at)) return true;
    return false;
  }

  /** Puts requests back in front, to be taken with the next group. */
  function putBack(requests: Request[]): void {
    waiting = [...requests, ...waiting];
    waitingBytes += requests.reduce((sum, request) => sum + request.bytes, 0);
    wake();
  }

  async function run(requests: Request[], lane: Lane): Promise<void> {
    const digests = digestsOf(requests);
    const deadlineMs = requests.reduce((first, { cameMs }) => Math.min(first, cameMs), Infinity) +
      DEADLINE_MS;
    const group: Group = {
      requests,
      digests,
      ticket: journal.begin(digests),
      lane,
      deadlineMs,
      unknown: undefined,
      ours: undefined,
      late: notAcknowledged,
    };
    const refuse = (error: unknown) => group.requests.forEach(({ reject }) => reject(error));
    // The commit goes on until its outcome is known, whoever waits: until then its ids are held.
    const cancel = clock.timer(Math.max(0, deadlineMs - clock.monotonic()), () => refuse(group.late()));
    try {
      if (clock.monotonic() > deadlineMs) throw waitedTooLong();
      await commitGroup(group);
    } catch (error) {
      refuse(error);
      journal.drop(group.ticket);
    }
    cancel();
    membership.release(group.lane);
    underWay--;
    done.resolve();
    done = Promise.withResolvers();
  }

  async function commitGroup(group: Group): Promise<void> {
    group.late = settlingBehind;
    await options.room(group.requests.reduce((sum, { events }) => sum + events.length, 0), group.deadlineMs);
    // It resolves at the deadline too, whether there is room or not.
    if (clock.monotonic() >= group.deadlineMs) throw settlingBehind();
    group.late = notAcknowledged;
    for (let tries = 0;; tries++) {
      if (clock.monotonic() > group.deadlineMs) throw group.late();
      try {
        if (await attempt(group)) return;
        options.observer?.retried?.();
        await journal.sync().catch(ignoreUnanswered);
      } catch (error) {
        if (!(error instanceof Evicted)) throw error;
        await rejoin(group);
      }
      if (tries > 0) await clock.sleep(Math.min(2 ** tries, 200) * clock.random());
    }
  }

  /** Tries once; false if nothing was written. */
  async function attempt(group: Group): Promise<boolean> {
    await judgeAgain(group);
    const known = await knownIds(group.digests);
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
    const half = Math.ceil(requests.length / 2);
    const [first, second] = [requests.slice(0, half), requests.slice(half)];
    group.requests = [];
    maxRequests = half;
    putBack([...first, ...second]);
    return undefined;
  }

  /** Reads the journal up to a position, as often as storage needs to be asked. */
  async function readTo({ deadlineMs }: Group, end: Position): Promise<void> {
    while (journal.end() < end) {
      try {
        await journal.sync();
      } catch (error) {
        if (!(error instanceof StorageUnavailable) || clock.monotonic() > deadlineMs) throw error;
        await clock.sleep(NEXT_MS);
      }
    }
  }

  /** Joins again, and finds what an attempt has written that was cut off. */
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
      await clock.sleep(NEXT_MS);
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

  /** Which of a group's digests are in the journal, by all that is known at one moment, and what else is known then. */
  async function knownIds(digests: Uint32Array): Promise<KnownNow> {
    const count = digests.length / DIGEST_WORDS;
    for (;;) {
      const view = journal.seen();
      const now = () => ({ alone: membership.alone(), end: journal.end() });
      const known = { isKnown: new Uint8Array(count), hits: 0, ...now() };
      const mark = (at: number) => {
        known.isKnown[at] = 1;
        known.hits++;
      };
      const probes: Probe[] = [];
      for (let at = 0; at < count; at++) {
        if (journal.has(digests, at)) mark(at);
        else addProbes(probes, view, { digests, at });
      }
      if (probes.length === 0) return known;
      const found = await lookUp(store, digests, probes);
      if (found === undefined) {
        await journal.sync();
        await journal.adoptNewest();
        continue;
      }
      if (journal.seen().runs !== view.runs) continue;
      for (const at of found) if (known.isKnown[at] === 0) mark(at);
      // What came meanwhile.
      for (let at = 0; at < count; at++) if (known.isKnown[at] === 0 && journal.has(digests, at)) mark(at);
      return { ...known, ...now() };
    }
  }

  /** Lets a request wait for its commit. */
  function enqueue(
    request: Pick<Request, "events" | "lines" | "digests" | "writeKeyId" | "judged">,
  ): Promise<Receipt[]> {
    if (waitingBytes > WAITING_BYTES) {
      return Promise.reject(new NotServing(TOO_MANY_WAIT, "overloaded"));
    }
    const bytes = request.lines.reduce((sum, line) => sum + line.length, 0);
    return new Promise((resolve, reject) => {
      waiting.push({ ...request, words: undefined, bytes, cameMs: clock.monotonic(), resolve, reject });
      waitingBytes += bytes;
      wake();
    });
  }

  function wake(): void {
    working ??= Promise.resolve().then(work);
  }

  return {
    /** Makes a request's events durable, all or none. See `System.commit`. */
    commit(events: StoredEvent[], writeKeyId: string, judged?: number): Promise<Receipt[]> {
      const lines = events.map((event) => JSON.stringify(event));
      let digests = "";
      for (const { messageId } of events) digests += digestOf(messageId, secret);
      return enqueue({
        events,
        lines,
        digests,
        writeKeyId,
        judged: judged ?? options.suppression?.version() ?? 0,
      });
    },
    /** The same for events of another journal. See `System.commitStored`. */
    async commitStored(stored: readonly StoredBefore[]): Promise<boolean[]> {
      const receipts = await enqueue({
        events: stored.map(({ event }) => event ?? ERASED_EVENT),
        lines: stored.map(({ event }) => event === undefined ? ERASED_LINE : JSON.stringify(event)),
        digests: stored.map(({ digest }) => digest).join(""),
        writeKeyId: stored.map(({ writeKeyId }) => writeKeyId),
        judged: undefined,
      });
      return receipts.map(({ duplicate }) => !duplicate);
    },
    /** Resolves when nothing is waiting, and nothing is under way. */
    async idle(): Promise<void> {
      while (working !== undefined || underWay > 0) {
        if (working !== undefined) await working;
        else await wait(Infinity);
      }
    },
  };
}

const TOO_MANY_WAIT = "Too many requests are waiting for storage.";
const WAITED_TOO_LONG = `The request waited longer than ${DEADLINE_MS / 1000} s for storage.`;

function waitedTooLong(): StorageUnavailable | NotServing {
  return new NotServing(WAITED_TOO_LONG, "overloaded");
}

function notAcknowledged(): StorageUnavailable {
  return new StorageUnavailable("storage did not accept the events in time");
}

function settlingBehind(): NotServing {
  return new NotServing(
    "Settling is too far behind the journal to accept more events.",
    "settling",
  );
}

function ignoreUnanswered(error: unknown): void {
  if (!(error instanceof StorageUnavailable)) throw error;
}
