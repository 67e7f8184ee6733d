/**
 * Watches every operation that changes the store, and holds it against the design's invariants before it is done. It
 * reads what is written by itself, so that it also knows the journal: what is in it, and where.
 *
 * Chunks, keys and facts are read by the product's own functions, unpatched: what they are is not in question here.
 */
import { endOfHead, type Head, type JournalEnd } from "../../actors/journal/read_journal.ts";
import { BEGINNING, indexOf, type Position, positionOf, stampOf } from "../../domain/event/position.ts";
import {
  type Chunk,
  DIGEST_BYTES,
  digestOf,
  ERASED_LINE,
  linesOf,
  seqOfStamp,
  stampOfSeq,
} from "../../actors/journal/chunk.ts";
import type { Fenced } from "../../actors/store/lease.ts";
import { erasuresOf, NOTHING_SETTLED, type Settled } from "../../actors/journal/journal_state.ts";
import {
  actorKey,
  HEAD,
  journalKey,
  type Key,
  REBUILD,
  SECRET,
  seenFilterKey,
  seenKey,
  SETTLED,
} from "../../actors/store/keys.ts";
import { keysOfRun } from "../../actors/journal/dedup_index.ts";
import type { ErasureRequest } from "../../actors/erasure/requests.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import { type ActorKind, type ActorName, actorsOf, factOf } from "../../domain/profile/fact.ts";
import { withoutPerson } from "../actors/erasure/erased.ts";
import { compareKeys, type Operation, type Stored } from "./database.ts";
import type { Counts } from "./weather.ts";
import { Violation } from "./world.ts";

/** An event of the journal. */
export interface Journaled {
  /** As it stands there; as it was sent where it is erased. */
  event: StoredEvent;
  erased: boolean;
  place: Position;
  commit: string;
  /** When it was committed (ms). */
  at: number;
}

/** What stands at the head of an actor's value. */
interface ActorHead {
  fold: number;
  position: Position;
  version: number;
}

const NO_HEAD: Head = { seq: 0, events: 0, commit: "", at: 0 };
/** A watch. */
export type Watch = ReturnType<typeof createWatch>;

