/**
 * Who is suppressed: whose later events are not stored. Each process holds the records (`suppressed_records.ts`) in memory;
 * it reads a mark now and then, and what was added when it has moved. So no event costs a read, but one of an anonymous id
 * that is suppressed: somebody else may own it by now, and the links of its log say since when.
 */
import type { StoredEvent } from "../../domain/event/event.ts";
import { linkedBy, namesOf } from "../../domain/profile/fact.ts";
import { DIGEST_BYTES, digestOf, digestsIn, wordsOfHex } from "../journal/chunk.ts";
import { createDigestSet } from "../journal/digest_set.ts";
import type { Settled } from "../journal/journal_state.ts";
import { createWatched } from "../configuration/cached_config.ts";
import type { Clock } from "../store/clock.ts";
import { update } from "../store/conditional_update.ts";
import { TooManySuppressed } from "../store/errors.ts";
import { SECRET, SUPPRESSED } from "../store/keys.ts";
import type { Fence } from "../store/lease.ts";
import type { Store } from "../store/store.ts";
import type { Person } from "./requests.ts";
import {
  addition,
  ALWAYS,
  countOfRecords,
  isSameSpan,
  LIFTED,
  MAX_SUPPRESSED,
  readRecords,
  type Records,
  type Span,
  type SuppressedRecord,
  type SuppressionLimits,
} from "./suppressed_records.ts";

/** What of an event says whose it is, and when it happened. */
export type Judged = Pick<StoredEvent, "type" | "timestamp"> & Partial<StoredEvent>;

/** What was seen of the events of one request, or of one import, before they are in the journal. */
export interface Seen {
  /** When suppressed anonymous ids were linked, by digest (ms). */
  links: Map<string, number[]>;
  /** What was looked up in their logs. */
  looked: Map<string, Promise<number | undefined>>;
}

/** Nothing seen yet. */
export function nothingSeen(): Seen {
  return { links: new Map(), looked: new Map() };
}

/** Whose events are not stored, as this process knows it: never older than 5 s once `fresh` has resolved. */
export interface Suppression {
  /** Whether anybody is suppressed, or was. */
  isEmpty(): boolean;
  /** Whether a person is suppressed, by user id or else by anonymous id, be it for some time only. Reads nothing. */
  isSuppressed(names: { userId?: string; anonymousId?: string }): boolean;
  /**
   * Whether an event is of somebody who is suppressed: by its user id, else by its anonymous id at its own time. Events of
   * one request are judged in their order, with what was seen of it.
   */
  judge(event: Judged, seen: Seen): boolean | Promise<boolean>;
  /** Call it before each request is judged: a promise where what is known is too old, which seldom is. */
  fresh(): Promise<void> | undefined;
  refresh(): Promise<void>;
  /** Suppresses a person: at once in this process, elsewhere within 5 s. Throws {@link TooManySuppressed}. */
  add(person: Person): Promise<void>;
  /** Lifts it: likewise. False where the person was not suppressed. */
  lift(person: Person): Promise<boolean>;
}

/** Records that one operation adds: it has room for some pages. */
const RECORDS_AT_ONCE = 3_000;

/** A change that another process overtakes is tried again so often. */
const TRIES = 20;

/** The digest of a person, in hex: what stays of who was erased. */
export function personDigest({ kind, id }: Person, secret: string): string {
  return digestOf(`${kind}/${id}`, secret);
}

/** Suppresses anonymous ids for spans of time in operations of the fence, as far as there is room. */
export async function suppressUnder(
  fence: Fence<Settled>,
  records: Records,
  owned: readonly { anonymousId: string; span: Span }[],
): Promise<void> {
  const { value } = await records.store.get<string>(SECRET);
  for (let from = 0; from < owned.length; from += RECORDS_AT_ONCE) {
    const some = owned.slice(from, from + RECORDS_AT_ONCE).map(({ anonymousId, span }) => ({
      digest: personDigest({ kind: "anonymous", id: anonymousId }, value ?? ""),
      span,
    }));
    const { checks, sets } = await addition(records, some);
    await fence.write({ checks, sets });
  }
}

/** What the set is made with. */
export interface SuppressionOptions {
  clock: Clock;
  secret: string;
  limits: SuppressionLimits;
  /** When an anonymous id was first linked at or after a time, by a link after a place of the journal (ms). */
  linkedSince(anonymousId: string, span: Span): Promise<number | undefined>;
}

