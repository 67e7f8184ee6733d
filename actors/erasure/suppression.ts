/**
 * Suppression: the later events of suppressed people are not stored. Each process holds the records
 * (`suppressed_records.ts`) in memory; it reads a mark now and then, and the added records if the mark has changed. So only
 * events of a suppressed anonymous id cost a read: somebody else may own the id by now, and the links of its log say since
 * when.
 */
import type { StoredEvent } from "../../domain/event/event.ts";
import { linkedBy, namesOf } from "../../domain/profile/fact.ts";
import { DIGEST_BYTES, digestOf, digestsIn, wordsOfHex } from "../dedup/digest.ts";
import { createDigestSet } from "../dedup/digest_set.ts";
import type { Settled } from "../journal/journal_state.ts";
import { createCachedConfig } from "../configuration/cached_config.ts";
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

/** The members of an event that say whose it is and when it happened. */
export type Judged = Pick<StoredEvent, "type" | "timestamp"> & Partial<StoredEvent>;

/** What is known of the events of one request or one import, before they are in the journal. */
export interface Noted {
  /** When suppressed anonymous ids were linked, by digest (ms). */
  links: Map<string, number[]>;
  /** Lookups in their logs. */
  looked: Map<string, Promise<number | undefined>>;
}

/** Nothing noted yet. */
export function nothingNoted(): Noted {
  return { links: new Map(), looked: new Map() };
}

/** The suppressed people, as this process knows them: never older than 5 s once `fresh` has resolved. */
export interface Suppression {
  /** Whether nobody is or was suppressed. */
  isEmpty(): boolean;
  /** Whether a person is suppressed, at least for some time; by user id, or else by anonymous id. Reads nothing. */
  isSuppressed(names: { userId?: string; anonymousId?: string }): boolean;
  /**
   * Whether an event belongs to a suppressed person: by its user id, or else by its anonymous id at its own time. The
   * events of one request are judged in order, with the same `noted`.
   */
  judge(event: Judged, noted: Noted): boolean | Promise<boolean>;
  /** Changes whenever this process learns of new records. */
  version(): number;
  /** Whether any of a request's events belongs to a suppressed person, as {@link Suppression.judge} says. */
  isAny(events: readonly Judged[]): Promise<boolean>;
  /** Call it before each request is judged. A promise if the records are too old, which is rare. */
  fresh(): Promise<void> | undefined;
  refresh(): Promise<void>;
  /** Suppresses a person: takes effect at once in this process, elsewhere within 5 s. Throws {@link TooManySuppressed}. */
  add(person: Person): Promise<void>;
  /** Lifts a suppression, likewise. False if the person was not suppressed. */
  lift(person: Person): Promise<boolean>;
}

/** Records that one operation adds: it can write some pages. */
const RECORDS_AT_ONCE = 3_000;

/** Attempts at a change that other processes overtake. */
const TRIES = 20;

/** The digest of a person, in hex: all that remains of an erased person. */
export function personDigest({ kind, id }: Person, secret: string): string {
  return digestOf(`${kind}/${id}`, secret);
}

/** Suppresses anonymous ids for spans of time, in operations of the lease, as far as there is room. */
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

export interface SuppressionOptions {
  clock: Clock;
  secret: string;
  limits: SuppressionLimits;
  /** When an anonymous id was first linked at or after a time, by a link after a position (ms). */
  linkedSince(anonymousId: string, span: Span): Promise<number | undefined>;
}

/** What the functions of a suppression share. */
interface State extends Pick<SuppressionOptions, "clock" | "secret" | "limits" | "linkedSince"> {
  store: Store;
  digests: ReturnType<typeof createDigestSet>;
  /** The spans of suppressions that are limited in time; none for a lifted one. */
  spans: Map<string, Span[]>;
  cached: ReturnType<typeof createCachedConfig>;
}

