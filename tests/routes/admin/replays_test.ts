/** Replays over HTTP: what they find and mend, what they leave behind, who carries them out, and what is refused. */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import type { Replay } from "../../../actors/replay/record.ts";
import { type Clock, systemClock } from "../../../actors/store/clock.ts";
import { actorKey, generationPrefixes, replayKey, SETTLED } from "../../../actors/store/keys.ts";
import type { Store } from "../../../actors/store/store.ts";
import { MEMORY } from "../../actors/stores.ts";
import { eventually } from "../../process/server.ts";
import { AS_ADMIN, openTestApp, openTestSystem, type TestApp } from "../test_app.ts";

/** A clock by which others wait a twentieth of the time. */
const HURRIED: Clock = { ...systemClock, timer: (ms, act) => systemClock.timer(ms / 20, act) };

async function openOn(store: Store): Promise<TestApp> {
  return await openTestApp({ system: await openTestSystem(store, { clock: HURRIED }) });
}

/** Two users and a group, settled. */
async function plant(test: TestApp): Promise<void> {
  const batch = Array.from(
    { length: 20 },
    (_, n) => ({ type: "track", event: "Bought", userId: `u${n % 2}` }),
  );
  await test.send("/api/v1/events/batch", {
    batch: [
      ...batch,
      { type: "identify", userId: "u0", anonymousId: "device", traits: { plan: "pro" } },
      { type: "group", userId: "u0", groupId: "acme" },
    ],
  });
  await eventually("all is settled", async () => (await test.system.stats()).unsettled === 0, { everyMs: 5 });
}

const ask = (test: TestApp, body: unknown) => test.send("/api/v1/admin/replay", body, { headers: AS_ADMIN });

const list = async (test: TestApp) =>
  (await test.get("/api/v1/admin/replays", AS_ADMIN)).body.replays as Record<string, unknown>[];

/** Asks for a replay and waits for its end. */
async function replayed(test: TestApp, body: unknown): Promise<Record<string, unknown>> {
  const { status, body: { id } } = await ask(test, body);
  strictEqual(status, 202);
  return await ended(test, id);
}

async function ended(test: TestApp, id: string): Promise<Record<string, unknown>> {
  let replay: Record<string, unknown> = {};
  await eventually("the replay is over", async () => {
    replay = (await list(test)).find((each) => each.id === id)!;
    return replay.state === "done" || replay.state === "failed";
  }, { everyMs: 5 });
  return replay;
}

/** The outcome alone. */
function outcome({ state, events, compared, differences, examples, error }: Record<string, unknown>) {
  return { state, events, compared, differences, examples, error };
}

/** Writes the state of one user over that of another, behind the server's back. */
async function spoil(store: Store, userId: string): Promise<void> {
  const { generation } = (await store.get<{ generation: number }>(SETTLED)).value!;
  const key = actorKey(generation, "user", userId);
  const { value, stamp } = await store.get<Uint8Array>(key);
  const text = new TextDecoder().decode(value!);
  const spoilt = text.replace(/\[10,1,0,0,1,0\]|\[1,10,0,0,1,0\]/, (counts) => counts.replace("10", "11"));
  ok(spoilt !== text, text);
  ok(
    await store.commit({ checks: [{ key, stamp }], sets: [[key, new TextEncoder().encode(spoilt)]] }) !==
      null,
  );
}

/** How many values of generations there are that are not live. */
async function leftovers(store: Store): Promise<number> {
  const { generation } = (await store.get<{ generation: number }>(SETTLED)).value!;
  let found = 0;
  for (const [name] of generationPrefixes(0)) {
    for await (const { key } of store.list({ prefix: [name!] })) if (key[1] !== generation) found++;
  }
  return found;
}

const tracks = async (test: TestApp) => (await test.get("/api/v1/users/u0")).body.counts.track;

Deno.test("verify finds a state that was spoilt, and changes nothing; a replay of that actor mends it", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  await using test = await openOn(store);
  await plant(test);
  const clean = await replayed(test, { verify: true });
  deepStrictEqual([clean.state, clean.events, clean.differences, clean.examples], ["done", 22, 0, []]);

  await spoil(store, "u0");
  const found = await replayed(test, { verify: true });
  deepStrictEqual([found.state, found.differences, found.examples], ["done", 1, ["user/u0"]]);
  deepStrictEqual([await tracks(test), await leftovers(store)], [11, 0]);

  const scope = (found.examples as string[])[0];
  const one = { state: "done", events: 13, differences: 1, examples: ["user/u0"], error: undefined };
  const compared = 2;
  deepStrictEqual(outcome(await replayed(test, { scope, verify: true })), { ...one, compared });
  strictEqual(await tracks(test), 11);
  deepStrictEqual(outcome(await replayed(test, { scope })), { ...one, compared });
  strictEqual(await tracks(test), 10);
  strictEqual((await replayed(test, { verify: true })).differences, 0);
});

