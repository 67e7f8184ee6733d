/**
 * The lookup compared with a model: the profiles themselves. Whatever comes in whatever order, whoever is linked and
 * erased, a search finds exactly those whose profile has the value, and the index agrees with the journal.
 */
import { deepStrictEqual } from "node:assert";
import * as fc from "fast-check";
import { openStore, type Store } from "../../../actors/store/store.ts";
import type { System } from "../../../actors/system.ts";
import type { StoredEvent } from "../../../domain/event/event.ts";
import { verifyLookup } from "../../../actors/lookup/verify.ts";
import { openTools } from "../../../actors/maintenance.ts";
import { systemClock } from "../../../actors/store/clock.ts";
import { openTestSystem } from "../../routes/test_app.ts";

const USERS = ["u1", "u2", "u3"];
const ANONYMOUS = ["a1", "a2"];
const GROUPS = ["g1", "g2"];
const VALUES = ["Jane@example.com", " jane@EXAMPLE.com ", "joe@example.com", 42, true, null, {
  a: 1,
}] as const;
const SEARCHED = ["jane@example.com", "JOE@example.com ", "42", "true", "nobody"];

const one = <T>(values: readonly T[]) => fc.constantFrom(...values);
const traits = fc.option(fc.record({ email: one(VALUES), phone: one(VALUES) }, { requiredKeys: [] }), {
  nil: undefined,
});

type Step = { event: Record<string, unknown> } | { erase: { kind: "user" | "anonymous"; id: string } };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.oneof(
      fc.record({ type: fc.constant("identify"), userId: one(USERS), traits }),
      fc.record({ type: fc.constant("identify"), anonymousId: one(ANONYMOUS), traits }),
      fc.record({ type: fc.constant("identify"), userId: one(USERS), anonymousId: one(ANONYMOUS), traits }),
      fc.record({ type: fc.constant("alias"), userId: one(USERS), previousId: one(ANONYMOUS) }),
      fc.record({ type: fc.constant("group"), userId: one(USERS), groupId: one(GROUPS), traits }),
      fc.record({ type: fc.constant("track"), userId: one(USERS), event: fc.constant("identify") }),
    ).chain((event) => fc.integer({ min: 0, max: 9 }).map((day) => ({ event: { ...event, day } }))),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      erase: fc.oneof(
        fc.record({ kind: fc.constant("user" as const), id: one(USERS) }),
        fc.record({ kind: fc.constant("anonymous" as const), id: one(ANONYMOUS) }),
      ),
    }),
  },
);

const same = (value: unknown, searched: string) =>
  (typeof value === "string" || typeof value === "number" || typeof value === "boolean") &&
  String(value).trim().toLowerCase() === searched.trim().toLowerCase();

async function modelOf(system: System, kind: "user" | "group", ids: readonly string[]) {
  const profiles = await Promise.all(ids.map(async (id) => [id, await system.reader[kind](id)] as const));
  return (trait: string, searched: string) =>
    profiles.filter(([, profile]) => same((profile?.traits as Record<string, unknown>)?.[trait], searched))
      .map(([id]) => id);
}

async function foundBy(
  system: System,
  kind: "user" | "group",
  query: { traits: Record<string, string>; limit: number },
) {
  const found: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await system.lookup.find(kind, { ...query, cursor });
    found.push(...page.found.map(({ id }) => id));
    cursor = page.cursor ?? undefined;
  } while (cursor !== undefined);
  return found.toSorted();
}

async function compare(system: System, store: Store): Promise<void> {
  for (const [kind, ids] of [["user", USERS], ["group", GROUPS]] as const) {
    const model = await modelOf(system, kind, ids);
    for (const trait of ["email", "phone"]) {
      for (const searched of SEARCHED) {
        const expected = model(trait, searched);
        for (const limit of [1, 50]) {
          const found = await foundBy(system, kind, { traits: { [trait]: searched }, limit });
          deepStrictEqual(found, expected, `${kind} ${trait}=${searched}, pages of ${limit}`);
        }
      }
    }
  }
  deepStrictEqual((await verifyLookup(store)).differences, []);
}

