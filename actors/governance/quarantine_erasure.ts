/** Erases a person from the quarantine: their rejected events, and their name in the events of others. */
import type { ErasedNames, EraseParticipant } from "../erasure/execute.ts";
import { type Key, REJECTED, rejectedKey } from "../store/keys.ts";
import { DAMAGED } from "../store/store.ts";
import { StorageFault } from "../store/errors.ts";
import { type Erased, erasedBy, type Fate, fateOf, idIn, LOSABLE_MEMBERS } from "./named_in.ts";
import { createRejected, type Move, type RejectedOptions } from "./quarantine_store.ts";
import { eventOf, type Stored, textOf } from "./rejected_event.ts";

/** Events that lose a name in one operation: each may have 48 KB. */
const NAMED_EVENTS = 10;

/** Rejected events that name a person, by what happens to them. */
interface Named {
  going: string[];
  losing: string[];
}

/** A person's rejected events are erased with the person. */
export const rejectedEvents: EraseParticipant = { erase: eraseRejected };

/** Number of rejected events that {@link eraseRejected} would remove. Changes nothing. */
export async function countNamed(names: ErasedNames, options: RejectedOptions): Promise<number> {
  return (await findNamed(erasedBy(names), options)).going.length;
}

/**
 * Removes all events that name the person of an erasure request, and damaged events, since nobody can tell whom they
 * name; gives how many. After its first step no process stores an event that came before it knew of the request
 * (`quarantine.ts`), and what was stored before is found.
 */
export async function eraseRejected(
  names: ErasedNames,
  no: number,
  options: RejectedOptions,
): Promise<number> {
  const { move, removeAll } = createRejected(options);
  await move((total) => {
    if ((total.erased ?? 0) >= no) return undefined;
    return { erased: no, sets: [], deletes: [] };
  });
  const erased = erasedBy(names);
  const { going, losing } = await findNamed(erased, options);
  for (let from = 0; from < losing.length; from += NAMED_EVENTS) {
    const keys = losing.slice(from, from + NAMED_EVENTS).map(rejectedKey);
    await move(async () => withoutNames(await options.store.getMany<Stored>(keys), erased));
  }
  return await removeAll(going);
}

/** Finds the events that name a person. */
async function findNamed(erased: Erased, { store, renew }: RejectedOptions): Promise<Named> {
  const named: Named = { going: [], losing: [] };
  for await (const { key, value } of store.list<Stored>({ prefix: REJECTED }, { batchSize: 20 })) {
    await renew?.();
    const fate = fateOfStored(value!, erased);
    if (fate === "goes") named.going.push(key[1] as string);
    else if (fate === "loses its names") named.losing.push(key[1] as string);
  }
  return named;
}

function fateOfStored(stored: Stored, erased: Erased): Fate {
  const event = eventOf(stored);
  // A damaged event may be anybody's.
  if (event === undefined) return "goes";
  const words = `${stored.message} ${stored.path ?? ""}`;
  return fateOf(event, { text: textOf(stored), words }, erased);
}

/** As in the journal: another user's event loses the name of the erased person and stays. */
function withoutNames(
  found: readonly { key: Key; value: Stored | null }[],
  { ids }: Erased,
): Move | undefined {
  const removed: Stored[] = [];
  const sets: [Key, Stored][] = [];
  for (const { key, value } of found) {
    if (value === null) continue;
    const event = eventOf(value);
    // It was intact when it was found; the next attempt finds it as it is then.
    if (event === undefined) throw new StorageFault(DAMAGED);
    for (const member of LOSABLE_MEMBERS) {
      if (ids.has(idIn(event[member]) ?? "")) delete event[member];
    }
    removed.push(value);
    sets.push([key, { ...value, body: new TextEncoder().encode(JSON.stringify(event)) }]);
  }
  if (sets.length === 0) return undefined;
  return { removed, added: sets.map(([, stored]) => stored), sets, deletes: [] };
}