/** Opens the set of who is suppressed. */
export async function openSuppression(
  store: Store,
  { clock, secret, limits, linkedSince }: SuppressionOptions,
): Promise<Suppression> {
  const digests = createDigestSet(0);
  /** Of those that do not always hold: when they do. Nothing for one that is lifted. */
  const spans = new Map<string, Span[]>();
  let known = 0;
  const watched = createWatched(store, { clock, mark: SUPPRESSED, load });

  async function load(): Promise<void> {
    const count = await countOfRecords(store);
    for await (const { bytes, spanOf } of readRecords({ store, limits }, known, count)) {
      const words = digestsIn(bytes);
      for (let index = 0; index * DIGEST_BYTES < bytes.length; index++) {
        const isNew = digests.add(words, index);
        const span = spanOf(index);
        if (isNew && isSameSpan(span, ALWAYS)) continue;
        const digest = bytes.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES).toHex();
        apply({ digest, span }, isNew);
      }
    }
    known = count;
  }

  function apply({ digest, span }: SuppressedRecord, isNew: boolean): void {
    const before = isNew ? [] : spans.get(digest);
    if (isSameSpan(span, LIFTED)) spans.set(digest, []);
    else if (isSameSpan(span, ALWAYS)) spans.delete(digest);
    else if (before !== undefined && !before.some((each) => isSameSpan(each, span))) {
      spans.set(digest, [...before, span]);
    }
  }

  const digestFor = (person: Person) => personDigest(person, secret);

  /** When a digest is suppressed; nothing where it is not. */
  function spansOf(digest: string): readonly Span[] {
    if (digests.size() === 0 || !digests.has(wordsOfHex(digest), 0)) return NO_SPANS;
    return spans.get(digest) ?? AT_ANY_TIME;
  }

  const isListed = (person: Person) => spansOf(digestFor(person)).length > 0;

  function judge(event: Judged, seen: Seen): boolean | Promise<boolean> {
    if (digests.size() === 0) return false;
    const { userId, anonymousId } = event;
    const atMs = Date.parse(event.timestamp);
    if (userId !== undefined) {
      if (isListed({ kind: "user", id: userId })) return true;
      const linked = linkedBy(namesOf(event as StoredEvent));
      if (linked !== undefined) noteLink(seen, digestFor({ kind: "anonymous", id: linked }), atMs);
      return false;
    }
    if (anonymousId === undefined) return false;
    const digest = digestFor({ kind: "anonymous", id: anonymousId });
    const span = spansOf(digest).find(({ fromMs, untilMs }) => fromMs <= atMs && atMs < untilMs);
    if (span === undefined) return false;
    if (seen.links.get(digest)?.some((linkMs) => span.fromMs <= linkMs && linkMs <= atMs)) return false;
    const key = `${digest} ${span.fromMs}`;
    let looked = seen.looked.get(key);
    if (looked === undefined) seen.looked.set(key, looked = linkedSince(anonymousId, span));
    // Somebody else's log-in frees the device, from its own time on.
    return looked.then((linkMs) => linkMs === undefined || linkMs > atMs);
  }

  function noteLink({ links }: Seen, digest: string, atMs: number): void {
    if (spansOf(digest).length === 0) return;
    const times = links.get(digest);
    if (times === undefined) links.set(digest, [atMs]);
    else times.push(atMs);
  }

  /** Adds a record until `isDone`; whether it was written the next look tells, but of a full disk the caller is told. */
  async function write(record: SuppressedRecord, isDone: () => boolean): Promise<void> {
    const how = { named: "the suppression list", tries: TRIES, retriesUnanswered: true };
    await update(store, how, async () => {
      await watched.refresh();
      if (isDone()) return { result: undefined };
      const { added, checks, sets } = await addition({ store, limits }, [record]);
      if (added === 0) {
        throw new TooManySuppressed(`Suppression limit reached (${MAX_SUPPRESSED.toLocaleString("en")}).`);
      }
      return { result: undefined, write: { checks, sets } };
    });
    await watched.refresh();
  }

  await watched.refresh();
  return {
    isEmpty: () => digests.size() === 0,
    isSuppressed({ userId, anonymousId }) {
      if (digests.size() === 0) return false;
      if (userId !== undefined) return isListed({ kind: "user", id: userId });
      return anonymousId !== undefined && isListed({ kind: "anonymous", id: anonymousId });
    },
    judge,
    fresh: watched.fresh,
    refresh: watched.refresh,
    async add(person) {
      const digest = digestFor(person);
      await write({ digest, span: ALWAYS }, () => spansOf(digest).some((span) => isSameSpan(span, ALWAYS)));
    },
    async lift(person) {
      const digest = digestFor(person);
      await watched.refresh();
      const wasListed = isListed(person);
      await write({ digest, span: LIFTED }, () => !isListed(person));
      return wasListed;
    },
  };
}

const NO_SPANS: readonly Span[] = [];
const AT_ANY_TIME: readonly Span[] = [ALWAYS];
