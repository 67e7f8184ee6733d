/** Bytes that were damaged where the database can't see it: a value that is no longer what was written. */
import { placed } from "../domain/profile/facts.ts";
import { ok, rejects, strictEqual } from "node:assert/strict";
import { pieceKey } from "../../actors/store/keys.ts";
import { type ActorHead, whole } from "../../actors/settling/snapshot.ts";
import { traceOf } from "../../actors/store/error_trace.ts";
import { AS_READER, openTestApp, openTestSystem } from "../routes/test_app.ts";
import { BEGIN_MS, eventWith, openOn, settle } from "./histories.ts";
import { MEMORY } from "./stores.ts";
import { StorageFault } from "../../actors/store/errors.ts";

const SECRET = "jane@secret.example";

Deno.test("a damaged state is 503, and neither the answer nor the log quotes it; others are served", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  const system = await openOn(store, { clock: { ms: BEGIN_MS + 1e9 }, faults: [] });
  await system.commit([
    eventWith({ type: "identify", userId: "jane", traits: { email: SECRET } }),
    eventWith({ type: "identify", userId: "john", messageId: "other" }),
  ], "k");
  await settle(system);
  await system.close();
  for await (const { key, value } of store.list<Uint8Array>({ prefix: ["actor"] })) {
    if (key.at(-1) !== "jane") continue;
    const text = new TextDecoder().decode(value!);
    ok(text.includes(SECRET));
    const damaged = new TextEncoder().encode(text.replace(`"${SECRET}"`, `A${SECRET}"`));
    await store.commit({ checks: [], sets: [[key, damaged]] });
  }
  await using test = await openTestApp({ system: await openTestSystem(store) });
  const { status, body } = await test.get("/api/v1/users/jane", AS_READER);
  strictEqual(status, 503);
  strictEqual(body.code, "storage_unavailable");
  const said = JSON.stringify([body, test.logged]);
  ok(said.includes("A value in the database is damaged."), said);
  ok(!said.includes("secret"), said);
  strictEqual((await test.get("/api/v1/users/john", AS_READER)).status, 200);
});

Deno.test("a state whose pieces are gone is a fault of storage, and is not waited for", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  const key = ["actor", 1, "user", "u"] as const;
  const value = new TextEncoder().encode(
    JSON.stringify([{ id: "u", fold: 1, position: placed(1), version: 1, from: [0, placed(0)] }, {
      stamp: "1",
      pieces: 2,
    }]),
  );
  await store.commit({ checks: [], sets: [[key, value], [pieceKey(key, "1", 0), new Uint8Array(1)]] });
  await rejects(whole<ActorHead>(store, await store.get<Uint8Array>(key)), StorageFault);
});

Deno.test("traceOf() omits quotes in errors of the language, and keeps the stack", () => {
  const caught = (act: () => unknown): unknown => {
    try {
      return act();
    } catch (error) {
      return error;
    }
  };
  for (const act of [() => JSON.parse(`{"a":${SECRET}`), () => new URL("http://secret.example:999999")]) {
    const trace = traceOf(caught(act));
    ok(!trace.includes("secret"), trace);
    ok(/^(Syntax|Type)Error\n {4}at /.test(trace), trace);
    ok(trace.includes("damaged_test.ts"), trace);
  }
  ok(traceOf(new StorageFault("the disk is full")).startsWith("StorageFault: the disk is full\n    at "));
  strictEqual(traceOf("a trace of a thread"), "a trace of a thread");
  strictEqual(traceOf({ secret: SECRET }), "object");
});
