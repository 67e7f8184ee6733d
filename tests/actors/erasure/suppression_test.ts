/** Whose later events are not stored: by user, by anonymous id and the time of the event, and until somebody lifts it. */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { stillClock } from "../clocks.ts";
import { type Judged, nothingNoted } from "../../../actors/erasure/suppression.ts";
import { MAX_SPANS } from "../../../actors/erasure/suppressed_records.ts";
import { SUPPRESSED } from "../../../actors/store/keys.ts";
import type { System } from "../../../actors/system.ts";
import type { StoredEvent } from "../../../domain/event/event.ts";
import { runs } from "../../domain/profile/facts.ts";
import { createOracle } from "../oracle.ts";
import { BEGIN_MS, eventWith, openOn, settle } from "../histories.ts";
import { FILE, MEMORY } from "../stores.ts";

const U = "planted";

const page = (anonymousId: string, atMs: number) => eventWith({ type: "page", anonymousId, atMs });
const link = (userId: string, anonymousId: string, atMs: number) =>
  eventWith({ type: "identify", userId, anonymousId, atMs });

const judge = async ({ suppression }: System, event: Judged) =>
  await suppression.judge(event, nothingNoted());

/** A device that was the person's, then another's, then the person's again; and one that was another's first. */
const HISTORY = [
  link(U, "own", 10),
  link(U, "shared", 10),
  link("other", "shared", 20),
  link(U, "shared", 30),
  link("other", "bought", 10),
  link(U, "bought", 20),
  link(U, "sold", 10),
  link("other", "sold", 20),
];

/** What comes after the erasure, and whether it is suppressed: "all" and "id" alike, or with "all" only. */
const ROWS: [sentence: string, event: Judged, all: boolean, id?: boolean][] = [
  ["an event of the user", eventWith({ userId: U, atMs: 5 }), true, true],
  ["on a device of another's", eventWith({ userId: U, anonymousId: "x", atMs: 5 }), true, true],
  ["another user's event on the person's device", eventWith({ userId: "other", anonymousId: "own" }), false],
  ["an anonymous event of a device of theirs", page("own", 50), true],
  ["one from before the first link", page("own", 1), true],
  ["one of a shared device in the person's first time", page("shared", 15), true],
  ["one in the other's time", page("shared", 25), false],
  ["one in the person's second time", page("shared", 35), true],
  ["one of a device before the person had it", page("bought", 15), false],
  ["one since the person had it", page("bought", 25), true],
  ["one of a device that was sold, in the person's time", page("sold", 15), true],
  ["one of it later", page("sold", 25), false],
  ["a stranger's", page("stranger", 25), false],
  ["one whose anonymous id is the user's id", page(U, 25), false],
];

for (const suppress of ["id", "all"] as const) {
  Deno.test(`whose events are not stored after an erasure with suppress=${suppress}`, async () => {
    await using place = await MEMORY.make();
    const system = await openOn(await place.open());
    await system.commit(HISTORY, "key");
    await system.erasure.erase({ kind: "user", id: U }, { suppress });
    for (const [sentence, event, all, id = false] of ROWS) {
      strictEqual(await judge(system, event), suppress === "all" ? all : id, sentence);
    }
    await system.close();
  });
}

Deno.test("a device on which somebody else logs in is free from then on, by the times of events", async () => {
  await using place = await MEMORY.make();
  const system = await openOn(await place.open());
  await system.commit(HISTORY, "key");
  await system.erasure.erase({ kind: "user", id: U }, { suppress: "all" });
  const judged = () => Promise.all([35, 45, 55].map((atMs) => judge(system, page("shared", atMs))));
  deepStrictEqual(await judged(), [true, true, true]);
  await system.commit([link("third", "shared", 50)], "key");
  deepStrictEqual(await judged(), [true, true, false], "not settled");
  await settle(system);
  deepStrictEqual(await judged(), [true, true, false], "settled");
  // One that comes late, and happened before.
  await system.commit(
    [eventWith({ type: "alias", userId: "fourth", previousId: "shared", atMs: 40 })],
    "key",
  );
  deepStrictEqual(await judged(), [true, false, false]);
  // An identify that names a placeholder links nothing, and frees nothing.
  await system.commit([link("undefined", "own", 40)], "key");
  ok(await judge(system, page("own", 45)));
  await system.close();
});

