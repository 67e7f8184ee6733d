/** What erasure promises over any store: plain functions, called by the test file of one kind of store after another. */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { clockAt } from "../clocks.ts";
import { linesOfBody } from "../../../actors/journal/body.ts";
import { exportEvents } from "../../../actors/journal/export.ts";
import type { Store } from "../../../actors/store/store.ts";
import { openTools } from "../../../actors/maintenance.ts";
import type { StoredEvent } from "../../../domain/event/event.ts";
import { runs } from "../../domain/profile/facts.ts";
import { compareAll } from "../compare.ts";
import { oracleOf, withoutPerson } from "./erased.ts";
import {
  ANONYMOUS,
  batches,
  BEGIN_MS,
  createStamper,
  eventWith,
  openOn,
  settle,
  USERS,
} from "../histories.ts";
import type { StoreKind, StorePlace } from "../stores.ts";
import { SETTLED } from "../../../actors/store/keys.ts";
import type { Person } from "../../../actors/erasure/requests.ts";

/** The person of the planted history, and a device of theirs. */
export const U = "planted-user";
export const A = "planted-anonymous";

const people: fc.Arbitrary<Person> = fc.oneof(
  fc.constantFrom(...USERS).map((id) => ({ kind: "user" as const, id })),
  fc.constantFrom(...ANONYMOUS).map((id) => ({ kind: "anonymous" as const, id })),
);

/** All that a store holds, as text: keys and values, bodies inflated. */
export async function textOf(store: Store): Promise<string> {
  const parts: string[] = [];
  for await (const { key, value } of store.list({ prefix: [] })) {
    const text = key[0] === "body"
      ? linesOfBody(value as Uint8Array).join("\n")
      : value instanceof Uint8Array
      ? new TextDecoder().decode(value)
      : JSON.stringify(
        value,
        (_, part) => part instanceof Uint8Array ? new TextDecoder().decode(part) : part,
      );
    parts.push(`${JSON.stringify(key)} ${text}`);
  }
  return parts.join("\n");
}

async function exported(store: Store): Promise<StoredEvent[]> {
  const events: StoredEvent[] = [];
  for await (const { lines } of exportEvents(store)) events.push(...lines.map((line) => JSON.parse(line)));
  return events;
}

/** Replays everything into a scratch store and gives what differs; then replays everything for good. */
export async function verified(place: StorePlace): Promise<unknown[]> {
  const tools = await openTools({
    storage: await place.open(),
    clock: clockAt(() => BEGIN_MS + 3e9),
    newId: () => crypto.randomUUID(),
    onFault: (error) => {
      throw error;
    },
  });
  const { differences } = await tools.verifyAll(":memory:", () => {});
  tools.close();
  return differences;
}

/** A history in which one person has everything: pieces, pages, parts, groups, shared devices; and others have too. */
export function plantedHistory(): StoredEvent[][] {
  const identify = (userId: string, atMs: number, more: Partial<StoredEvent> = {}) =>
    eventWith({ type: "identify", userId, atMs, ...more });
  const join = (who: Partial<StoredEvent>, groupId: string, atMs: number) =>
    eventWith({ type: "group", ...who, groupId, atMs, traits: { last: atMs, by: JSON.stringify(who) } });
  return [
    [
      eventWith({ anonymousId: A, atMs: 1 }),
      join({ anonymousId: A }, "planted-group", 2),
      join({ userId: "other" }, "shared-group", 3),
      join({ userId: U }, "shared-group", 4),
      identify(U, 5, { anonymousId: A, traits: { large: "x".repeat(28_000) } }),
      identify(U, 5, { traits: { large2: "y".repeat(28_000) } }),
    ],
    [
      // A device that was the user's, then another's, then the user's again.
      eventWith({ anonymousId: "shared-device", atMs: 1 }),
      identify(U, 10, { anonymousId: "shared-device" }),
      join({ anonymousId: "shared-device" }, "shared-group", 12),
      identify("other", 20, { anonymousId: "shared-device", traits: { mine: true } }),
      join({ anonymousId: "shared-device" }, "shared-group", 22),
      eventWith({ type: "alias", userId: U, previousId: "shared-device", atMs: 30 }),
      eventWith({ anonymousId: "shared-device", atMs: 31, context: { locale: "de" } }),
    ],
    Array.from({ length: 450 }, (_, n) => eventWith({ userId: U, anonymousId: A, atMs: 40 + n })),
    Array.from({ length: 450 }, (_, n) => join({ userId: n % 3 === 0 ? U : "other" }, "shared-group", n)),
  ];
}

/** Events of a user on so many devices, each linked and with an event before that. */
function devicesOf(userId: string, count: number): StoredEvent[] {
  return Array.from({ length: count }, (_, n) => `${userId}-device-${n}`).flatMap((anonymousId) => [
    eventWith({ anonymousId, atMs: 1 }),
    eventWith({ type: "identify", userId, anonymousId, atMs: 2 }),
  ]);
}

