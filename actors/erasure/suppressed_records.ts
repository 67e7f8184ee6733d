/**
 * The stored records of suppression. They are only added to, so each process reads just the new ones. A record is the
 * digest of a person. A record of an anonymous id may be limited to the time in which somebody owned it: then it has a
 * span. A record with an empty span lifts all earlier records of its digest.
 */
import { Buffer } from "node:buffer";
import { BEGINNING, pack, type Position, unpack } from "../../domain/event/position.ts";
import { DIGEST_BYTES } from "../dedup/digest.ts";
import {
  type Key,
  SUPPRESSED,
  suppressedKey,
  suppressedSpansKey,
  suppressedSpansPrefix,
} from "../store/keys.ts";
import type { Store, Write } from "../store/store.ts";

/** Most records: each process holds the digests of all, a million in 34 MB. */
export const MAX_SUPPRESSED = 1_000_000;

/** Most of them with a span: each process holds these as objects of some 200 bytes, 20 MB. */
export const MAX_SPANS = 100_000;

/** Bounds of the values. A database is read with the bounds that it is written with. */
export const SUPPRESSION_LIMITS = {
  /** Digests in a page: 48 KB. */
  pageDigests: 3_000,
  /** Records whose spans are in one value: 32 KB. */
  valueSpans: 1_000,
};
export type SuppressionLimits = typeof SUPPRESSION_LIMITS;

/** Where records are stored. */
export interface Records {
  store: Store;
  limits: SuppressionLimits;
}

/** Numbers of a span: two times, and a position as `unpack` has it. */
const SPAN_NUMBERS = 4;

/** When a record holds, by the times of events (ms): from, and before `untilMs`. */
export interface Span {
  fromMs: number;
  untilMs: number;
  /** Links after this position free the anonymous id, from the times of the links on. */
  after: Position;
}

/** A record. */
export interface SuppressedRecord {
  /** In hex. */
  digest: string;
  span: Span;
}

/** A person at any time. */
export const ALWAYS: Span = { fromMs: -Infinity, untilMs: Infinity, after: BEGINNING };

/** The span that lifts earlier records. */
export const LIFTED: Span = { fromMs: Infinity, untilMs: -Infinity, after: BEGINNING };

/** Whether two spans are the same. */
export function isSameSpan(a: Span, b: Span): boolean {
  return a.fromMs === b.fromMs && a.untilMs === b.untilMs && a.after === b.after;
}

/** The value of the mark. */
interface Mark {
  count: number;
  /** Number of records with a span; none if absent. */
  spans?: number;
}

/** How many records there are. */
export async function countOfRecords(store: Store): Promise<number> {
  return (await store.get<Mark>(SUPPRESSED)).value?.count ?? 0;
}

/** The write that adds records, as far as there is room, with its checks; and the number of added records. */
export async function addition(
  { store, limits }: Records,
  records: readonly SuppressedRecord[],
): Promise<Pick<Write, "checks" | "sets"> & { added: number }> {
  const mark = await store.get<Mark>(SUPPRESSED);
  const { count: before = 0, spans: spansBefore = 0 } = mark.value ?? {};
  let spans = spansBefore;
  const added = records.filter(({ span }) => isSameSpan(span, ALWAYS) || spans++ < MAX_SPANS)
    .slice(0, Math.max(0, MAX_SUPPRESSED - before));
  const next: Mark = { count: before + added.length, spans: Math.min(spans, MAX_SPANS) };
  const sets: [Key, unknown][] = [
    [SUPPRESSED, next],
    ...await pagesWith({ store, limits }, added, before),
    ...await spansWith({ store, limits }, added, before),
  ];
  return { checks: [{ key: SUPPRESSED, stamp: mark.stamp }], sets, added: added.length };
}