Deno.test("a log-in at the very moment at which the device was the person's frees it too, as it came later", async () => {
  await using place = await MEMORY.make();
  const system = await openOn(await place.open());
  await system.commit([link("other", "device", 10), link(U, "device", 10)], "key");
  await system.erasure.erase({ kind: "user", id: U }, { suppress: "all" });
  ok(await judge(system, page("device", 10)));
  await system.commit([link("other", "device", 10)], "key");
  ok(!await judge(system, page("device", 10)));
  await system.close();
});

Deno.test("an anonymous id that was erased itself is free once somebody logs in with it", async () => {
  await using place = await MEMORY.make();
  const system = await openOn(await place.open());
  await system.commit([page("device", 1), link("other", "device", 2)], "key");
  await system.erasure.erase({ kind: "anonymous", id: "device" }, { suppress: "id" });
  ok(await judge(system, page("device", 5)));
  await system.commit([link("other", "device", 10)], "key");
  deepStrictEqual([await judge(system, page("device", 5)), await judge(system, page("device", 15))], [
    true,
    false,
  ]);
  await system.close();
});

Deno.test("a log-in frees the device for later events of the same request", async () => {
  await using place = await MEMORY.make();
  const system = await openOn(await place.open());
  await system.commit(HISTORY, "key");
  await system.erasure.erase({ kind: "user", id: U }, { suppress: "all" });
  const seen = nothingNoted();
  const request = [
    page("own", 40),
    link(U, "own", 40),
    link("new", "own", 45),
    page("own", 42),
    page("own", 50),
  ];
  const judged = [];
  for (const event of request) judged.push(await system.suppression.judge(event, seen));
  deepStrictEqual(judged, [true, true, false, true, false]);
  ok(await judge(system, page("own", 50)), "another request knows nothing of it");
  await system.close();
});

Deno.test("of any history, anonymous events are suppressed in the times that were the person's, but for later log-ins", async () => {
  const devices = ["d1", "d2"];
  const links = fc.array(
    fc.tuple(fc.constantFrom(U, "v", "w"), fc.constantFrom(...devices), fc.integer({ min: 0, max: 12 })),
    { maxLength: 8 },
  );
  await fc.assert(
    fc.asyncProperty(links, links, fc.boolean(), async (before, after, settles) => {
      await using place = await MEMORY.make();
      const system = await openOn(await place.open());
      // Times of their own: of a tie the later arrival holds, which the next test is about.
      const stamp = ([user, device, at]: [string, string, number], index: number) =>
        link(user, device, at * 1000 + index);
      const events = [eventWith({ userId: U, atMs: -1 }), ...before.map(stamp)];
      const later = after.filter(([user]) => user !== U).map((each, index) => stamp(each, 500 + index));
      await system.commit(events, "key");
      await system.erasure.erase({ kind: "user", id: U }, { suppress: "all" });
      if (later.length > 0) await system.commit(later, "key");
      if (settles) await settle(system);
      const oracle = createOracle();
      for (const event of events) oracle.add(event);
      /** Whose an event would have been, had nobody been erased. */
      const ownerThen = (event: StoredEvent) => {
        oracle.add(event);
        return oracle.ownerOf(event);
      };
      for (const device of devices) {
        for (let atMs = -500; atMs < 13_000; atMs += 700) {
          const event = page(device, atMs);
          const from = beginningOf(events.filter(({ anonymousId }) => anonymousId === device), event);
          const isFree = later.some((each) =>
            each.anonymousId === device && timeOf(each) >= from && timeOf(each) <= timeOf(event)
          );
          strictEqual(await judge(system, event), ownerThen(event) === U && !isFree, `${device} at ${atMs}`);
        }
      }
      await system.close();
    }),
    runs(25),
  );
});