/** Registers the suite for a kind of store. `share` of the usual runs of properties: stores differ in speed. */
export function erasureContract(kind: StoreKind, share = 1): void {
  const test = (name: string, run: () => Promise<void>) => Deno.test(`${kind.name}: ${name}`, run);

  test("of any history, what is left is what it comes to without the person", async () => {
    const steps = fc.array(
      fc.record({ batches: batches(3), settles: fc.boolean(), person: people }),
      { minLength: 1, maxLength: 4 },
    );
    await fc.assert(
      fc.asyncProperty(steps, async (steps) => {
        await using place = await kind.make();
        const faults: unknown[] = [];
        const system = await openOn(await place.open(), { clock: { ms: BEGIN_MS + 1e9 }, faults });
        const stamp = createStamper();
        const seen = new Set<string>();
        let events: (StoredEvent | undefined)[] = [];
        for (const { batches, settles, person } of steps) {
          for (const draft of batches.flat()) {
            const event = stamp(draft);
            const [receipt] = await system.commit([event], "key");
            // Who was erased leaves the digests of their message ids.
            strictEqual(receipt!.duplicate, seen.has(event.messageId));
            if (!receipt!.duplicate) events.push(event);
            seen.add(event.messageId);
          }
          if (settles) await settle(system);
          const left = withoutPerson(events, person);
          const gone = left.filter((event, index) =>
            event === undefined && events[index] !== undefined
          ).length;
          const { erased } = await system.erasure.erase(person, { suppress: false });
          strictEqual(erased.events, gone);
          events = left;
          await compareAll(system, oracleOf(events));
          deepStrictEqual(
            await system.erasure.erase(person, { suppress: false }).then(({ erased }) => erased),
            {
              events: 0,
              logs: 0,
              groups: 0,
              rejected: 0,
            },
          );
        }
        const store = await place.open();
        deepStrictEqual(
          (await exported(store)).filter(({ userId }) => userId !== "~settler"),
          events.filter((event) => event !== undefined),
        );
        store.close();
        await system.close();
        deepStrictEqual(await verified(place), []);
        deepStrictEqual(faults, []);
      }),
      runs(12 * share),
    );
  });

  test("nothing that is kept names who was erased, nor does a state, a key or a page", async () => {
    await using place = await kind.make();
    const store = await place.open();
    const system = await openOn(store);
    for (const events of plantedHistory()) {
      await system.commit(events, "key");
      await settle(system);
    }
    ok((await textOf(store)).includes(U));
    let pieces = 0;
    for await (const _ of store.list({ prefix: ["piece"] })) pieces++;
    ok(pieces > 0);
    const { erased } = await system.erasure.erase({ kind: "user", id: U }, { suppress: false });
    deepStrictEqual(erased, { events: 610, logs: 3, groups: 2, rejected: 0 });
    const text = await textOf(store);
    for (const trace of [U, A, "planted-group", "xxxx", "yyyy"]) ok(!text.includes(trace), trace);
    for await (const { key } of store.list({ prefix: ["piece"] })) throw new Error(`an orphan: ${key}`);
    strictEqual((await system.reader.group("shared-group"))!.memberCount, 1);
    await system.close();
    deepStrictEqual(await verified(place), []);
  });

  test("a person of 1,200 devices is erased whole, in some dozens of operations", async () => {
    await using place = await kind.make();
    const opened = await place.open();
    let operations = 0;
    const store: Store = {
      ...opened,
      commit(write) {
        // Those of the lease under which people are erased; heartbeats and other followers have their own.
        operations += write.sets.some(([key]) => key[0] === SETTLED[0]) ? 1 : 0;
        return opened.commit(write);
      },
    };
    const system = await openOn(store);
    const events = devicesOf(U, 1_200);
    for (let from = 0; from < events.length; from += 500) {
      await system.commit(events.slice(from, from + 500), "key");
    }
    await settle(system);
    for (let n = 0; n < 1_200; n += 10) {
      system.quarantine.keep({
        receivedAt: "",
        writeKeyId: "key",
        status: 400,
        code: "event_required",
        message: "",
        event: { type: "track", anonymousId: `${U}-device-${n}` },
      });
    }
    await system.quarantine.list({ limit: 1 });
    operations = 0;
    const { erased } = await system.erasure.erase({ kind: "user", id: U }, { suppress: "all" });
    deepStrictEqual(erased, { events: 2_400, logs: 1_201, groups: 0, rejected: 120 });
    ok(operations > 5 && operations < 40, `${operations} operations`);
    ok(!(await textOf(store)).includes(U));
    ok(events.every(({ anonymousId }) => system.suppression.isSuppressed({ anonymousId: anonymousId! })));
    await system.close();
    deepStrictEqual(await verified(place), []);
  });
}
