/** Starts and stops where the KV Connect server is not there, and write keys where it denies what it did. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { openStore, type Store } from "../../actors/store/store.ts";
import { eventWith, openOn, settle } from "../actors/histories.ts";
import { MEMORY } from "../actors/stores.ts";
import { randomOf } from "../process/ledger.ts";
import { eventually, freePort, sleep, startServer } from "../process/server.ts";
import { createDatabase } from "./database.ts";
import "./kinds.ts";
import { startRelay } from "./relay.ts";
import { ACCESS_TOKEN, startKvConnect } from "./server.ts";

const ENV = { DENO_KV_ACCESS_TOKEN: ACCESS_TOKEN };

Deno.test("a store is opened though its KV Connect server comes up a while later", async () => {
  await using server = startKvConnect({ database: createDatabase(randomOf(1)) });
  const port = freePort();
  const opening = openStore(`http://127.0.0.1:${port}/`);
  await sleep(700);
  const relay = startRelay(Number(new URL(server.url).port), { onPort: port });
  const store = await opening;
  deepStrictEqual((await store.get(["head"])).value, null);
  store.close();
  await relay.close();
});

Deno.test("where no KV Connect server comes, it does not start, and says so in one line", async () => {
  const error = await startServer(`http://127.0.0.1:${freePort()}/`, ENV).then(
    () => undefined,
    (error) => error as Error,
  );
  match(error?.message ?? "it started", /signalfold: cannot start: failed to open KV_URL: .+/);
});

Deno.test("SIGTERM ends a process within 5 s though its KV Connect server is gone", async () => {
  const server = startKvConnect({ database: createDatabase(randomOf(2)) });
  await using process = await startServer(server.url, ENV);
  strictEqual((await process.send({ type: "track", userId: "u", event: "A" })).status, 200);
  await server[Symbol.asyncDispose]();
  const unanswered = process.send({ type: "track", userId: "u", event: "B" }).catch(() => undefined);
  await sleep(200);
  strictEqual((await process.end("SIGTERM")).signal, null, "by itself");
  ok((await unanswered)?.status !== 200, "what was not stored is not acknowledged");
});

Deno.test("calls that storage leaves unanswered stay few, and it is in use again as soon as it is back", async () => {
  await using server = startKvConnect({ database: createDatabase(randomOf(3)) });
  const toPort = Number(new URL(server.url).port);
  const port = freePort();
  let relay = startRelay(toPort, { onPort: port });
  const store = await openStore(relay.url);
  await store.get(["head"]);
  await relay.close();
  const given = await Promise.allSettled(Array.from({ length: 40 }, () => store.get(["head"])));
  ok(given.every(({ status }) => status === "rejected"), "no answer within 10 s");
  // Without a bound each of these goes on for ever.
  const before = server.seen.requests;
  const failed = await Promise.allSettled(
    Array.from({ length: 1000 }, () => Promise.race([store.get(["head"]), sleep(1_000)])),
  );
  strictEqual(failed.filter(({ status }) => status === "fulfilled").length, 1, "one went through to try");
  relay = startRelay(toPort, { onPort: port });
  await eventually("it is in use again", () => store.get(["head"]).then(() => true, () => false));
  await sleep(500);
  ok(server.seen.requests - before < 60, `${server.seen.requests - before} requests`);
  store.close();
  await relay.close();
});

Deno.test("an event whose write was denied though done, and that another has settled since, is no duplicate", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  const other = await openOn(store);
  let denials = 1;
  const system = await openOn({
    ...store,
    async commit(write) {
      const written = await store.commit(write);
      if (write.checks[0]?.key[0] !== "head" || denials-- <= 0) return written;
      await settle(other);
      return null;
    },
  });
  const event = eventWith({ messageId: "denied" });
  strictEqual((await system.commit([event], "k"))[0]!.duplicate, false);
  strictEqual((await system.commit([event], "k"))[0]!.duplicate, true);
  await system.close();
  await other.close();
});

Deno.test("a write key whose deletion was done though it was denied is said to be deleted", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  let denials = 0;
  const denying: Store = {
    ...store,
    async commit(write) {
      const written = await store.commit(write);
      return denials-- > 0 ? null : written;
    },
  };
  const system = await openOn(denying);
  const { writeKey } = await system.writeKeys.create({ name: "website" });
  denials = 1;
  strictEqual(await system.writeKeys.remove(writeKey.id), true);
  strictEqual(await system.writeKeys.remove(writeKey.id), false);
  await system.close();
});
