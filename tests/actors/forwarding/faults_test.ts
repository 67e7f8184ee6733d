/**
 * Order and isolation under faults, with a model.
 *
 * How it works: people send events, some of which link a visitor to a user. Three destinations get them: one fails at random
 * in every way that a receiver can, one is dead for a while, one is healthy. Connections of the first are reset too, and an
 * operator resumes it after each 401. The receivers write down what they accepted. In
 * the end each event that passes the filter is at each destination, nobody else's, and the first arrivals of each person are in
 * the order of the journal. Seeds are printed, so that a failure can be repeated.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { type AddressInfo, connect, createServer } from "node:net";
import type { System } from "../../../actors/system.ts";
import type { StoredEvent } from "../../../domain/event/event.ts";
import {
  AUTHOR,
  defineWebhook,
  idsIn,
  openForwarding,
  type Received,
  startReceiver,
  track,
  until,
} from "./receiver.ts";

const PEOPLE = 200;
const EVENTS = 5_000;

/** Mulberry32: small, and the same everywhere. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Events of people, of whom some are visitors first. */
function history(random: () => number): StoredEvent[] {
  return Array.from({ length: EVENTS }, (_, n) => {
    const person = Math.floor(random() * PEOPLE);
    const isVisitor = random() < 0.3;
    const isLink = random() < 0.05;
    const event = track(`user ${person}`, {
      event: random() < 0.1 ? "Not Wanted" : "Wanted",
      properties: { n },
    });
    if (isLink) return { ...event, type: "identify", anonymousId: `visitor ${person}`, event: "Wanted" };
    if (!isVisitor) return event;
    const { userId: __, ...rest } = event;
    return { ...rest, anonymousId: `visitor ${person}` } as StoredEvent;
  });
}

/** Message ids whose first arrivals a receiver accepted, in order. */
function createLedger() {
  const arrived: string[] = [];
  const seen = new Set<string>();
  return {
    arrived,
    accept({ body }: Received): void {
      for (const id of idsIn(body)) {
        if (seen.has(id)) continue;
        seen.add(id);
        arrived.push(id);
      }
    },
  };
}

