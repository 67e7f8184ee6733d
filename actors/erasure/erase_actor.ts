/**
 * Erases events from actors: from their logs and, by folding the rest again, from their states. Every step can be
 * repeated, and is done under the lease: the next holder repeats a partial erasure.
 */
import { BEGINNING, type Position } from "../../domain/event/position.ts";
import { actorKey, type Key, logPrefix } from "../store/keys.ts";
import { decodeEntries, encodeEntries, type LogPlace, readLog } from "../settling/actor_log.ts";
import { createOperations } from "../store/write_batch.ts";
import { bytesOf, type Unit, unitAgain, writeUnits } from "../settling/actor_update.ts";
import type { Place } from "../settling/fold_round.ts";
import {
  type ActorHead,
  complete,
  type Loaded,
  loadHeads,
  type PartHead,
  readHead,
} from "../settling/snapshot.ts";
import type { Entry, Range, Store } from "../store/store.ts";
import type { ActorKind } from "../../domain/profile/fact.ts";

/**
 * Erases positions from actors, many in one operation. An actor without events is deleted; nobody writes actors without
 * the lease, so no late write can bring it back.
 */
export async function eraseActors(
  place: Place,
  names: readonly [ActorKind, string][],
  isErased: (kind: ActorKind, place: Position) => boolean,
): Promise<void> {
  const { store, generation, limits } = place;
  for (let from = 0; from < names.length; from += limits.sliceActors) {
    const slice = names.slice(from, from + limits.sliceActors);
    const heads = await loadHeads<ActorHead>(
      store,
      slice.map(([kind, id]) => actorKey(generation, kind, id)),
    );
    let units: Unit[] = [];
    let bytes = 0;
    for (const [index, [kind, id]] of slice.entries()) {
      await place.renew?.();
      const loaded = await complete(store, heads[index]!);
      if (loaded.head === undefined) continue;
      const unit = await unitWithout(place, { generation, kind, id }, {
        loaded,
        head: loaded.head,
        isErased: (each) => isErased(kind, each),
      });
      units.push(unit);
      bytes += bytesOf(unit);
      if (bytes < limits.sliceBytes) continue;
      await writeUnits(place, units);
      [units, bytes] = [[], 0];
    }
    await writeUnits(place, units);
  }
}

/** An actor without the erased positions. Pages keep their keys, so that readers miss nothing. */
async function unitWithout(
  place: Place,
  actor: LogPlace,
  { loaded, head, isErased }: {
    loaded: Loaded<ActorHead>;
    head: ActorHead;
    isErased(place: Position): boolean;
  },
): Promise<Unit> {
  const { store } = place;
  let version = 0;
  let position = BEGINNING;
  for await (const entry of readLog(store, actor, { log: head, order: "asc" })) {
    if (isErased(entry.place)) continue;
    version++;
    if (entry.place > position) position = entry.place;
  }
  const range = { prefix: logPrefix(actor.generation, actor.kind, actor.id) };
  if (version === 0) return await deletion(store, loaded, range);
  const pages: [Key, Uint8Array][] = [];
  for await (const { key, value } of store.list<Uint8Array>(range, { batchSize: 16 })) {
    const page = without(value!, isErased);
    if (page !== undefined) pages.push([key, page]);
  }
  const open = without(head.open, isErased) ?? head.open;
  return await unitAgain(place, actor, { loaded, head: { ...head, version, position, open }, pages });
}

/**
 * The writes that delete an actor: last its own value, by which it is found, with its pieces, since it cannot be read
 * without them.
 */
async function deletion(store: Store, { key, raw, pieces }: Loaded<ActorHead>, range: Range): Promise<Unit> {
  const pages: Unit["ahead"] = [];
  for await (const page of store.list(range, { batchSize: 16 })) {
    pages.push({ sets: [], deletes: [page.key] });
  }
  return { key, old: raw, ahead: pages, sets: [], deletes: [...pieces, key], members: [] };
}

/** Entries without the erased ones; `undefined` if none is erased. */
function without(bytes: Uint8Array, isErased: (place: Position) => boolean): Uint8Array | undefined {
  const entries = decodeEntries(bytes);
  const left = entries.filter((entry) => !isErased(entry.place));
  return left.length === entries.length ? undefined : encodeEntries(left);
}

/** Deletes parts, each with its pieces. */
export async function deleteParts(
  { write, limits }: Pick<Place, "write" | "limits">,
  parts: AsyncIterable<Entry<Uint8Array>>,
): Promise<void> {
  const operations = createOperations(write, limits);
  for await (const part of parts) {
    const { key, stamp, pieces } = readHead<PartHead>(part);
    if (stamp !== null) await operations.add({ sets: [], deletes: [...pieces, key] });
  }
  await operations.flush();
}
