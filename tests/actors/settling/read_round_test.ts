import { endOfJournal } from "../../../actors/journal/read_journal.ts";
import { BEGINNING } from "../../../domain/event/position.ts";
import { ok, strictEqual } from "node:assert/strict";
import { gather } from "../../../actors/settling/read_round.ts";
import { memoryOf } from "../../../actors/settling/mailboxes.ts";
import type { StoredEvent } from "../../../domain/event/event.ts";
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

const withTraits = (traits: Record<string, unknown>) =>
  Array.from({ length: 120 }, (_, n) => eventWith({ type: "identify", userId: `u${n}`, traits }));

Deno.test("a stretch takes large events by their size, and far fewer of those that take many times as much memory", async () => {
  strictEqual(await gathered(withTraits({ text: "x".repeat(30_000) })), 120);
  const ofObjects = await gathered(withTraits({ x: Array(10_000).fill({}) }));
  ok(ofObjects >= 5 && ofObjects <= 10, `${ofObjects} events`);
});

Deno.test("an ordinary event counts as it is long, and one of empty objects some twenty times as much", () => {
  const ordinary = JSON.stringify(eventWith({ properties: { order: { total: 99.99 }, list: ["a", "b"] } }));
  strictEqual(memoryOf(ordinary), ordinary.length);
  for (const empty of [{}, []]) {
    const line = JSON.stringify(Array(10_000).fill(empty));
    ok(memoryOf(line) > 18 * line.length, `${memoryOf(line) / line.length}`);
  }
});
