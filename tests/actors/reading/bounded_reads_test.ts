/** What anybody with a write key can make of one id is shown within bounds, settled or not, and says so. */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { MAX_LINKED } from "../../../actors/reading/user_parts.ts";
import { PAGE_LENGTH } from "../../../actors/reading/log_pages.ts";
import { MAX_GROUPS } from "../../../actors/reading/user_profile.ts";
import type { System } from "../../../actors/system.ts";
import type { StoredEvent } from "../../../domain/event/event.ts";
import { eventWith, openOn, settle } from "../histories.ts";
import { MEMORY } from "../stores.ts";

/** Opens a system, sends, and checks before and after settling: what is shown must be of the same bounds. */
function test(name: string, events: StoredEvent[], check: (system: System) => Promise<void>): void {
  Deno.test(name, async () => {
    await using place = await MEMORY.make();
    const system = await openOn(await place.open());
    try {
      for (let i = 0; i < events.length; i += 500) await system.commit(events.slice(i, i + 500), "k");
      await check(system);
      await settle(system);
      await check(system);
    } finally {
      await system.close();
    }
  });
}

const times = (count: number, make: (n: number) => StoredEvent[]) =>
  Array.from({ length: count }, (_, n) => make(n)).flat();

const linked = (count: number, traits: Record<string, unknown> = {}) =>
  times(count, (n) => [
    eventWith({ type: "page", anonymousId: `a${n}` }),
    eventWith({ type: "identify", anonymousId: `a${n}`, traits }),
    eventWith({ type: "identify", anonymousId: `a${n}`, userId: "u" }),
  ]);

test(`a user of ${MAX_LINKED} anonymous ids is whole`, linked(MAX_LINKED), async ({ reader }) => {
  const profile = (await reader.user("u"))!;
  strictEqual((profile.anonymousIds as string[]).length, MAX_LINKED);
  deepStrictEqual([profile.eventCount, profile.dropped], [3 * MAX_LINKED, undefined]);
});

test(
  "of one more, as many make the profile, which says so, and each is shown under its own id",
  linked(MAX_LINKED + 1),
  async ({ reader }) => {
    for (const past of [undefined, { at: Date.UTC(2030, 0) }]) {
      const profile = (await reader.user("u", past))!;
      strictEqual((profile.anonymousIds as string[]).length, MAX_LINKED);
      deepStrictEqual([profile.version, profile.dropped], [MAX_LINKED + 1, 1]);
      strictEqual((await reader.anonymous(`a${MAX_LINKED}`, past))!.userId, "u");
    }
    const log = await reader.log("user", "u", { limit: 500, order: "desc" });
    strictEqual(log!.events.length, 500);
    const own = await reader.log("anonymous", `a${MAX_LINKED}`, { limit: 10, order: "desc" });
    strictEqual(own!.events.length, 3);
  },
);

test(
  "anonymous ids of more bytes than are read at once are left out, and the profile says so",
  linked(100, { text: "x".repeat(30_000) }),
  async ({ reader }) => {
    const profile = (await reader.user("u"))!;
    const shown = (profile.anonymousIds as string[]).length;
    ok(shown > 50 && shown < 80, `${shown} ids`);
    deepStrictEqual([profile.version, profile.dropped], [100, 1]);
  },
);

test(
  "a person in more groups than are read is in all of them, with the traits of so many",
  times(MAX_GROUPS + 5, (n) => [
    eventWith({ type: "group", userId: "u", groupId: `g${n}`, traits: { name: "Acme" } }),
  ]),
  async ({ reader }) => {
    const profile = (await reader.user("u"))!;
    const groups = profile.groups as { traits: Record<string, unknown> }[];
    strictEqual(groups.length, MAX_GROUPS + 5);
    strictEqual(groups.filter(({ traits }) => traits.name === "Acme").length, MAX_GROUPS);
    strictEqual(profile.dropped, 5);
  },
);

test(
  "groups with more bytes of traits than are shown are listed, and the profile says of how many they are left out",
  times(100, (n) => [
    eventWith({ type: "group", userId: "u", groupId: `g${n}`, traits: { text: "x".repeat(30_000) } }),
  ]),
  async ({ reader }) => {
    const profile = (await reader.user("u"))!;
    const groups = profile.groups as { traits: Record<string, unknown> }[];
    strictEqual(groups.length, 100);
    strictEqual(groups.filter(({ traits }) => traits.text !== undefined).length, 40);
    strictEqual(profile.dropped, 60);
  },
);

test(
  "an id with more events in the tail than are read at once is whole",
  times(350, (n) => [
    eventWith({ type: "identify", userId: "u", traits: { [`t${n}`]: n } }),
    eventWith({ type: "page", anonymousId: "a" }),
    ...n % 100 === 50 ? [eventWith({ type: "identify", userId: "u", anonymousId: "a" })] : [],
  ]),
  async ({ reader }) => {
    const profile = (await reader.user("u"))!;
    deepStrictEqual([profile.eventCount, profile.version], [350 + 350 + 3, 353]);
    strictEqual(Object.keys(profile.traits as object).length, 350);
    let count = 0;
    for (let cursor: string | undefined, first = true; first || cursor !== undefined; first = false) {
      const page = await reader.log("user", "u", {
        limit: 200,
        order: "asc",
        ...cursor !== undefined && { cursor },
      });
      count += page!.events.length;
      cursor = page!.cursor ?? undefined;
    }
    strictEqual(count, 703);
  },
);

test(
  "a page of large events ends before its limit, and the next goes on where it ended",
  times(300, (n) => [eventWith({ type: "identify", userId: "u", traits: { n, text: "x".repeat(30_000) } })]),
  async ({ reader }) => {
    const numbers: unknown[] = [];
    const sizes: number[] = [];
    for (let cursor: string | undefined, first = true; first || cursor !== undefined; first = false) {
      const page = await reader.log("user", "u", {
        limit: 500,
        order: "asc",
        ...cursor !== undefined && { cursor },
      });
      numbers.push(...page!.events.map(({ traits }) => traits?.n));
      sizes.push(JSON.stringify(page!.events).length);
      cursor = page!.cursor ?? undefined;
    }
    deepStrictEqual(numbers, Array.from({ length: 300 }, (_, n) => n));
    strictEqual(sizes.length, 3);
    ok(sizes.every((size) => size < PAGE_LENGTH + 40_000), sizes.join());
  },
);
