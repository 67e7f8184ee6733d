/**
 * Watches every operation that changes the store, and holds it against the design's invariants before it is done. It
 * reads what is written by itself, so that it also knows the journal: what is in it, and where.
 *
 * Entries, keys and facts are read by the product's own functions, unpatched: what they are is not in question here.
 */
import { BEGINNING, indexOf, type Position, positionOf, stampOf } from "../../domain/event/position.ts";
import { ERASED_LINE } from "../../actors/journal/body.ts";
import { digestOf } from "../../actors/dedup/digest.ts";
import { factAt, FLAGS, isWhole } from "../../actors/journal/header.ts";
import type { Fenced } from "../../actors/store/lease.ts";
import { erasuresOf, NOTHING_SETTLED, type Settled } from "../../actors/journal/journal_state.ts";
import {
  actorKey,
  type Key,
  REBUILD,
  SECRET,
  seenFilterKey,
  seenKey,
  SETTLED,
} from "../../actors/store/keys.ts";
import { keysOfRun } from "../../actors/dedup/dedup_index.ts";
import type { ErasureRequest } from "../../actors/erasure/requests.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import { type ActorKind, type ActorName, factOf } from "../../domain/profile/fact.ts";
import { withoutPerson } from "../actors/erasure/erased.ts";
import { compareKeys, type Operation, type Stored } from "./database.ts";
import { entryAt, hexIn, type StoredEntry } from "./stored_entry.ts";
import { countUpTo, createWatchedJournal } from "./watched_journal.ts";
import type { Counts } from "./weather.ts";
import { Violation } from "./world.ts";

/** What stands at the head of an actor's value. */
interface ActorHead {
  fold: number;
  position: Position;
  version: number;
}

/** A watch. */
export type Watch = ReturnType<typeof createWatch>;

/**
 * Whether a write may be done twice: a process joins, or leaves, under an id that no other process ever has. What a late
 * copy of it brings back belongs to nobody, and is found to be dead.
 */
export function isRepeatable({ checks, sets, deletes }: Operation): boolean {
  const isOne = (names: string[]) => (key: Deno.KvKey) => names.includes(key[0] as string);
  return checks.length === 0 && sets.map(([key]) => key).every(isOne(["roster", "heartbeat", "lane"])) &&
    deletes.every(isOne(["heartbeat", "lane"]));
}

