/** Actors that are larger than one value, or as large as the public can make them: they settle, and say so. */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import type { Store } from "../../actors/store/store.ts";
import type { System } from "../../actors/system.ts";
import { MAX_OWNERS } from "../../domain/profile/anonymous.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import { allMembers, compareAll, wholeLog } from "./compare.ts";
import { eventWith, openOn, settle } from "./histories.ts";
import { createOracle } from "./oracle.ts";
import { MEMORY } from "./stores.ts";

/** Runs over a store in memory; no round of settling may fail. */
function test(name: string, run: (system: System, store: Store) => Promise<void>): void {
  Deno.test(name, async () => {
    await using place = await MEMORY.make();
    const store = await place.open();
    const faults: unknown[] = [];
    const system = await openOn(store, { faults });
    try {
      await run(system, store);
      const { head, settled } = await system.stats();
      strictEqual(settled, head);
    } finally {
      await system.close();
    }
    deepStrictEqual(faults, []);
  });
}

async function send(system: System, events: StoredEvent[]): Promise<void> {
  for (let i = 0; i < events.length; i += 500) await system.commit(events.slice(i, i + 500), "k");
}

/** The writes that pieces in the store belong to: more than one of an actor means that old ones were left behind. */
async function writesOfPieces(store: Store): Promise<Map<string, number>> {
  const writes = new Map<string, number>();
  for await (const { key } of store.list({ prefix: ["piece"] })) {
    const write = JSON.stringify(key.slice(0, -1));
    writes.set(write, (writes.get(write) ?? 0) + 1);
  }
  return writes;
}

const traits = (value: (index: number) => unknown, from = 0) =>
  Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`trait_${from + i}`, value(from + i)]));

test(
  "a profile of 2,000 traits and 3,000 event names is whole, rewritten, shrunk and grown again",
  async (system, store) => {
    const set = async (value: (index: number) => unknown, atMs: number) => {
      const events = [0, 500, 1000, 1500].map((from) =>
        eventWith({ type: "identify", anonymousId: "a", traits: traits(value, from), atMs })
      );
      await send(system, events);
      await settle(system);
    };
    const pieces: number[] = [];
    const profile = async () => {
      const writes = await writesOfPieces(store);
      pieces.push([...writes.values()].reduce((sum, count) => sum + count, 0));
      strictEqual(writes.size, 1, "the pieces of one write");
      return (await system.reader.anonymous("a"))!;
    };
    await send(
      system,
      Array.from({ length: 3000 }, (_, i) => eventWith({ anonymousId: "a", event: `Event ${i}` })),
    );
    await set((i) => `${i} ${"x".repeat(25)}`, 1);
    const first = await profile();
    strictEqual(Object.keys(first.traits as object).length, 2000);
    strictEqual(Object.keys(first.events as object).length, 3000);
    strictEqual(first.eventCount, 3004);
    await set((i) => `${i} ${"y".repeat(20)}`, 2);
    strictEqual(((await profile()).traits as Record<string, string>).trait_1999, `1999 ${"y".repeat(20)}`);
    await set(() => null, 3);
    deepStrictEqual({ ...(await profile()).traits as object }, {});
    await set((i) => `${i} ${"z".repeat(25)}`, 4);
    const last = await profile();
    strictEqual(Object.keys(last.traits as object).length, 2000);
    strictEqual(last.dropped, undefined);
    ok(pieces[2]! < pieces[0]! && pieces[3] === pieces[0], String(pieces));
    // Once linked, the same stands under its user too: pieces of two writes, and no more after another.
    await send(system, [eventWith({ type: "identify", userId: "u1", anonymousId: "a" })]);
    await settle(system);
    await send(system, [eventWith({ anonymousId: "a" })]);
    await settle(system);
    strictEqual((await writesOfPieces(store)).size, 2);
    strictEqual(Object.keys((await system.reader.user("u1"))!.events as object).length, 3001);
  },
);