Deno.test("a full replay repairs all states, and the server continues from there", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  await using test = await openOn(store);
  await plant(test);
  await spoil(store, "u0");
  const { state, events, verify, scope } = await replayed(test, {});
  deepStrictEqual({ state, events, verify, scope }, {
    state: "done",
    events: 22,
    verify: false,
    scope: null,
  });
  deepStrictEqual([await tracks(test), await leftovers(store)], [10, 0]);
  await test.send("/api/v1/events", { type: "track", event: "Bought", userId: "u0" });
  strictEqual(await tracks(test), 11);
  ok(test.logged.some(({ message }) => message === "replay requested"));
});

Deno.test("a replay of an unknown actor fails and says so", async () => {
  await using test = await openTestApp();
  const { state, error } = await replayed(test, { scope: "user/nobody" });
  deepStrictEqual([state, error], ["failed", "Unknown user."]);
});

Deno.test("an invalid request for a replay is refused, with the invalid member", async () => {
  await using test = await openTestApp();
  for (const scope of ["u1", "user", "user/", "person/u1", `user/${"x".repeat(257)}`, 1, null]) {
    const { status, body } = await ask(test, { scope });
    deepStrictEqual([status, body.code, body.errors[0].path], [400, "invalid_body", "scope"], String(scope));
  }
  for (const body of [{ verify: "yes" }, { scoop: "user/u1" }, []]) {
    strictEqual((await ask(test, body)).status, 400, JSON.stringify(body));
  }
  deepStrictEqual(await list(test), []);
});

Deno.test("replays run one after the other, and too many that wait are refused", async () => {
  await using place = await MEMORY.make();
  await using test = await openTestApp({ system: await openTestSystem(await place.open()) });
  await plant(test);
  const statuses: number[] = [];
  for (let n = 0; n < 12; n++) statuses.push((await ask(test, {})).status);
  deepStrictEqual(statuses.toSorted(), [...Array(10).fill(202), 503, 503]);
  const states = (await list(test)).map(({ state }) => state);
  ok(states.filter((state) => state === "running").length <= 1, states.join());
});

Deno.test("a replay whose process died is restarted by another, and by none while it lives", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  await using test = await openOn(store);
  await plant(test);
  const left: Replay = {
    id: "01",
    scope: null,
    verify: true,
    state: "running",
    requestedAt: 1,
    tries: 1,
    owner: "another",
    until: Date.now() + 10_000,
  };
  const write = (replay: Replay) => store.commit({ checks: [], sets: [[replayKey(replay.id), replay]] });
  await write(left);
  await test.system.tick!();
  strictEqual((await list(test))[0]!.state, "running");
  await write({ ...left, until: Date.now() - 1 });
  await test.system.tick!();
  const over = (await list(test))[0]!;
  deepStrictEqual([over.state, over.differences, "owner" in over], ["done", 0, false]);

  await write({ ...left, until: 0, tries: 5 });
  await test.system.tick!();
  deepStrictEqual([(await list(test))[0]!.state], ["failed"]);
});

Deno.test("a server that stops leaves its replay to the next, which ends it", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  {
    await using first = await openTestApp({ system: await openTestSystem(store) });
    await plant(first);
    await ask(first, {});
    await eventually("it runs", async () => (await list(first))[0]!.state === "running", { everyMs: 1 });
  }
  await using second = await openOn(store);
  const { id, state } = (await list(second))[0]!;
  strictEqual(state, "waiting");
  const end = await ended(second, id as string);
  deepStrictEqual([end.state, end.events, await leftovers(store)], ["done", 22, 0]);
});

Deno.test("an erasure removes the replays that name the person, and no others", async () => {
  await using test = await openTestApp({ system: await openTestSystem(":memory:", { clock: HURRIED }) });
  await plant(test);
  for (const scope of ["user/u0", "user/u1", "anonymous/device", "group/acme"]) {
    await replayed(test, { scope });
  }
  await test.send("/api/v1/users/u0", undefined, { method: "DELETE", headers: AS_ADMIN });
  deepStrictEqual((await list(test)).map(({ scope }) => scope), ["group/acme", "user/u1"]);
});

Deno.test("an erasure beside a replay is done, and the replay ends without the person", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  await using test = await openOn(store);
  await plant(test);
  for (const [verify, user] of [[true, "u1"], [false, "u0"]] as const) {
    const path = `/api/v1/users/${user}`;
    strictEqual((await test.get(path)).status, 200);
    const { body: { id } } = await ask(test, { verify });
    strictEqual(
      (await test.send(path, undefined, { method: "DELETE", headers: AS_ADMIN })).status,
      200,
    );
    const end = await ended(test, id);
    deepStrictEqual([end.state, end.differences ?? 0], ["done", 0], JSON.stringify(end));
    strictEqual((await test.get(path)).status, 404);
  }
  strictEqual((await replayed(test, { verify: true })).differences, 0);
});