/** Makes a watch over an empty store. */
export function createWatch(
  { get, counts, windowMs }: {
    get(key: Key): Stored | undefined;
    counts: Counts;
    windowMs: number;
  },
) {
  const journal: Journaled[] = [];
  const byId = new Map<string, Journaled[]>();
  const places = new Map<ActorName, Position[]>();
  /** The heads that there were, and how many events each reaches. */
  const heads: JournalEnd[] = [{ end: BEGINNING, events: 0 }];
  const gone = new Set<string>();
  const named = new Set<ActorName>();
  /** How often an erasure began to change things, or was over; and those that are under way: the actors before it. */
  let moves = 0;
  let erasing: Set<ActorName> | undefined;

  function check(operation: Operation): void {
    const { checks, sets, deletes } = operation;
    const isChanged = (key: Deno.KvKey) =>
      sets.some(([each]) => compareKeys(each, key) === 0) ||
      deletes.some((each) => compareKeys(each, key) === 0);
    if (!checks.some(({ key }) => isChanged(key))) {
      broken(6, `a write checks no key that it changes: ${sets.map(([key]) => key.join("/"))}`);
    }
    const isFenced = sets.some(([key]) => key[0] === "settled");
    for (const key of deletes) checkDelete(key, isFenced);
    let next: Head | undefined;
    for (const [key, value] of sets) {
      if (key[0] === "head") next = value as Head;
      if (key[0] === "actor" || key[0] === "log" || key[0] === "part") {
        if (gone.has(JSON.stringify(key))) broken(6, `a key came back: ${key.join("/")}`);
        if (key[0] === "actor") checkActor(key, value as Uint8Array, isFenced);
      }
      if (key[0] === "erasing" && key.length === 2) checkRequest(value as ErasureRequest);
    }
    if (next !== undefined) append(next, sets);
    else for (const [key, value] of sets) if (key[0] === "journal") rewrite(key, value as Chunk, isFenced);
    for (const [key, value] of sets) {
      if (key[0] === "settled") checkSettled(value as Settled, operation);
      if (key[0] === "rebuild") checkFold(get(REBUILD)?.value as Fenced | undefined, value as Fenced);
    }
  }

  /** From its plan on somebody's events are to go: what that leaves is worked out here. */
  function checkRequest(request: ErasureRequest): void {
    if (request.plan === undefined || erasing !== undefined) return;
    erasing = new Set(places.keys());
    moves++;
    // All that is settled: the head may be further.
    const end = settled().position;
    const before = journal.map(({ event, erased, place }) => erased || place > end ? undefined : event);
    const left = withoutPerson(before, request);
    for (const [index, journaled] of journal.entries()) {
      if (before[index] === undefined || left[index] === before[index]) continue;
      if (left[index] === undefined) journaled.erased = true;
      else journaled.event = left[index];
    }
    places.clear();
    for (const journaled of journal) if (!journaled.erased) name(journaled);
  }

  /** A chunk that is there changes only for an erasure under way, only under the fence, and only where it must. */
  function rewrite(key: Deno.KvKey, chunk: Chunk, isFenced: boolean): void {
    const stored = get(key as Key);
    if (stored === undefined) broken(2, "chunks are written without the head");
    if (erasing === undefined || !isFenced) broken(2, `${key.join("/")} changes`);
    const { body: _, rawBytes: __, ...header } = chunk;
    const { body: ___, rawBytes: ____, ...before } = stored!.value as Chunk;
    if (JSON.stringify(header) !== JSON.stringify(before)) broken(2, `${key.join("/")} has another header`);
    const lines = linesOf(chunk);
    for (const [index, line] of linesOf(stored!.value as Chunk).entries()) {
      const wanted = lineOf(placeIn(key, index));
      if (lines[index] !== line && lines[index] !== wanted) broken(2, `${key.join("/")}: ${line} changes`);
    }
    if (lines.length !== chunk.n) broken(2, `${key.join("/")} has other events`);
  }

  /** The line of an event as it stands in the journal, or is to. */
  function lineOf(place: Position): string {
    const { event, erased } = journal.find((each) => each.place === place)!;
    return erased ? ERASED_LINE : JSON.stringify(event);
  }

  /** An erasure is over: no chunk, and no actor in any generation, holds what is erased. */
  function checkErased({ generation }: Settled): void {
    for (const { place, erased } of journal) {
      if (!erased) continue;
      const line = linesOf(get(journalKey(seqOfStamp(stampOf(place))))!.value as Chunk)[indexOf(place)];
      if (line !== ERASED_LINE) broken(2, `${place} is erased, and says ${line}`);
    }
    for (const name of erasing!) {
      const slash = name.indexOf("/");
      const [kind, id] = [name.slice(0, slash) as ActorKind, name.slice(slash + 1)];
      for (let each = 1; each <= generation + 3; each++) {
        const stored = get(actorKey(each, kind, id));
        if (stored === undefined) continue;
        const { version } = headOf(stored.value as Uint8Array);
        const events = countUpTo(places.get(name) ?? [], settled().position);
        // In another generation a replay may be under way that has begun since.
        if (version > events || (each === generation && version !== events) || events === 0) {
          broken(
            3,
            `${name} has ${version} events in generation ${each} where somebody is erased, and ${events} are left`,
          );
        }
      }
    }
    erasing = undefined;
    moves++;
  }

  function checkDelete(key: Deno.KvKey, isFenced: boolean): void {
    const [name, generation] = key;
    if (name === "journal" || name === "head" || name === "settled") broken(2, `${key.join("/")} is deleted`);
    const inUse = name === "seen" ? settled().runs.filter(({ id }) => id === generation) : [];
    if (inUse.flatMap(keysOfRun).some((each) => compareKeys(each, key) === 0)) {
      broken(1, `a run in use is deleted`);
    }
    if (name !== "actor" && name !== "log" && name !== "part") return;
    if (generation !== settled().generation) gone.add(JSON.stringify(key));
    // Who comes again after an erasure is written anew.
    else if (erasing === undefined || !isFenced) broken(3, `a key in use is deleted: ${key.join("/")}`);
  }

  /** A commit: the chunks after the head, whole, and the head that they come to. */
  function append(next: Head | undefined, sets: Operation["sets"]): void {
    const before = (get(HEAD)?.value ?? NO_HEAD) as Head;
    const chunks = sets.filter(([key]) => key[0] === "journal") as [[string, number], Chunk][];
    if (next === undefined) broken(2, "chunks are written without the head");
    chunks.sort(([a], [b]) => a[1] - b[1]);
    let events = before.events;
    for (const [index, [[, seq], chunk]] of chunks.entries()) {
      if (seq !== before.seq + 1 + index) {
        broken(2, `chunk ${seq} is written where the head is ${before.seq}`);
      }
      if (get(journalKey(seq)) !== undefined) broken(2, `chunk ${seq} changes`);
      if (chunk.commit !== next!.commit) {
        broken(1, `chunk ${seq} is of ${chunk.commit}, the head of ${next!.commit}`);
      }
      if (chunk.at < before.at) broken(2, `chunk ${seq} is older than the one before`);
      const digests = hexIn(chunk.digests);
      for (const [i, event] of eventsIn(chunk).entries()) {
        if (digests[i] !== digestOf(event.messageId, secret())) {
          broken(1, `digest of ${event.messageId} is another's`);
        }
        take({
          event,
          erased: false,
          place: positionOf(stampOfSeq(seq), i),
          commit: chunk.commit,
          at: chunk.at,
        });
      }
      events += chunk.n;
    }
    if (next!.seq !== before.seq + chunks.length || next!.events !== events || journal.length !== events) {
      broken(
        2,
        `the head says ${next!.seq} chunks, ${next!.events} events after ${before.seq}, ${before.events}`,
      );
    }
    if (chunks.length > 0) heads.push(endOfHead(next!));
  }

  function take(journaled: Journaled): void {
    const { event, place, at } = journaled;
    for (const each of actorsOf(factOf(event, place))) named.add(each);
    const same = byId.get(event.messageId) ?? [];
    const last = same.at(-1);
    if (last !== undefined && (windowMs === 0 || last.at + windowMs >= at)) {
      broken(1, `${event.messageId} is in the journal twice, at ${last.place} and ${place}`);
    }
    byId.set(event.messageId, [...same, journaled]);
    journal.push(journaled);
    name(journaled);
  }

  function name({ event, place }: Journaled): void {
    for (const name of actorsOf(factOf(event, place))) {
      const mine = places.get(name);
      if (mine === undefined) places.set(name, [place]);
      else mine.push(place);
    }
  }

  function checkFold(before: Fenced | undefined, next: Fenced): void {
    if (before !== undefined && next.fold < before.fold) broken(3, "an older fold writes over a newer one");
  }

  function checkActor(key: Deno.KvKey, value: Uint8Array, isFenced: boolean): void {
    const [, , kind, id] = key as [string, number, ActorKind, string];
    const next = headOf(value);
    const stored = get(key as Key);
    const before = stored === undefined ? undefined : headOf(stored.value as Uint8Array);
    const name = `${kind}/${id}`;
    // A replay that began before may have read what is being erased; it is stopped before the erasure is over.
    if (erasing !== undefined && !isFenced) return;
    // As it was, with pages that change before it does.
    if (erasing !== undefined && stored !== undefined && isSame(value, stored.value as Uint8Array)) return;
    if (before !== undefined && next.position < before.position && erasing === undefined) {
      broken(3, `${name} goes back from ${before.position} to ${next.position}`);
    }
    if (before !== undefined && next.fold < before.fold) {
      broken(3, `${name}: an older fold writes over a newer one`);
    }
    const events = countUpTo(places.get(name as ActorName) ?? [], next.position);
    if (next.version !== events) {
      broken(
        3,
        `${name} counts ${next.version} events up to ${next.position}, where the journal has ${events}`,
      );
    }
  }

  function checkSettled(next: Settled, operation: Operation): void {
    const before = settled();
    const newest = endOfHead((get(HEAD)?.value ?? null) as Head | null);
    checkFold(get(SETTLED)?.value as Settled | undefined, next);
    if (next.position < before.position) {
      broken(2, `settled goes back from ${before.position} to ${next.position}`);
    }
    if (next.generation < before.generation) broken(2, "the generation goes back");
    if (next.position > newest.end) broken(2, `settled is ${next.position}, the end ${newest.end}`);
    if (next.owner !== before.owner && before.target !== null && before.owner !== "") {
      counts["lease expired under a round"]++;
    }
    const moved = next.position !== before.position || next.generation !== before.generation;
    const events = heads.findLast(({ end }) => end <= next.position)!;
    if (events.end === next.position && events.events !== next.events) {
      broken(2, `settled says ${next.events} events where the journal has ${events.events}`);
    }
    if (moved) checkActorsSettled(next, next.generation === before.generation ? before.position : BEGINNING);
    if (erasuresOf(next) !== erasuresOf(before)) {
      if (erasuresOf(next) !== erasuresOf(before) + 1 || erasing === undefined) {
        broken(2, "an erasure counts as fulfilled that was not");
      }
      checkErased(next);
    }
    if (moved || JSON.stringify(next.runs) !== JSON.stringify(before.runs)) checkRuns(next, operation);
  }

  /** Every actor that the journal names after `from` and up to what is settled has come so far. */
  function checkActorsSettled({ position: end, generation }: Settled, from: Position): void {
    for (const [name, all] of places) {
      const last = all[countUpTo(all, end) - 1];
      if (last === undefined || last <= from) continue;
      const slash = name.indexOf("/");
      const stored = get(actorKey(generation, name.slice(0, slash) as ActorKind, name.slice(slash + 1)));
      const position = stored === undefined ? BEGINNING : headOf(stored.value as Uint8Array).position;
      if (position < last) broken(2, `settled is ${end}, and ${name} at ${position} has not taken ${last}`);
    }
  }

  /** Every id that is settled, within the window, is in the runs that are listed. */
  function checkRuns({ position: end, runs }: Settled, { sets }: Operation): void {
    const valueOf = (key: Key) => {
      return (sets.find(([each]) => compareKeys(each, key) === 0)?.[1] ?? get(key)?.value) as
        | Uint8Array
        | undefined;
    };
    const seen = new Set<string>();
    for (const run of runs) {
      for (let part = 0; part < run.parts; part++) {
        const digests = valueOf(seenKey(run.id, part));
        if (digests === undefined) broken(1, `part ${part} of run ${run.id} is missing`);
        for (const digest of hexIn(digests!)) seen.add(digest);
      }
      for (let part = 0; part < run.filterParts; part++) {
        if (valueOf(seenFilterKey(run.id, part)) === undefined) {
          broken(1, `filter of run ${run.id} is missing`);
        }
      }
    }
    const last = journal.findLast(({ place }) => place <= end);
    for (const { event, place, at } of journal) {
      if (place > end || (windowMs > 0 && at + windowMs < last!.at)) continue;
      if (!seen.has(digestOf(event.messageId, secret()))) {
        broken(1, `${event.messageId} is settled, and in no run`);
      }
    }
  }

  function secret(): string {
    return (get(SECRET)?.value ?? "") as string;
  }

  function settled(): Settled {
    return (get(SETTLED)?.value ?? NOTHING_SETTLED) as Settled;
  }

  return {
    check,
    /** All events of the journal, in order. */
    journal,
    /** Where a message id is in the journal; more than once only beyond the window. */
    placesOf: (messageId: string): readonly Journaled[] => byId.get(messageId) ?? [],
    /** The places of each actor's events. */
    places,
    /** The actors that were ever named. */
    named,
    /** How often what is kept began to be, or was, erased; and whether it is being erased now. */
    erasures: () => ({ moves, isUnderWay: erasing !== undefined }),
    valueOf: (key: Key): unknown => get(key)?.value,
    heads,
    head: () => heads[heads.length - 1]!,
    settled,
  };
}

/** How many of some positions in order are not beyond a bound. */
export function countUpTo(positions: readonly Position[], bound: Position): number {
  let low = 0;
  let high = positions.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (positions[middle]! <= bound) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The position of the event at an index of the chunk under a key. */
function placeIn(key: Deno.KvKey, index: number): Position {
  return positionOf(stampOfSeq(key[1] as number), index);
}

const decoder = new TextDecoder();

function eventsIn(chunk: Chunk): StoredEvent[] {
  return linesOf(chunk).map((line) => JSON.parse(line));
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/** Digests in bytes, each in hex. */
function hexIn(digests: Uint8Array): string[] {
  return Array.from({ length: digests.length / DIGEST_BYTES }, (_, i) => {
    return digests.subarray(i * DIGEST_BYTES, (i + 1) * DIGEST_BYTES).toHex();
  });
}

function headOf(value: Uint8Array): ActorHead {
  return JSON.parse(decoder.decode(value))[0];
}

function broken(invariant: number, what: string): never {
  throw new Violation(`invariant ${invariant}: ${what}`);
}