const LONG_IDS: Record<string, (letter: string) => string> = {
  "CJK letters": (letter) => "漢".repeat(255) + letter,
  "emoji": (letter) => "😀".repeat(255) + letter,
  "NULs": (letter) => "\u0000".repeat(255) + letter,
  "slashes": (letter) => "/".repeat(255) + letter,
  "a hash and hex digits": (letter) => "#" + "a".repeat(63) + letter,
  "a hash": (letter) => "#".repeat(255) + letter,
  "128 letters": (letter) => "x".repeat(127) + letter,
  "129 letters": (letter) => "x".repeat(128) + letter,
  "one NUL": (letter) => "\u0000" + letter,
  "a slash within": (letter) => `user/${letter}`,
};

for (const [what, id] of Object.entries(LONG_IDS)) {
  test(`ids of ${what} are ids like others, as user, anonymous id and group at once`, async (system) => {
    for (const letter of ["a", "b"]) {
      await send(system, [
        eventWith({ type: "group", anonymousId: id(letter), groupId: id(letter), traits: { letter } }),
        eventWith({
          type: "identify",
          userId: id(letter),
          anonymousId: id(letter),
          traits: { letter },
          atMs: 1,
        }),
        eventWith({
          type: "group",
          userId: id(letter),
          anonymousId: id(letter),
          groupId: id(letter),
          atMs: 2,
        }),
      ]);
    }
    for (const isSettled of [false, true]) {
      if (isSettled) await settle(system);
      for (const letter of ["a", "b"]) {
        const profile = (await system.reader.user(id(letter)))!;
        strictEqual(profile.userId, id(letter));
        deepStrictEqual(profile.anonymousIds, [id(letter)]);
        deepStrictEqual({ ...profile.traits as object }, { letter });
        strictEqual(profile.eventCount, 3);
        deepStrictEqual((profile.groups as { groupId: string }[]).map(({ groupId }) => groupId), [
          id(letter),
        ]);
        strictEqual((await system.reader.anonymous(id(letter)))!.userId, id(letter));
        strictEqual((await system.reader.group(id(letter)))!.memberCount, 1);
        deepStrictEqual((await allMembers(system, id(letter), 1))!.map(({ userId }) => userId), [id(letter)]);
        strictEqual((await wholeLog(system, "user", id(letter), { limit: 2, order: "asc" }))!.length, 3);
        strictEqual((await wholeLog(system, "anonymous", id(letter), { limit: 2, order: "asc" }))!.length, 2);
      }
    }
  });
}

test("a group of 1,500 members is counted and listed once each, and those who are linked later are their user", async (system) => {
  const join = (i: number, atMs: number, who: Partial<StoredEvent>) =>
    eventWith({ type: "group", groupId: "g", atMs: atMs + i, ...who });
  const ids = Array.from({ length: 1500 }, (_, i) => i);
  await send(system, ids.map((i) => join(i, 10_000, { anonymousId: `a${i}` })));
  strictEqual((await system.reader.group("g"))!.memberCount, 1500);
  // Ten of each hundred are five users' later, two each, one of whom joins as a user too, earlier.
  const linked = ids.filter((i) => i % 100 < 10);
  const userOf = (i: number) => `u${Math.floor(i / 2)}`;
  await send(
    system,
    linked.map((i) => eventWith({ type: "identify", userId: userOf(i), anonymousId: `a${i}` })),
  );
  await send(system, linked.filter((i) => i % 10 === 0).map((i) => join(i, 5000, { userId: userOf(i) })));
  strictEqual((await system.reader.group("g"))!.memberCount, 1500 - linked.length / 2);
  const members = (await allMembers(system, "g", 400))!;
  const iso = (ms: number) => eventWith({ atMs: ms }).timestamp;
  const expected = new Map<string, string>();
  for (const i of ids) {
    const key = linked.includes(i) ? `user ${userOf(i)}` : `anonymous a${i}`;
    const at = iso(
      linked.includes(i) && Math.floor(i / 2) * 2 % 100 === 0 ? 5000 + Math.floor(i / 2) * 2 : 10_000 + i,
    );
    if (!expected.has(key) || expected.get(key)! > at) expected.set(key, at);
  }
  const listed = members.map(({ userId, anonymousId, joinedAt }) => [
    userId === undefined ? `anonymous ${anonymousId}` : `user ${userId}`,
    joinedAt,
  ]);
  deepStrictEqual(listed.toSorted(), [...expected].sort());
  strictEqual((await system.reader.group("g"))!.eventCount, 1500 + linked.filter((i) => i % 10 === 0).length);
});