Deno.test("a search finds exactly those whose profile has the value, whatever happened", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
      const store = await openStore(":memory:");
      const system = await openTestSystem(store);
      try {
        for (const [n, each] of steps.entries()) {
          if ("erase" in each) {
            await system.erasure.erase(each.erase, { suppress: false });
            continue;
          }
          const { day, ...event } = each.event;
          const timestamp = `2025-03-0${Number(day) + 1}T00:00:00.000Z`.replace("010T", "10T");
          await system.commit([
            {
              ...event,
              messageId: `m${n}`,
              timestamp,
              receivedAt: "2025-04-01T00:00:00.000Z",
            } as StoredEvent,
          ], "test");
        }
        await compare(system, store);
      } finally {
        await system.close();
      }
    }),
    { numRuns: 40 },
  );
});

Deno.test("a search in a database without events finds nobody, and need not wait", async () => {
  const system = await openTestSystem(await openStore(":memory:"));
  try {
    deepStrictEqual((await system.lookup.find("user", { traits: { email: "a@b.c" }, limit: 9 })).found, []);
  } finally {
    await system.close();
  }
});

Deno.test("new traits are added to the index from the beginning, and none is forgotten", async () => {
  const path = await Deno.makeTempFile({ suffix: ".db" });
  const send = (system: System, messageId: string, traits: Record<string, string>) =>
    system.commit([{
      type: "identify",
      userId: messageId,
      traits,
      messageId,
      timestamp: "2025-03-01T00:00:00.000Z",
      receivedAt: "2025-03-01T00:00:00.000Z",
    }], "test");
  const open = (lookupTraits: string[]) =>
    openTestSystem(":memory:", { storage: path, lookupTraits, beginThread: undefined as never });
  const ids = async (system: System, traits: Record<string, string>) =>
    (await system.lookup.find("user", { limit: 50, traits })).found.map(({ id }) => id);
  {
    const system = await open(["email"]);
    await send(system, "m1", { email: "a@x", plan: "pro" });
    deepStrictEqual(await ids(system, { email: "A@x" }), ["m1"]);
    await system.close();
  }
  const system = await open(["plan"]);
  await send(system, "m2", { email: "a@x", plan: "Pro" });
  deepStrictEqual(await ids(system, { plan: "pro" }), ["m1", "m2"]);
  await system.close();
  const both = await open(["email", "plan"]);
  deepStrictEqual(await ids(both, { email: "a@x", plan: "PRO" }), ["m1", "m2"]);
  await both.close();
  await Deno.remove(path);
});

Deno.test("verify reports an entry that is missing and one that is nobody's", async () => {
  const store = await openStore(":memory:");
  const system = await openTestSystem(store);
  await system.commit([{
    type: "identify",
    userId: "u1",
    traits: { email: "a@x" },
    messageId: "m1",
    timestamp: "2025-03-01T00:00:00.000Z",
    receivedAt: "2025-03-01T00:00:00.000Z",
  }], "test");
  await system.lookup.find("user", { limit: 1, traits: { email: "a@x" } });
  const entries = [];
  for await (const entry of store.list({ prefix: ["lookupBy"] })) entries.push(entry);
  deepStrictEqual(entries.length, 1);
  const [{ key, value }] = entries as [typeof entries[0]];
  const stray = [...key.slice(0, -1), "stray"];
  await store.commit({ checks: [], sets: [[stray, "stray"]], deletes: [key] });
  const tools = await openTools({
    storage: store,
    clock: systemClock,
    newId: () => crypto.randomUUID(),
    onFault() {},
  });
  const { differences } = await tools.verifyAll(await openStore(":memory:"), () => {});
  deepStrictEqual(differences, [stray, key]);
  await store.commit({ checks: [], sets: [[key, value]], deletes: [stray] });
  deepStrictEqual((await verifyLookup(store)).differences, []);
  await system.close();
});