const timeOf = ({ timestamp }: { timestamp: string }) => Date.parse(timestamp);

/** When the person's time began in which an event happened: with their first link after the last of somebody else. */
function beginningOf(links: StoredEvent[], event: StoredEvent): number {
  const others = links.filter((each) => each.userId !== U && timeOf(each) <= timeOf(event)).map(timeOf);
  if (others.length === 0) return -Infinity;
  return Math.min(
    ...links.filter((each) => each.userId === U).map(timeOf).filter((ms) => ms > Math.max(...others)),
  );
}

Deno.test("a suppression can be lifted, one by one, and repeated", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  const system = await openOn(store);
  await system.commit(HISTORY, "key");
  const person = { kind: "user", id: U } as const;
  await system.erasure.erase(person, { suppress: "all" });
  const other = await openOn(store);
  const states = async () => {
    await other.suppression.refresh();
    return Promise.all(
      [system, other].map((each) =>
        Promise.all([judge(each, eventWith({ userId: U })), judge(each, page("shared", 35))])
      ),
    );
  };
  deepStrictEqual(await states(), [[true, true], [true, true]]);
  strictEqual(await system.suppression.lift(person), true);
  deepStrictEqual(await states(), [[false, true], [false, true]]);
  strictEqual(await system.suppression.lift({ kind: "anonymous", id: "shared" }), true);
  deepStrictEqual(await states(), [[false, false], [false, false]]);
  deepStrictEqual([await system.suppression.lift(person), await other.suppression.lift(person)], [
    false,
    false,
  ]);
  strictEqual(await system.suppression.lift({ kind: "user", id: "nobody" }), false);
  strictEqual((await system.erasure.erase(person, { suppress: false })).suppressed, false);
  await other.suppression.add(person);
  await system.suppression.refresh();
  deepStrictEqual(await states(), [[true, false], [true, false]]);
  const third = await openOn(store);
  deepStrictEqual(await judge(third, eventWith({ userId: U })), true);
  for (const each of [other, third]) each.live.end();
  await system.close();
});

Deno.test("the number of remembered intervals of devices is limited, and the person is still suppressed", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  const system = await openOn(store);
  await system.commit(HISTORY, "key");
  await store.commit({ checks: [], sets: [[SUPPRESSED, { count: 0, spans: MAX_SPANS - 1 }]] });
  const { suppressed } = await system.erasure.erase({ kind: "user", id: U }, { suppress: "all" });
  strictEqual(suppressed, true);
  ok(await judge(system, eventWith({ userId: U })));
  const { value } = await store.get<{ spans: number }>(SUPPRESSED);
  strictEqual(value!.spans, MAX_SPANS);
  await system.close();
});

Deno.test("other processes, also new ones, apply a suppression within 5 s", async () => {
  await using place = await FILE.make();
  const { clock, add } = stillClock();
  const one = await openOn(await place.open(), { clock: { ms: BEGIN_MS, monotonic: clock.monotonic } });
  const other = await openOn(await place.open());
  // More than a page of them, and one in the middle of another's.
  const ids = Array.from({ length: 5 }, (_, n) => `gone${n}`);
  for (const id of ids) await one.suppression.add({ kind: "user", id });
  await other.suppression.refresh();
  await other.suppression.add({ kind: "anonymous", id: "gone5" });
  ok(ids.every((userId) => other.suppression.isSuppressed({ userId })));
  const isKnown = () => one.suppression.isSuppressed({ anonymousId: "gone5" });
  ok(!isKnown());
  add(5_000);
  // As before an answer.
  await one.suppression.fresh();
  ok(isKnown());
  const third = await openOn(await place.open());
  ok(ids.every((userId) => third.suppression.isSuppressed({ userId })));
  for (const system of [one, other, third]) await system.close();
});