test("an anonymous id that is full of traits settles when it is linked, and is the user's whole", async (system) => {
  const fill = Array.from({ length: 15 }, (_, i) =>
    eventWith({
      type: "identify",
      anonymousId: "a",
      traits: { [`s${i}`]: "x".repeat(14_000), [`t${i}`]: "x".repeat(14_000) },
      context: { c: "y".repeat(30_000) },
      atMs: i,
    }));
  await send(system, fill);
  await settle(system);
  const before = (await system.reader.anonymous("a"))!;
  ok((before.dropped as number) > 0);
  await send(system, [eventWith({ type: "identify", userId: "u1", anonymousId: "a" })]);
  await settle(system);
  const after = (await system.reader.user("u1"))!;
  deepStrictEqual(Object.keys(after.traits as object), Object.keys(before.traits as object));
  strictEqual(after.dropped, before.dropped);
});

test("an anonymous id of as many owners as there may be, each with the largest context, settles", async (system) => {
  for (let i = 0; i < MAX_OWNERS; i++) {
    await send(system, [
      eventWith({ type: "identify", userId: `u${i}`, anonymousId: "a", atMs: 2000 * i }),
      eventWith({ anonymousId: "a", context: { c: "y".repeat(30_000), i }, atMs: 2000 * i + 1000 }),
    ]);
  }
  await settle(system);
  for (const i of [0, 1, MAX_OWNERS - 2]) strictEqual((await system.reader.user(`u${i}`))!.eventCount, 2);
  // The last owner's link ended the id: what came after it is nobody's.
  strictEqual((await system.reader.user(`u${MAX_OWNERS - 1}`))!.eventCount, 1);
  // A link that comes late cuts everything anew.
  await send(system, [eventWith({ type: "identify", userId: "u0", anonymousId: "a", atMs: 2500 })]);
  await settle(system);
  strictEqual((await system.reader.user("u0"))!.eventCount, 4);
  strictEqual((await system.reader.user("u1"))!.eventCount, 1);
});

test("an anonymous id passed on a thousand times between users with the longest ids settles", async (system) => {
  const userIds = ["漢".repeat(256), "\u0000".repeat(256)];
  await send(
    system,
    Array.from(
      { length: 1100 },
      (_, i) =>
        eventWith({ type: "identify", userId: userIds[i % 2]!, anonymousId: "a", traits: {}, atMs: i * 10 }),
    ),
  );
  await settle(system);
  strictEqual((await system.reader.user(userIds[0]!))!.version, 550);
});

test("a full state and late events in a hundred pages of its log settle together", async (system) => {
  const pages = 100 * 256 + 300;
  // Far apart, so that each entry takes as many bytes as it may.
  const at = (i: number) => -60_000_000_000_000 + i * 2_300_000_017;
  const named = (atMs: number, i: number) => eventWith({ userId: "u1", event: `Event ${i % 300}`, atMs });
  await send(system, Array.from({ length: pages }, (_, i) => named(at(i), i)));
  await settle(system);
  const late = Array.from(
    { length: pages - 300 },
    (_, i) => named(at((i * 7919) % (pages - 300)) + 1_000_000_000, i),
  );
  await send(system, [
    ...late,
    ...Array.from(
      { length: 14 },
      (_, i) => eventWith({ type: "identify", userId: "u1", traits: { [`t${i}`]: "x".repeat(29_000) } }),
    ),
  ]);
  await settle(system);
  strictEqual((await system.reader.user("u1"))!.version, pages + late.length + 14);
  const log = await wholeLog(system, "user", "u1", { limit: 500, order: "desc" });
  const times = log!.map(({ timestamp }) => Date.parse(timestamp));
  strictEqual(times.length, pages + late.length + 14);
  ok(times.every((ms, index) => index === 0 || ms <= times[index - 1]!));
});

