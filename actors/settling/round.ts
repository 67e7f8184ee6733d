/**
 * A round of settling: actors take the events of a stretch of the journal into their logs and states.
 *
 * A round has a fixed end that is written before it begins, and each write of it depends only on what stood before the
 * round and on that end. Rows that derive from a state (memberships) are written before the state, pages of a log
 * before the value that counts on them. So a round that was cut off anywhere is done again, by whomever, to the same
 * end, and comes to the same result: an actor whose position is past its events is passed over.
 */
import type { ActorKind } from "../../domain/profile/fact.ts";
import { actorKeysInOrder, actorRange, type NamedKey } from "../store/keys.ts";
import { bytesOf, type Unit, unitOf, writeUnits } from "./actor_update.ts";
import type { Place } from "./fold_round.ts";
import type { Mail } from "./mailboxes.ts";
import { type ActorHead, complete, type Loaded, loadHeads, nothingAt, readHead } from "./snapshot.ts";

/** The order of kinds: what a user owns of anonymous ids is written with those. */
const KINDS: ActorKind[] = ["anonymous", "user", "group"];

/** Settles the facts of a round. */
export async function settleRound(place: Place, mail: Mail): Promise<void> {
  let settled = 0;
  for (const kind of KINDS) {
    await settleKind(place, kind, {
      mail,
      onSlice(actors) {
        settled += actors;
        place.onSettled?.(settled / mail.actors());
      },
    });
  }
}

/** Slices that are read ahead of the one that is folded, and folded ahead of the one that is written. */
const READ_AHEAD = 2;

const WRITE_BEHIND = 3;

async function settleKind(
  place: Place,
  kind: ActorKind,
  { mail, onSlice }: { mail: Mail; onSlice(actors: number): void },
): Promise<void> {
  const { generation, limits } = place;
  // In the order of keys, neighbours share pages of the database.
  const actors = actorKeysInOrder(generation, kind, mail.ids(kind));
  const slices: NamedKey[][] = [];
  for (let i = 0; i < actors.length; i += limits.sliceActors) {
    slices.push(actors.slice(i, i + limits.sliceActors));
  }
  const reading: Promise<Loaded<ActorHead>[]>[] = [];
  const writing: Promise<void>[] = [];
  let written = Promise.resolve();
  const density = { isLow: false };
  for (const [index, slice] of slices.entries()) {
    for (const next of slices.slice(index + reading.length, index + READ_AHEAD + 1)) {
      reading.push(quiet(loadSlice(place, kind, { slice: next, density })));
    }
    const loaded = await reading.shift()!;
    let units: Unit[] = [];
    let bytes = 0;
    for (const [i, { id }] of slice.entries()) {
      // States in pieces are read one by one: so many at once would not fit in memory.
      const whole = await complete(place.store, loaded[i]!);
      const unit = await unitOf(place, { generation, kind, id }, {
        loaded: whole,
        facts: mail.facts(kind, id),
      });
      if (unit === undefined) continue;
      units.push(unit);
      bytes += bytesOf(unit);
      if (bytes < limits.sliceBytes) continue;
      await written;
      await writeUnits(place, units);
      units = [];
      bytes = 0;
    }
    // One after the other, but the thread goes on folding: the store and it are busy at the same time.
    const ready = units;
    writing.push(written = quiet(written.then(() => writeUnits(place, ready))));
    if (writing.length > WRITE_BEHIND) await writing.shift();
    onSlice(slice.length);
  }
  await written;
}

/** What reading slices has found of the range that they are in: whether few of its actors are in the round. */
interface Density {
  isLow: boolean;
}

/**
 * Reads the values of a slice, but not of those actors that are known to be new: the whole range at once where most of
 * what is in it is wanted, else one by one.
 */
async function loadSlice(
  { store, isNew, limits }: Place,
  kind: ActorKind,
  { slice, density }: { slice: NamedKey[]; density: Density },
): Promise<Loaded<ActorHead>[]> {
  const loaded = slice.map(({ key }) => nothingAt<ActorHead>(key));
  let left = isNew === undefined
    ? [...slice.keys()]
    : [...slice.keys()].filter((index) => !isNew(`${kind}/${slice[index]!.id}`));
  if (left.length > 1 && !density.isLow) {
    const indexOf = new Map(left.map((index) => [slice[index]!.key.at(-1), index]));
    const limit = left.length * limits.scanFactor;
    let [count, last] = [0, -1];
    const range = actorRange(slice[left[0]!]!.key, slice[left.at(-1)!]!.key);
    await store.scan<Uint8Array>(range, limit, (entry) => {
      count++;
      const index = indexOf.get(entry.key.at(-1));
      if (index !== undefined) loaded[last = index] = readHead(entry);
    });
    // Where the scan ended before the range did, those after the last that it met are still to be read.
    density.isLow = count >= limit;
    left = density.isLow ? left.filter((index) => index > last) : [];
  }
  const found = await loadHeads<ActorHead>(store, left.map((index) => slice[index]!.key));
  for (const [n, index] of left.entries()) loaded[index] = found[n]!;
  return loaded;
}

/** A promise that is awaited later, perhaps after something else threw: its failure is not unhandled meanwhile. */
function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