/** Opens the suppression of a store. */
export async function openSuppression(
  store: Store,
  { clock, secret, limits, linkedSince }: SuppressionOptions,
): Promise<Suppression> {
  const digests = createDigestSet(0);
  const spans = new Map<string, Span[]>();
  let known = 0;
  const cached = createCachedConfig(store, { clock, mark: SUPPRESSED, load });
  const state: State = { spans, clock, secret, digests, linkedSince, store, cached, limits };
  async function load(): Promise<void> {
    const count = await countOfRecords(store);
    for await (const { bytes, spanOf } of readRecords({ store, limits }, known, count)) {
      const words = digestsIn(bytes);
      for (let index = 0; index * DIGEST_BYTES < bytes.length; index++) {
        const isNew = digests.add(words, index);
        const span = spanOf(index);
        if (isNew && isSameSpan(span, ALWAYS)) continue;
        const digest = bytes.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES).toHex();
        apply(state, { digest, span }, isNew);
      }
    }
    known = count;
  }
  await cached.refresh();
  return {
    isEmpty: () => digests.size() === 0,
    isSuppressed({ userId, anonymousId }) {
      if (digests.size() === 0) return false;
      if (userId !== undefined) return isListed(state, { kind: "user", id: userId });
      return anonymousId !== undefined && isListed(state, { kind: "anonymous", id: anonymousId });
    },
    judge: (event, noted) => judge(state, event, noted),
    version: () => known,
    async isAny(events) {
      const noted = nothingNoted();
      for (const event of events) if (await judge(state, event, noted)) return true;
      return false;
    },
    fresh: cached.fresh,
    refresh: cached.refresh,
    async add(person) {
      const digest = digestFor(state, person);
      await write(
        state,
        { digest, span: ALWAYS },
        () => spansOf(state, digest).some((span) => isSameSpan(span, ALWAYS)),
      );
    },
    async lift(person) {
      const digest = digestFor(state, person);
      await cached.refresh();
      const wasListed = isListed(state, person);
      await write(state, { digest, span: LIFTED }, () => !isListed(state, person));
      return wasListed;
    },
  };
}

function apply(state: State, { digest, span }: SuppressedRecord, isNew: boolean): void {
  const before = isNew ? [] : state.spans.get(digest);
  if (isSameSpan(span, LIFTED)) state.spans.set(digest, []);
  else if (isSameSpan(span, ALWAYS)) state.spans.delete(digest);
  else if (before !== undefined && !before.some((each) => isSameSpan(each, span))) {
    state.spans.set(digest, [...before, span]);
  }
}

function digestFor({ secret }: State, person: Person): string {
  return personDigest(person, secret);
}

/** The spans in which a digest is suppressed. */
function spansOf(state: State, digest: string): readonly Span[] {
  if (state.digests.size() === 0 || !state.digests.has(wordsOfHex(digest), 0)) return NO_SPANS;
  return state.spans.get(digest) ?? AT_ANY_TIME;
}

function isListed(state: State, person: Person): boolean {
  return spansOf(state, digestFor(state, person)).length > 0;
}

function judge(state: State, event: Judged, noted: Noted): boolean | Promise<boolean> {
  if (state.digests.size() === 0) return false;
  const { userId, anonymousId } = event;
  const atMs = Date.parse(event.timestamp);
  if (userId !== undefined) {
    if (isListed(state, { kind: "user", id: userId })) return true;
    const linked = linkedBy(namesOf(event as StoredEvent));
    if (linked !== undefined) {
      noteLink(state, noted, digestFor(state, { kind: "anonymous", id: linked }), atMs);
    }
    return false;
  }
  if (anonymousId === undefined) return false;
  const digest = digestFor(state, { kind: "anonymous", id: anonymousId });
  const span = spansOf(state, digest).find(({ fromMs, untilMs }) => fromMs <= atMs && atMs < untilMs);
  if (span === undefined) return false;
  if (noted.links.get(digest)?.some((linkMs) => span.fromMs <= linkMs && linkMs <= atMs)) return false;
  const key = `${digest} ${span.fromMs}`;
  let looked = noted.looked.get(key);
  if (looked === undefined) noted.looked.set(key, looked = state.linkedSince(anonymousId, span));
  // A log-in of somebody else frees the device, from the time of the log-in on.
  return looked.then((linkMs) => linkMs === undefined || linkMs > atMs);
}

function noteLink(state: State, { links }: Noted, digest: string, atMs: number): void {
  if (spansOf(state, digest).length === 0) return;
  const times = links.get(digest);
  if (times === undefined) links.set(digest, [atMs]);
  else times.push(atMs);
}

/** Adds a record until `isDone`. After a write without an answer the next attempt sees whether it was done. */
async function write(state: State, record: SuppressedRecord, isDone: () => boolean): Promise<void> {
  const { clock } = state;
  const how = { named: "the suppression list", tries: TRIES, clock, retriesUnanswered: true };
  await update(state.store, how, async () => {
    await state.cached.refresh();
    if (isDone()) return { result: undefined };
    const { added, checks, sets } = await addition({ store: state.store, limits: state.limits }, [record]);
    if (added === 0) {
      throw new TooManySuppressed(`Suppression limit reached (${MAX_SUPPRESSED.toLocaleString("en")}).`);
    }
    return { result: undefined, write: { checks, sets } };
  });
  await state.cached.refresh();
}

const NO_SPANS: readonly Span[] = [];
const AT_ANY_TIME: readonly Span[] = [ALWAYS];
