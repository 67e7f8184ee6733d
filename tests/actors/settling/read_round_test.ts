import { endOfJournal } from "../../../actors/journal/read_journal.ts";
import { BEGINNING } from "../../../domain/event/position.ts";
import { deepStrictEqual, notStrictEqual, ok, strictEqual } from "node:assert/strict";
import { gather } from "../../../actors/settling/read_round.ts";
import { lazyFact, memoryOf } from "../../../actors/settling/mailboxes.ts";
import type { StoredEvent } from "../../../domain/event/event.ts";
import { factOf } from "../../../domain/profile/fact.ts";
import { placed } from "../../domain/profile/facts.ts";
import { eventWith, openOn } from "../histories.ts";
import { MEMORY } from "../stores.ts";

const MAX_BYTES = 4 * 1024 * 1024;

/** How many of these events a stretch of so many bytes takes. */
async function gathered(events: StoredEvent[]): Promise<number> {
  await using place = await MEMORY.make();
  const store = await place.open();
  const system = await openOn(store);
  for (let i = 0; i < events.length; i += 100) await system.commit(events.slice(i, i + 100), "k");
  const { end } = await endOfJournal(store);
  const stretch = { after: BEGINNING, upTo: end, maxEvents: Infinity, maxBytes: MAX_BYTES };
  const found = await gather(store, stretch);
  await system.close();
  return found.mail.events();
}

const withTraits = (traits: Record<string, unknown>, length = 120) =>
  Array.from({ length }, (_, n) => eventWith({ type: "identify", userId: `u${n}`, traits }));

Deno.test("a stretch takes large events by their size, and far fewer of those that take many times as much memory", async () => {
  const ofText = await gathered(withTraits({ text: "x".repeat(30_000) }));
  ok(ofText >= 60 && ofText <= 100, `${ofText} events`);
  // Small traits are kept as objects, and count as many times as much as their text.
  const ofObjects = await gathered(withTraits({ x: Array(150).fill({}) }, 2_000));
  ok(ofObjects >= 300 && ofObjects <= 600, `${ofObjects} events`);
});

Deno.test("large traits become objects only when a fold asks for them, each time anew", () => {
  const event = eventWith({ type: "identify", traits: { x: Array(10_000).fill({}) } });
  const { fact, lineBytes } = lazyFact(event, placed(1));
  deepStrictEqual(fact, factOf(event, placed(1)));
  notStrictEqual(fact.traits, fact.traits);
  ok(lineBytes < 100_000, `${lineBytes}`);
});

Deno.test("an ordinary event counts as it is long, and one of empty objects some twenty times as much", () => {
  const ordinary = JSON.stringify(eventWith({ properties: { order: { total: 99.99 }, list: ["a", "b"] } }));
  strictEqual(memoryOf(ordinary), ordinary.length);
  for (const empty of [{}, []]) {
    const line = JSON.stringify(Array(10_000).fill(empty));
    ok(memoryOf(line) > 18 * line.length, `${memoryOf(line) / line.length}`);
  }
});
