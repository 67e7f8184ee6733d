/** Two servers on one database file: both accept at once, and each shows what either has answered. */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { createLedger, newSeed, randomOf, type SentEvent } from "./ledger.ts";
import { type Answer, eventually, runTask, type Server, sleep, startServer, tempDir } from "./server.ts";

/** A change of a write key holds everywhere within this time, says the contract. */
const KEY_CHANGE_MS = 5_000;

/** Two servers on one new database. */
async function startTwo(env: Record<string, string> = {}) {
  const dir = await tempDir();
  const kvPath = `${dir.path}/kv.db`;
  // At the same time: both find no database, and make one.
  const [one, two] = await Promise.all([startServer(kvPath, env), startServer(kvPath, env)]);
  return {
    one,
    two,
    kvPath,
    async [Symbol.asyncDispose]() {
      await one[Symbol.asyncDispose]();
      await two[Symbol.asyncDispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}

function track(userId: string, messageId: string): SentEvent {
  return { type: "track", event: "Order Completed", userId, messageId };
}

Deno.test("two servers on one database accept batches and single events at once, and agree on all of it", async () => {
  await using servers = await startTwo();
  const { one, two, kvPath } = servers;
  const ledger = createLedger("both", randomOf(newSeed("two processes")));
  const signal = AbortSignal.timeout(3_000);
  await Promise.all([
    ledger.load(one, { workers: 4, signal, restMs: 60 }),
    ledger.load(two, { workers: 4, signal, restMs: 60 }),
  ]);
  const seen = await ledger.check(one);
  deepStrictEqual(await ledger.check(two), seen);
  deepStrictEqual([seen.whole, seen.absent], [0, 0], "every request was answered");
  await eventually("both say that all is settled, and how much", async () => {
    const [first, second] = await Promise.all([one, two].map((server) => server.ask("/api/v1/admin/stats")));
    deepStrictEqual(first!.body.head, second!.body.head);
    return first!.body.unsettled === 0 && second!.body.unsettled === 0;
  });
  const { code, stdout } = await runTask(kvPath, "replay", "--verify");
  strictEqual(code, 0, stdout);
  for (const server of [one, two]) {
    ok(!/database is locked|"status":50/.test(server.written()), server.written());
  }
});

Deno.test("of one event sent to two servers at once exactly one is not a duplicate, and it counts once", async () => {
  await using servers = await startTwo();
  const { one, two } = servers;
  const rounds = 100;
  // Others keep both committers busy, so that the races are lost in every way.
  const signal = AbortSignal.timeout(20_000);
  const stop = new AbortController();
  const noise = createLedger("noise", randomOf(newSeed("one event to both")));
  const loads = [one, two].map((server) =>
    noise.load(server, { workers: 1, signal: AbortSignal.any([signal, stop.signal]), restMs: 30 })
  );
  for (let n = 0; n < rounds; n++) {
    const event = track("twin", `twin_${n}`);
    const sends = n % 3 === 0 ? [one, two, one, two] : n % 3 === 1 ? [one, two] : [two, one];
    const answers = await Promise.all(sends.map((server) => server.send(event)));
    for (const { status } of answers) strictEqual(status, 200);
    const fresh = answers.filter(({ body }) => !body.duplicate);
    strictEqual(fresh.length, 1, `round ${n}: ${JSON.stringify(answers)}`);
  }
  // Batches that overlap: what the other has brought counts as accepted, and is there once.
  const batches = Array.from(
    { length: 20 },
    (_, n) => Array.from({ length: 40 }, (_, i) => track("overlap", `overlap_${n * 20 + i}`)),
  );
  const answers = await Promise.all(batches.flatMap((batch) => [one.send(batch), two.send(batch)]));
  for (const { status, body } of answers) deepStrictEqual([status, body.accepted], [200, 40]);
  stop.abort();
  await Promise.all(loads);
  for (const server of [one, two]) {
    strictEqual((await server.ask("/api/v1/users/twin")).body.eventCount, rounds);
    strictEqual((await server.ask("/api/v1/users/overlap")).body.eventCount, 19 * 20 + 40);
  }
});

Deno.test("a read in one server right after the other's answer sees it", async () => {
  await using servers = await startTwo();
  const { one, two } = servers;
  const counts = new Map<string, number>();
  const stop = new AbortController();
  const noise = createLedger("noise", randomOf(newSeed("read after write")));
  const load = noise.load(two, { workers: 1, signal: stop.signal, restMs: 30 });
  // Several clients, each of which writes here and reads there, and the other way about.
  const client = async (name: string) => {
    for (let n = 0; n < 100; n++) {
      const [writer, reader]: [Server, Server] = n % 2 === 0 ? [one, two] : [two, one];
      const batch = Array.from({ length: n % 5 === 0 ? 30 : 1 }, (_, i) => ({
        ...track(name, `${name}_${n}_${i}`),
        ...(n % 7 === 3 && { type: "group", groupId: `group_of_${name}` }),
      }));
      strictEqual((await writer.send(batch)).status, 200);
      counts.set(name, (counts.get(name) ?? 0) + batch.length);
      const profile: Answer = await reader.ask(`/api/v1/users/${name}`);
      strictEqual(profile.body.eventCount, counts.get(name), `${name}, round ${n}`);
      const { body: log } = await reader.ask(`/api/v1/users/${name}/events?limit=1`);
      const last = batch.map(({ messageId }) => messageId);
      ok(
        last.includes(log.events[0].messageId),
        `${name}, round ${n}: the log begins with what was sent last`,
      );
    }
  };
  await Promise.all(["ann", "ben", "cy"].map(client));
  stop.abort();
  await load;
});

Deno.test("a write key made in one server works in the other within 5 s, and once disabled no more after 5 s", async () => {
  await using servers = await startTwo({ AUTH_FAILURES_PER_MINUTE: "100000" });
  const { one, two } = servers;
  let sent = 0;
  const works = async (server: Server, key: string) => {
    const { status } = await server.send(track("keyed", `keyed_${sent++}`), key);
    ok(status === 200 || status === 401, `${status}`);
    return status === 200;
  };
  const made = await one.ask("/api/v1/admin/keys", { method: "POST", body: { name: "for both" } });
  strictEqual(made.status, 201);
  const { id, key } = made.body;
  ok(await works(one, key), "at once where it was made");
  await eventually("the other takes it", () => works(two, key), { ms: KEY_CHANGE_MS });

  const disabled = await one.ask(`/api/v1/admin/keys/${id}`, { method: "PATCH", body: { enabled: false } });
  strictEqual(disabled.status, 200);
  ok(!await works(one, key), "at once where it was disabled");
  // Nobody asks the other meanwhile: it must not answer from what it knew.
  await sleep(KEY_CHANGE_MS);
  ok(!await works(two, key), "5 s later it is refused in the other");

  await two.ask(`/api/v1/admin/keys/${id}`, { method: "PATCH", body: { enabled: true } });
  ok(await works(two, key));
  await eventually("the first takes it again", () => works(one, key), { ms: KEY_CHANGE_MS });
  const removed = await two.ask(`/api/v1/admin/keys/${id}`, { method: "DELETE" });
  strictEqual(removed.status, 204);
  // This time it is asked all the while.
  await eventually("the first refuses it", async () => !await works(one, key), { ms: KEY_CHANGE_MS });
  ok(!await works(one, key), "and goes on refusing it");
});
