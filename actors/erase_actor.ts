/**
 * Takes events out of an actor: out of its log, and, by folding what is left again, out of its state. All of it can be
 * done twice, and is done under the fence: who takes over a half of it does it all again.
 */
import { actorKey, type Key, logPrefix } from "./keys.ts";
import { decodeEntries, encodeEntries, type LogPlace, readLog } from "./log.ts";
import { type Place, writeAgain } from "./settle.ts";
import { type ActorHead, load, type PartHead, whole } from "./snapshot.ts";
import type { Range, Store } from "./store.ts";

/** Keys deleted by one operation: a key may have over 1 KB, and an operation takes 80 KiB of them. */
const DELETES = 50;

/**
 * Takes the erased places out of an actor. One of which nothing is left is deleted, its own value last of all, by which
 * it is found; nobody writes actors without the fence, so that no late write can bring it back.
 */
export async function eraseActor(
  place: Place,
  actor: LogPlace,
  isErased: (place: number) => boolean,
): Promise<void> {
  const { store } = place;
  const [loaded] = await load<ActorHead>(store, [actorKey(actor.generation, actor.kind, actor.id)]);
  const head = loaded!.head;
  if (head === undefined) return;
  let version = 0;
  let position = 0;
  for await (const entry of readLog(store, actor, { log: head, order: "asc" })) {
    if (isErased(entry.place)) continue;
    version++;
    if (entry.place > position) position = entry.place;
  }
  if (version === 0) {
    await deleteAll(place, { prefix: logPrefix(actor.generation, actor.kind, actor.id) });
    await deleteValue(place, loaded!);
    return;
  }
  // Pages keep their keys, so that who reads them meanwhile misses nothing of what stays.
  const pages: [Key, Uint8Array][] = [];
  const range = { prefix: logPrefix(actor.generation, actor.kind, actor.id) };
  for await (const { key, value } of store.list<Uint8Array>(range, { batchSize: 16 })) {
    const page = without(value!, isErased);
    if (page !== undefined) pages.push([key, page]);
  }
  const open = without(head.open, isErased) ?? head.open;
  await writeAgain(place, actor, { loaded: loaded!, head: { ...head, version, position, open }, pages });
}

/** Entries without those that are erased; `undefined` where none is. */
function without(bytes: Uint8Array, isErased: (place: number) => boolean): Uint8Array | undefined {
  const entries = decodeEntries(bytes);
  const left = entries.filter((entry) => !isErased(entry.place));
  return left.length === entries.length ? undefined : encodeEntries(left);
}

/** Deletes a value and its pieces in one operation: a value without its pieces can't be read. At most some ten keys. */
async function deleteValue(
  { write }: Place,
  { key, pieces }: { key: Key; pieces: Key[] },
): Promise<void> {
  await write({ sets: [], deletes: [...pieces, key] });
}

/** Deletes parts, with their pieces. */
export async function deleteParts(place: Place, keys: AsyncIterable<Key>): Promise<void> {
  for await (const key of keys) {
    const part = await whole<PartHead>(place.store, await place.store.get<Uint8Array>(key));
    if (part.stamp !== null) await deleteValue(place, part);
  }
}

/** Deletes all keys of a range. */
export async function deleteAll(
  place: Pick<Place, "write"> & { store: Store },
  range: Range,
): Promise<void> {
  const keys: Key[] = [];
  for await (const { key } of place.store.list(range, { batchSize: 200 })) keys.push(key);
  for (let i = 0; i < keys.length; i += DELETES) {
    await place.write({ sets: [], deletes: keys.slice(i, i + DELETES) });
  }
}
