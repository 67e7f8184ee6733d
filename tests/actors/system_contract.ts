/** What a system promises over any store: plain functions, called by the test file of one kind of store after another. */
import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { runs } from "../domain/profile/facts.ts";
import { compareAll, compareLogs, compareProfiles } from "./compare.ts";
import { batches, BEGIN_MS, createStamper, type Draft, eventWith, openOn, settle } from "./histories.ts";
import { createOracle } from "./oracle.ts";
import { type StoreKind } from "./stores.ts";
import { InvalidCursor } from "../../actors/store/errors.ts";

/** What is done to a system between two commits. */
const MOVES = [
  "nothing",
  "read",
  "settle",
  "read while settling",
  "reopen",
  "reopen settled",
  "logs",
] as const;

type Move = typeof MOVES[number];

interface Step {
  batches: Draft[][];
  move: Move;
}

const histories: fc.Arbitrary<Step[]> = fc.array(
  fc.record({ batches: batches(4), move: fc.constantFrom(...MOVES) }),
  { minLength: 1, maxLength: 6 },
);

/** Registers the suite for a kind of store. `share` of the usual runs of properties: stores differ in speed. */
export function systemContract(kind: StoreKind, share = 1): void {
  const test = (name: string, run: () => Promise<void>) => Deno.test(`${kind.name}: ${name}`, run);

  test("readers are told what the contract says, of any history, at any moment", async () => {
    await fc.assert(
      fc.asyncProperty(histories, async (steps) => {
        await using place = await kind.make();
        const faults: unknown[] = [];
        const clock = { ms: BEGIN_MS + 1e9 };
        const oracle = createOracle();
        const stamp = createStamper();
        let system = await openOn(await place.open(), { clock, faults });
        try {
          for (const { batches, move } of steps) {
            const requests = batches.map((drafts) => drafts.map(stamp));
            const answers = await Promise.all(requests.map((events) => system.commit(events, "key")));
            for (const [index, events] of requests.entries()) {
              const expected = events.map((event) => ({
                messageId: event.messageId,
                duplicate: !oracle.accept(event),
              }));
              deepStrictEqual(answers[index], expected);
            }
            if (move === "settle" || move === "reopen settled") await settle(system);
            if (move === "reopen" || move === "reopen settled") {
              await system.close();
              clock.ms += 60_000;
              system = await openOn(await place.open(), { clock, faults });
            }
            if (move === "logs") await compareLogs(system, oracle, 3);
            if (move === "read") await compareProfiles(system, oracle);
            if (move === "read while settling") {
              const settled = settle(system);
              await compareProfiles(system, oracle);
              await settled;
            }
          }
          await compareAll(system, oracle);
          await settle(system);
          await compareAll(system, oracle);
        } finally {
          await system.close();
        }
        deepStrictEqual(faults, []);
      }),
      runs(20 * share),
    );
  });

  test("an id is taken once: in a batch, in requests at once, unsettled, settled, after opening again", async () => {
    await using place = await kind.make();
    const clock = { ms: BEGIN_MS };
    let system = await openOn(await place.open(), { clock });
    const event = (messageId: string) => eventWith({ messageId });
    const duplicates = async (...ids: string[]) =>
      (await system.commit(ids.map(event), "k")).map(({ duplicate }) => duplicate);
    deepStrictEqual(await duplicates("a", "b", "a"), [false, false, true]);
    deepStrictEqual(await duplicates("b", "c"), [true, false]);
    const atOnce = await Promise.all(Array.from({ length: 20 }, () => duplicates("d", "e")));
    strictEqual(atOnce.flat().filter((duplicate) => !duplicate).length, 2);
    await settle(system);
    deepStrictEqual(await duplicates("a", "e", "f"), [true, true, false]);
    await system.close();
    clock.ms += 60_000;
    system = await openOn(await place.open(), { clock });
    deepStrictEqual(await duplicates("f", "a", "c", "g"), [true, true, true, false]);
    strictEqual((await system.reader.user("u1"))?.version, 7);
    await system.close();
  });

  test("no id is lost however many rounds of settling merge the index", async () => {
    await using place = await kind.make();
    const faults: unknown[] = [];
    const system = await openOn(await place.open(), { faults });
    const ids: string[] = [];
    for (let round = 0; round < 30; round++) {
      const events = Array.from(
        { length: 1 + (round * 7) % 5 },
        () => eventWith({ userId: `u${round % 3}` }),
      );
      await system.commit(events, "k");
      ids.push(...events.map(({ messageId }) => messageId));
      await settle(system);
    }
    const again = await system.commit(ids.map((messageId) => eventWith({ messageId })), "k");
    deepStrictEqual(again.filter(({ duplicate }) => !duplicate), []);
    strictEqual((await system.stats()).head, ids.length + 30);
    await system.close();
    deepStrictEqual(faults, []);
  });

  test("an id is free again once the window of dedup and its margin are over, not before; never with a window of 0", async () => {
    const DAY_MS = 86_400_000;
    for (const dedupMs of [30 * DAY_MS, 0]) {
      await using place = await kind.make();
      const clock = { ms: BEGIN_MS };
      const system = await openOn(await place.open(), { clock, dedupMs });
      const isDuplicate = async (messageId: string) =>
        (await system.commit([eventWith({ messageId })], "k"))[0]!.duplicate;
      strictEqual(await isDuplicate("x"), false);
      await settle(system);
      // Something comes every day. The margin is an eighth of the window; a run may cover a sixteenth of it.
      for (let day = 1; day <= 36; day++) {
        clock.ms += DAY_MS;
        if (day === 29) strictEqual(await isDuplicate("y"), false);
        await settle(system);
        if (day <= 30) strictEqual(await isDuplicate("x"), true, `day ${day}`);
      }
      strictEqual(await isDuplicate("x"), dedupMs === 0);
      strictEqual(await isDuplicate("y"), true);
      await system.close();
    }
  });

  test("pages of a log are those of when it was first asked for, while events come and are settled", async () => {
    await using place = await kind.make();
    const system = await openOn(await place.open());
    for (const order of ["asc", "desc"] as const) {
      const userId = `user ${order}`;
      const add = (count: number, from: number) => {
        const events = Array.from(
          { length: count },
          (_, i) => eventWith({ userId, atMs: ((from + i) * 7919) % 1000 }),
        );
        return system.commit(events, "k").then(() => events);
      };
      const first = [...await add(300, 0), ...await add(300, 300)];
      const expected = first.map((event, index) => ({ event, index }))
        .sort((a, b) =>
          a.event.timestamp < b.event.timestamp
            ? -1
            : a.event.timestamp > b.event.timestamp
            ? 1
            : a.index - b.index
        )
        .map(({ event }) => event);
      if (order === "desc") expected.reverse();
      const read = [];
      let cursor: string | null | undefined;
      for (let page = 0; cursor !== null; page++) {
        const got = await system.reader.log("user", userId, {
          limit: 70,
          order,
          ...(cursor ? { cursor } : {}),
        });
        read.push(...got!.events);
        cursor = got!.cursor;
        await add(40, 600 + 40 * page);
        if (page % 3 === 1) await settle(system);
      }
      deepStrictEqual(read, expected);
    }
    await system.close();
  });

  test("a log of thousands of events, most of them late, is read in order from any page", async () => {
    await using place = await kind.make();
    const faults: unknown[] = [];
    const system = await openOn(await place.open(), { faults });
    const all: { ms: number; place: number; id: string }[] = [];
    for (let round = 0; round < 6; round++) {
      const events = Array.from({ length: 500 }, (_, i) =>
        eventWith({
          anonymousId: "visitor",
          // Settled rounds alternate between newer and long ago.
          atMs: (round % 2 === 0 ? round : -round) * 1_000_000 + ((i * 7919) % 500) * 10,
        }));
      for (const event of events) {
        all.push({ ms: Date.parse(event.timestamp), place: all.length, id: event.messageId });
      }
      await system.commit(events, "k");
      await settle(system);
    }
    await system.commit(
      [eventWith({ type: "identify", userId: "owner", anonymousId: "visitor", atMs: 0 })],
      "k",
    );
    const expected = all.sort((a, b) => a.ms - b.ms || a.place - b.place).map(({ id }) => id);
    for (const order of ["asc", "desc"] as const) {
      for (const [kind, id] of [["anonymous", "visitor"], ["user", "owner"]] as const) {
        const read: string[] = [];
        let cursor: string | null | undefined;
        do {
          const page = await system.reader.log(kind, id, {
            limit: 499,
            order,
            ...(cursor ? { cursor } : {}),
          });
          read.push(
            ...page!.events.filter((event) => event.type === "track").map(({ messageId }) => messageId),
          );
          cursor = page!.cursor;
        } while (cursor !== null);
        deepStrictEqual(read, order === "asc" ? expected : expected.toReversed(), `${kind} ${order}`);
      }
    }
    strictEqual((await system.reader.user("owner"))!.eventCount, 3001);
    await system.close();
    deepStrictEqual(faults, []);
  });

  test("a cursor that no page before gave is refused, whatever it is", async () => {
    await using place = await kind.make();
    const system = await openOn(await place.open());
    await system.commit(Array.from({ length: 3 }, () => eventWith({ type: "group", groupId: "g" })), "k");
    const { cursor } = (await system.reader.log("user", "u1", { limit: 1, order: "asc" }))!;
    ok(cursor !== null);
    const made = (value: unknown) => btoa(JSON.stringify(value));
    const none = ["", "x", "%", "🙂", "null", made(null), made([]), made([1, 2]), made([1.5, 0, 0, "desc"])];
    for (const bad of [...none, cursor, made(["1", 0, 0, "desc"]), made([1, null, 0, "desc"])]) {
      const query = { limit: 1, order: "desc", cursor: bad } as const;
      await rejects(system.reader.log("user", "u1", query), InvalidCursor, `log: ${bad}`);
    }
    for (const bad of [...none, cursor, made(["group", "g"]), made(["user", 1])]) {
      await rejects(system.reader.members("g", { limit: 1, cursor: bad }), InvalidCursor, `members: ${bad}`);
    }
    await system.close();
  });

  test("a batch too large for one operation is refused whole, and its ids stay free", async () => {
    await using place = await kind.make();
    const system = await openOn(await place.open());
    const noise = () => Array.from({ length: 750 }, () => crypto.randomUUID()).join("");
    const events = Array.from({ length: 60 }, () => eventWith({ properties: { noise: noise() } }));
    const outcomes = await Promise.allSettled([
      system.commit([eventWith({ userId: "beside" })], "k"),
      system.commit(events, "k"),
      system.commit([eventWith({ userId: "beside" })], "k"),
    ]);
    deepStrictEqual(outcomes.map(({ status }) => status), ["fulfilled", "rejected", "fulfilled"]);
    strictEqual((outcomes[1] as PromiseRejectedResult).reason.name, "BatchTooLarge");
    strictEqual(await system.reader.user("u1"), null);
    strictEqual((await system.reader.user("beside"))?.version, 2);
    const half = await system.commit(events.slice(0, 20), "k");
    ok(half.every(({ duplicate }) => !duplicate));
    await system.close();
  });
}