/** A relay to a receiver that resets a connection now and then, when a request comes: nothing of it reaches the receiver. */
async function startResetting(url: string, everyRequests: number) {
  let requests = 0;
  let resets = 0;
  const server = createServer((client) => {
    const receiver = connect(Number(new URL(url).port), "127.0.0.1");
    client.on("error", () => receiver.destroy());
    receiver.on("error", () => client.destroy());
    client.on("close", () => receiver.destroy());
    receiver.pipe(client);
    client.on("data", (bytes) => {
      if (bytes.includes("POST / HTTP/1.1") && ++requests % everyRequests === 0) {
        resets++;
        client.resetAndDestroy();
      } else receiver.write(bytes);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    resets: () => resets,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

/** Resumes a destination whenever it is paused. Gives how often it did. */
function startOperator(system: System, name: string) {
  let resumed = 0;
  let isOver = false;
  const working = (async () => {
    while (!isOver) {
      if ((await system.forwarding.get(name))?.status.state === "paused") {
        await system.forwarding.resume(name, "checkpoint", AUTHOR);
        resumed++;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  })();
  return {
    resumed: () => resumed,
    async [Symbol.asyncDispose]() {
      isOver = true;
      await working;
    },
  };
}

const LASTING = { retryDelaysMs: Array(60).fill(15), timeoutMs: 1_500 };

for (const maxEvents of [1, 25]) {
  const seed = Math.floor(Math.random() * 1e9);
  Deno.test(`forwarding: ${maxEvents} at a time, all arrive in order under faults (seed ${seed})`, async () => {
    const random = randomOf(seed);
    const events = history(random);
    const [faulty, dead, healthy] = [createLedger(), createLedger(), createLedger()];
    let isDead = true;
    await using faultyReceiver = startReceiver(async (received, n) => {
      const chance = random();
      if (n % (maxEvents === 1 ? 1_500 : 100) === 40) return new Response(null, { status: 401 });
      // Nothing of what fails counts as received.
      if (chance < 0.06) return new Response(null, { status: 500 });
      if (chance < 0.08) return new Response(null, { status: 429, headers: { "retry-after": "0" } });
      if (chance < 0.081) {
        await new Promise((resolve) => setTimeout(resolve, 1_700));
        return new Response(null, { status: 500 });
      }
      if (chance < 0.1 && idsIn(received.body).length > 1) return new Response(null, { status: 413 });
      faulty.accept(received);
      // It was received, and the answer is lost.
      if (chance < 0.11) return new Response(null, { status: 502 });
      return new Response("ok");
    });
    await using relay = await startResetting(faultyReceiver.url, maxEvents === 1 ? 97 : 23);
    await using deadReceiver = startReceiver((received) => {
      if (isDead) return new Response(null, { status: 503 });
      dead.accept(received);
      return new Response("ok");
    });
    await using healthyReceiver = startReceiver((received) => {
      healthy.accept(received);
      return new Response("ok");
    });
    const system = await openForwarding({ limits: { ...LASTING, heldInMemory: 50, readAhead: 300 } });
    try {
      const batch = { maxEvents };
      const where = { event: "Wanted" };
      await defineWebhook(system, "Faulty", relay.url, { batch, where });
      await defineWebhook(system, "Dead", deadReceiver.url, { batch, where });
      await defineWebhook(system, "Healthy", healthyReceiver.url, { batch, where });
      await using operator = startOperator(system, "Faulty");
      for (let from = 0; from < events.length; from += 100) {
        await system.commit(events.slice(from, from + 100), "key");
      }
      const wanted = events.filter(({ event }) => event === "Wanted");
      await until("the healthy one has all", () => healthy.arrived.length === wanted.length, 600_000);
      // The dead one was dead until then: nothing waited for it.
      strictEqual(dead.arrived.length, 0);
      isDead = false;
      await until("the dead one has all", () => dead.arrived.length === wanted.length, 600_000);
      await until("the faulty one has all", () => faulty.arrived.length === wanted.length, 600_000);
      for (const [name, { arrived }] of Object.entries({ faulty, dead, healthy })) {
        deepStrictEqual(outOfOrder(events, arrived), [], name);
      }
      for (const name of ["Faulty", "Dead", "Healthy"]) {
        await until(`${name} has nothing left`, async () => {
          const { status } = (await system.forwarding.get(name))!;
          return status.lagEvents === 0 && status.held === 0 && status.retrying === 0;
        }, 20_000);
        const { status } = (await system.forwarding.get(name))!;
        deepStrictEqual([status.dead, status.filtered.where], [0, events.length - wanted.length], name);
        // Whoever loses the lease on a busy machine delivers again.
        ok(status.delivered >= wanted.length, name);
      }
      ok(faultyReceiver.received.length > wanted.length / maxEvents, "it did fail");
      ok(relay.resets() > 0 && operator.resumed() > 0, "it reset connections, and was paused");
    } finally {
      await system.close();
    }
  });
}

/** Events that came before an earlier one of the same person. */
function outOfOrder(events: readonly StoredEvent[], arrived: readonly string[]): string[] {
  const place = new Map(arrived.map((id, index) => [id, index]));
  const wrong: string[] = [];
  const last = new Map<string, number>();
  for (const { messageId, userId, anonymousId } of events) {
    const at = place.get(messageId);
    if (at === undefined) continue;
    for (const id of [userId && `u${userId}`, anonymousId && `a${anonymousId}`]) {
      if (id === undefined) continue;
      if ((last.get(id) ?? -1) > at) wrong.push(messageId);
      last.set(id, Math.max(at, last.get(id) ?? -1));
    }
  }
  return wrong;
}
