/**
 * A destination that begins at the start of the journal catches up with history while events come in, and goes on with live
 * traffic without a gap and without a duplicate, each person's events in order.
 *
 * `deno task catchup:forwarding [events]` does it with 200,000 events; a test with some.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { define, idsIn, openForwarding, startReceiver, track, until } from "./receiver.ts";

const PEOPLE = 500;
const COMMIT_EVENTS = 500;
const LIVE_EVENTS = 10;

/** Catches up with so many events. */
export async function catchUp({ events, log }: { events: number; log(line: string): void }): Promise<void> {
  const arrived: string[] = [];
  await using receiver = startReceiver(({ body }) => {
    arrived.push(...idsIn(body));
    return new Response();
  });
  const system = await openForwarding();
  const sent: string[] = [];
  const send = async (count: number) => {
    const some = Array.from({ length: count }, (_, n) => track(`u${(sent.length + n) % PEOPLE}`));
    await system.commit(some, "key");
    sent.push(...some.map(({ messageId }) => messageId));
  };
  try {
    while (sent.length < events) await send(Math.min(COMMIT_EVENTS, events - sent.length));
    const beganMs = performance.now();
    await define(system, "Late", {
      kind: "webhook",
      from: "start",
      batch: { maxEvents: 100 },
      settings: { url: receiver.url },
    });
    // Live traffic, as long as it catches up and a while longer.
    let isBehind = true;
    for (let after = 0; after < 20; after += isBehind ? 0 : 1) {
      await send(LIVE_EVENTS);
      isBehind &&= arrived.length < events;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const seconds = (performance.now() - beganMs) / 1000;
    log(
      `${events} events caught up in ${seconds.toFixed(1)} s, with ${sent.length - events} live ones beside`,
    );
    await until("all are there", () => arrived.length >= sent.length, 600_000);
    await until("it is at the end", async () => {
      const { status } = (await system.forwarding.get("Late"))!;
      return status.lagEvents === 0 && status.delivered >= sent.length;
    }, 600_000);
    strictEqual(arrived.length, sent.length, "no duplicate");
    deepStrictEqual(new Set(arrived), new Set(sent), "no gap");
    const place = new Map(sent.map((id, n) => [id, n]));
    const last = new Map<number, number>();
    for (const id of arrived) {
      const n = place.get(id)!;
      ok((last.get(n % PEOPLE) ?? -1) < n, `${id} is in order`);
      last.set(n % PEOPLE, n);
    }
  } finally {
    await system.close();
  }
}

if (import.meta.main) {
  await catchUp({ events: Number(Deno.args[0] ?? 200_000), log: (line) => console.log(line) });
}
