/** The parts of a user: their own actor, and their shares of anonymous ids, within bounds. */
import { BEGINNING, END } from "../../domain/event/position.ts";
import type { Person } from "../../domain/profile/person.ts";
import { actorKey, partPrefix } from "../store/keys.ts";
import { type ActorHead, load, type Loaded, type PartHead, whole } from "../settling/snapshot.ts";
import type { Store } from "../store/store.ts";
import { linksIn, placesIn } from "../journal/tail.ts";
import type { Actor, Extend, Views } from "./consistent_read.ts";

/**
 * Anonymous ids that a user's profile and log are made of, and the bytes that are read of them. Anybody with a write key
 * can link thousands to a user, of 400 KB each. Omitted ids are flagged as dropped, and shown under their own id.
 */
export const MAX_LINKED = 1_000;
export const LINKED_BYTES = 2 * 1024 * 1024;

/** Creates the reads of the actors and parts that make up a user. */
export function createLinked(store: Store, views: Views) {
  return {
    userOf: (extend: Extend, generation: number, userId: string) =>
      userOf({ store, views }, { extend, generation, userId }),
    sharesOf,
  };
}

/**
 * Reads a user's own actor and their anonymous ids, each as its part or (if it is in the tail) as its actor. Ids beyond
 * {@link MAX_LINKED}, or beyond {@link LINKED_BYTES} of them, are omitted.
 */
async function userOf(
  { store, views }: { store: Store; views: Views },
  { extend, generation, userId }: { extend: Extend; generation: number; userId: string },
) {
  const keys = [actorKey(generation, "user", userId)];
  const [[loaded], listed] = await Promise.all([
    load<ActorHead>(store, keys),
    listParts(store, generation, userId),
  ]);
  const { parts } = listed;
  let { bytes, isCut } = listed;
  const actors = new Map<string, Actor<"anonymous">>();
  const leftOut = new Set<string>();
  for (;;) {
    const view = await extend();
    const linked = [...linksIn(view.pin, userId)].filter((id) => !parts.has(id) && !leftOut.has(id));
    const room = isCut ? 0 : MAX_LINKED - parts.size;
    if (linked.length > room) isCut = true;
    const ids = [...parts.keys(), ...linked.sort().slice(0, room)];
    const moving = ids.filter((id) => {
      return placesIn(view.pin, `anonymous/${id}`, { after: BEGINNING, upTo: END }).length > 0;
    });
    const unread = moving.filter((id) => !actors.has(id));
    for (const id of unread) {
      const actor = await views.actorOf(view, "anonymous", id);
      bytes += bytesOf(actor.loaded);
      if (bytes <= LINKED_BYTES) actors.set(id, actor);
      else {
        leftOut.add(id);
        parts.delete(id);
      }
    }
    if (unread.length > 0) continue;
    const own = await views.withTail(view, { kind: "user", id: userId, loaded: loaded! });
    for (const [id, actor] of actors) actors.set(id, await views.withTail(view, actor));
    return { view, own, parts, actors, isWhole: !isCut && leftOut.size === 0 };
  }
}

async function listParts(store: Store, generation: number, userId: string) {
  const parts = new Map<string, Loaded<PartHead>>();
  let bytes = 0;
  for await (const entry of store.list<Uint8Array>({ prefix: partPrefix(generation, userId) })) {
    if (parts.size === MAX_LINKED || bytes > LINKED_BYTES) return { parts, bytes, isCut: true };
    // A part whose pieces are being replaced is read again.
    const loaded = await whole<PartHead>(store, entry);
    if (loaded.head === undefined) continue;
    parts.set(loaded.head.anonymousId, loaded);
    bytes += bytesOf(loaded);
  }
  return { parts, bytes, isCut: false };
}

/** A user's shares of their anonymous ids, up to {@link LINKED_BYTES}. */
async function sharesOf(ids: string[], shareOf: (id: string) => Promise<Person | undefined>) {
  const shares = new Map<string, Person>();
  let bytes = 0;
  for (const id of new Set(ids)) {
    if (bytes > LINKED_BYTES) return { shares, isCut: true };
    const share = await shareOf(id);
    if (share === undefined) continue;
    shares.set(id, share);
    bytes += share.bytes;
  }
  return { shares, isCut: false };
}

/** Approximate bytes of JSON that were read of a value: a piece has at most 64 KiB. */
function bytesOf({ raw, pieces }: Loaded<ActorHead | PartHead>): number {
  return (raw?.length ?? 0) + pieces.length * 65_536;
}
