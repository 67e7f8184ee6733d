/** Erases people from the lookup index. */
import type { Position } from "../../domain/event/position.ts";
import type { ErasedNames, EraseParticipant } from "../erasure/execute.ts";
import type { Settled } from "../journal/journal_state.ts";
import { readLog } from "../settling/actor_log.ts";
import { type ActorHead, loadHeads } from "../settling/snapshot.ts";
import type { LeaseTaskOptions } from "../settling/settler.ts";
import { actorKey, type Key, SETTLED } from "../store/keys.ts";
import type { Store } from "../store/store.ts";
import { comparable, digestOf, type Entries } from "./entries.ts";
import { cutOff, type Followed } from "./follow.ts";
import { LOOKUP, lookupKey, lookupOfKey, lookupOfPrefix } from "./keys.ts";

/** Deletions of one operation. */
const DELETES_AT_ONCE = 400;

/** Events of a log that are read at once. */
const FACTS_AT_ONCE = 200;

/** A person's entries are erased with the person; an anonymous id that others had too keeps those of their events. */
export const erasedLookups: EraseParticipant = {
  async erase(names, _, options) {
    const { store } = options;
    // The events are erased already: what is indexed from now on does not name the person.
    await cutOff(options);
    const deletes = await keysOf(store, names);
    for (let from = 0; from < deletes.length; from += DELETES_AT_ONCE) {
      await options.renew();
      await store.commit({ checks: [], sets: [], deletes: deletes.slice(from, from + DELETES_AT_ONCE) });
    }
    for (const id of names.anonymousIds ?? []) {
      await options.renew();
      const left = await entriesLeft(options, id);
      if (left.length > 0) await store.commit({ checks: [], sets: left, deletes: [] });
    }
    return 0;
  },
};

async function keysOf(store: Store, { userId, anonymousIds = [] }: ErasedNames): Promise<Key[]> {
  const keys: Key[] = [];
  const actors = [
    ...userId === undefined ? [] : [["user", userId] as const],
    ...anonymousIds.map((id) => ["anonymous", id] as const),
  ];
  for (const [kind, id] of actors) {
    for await (const { key } of store.list<string>({ prefix: lookupOfPrefix(kind, id) })) {
      const [trait, digest] = key.slice(-2) as [string, string];
      keys.push(key, lookupKey(kind, trait, digest, id));
    }
  }
  return keys;
}

/** The entries of the events that an anonymous id still has. */
async function entriesLeft({ store, events }: LeaseTaskOptions, id: string): Promise<Entries> {
  const traits = (await store.get<Followed>(LOOKUP)).value?.traits ?? [];
  const generation = (await store.get<Settled>(SETTLED)).value?.generation ?? 0;
  const [loaded] = await loadHeads<ActorHead>(store, [actorKey(generation, "anonymous", id)]);
  const entries = new Map<string, [Key, string]>();
  if (loaded?.head === undefined) return [];
  let batch: Position[] = [];
  const take = async () => {
    for (const fact of await events.factsAt(batch)) {
      if (fact.type !== "identify" || fact.userId !== undefined || fact.traits === undefined) continue;
      for (const trait of traits) {
        const form = Object.hasOwn(fact.traits, trait) ? comparable(fact.traits[trait]) : undefined;
        if (form === undefined) continue;
        for (
          const key of [
            lookupKey("anonymous", trait, digestOf(form), id),
            lookupOfKey("anonymous", id, trait, digestOf(form)),
          ]
        ) {
          entries.set(JSON.stringify(key), [key, id]);
        }
      }
    }
    batch = [];
  };
  for await (
    const { place } of readLog(store, { generation, kind: "anonymous", id }, {
      log: loaded.head,
      order: "asc",
    })
  ) {
    batch.push(place);
    if (batch.length === FACTS_AT_ONCE) await take();
  }
  await take();
  return [...entries.values()];
}
