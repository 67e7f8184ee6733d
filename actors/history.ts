/** The facts of an actor's log, read from the journal: for what must be folded again, or up to some time only. */
import type { Fact } from "../domain/fact.ts";
import { type LogPlace, type OpenLog, readLog } from "./log.ts";
import type { Store } from "./store.ts";

/** Events read at once: some 40 chunks if they are far apart. */
const EVENTS_AT_ONCE = 500;

/** The facts of the settled part of a log, in the order of the journal. Holds the places of all in memory. */
export async function* factsOfLog(
  { store, factsAt }: { store: Store; factsAt(places: readonly number[]): Promise<Fact[]> },
  actor: LogPlace,
  log: OpenLog,
): AsyncGenerator<Fact> {
  const places: number[] = [];
  for await (const { place } of readLog(store, actor, { log, order: "asc" })) places.push(place);
  places.sort((a, b) => a - b);
  for (let i = 0; i < places.length; i += EVENTS_AT_ONCE) {
    yield* await factsAt(places.slice(i, i + EVENTS_AT_ONCE));
  }
}