/** Makes a watch over an empty store. */
export function createWatch(
  { get, counts, windowMs }: {
    get(key: Key): Stored | undefined;
    counts: Counts;
    windowMs: number;
  },
) {
  const watched = createWatchedJournal(windowMs);
  const { journal, places, heads } = watched;
  const commits = new Set<string>();
  let latestAt = 0;
  const gone = new Set<string>();
  /** Users whose erasure was answered, and who are suppressed since. */
  const suppressed = new Set<string>();
  /** How often an erasure began to change things, or was over; and those that are under way: the actors before it. */
  let moves = 0;
  let erasing: Set<ActorName> | undefined;

  function check(operation: Operation, stamp: string): void {
    const { checks, sets, deletes } = operation;
    const isChanged = (key: Deno.KvKey) =>
      sets.some(([each]) => compareKeys(each, key) === 0) ||
      deletes.some((each) => compareKeys(each, key) === 0);
    if (!checks.some(({ key }) => isChanged(key)) && !isRepeatable(operation)) {
      broken(6, `a write checks no key that it changes: ${sets.map(([key]) => key.join("/"))}`);
    }
    const isFenced = sets.some(([key]) => key[0] === "settled");
    for (const key of deletes) checkDelete(key, isFenced);
    for (const [key, value] of sets) {
      if (key[0] === "actor" || key[0] === "log" || key[0] === "part") {
        if (gone.has(JSON.stringify(key))) broken(6, `a key came back: ${key.join("/")}`);
        if (key[0] === "actor") checkActor(key, value as Uint8Array, isFenced);
      }
      if (key[0] === "erasing" && key.length === 2) checkRequest(value as ErasureRequest);
    }
    const stamps = sets.flatMap(([key]) => ENTRY_KEYS.has(key[0] as string) ? [key.at(-1) as string] : []);
    for (const each of new Set(stamps)) {
      if (each === stamp) append(operation, stamp);
      else rewrite(operation, each, isFenced);
    }
    for (const [key, value] of sets) {
      if (key[0] === "settled") checkSettled(value as Settled, operation);
      if (key[0] === "rebuild") checkFold(get(REBUILD)?.value as Fenced | undefined, value as Fenced);
    }
  }

  const stored = (key: Key): unknown => get(key)?.value;

  /** What stands under a key once an operation is done. */
  const after = ({ sets }: Operation) => (key: Key): unknown =>
    (sets.find(([each]) => compareKeys(each, key) === 0)?.[1]) ?? stored(key);

  /** Learns what the settler has decided of events up to a place. */
  function decide(upTo: Position, read: (key: Key) => unknown = stored): void {
    watched.decide(upTo, ({ place }) => {
      const { header } = entryAt(read, stampOf(place))!;
      return (header.flags[indexOf(place)]! & FLAGS.copy) !== 0;
    });
  }

  /** From its plan on somebody's events are to go: what that leaves is worked out here. */
  function checkRequest(request: ErasureRequest): void {
    if (request.plan === undefined || erasing !== undefined) return;
    erasing = new Set(places.keys());
    moves++;
    // All that is settled: the journal may go further.
    const end = settled().position;
    const before = journal.map(({ event, erased, copy, place }) =>
      erased || copy || place > end ? undefined : event
    );
    const left = withoutPerson(before, request);
    for (const [index, journaled] of journal.entries()) {
      if (before[index] === undefined || left[index] === before[index]) continue;
      if (left[index] === undefined) journaled.erased = true;
      else journaled.event = left[index];
    }
    watched.nameAll();
  }

  /** A commit: header and bodies fit each other, its lane knows it, and what it says of itself is true. */
  function append(operation: Operation, stamp: string): void {
    const { header, lines, digests, end } = entryAt(after(operation), stamp)!;
    const { commit, n, at, known } = header;
    if (end <= heads.at(-1)!.end) broken(2, `${end} is behind the end of the journal`);
    const lane = operation.sets.find(([key]) => key[0] === "lane");
    if (lane === undefined || lane[1] !== commit) broken(6, `${commit} is not in a lane`);
    if (!operation.checks.some(({ key }) => compareKeys(key, lane![0]) === 0)) {
      broken(6, `${commit} does not check its lane`);
    }
    if (commits.has(commit)) broken(1, `${commit} is in the journal twice`);
    commits.add(commit);
    const sent = header.senders.reduce((sum, [, count]) => sum + count, 0);
    if (lines.length !== n || sent !== n || digests.length !== n) broken(1, `${commit} is not whole`);
    latestAt = Math.max(latestAt, at);
    for (const [index, line] of lines.entries()) {
      const event: StoredEvent = JSON.parse(line);
      const place = positionOf(stamp, index);
      const { messageId } = event;
      if (digests[index] !== digestOf(messageId, secret())) broken(1, `digest of ${messageId} is another's`);
      checkFacts({ header, lines }, place);
      if (suppressed.has(event.userId!)) broken(1, `${messageId} is of ${event.userId}, who is suppressed`);
      const before = watched.firstOf(messageId, latestAt);
      if (before?.isWithin && (known === undefined || before.first.place <= known)) {
        broken(1, `${messageId} is in the journal twice, at ${before.first.place} and ${place}`);
      }
      const copy = before === undefined || known === undefined ? false : before.isWithin || undefined;
      watched.add({ event, erased: false, copy, place, commit, at: latestAt });
    }
    watched.endsAt(end);
  }

  /** What a header says of an event is what its line says. */
  function checkFacts({ header, lines }: Pick<StoredEntry, "header" | "lines">, place: Position): void {
    const index = indexOf(place);
    if (lines[index] === ERASED_LINE || !isWhole(header, index)) return;
    const said = JSON.stringify(factAt(header, index, place));
    const meant = JSON.stringify(factOf(JSON.parse(lines[index]!), place));
    if (said !== meant) broken(2, `the header says ${said} of ${meant}`);
  }

  /**
   * An entry that is there changes only under the lease: where a copy is marked, and where somebody is erased; header and
   * body change together.
   */
  function rewrite(operation: Operation, stamp: string, isFenced: boolean): void {
    const before = entryAt(stored, stamp);
    if (before === undefined) broken(2, `a part of ${stamp} is written, which is not there`);
    if (!isFenced) broken(2, `${stamp} changes without the lease`);
    const next = entryAt(after(operation), stamp)!;
    if (factsOf(before!) !== factsOf(next)) broken(2, `${stamp} has another header`);
    for (const [index, line] of before!.lines.entries()) {
      const place = positionOf(stamp, index);
      const flag = next.header.flags[index]!;
      if ((flag & FLAGS.copy) !== 0) watched.decide(place, (each) => each.place === place);
      const { event, erased, copy } = watched.at(place);
      if ((flag & FLAGS.copy) !== 0 && copy !== true) broken(1, `${place} counts, and is marked as a copy`);
      if ((flag & FLAGS.erased) !== 0 && !erased) broken(2, `${place} is marked as erased, and is not to be`);
      const isGone = (flag & (FLAGS.copy | FLAGS.erased)) !== 0;
      if (isGone !== (next.lines[index] === ERASED_LINE)) broken(2, `${place}: header and body do not fit`);
      checkFacts(next, place);
      const isWanted = isGone || next.lines[index] === JSON.stringify(event);
      if (next.lines[index] !== line && !isWanted) broken(2, `${place}: ${line} changes`);
    }
  }

  /** An erasure is over: no entry, and no actor in any generation, holds what is erased. */
  function checkErased({ generation }: Settled): void {
    for (const { place, erased, copy } of journal) {
      if (!erased) continue;
      const { header, lines } = entryAt(stored, stampOf(place))!;
      const isMarked = (header.flags[indexOf(place)]! & FLAGS.erased) !== 0 || copy === true;
      if (lines[indexOf(place)] !== ERASED_LINE || !isMarked) {
        broken(2, `${place} is erased, and says ${lines[indexOf(place)]}`);
      }
    }
    for (const name of erasing!) {
      const slash = name.indexOf("/");
      const [kind, id] = [name.slice(0, slash) as ActorKind, name.slice(slash + 1)];
      for (let each = 1; each <= generation + 3; each++) {
        const value = stored(actorKey(each, kind, id));
        if (value === undefined) continue;
        const { version } = headOf(value as Uint8Array);
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
    if (name === "journal" || name === "body" || name === "settled") broken(2, `${key.join("/")} is deleted`);
    if (name === "header" && !isFenced) broken(2, `${key.join("/")} is deleted without the lease`);
    const inUse = name === "seen" ? settled().runs.filter(({ id }) => id === generation) : [];
    if (inUse.flatMap(keysOfRun).some((each) => compareKeys(each, key) === 0)) {
      broken(1, `a run in use is deleted`);
    }
    if (name !== "actor" && name !== "log" && name !== "part") return;
    if (generation !== settled().generation) gone.add(JSON.stringify(key));
    // Who comes again after an erasure is written anew.
    else if (erasing === undefined || !isFenced) broken(3, `a key in use is deleted: ${key.join("/")}`);
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
    decide(next.position);
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
    const newest = heads.at(-1)!;
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
    if (moved) checkMarked(before.position, next.position);
    const events = watched.counted(next.position);
    if (events !== next.events) {
      broken(2, `settled says ${next.events} events where ${events} of the journal count`);
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

  /** Every copy that is settled is marked, and nothing else is. */
  function checkMarked(from: Position, upTo: Position): void {
    decide(upTo);
    for (const { place, copy } of journal) {
      if (place <= from || place > upTo) continue;
      const { header } = entryAt(stored, stampOf(place))!;
      const isMarked = (header.flags[indexOf(place)]! & FLAGS.copy) !== 0;
      if (isMarked !== copy) {
        broken(1, `${place} is settled, and is ${isMarked ? "" : "not "}marked as a copy`);
      }
    }
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
    for (const { event, place, at, copy } of journal) {
      if (place > end || copy || (windowMs > 0 && at + windowMs < last!.at)) continue;
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
    /** Where a message id is in the journal and counts; more than once only beyond the window. */
    placesOf: watched.placesOf,
    /** The places of each actor's events. */
    places,
    /** The actors that were ever named. */
    named: watched.named,
    suppressed,
    /** How often what is kept began to be, or was, erased; and whether it is being erased now. */
    erasures: () => ({ moves, isUnderWay: erasing !== undefined }),
    valueOf: (key: Key): unknown => get(key)?.value,
    heads,
    head: () => heads[heads.length - 1]!,
    /** Whether nobody knows yet what counts of the journal up to a head. */
    isUndecided: (head: number): boolean => watched.isUndecided(heads[head]!.events),
    settled,
  };
}

/** The keys of the parts of an entry. */
const ENTRY_KEYS = new Set(["journal", "header", "body"]);

/** What never changes of an entry. */
function factsOf({ header: { commit, at, total, known, bodies, n }, digests }: StoredEntry): string {
  return JSON.stringify([commit, at, total, known, bodies, n, digests]);
}

const decoder = new TextDecoder();

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

function headOf(value: Uint8Array): ActorHead {
  return JSON.parse(decoder.decode(value))[0];
}

function broken(invariant: number, what: string): never {
  throw new Violation(`invariant ${invariant}: ${what}`);
}