test("states that stand in pieces are read as they are while they are replaced", async (system) => {
  const oracle = createOracle();
  for (let round = 0; round < 6; round++) {
    const events = Array.from({ length: 4 }, (_, i) =>
      eventWith({
        type: "identify",
        ...(i % 2 ? { userId: "u1" } : {}),
        anonymousId: "a1",
        traits: { [`t${i}`]: String(round).repeat(29_000) },
        atMs: round * 100 + i,
      }));
    await send(system, events);
    for (const event of events) oracle.accept(event);
    const settled = settle(system);
    await compareAll(system, oracle);
    await settled;
  }
});

for (const [of, filler] of Object.entries({ "ASCII": "x", "CJK": "漢", "NUL": "\u0000" })) {
  test(`a user in a group by 400 anonymous ids of 120 ${of} characters settles, and is counted once`, async (system) => {
    const id = (name: string) => `${filler.repeat(116)}${name.padStart(4, "_")}`;
    const anonymousIds = Array.from({ length: 400 }, (_, i) => id(String(i)));
    await send(system, [
      ...anonymousIds.map((anonymousId) => eventWith({ type: "identify", userId: id("u"), anonymousId })),
      ...anonymousIds.map((anonymousId) =>
        eventWith({ type: "group", anonymousId, groupId: id("g"), traits: {} })
      ),
    ]);
    await settle(system);
    strictEqual((await system.reader.group(id("g")))!.memberCount, 1);
    strictEqual(((await system.reader.user(id("u")))!.anonymousIds as string[]).length, 400);
  });

  test(`400 users with ids of 120 ${of} characters are linked in one round, and in one group`, async (system) => {
    const id = (name: string) => `${filler.repeat(116)}${name.padStart(4, "_")}`;
    await send(
      system,
      Array.from({ length: 400 }, (_, i) => [
        eventWith({ type: "identify", userId: id(`u${i}`), anonymousId: id(`a${i}`) }),
        eventWith({ type: "group", userId: id(`u${i}`), groupId: id("g"), traits: {} }),
      ]).flat(),
    );
    await settle(system);
    strictEqual((await system.reader.group(id("g")))!.memberCount, 400);
  });
}

for (const [what, step] of [["few", 97], ["most", 1]] as const) {
  test(`a round that concerns ${what} of the actors that stand next to each other reads each of them`, async (system) => {
    const userIds = Array.from({ length: 5_000 }, (_, i) => `user_${i}`);
    const all = userIds.map((userId) => eventWith({ type: "identify", userId, traits: { first: userId } }));
    await send(system, all);
    await settle(system);
    const some = userIds.filter((_, i) => i % step === 0);
    await send(
      system,
      [...some, "new user"].map((userId) =>
        eventWith({ type: "identify", userId, traits: { second: userId }, atMs: 1 })
      ),
    );
    await settle(system);
    for (const [i, userId] of userIds.entries()) {
      const { traits, version } = (await system.reader.user(userId))!;
      deepStrictEqual({ ...(traits as object) }, {
        first: userId,
        ...(i % step === 0 ? { second: userId } : {}),
      });
      strictEqual(version, i % step === 0 ? 2 : 1);
    }
    strictEqual((await system.reader.user("new user"))!.version, 1);
  });
}