async function pagesWith(
  { store, limits }: Records,
  added: readonly SuppressedRecord[],
  before: number,
): Promise<[Key, Uint8Array][]> {
  const sets: [Key, Uint8Array][] = [];
  for (const { value: page, from, some } of slicesOf(added, before, limits.pageDigests)) {
    // A page has no records beyond the number in the mark.
    const old = from === 0 ? null : (await store.get<Uint8Array>(suppressedKey(page))).value;
    const bytes = Buffer.from(some.map(({ digest }) => digest).join(""), "hex");
    sets.push([suppressedKey(page), new Uint8Array(Buffer.concat([old ?? new Uint8Array(), bytes]))]);
  }
  return sets;
}

/** Spans are stored by the numbers of their records; without spans nothing is stored. */
async function spansWith(
  { store, limits }: Records,
  added: readonly SuppressedRecord[],
  before: number,
): Promise<[Key, Uint8Array][]> {
  const sets: [Key, Uint8Array][] = [];
  for (const { value, from, some } of slicesOf(added, before, limits.valueSpans)) {
    if (some.every(({ span }) => isSameSpan(span, ALWAYS))) continue;
    const old = from === 0 ? null : (await store.get<Uint8Array>(suppressedSpansKey(value))).value;
    const there = old === null ? undefined : numbersIn(old);
    const spans = Array.from({ length: from }, (_, n) => spanAt(there, n));
    const numbers = [...spans, ...some.map(({ span }) => span)].flatMap((span) => [
      span.fromMs,
      span.untilMs,
      ...unpack(span.after),
    ]);
    sets.push([suppressedSpansKey(value), new Uint8Array(Float64Array.from(numbers).buffer)]);
  }
  return sets;
}

/** The records for each value: which value, and where in it they begin. */
function* slicesOf(added: readonly SuppressedRecord[], before: number, perValue: number) {
  for (let next = 0; next < added.length;) {
    const value = Math.floor((before + next) / perValue);
    const from = (before + next) % perValue;
    const some = added.slice(next, next + perValue - from);
    yield { value, from, some };
    next += some.length;
  }
}

/** The numbers in bytes, which may begin anywhere in their buffer. */
function numbersIn(bytes: Uint8Array): Float64Array {
  return new Float64Array(bytes.slice().buffer);
}

function spanAt(spans: Float64Array | undefined, n: number): Span {
  const [fromMs, untilMs, version, rest] = spans?.subarray(n * SPAN_NUMBERS, (n + 1) * SPAN_NUMBERS) ?? [];
  if (fromMs === undefined) return ALWAYS;
  return { fromMs, untilMs: untilMs!, after: pack(version!, rest!) };
}

/** Reads the records from a number on, up to another: the bytes of the digests page by page, and a span for each. */
export async function* readRecords(
  { store, limits }: Records,
  from: number,
  to: number,
): AsyncGenerator<{ bytes: Uint8Array; spanOf(index: number): Span }> {
  const spans = new Map<number, Float64Array>();
  const prefix = suppressedSpansPrefix;
  const start = suppressedSpansKey(Math.floor(from / limits.valueSpans));
  for await (const { key, value } of store.list<Uint8Array>({ prefix, start })) {
    spans.set(key.at(-1) as number, numbersIn(value!));
  }
  const firstPage = Math.floor(from / limits.pageDigests);
  const pages = Math.max(0, Math.ceil(to / limits.pageDigests) - firstPage);
  const keys = Array.from({ length: pages }, (_, n) => suppressedKey(firstPage + n));
  for (const [n, { value }] of (await store.getMany<Uint8Array>(keys)).entries()) {
    const begins = (firstPage + n) * limits.pageDigests;
    const skipped = Math.max(0, from - begins);
    const bytes = (value ?? new Uint8Array()).slice(skipped * DIGEST_BYTES, (to - begins) * DIGEST_BYTES);
    const first = begins + skipped;
    yield {
      bytes,
      spanOf(index) {
        const number = first + index;
        return spanAt(spans.get(Math.floor(number / limits.valueSpans)), number % limits.valueSpans);
      },
    };
  }
}
