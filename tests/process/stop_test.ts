/** Ends and starts of one server: what it took is answered before it ends, and what it stored is there when it starts. */
import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert";
import { createLedger, newSeed, randomOf } from "./ledger.ts";
import {
  ADMIN_TOKEN,
  beginEvent,
  eventually,
  ROOT,
  startServer,
  tempDir,
  WRITE_KEY,
  writes,
} from "./server.ts";

Deno.test("a stop has less than 5 s by the server's own clock, after which whoever sent the signal kills", () => {
  // What ends with 0, as all of these do, has ended before.
  const [, stopMs] = /^const STOP_MS = (\d+);$/m.exec(Deno.readTextFileSync(`${ROOT}main.ts`))!;
  ok(Number(stopMs) < 5_000, `${stopMs} ms`);
});

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.test(`${signal} under load: what was stored is just what was answered, and the end comes within 5 s`, async () => {
    await using dir = await tempDir();
    const kvPath = `${dir.path}/kv.db`;
    const ledger = createLedger("stop", randomOf(newSeed(signal)));
    {
      await using server = await startServer(kvPath);
      const load = ledger.load(server, { workers: 8, signal: AbortSignal.timeout(60_000) });
      await eventually("the load is under way", () => ledger.answered().length > 5_000);
      const { code } = await server.end(signal);
      await load;
      strictEqual(code, 0, server.written());
      match(server.written(), /"stopping"/);
      await rejects(server.send({ type: "track" }), "nobody listens any more");
    }
    await using server = await startServer(kvPath);
    const { events, whole } = await ledger.check(server);
    // No request was taken and then left without its answer.
    deepStrictEqual({ events, whole }, { events: ledger.answered().length, whole: 0 });
  });
}

Deno.test("a request that the server has begun to read is answered, though the signal comes before its end", async () => {
  await using dir = await tempDir();
  const kvPath = `${dir.path}/kv.db`;
  const event = { type: "track", event: "Late", userId: "late", messageId: "late_1" };
  {
    await using server = await startServer(kvPath);
    const body = JSON.stringify(event);
    using request = await beginEvent(server.url, { writeKey: WRITE_KEY, length: body.length });
    await request.write(body.slice(0, 20));
    // An idle connection that is kept open must not hold up the end.
    strictEqual((await server.send({ ...event, userId: "early", messageId: "early_1" })).status, 200);
    const end = server.end("SIGTERM");
    await writes(server, /"stopping"/);
    await request.write(body.slice(20));
    const answer = await request.answer();
    match(answer, /^HTTP\/1\.1 200 /);
    match(answer, /"messageId":"late_1","duplicate":false/);
    strictEqual((await end).code, 0, server.written());
  }
  await using server = await startServer(kvPath);
  strictEqual((await server.ask("/api/v1/users/late")).body.eventCount, 1);
});

Deno.test("a client that does not read its answer does not keep the server from ending in order", async () => {
  await using dir = await tempDir();
  await using server = await startServer(`${dir.path}/kv.db`);
  const properties = { text: "x".repeat(30_000) };
  for (let n = 0; n < 5; n++) {
    const batch = Array.from({ length: 100 }, () => ({ type: "page", userId: "u", properties }));
    strictEqual((await server.send(batch)).body.accepted, 100);
  }
  const { hostname, port } = new URL(server.url);
  // More than sockets hold: these answers stay half written.
  const head =
    `GET /api/v1/users/u/events?limit=500 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${ADMIN_TOKEN}\r\n\r\n`;
  const connections = await Promise.all(Array.from({ length: 4 }, async () => {
    const connection = await Deno.connect({ hostname, port: Number(port) });
    await connection.write(new TextEncoder().encode(head));
    await connection.read(new Uint8Array(100));
    return connection;
  }));
  strictEqual((await server.end("SIGTERM")).code, 0, server.written());
  for (const connection of connections) connection.close();
});

for (const signal of ["SIGTERM", "SIGKILL"] as const) {
  Deno.test(`events that are not settled at a ${signal} are there at the next start, and are settled`, async () => {
    await using dir = await tempDir();
    const kvPath = `${dir.path}/kv.db`;
    const ledger = createLedger("rest", randomOf(newSeed(`restart after ${signal}`)));
    for (let tries = 1, unsettled = 0; unsettled === 0; tries++) {
      ok(tries <= 50, "a stop with something unsettled");
      await using server = await startServer(kvPath);
      // Once a round has ended, another waits a while: what comes now is not settled at the stop.
      await ledger.send(server, [ledger.event()]);
      await eventually(
        "a first round",
        async () => (await server.ask("/api/v1/admin/stats")).body.unsettled === 0,
        { everyMs: 10 },
      );
      await Promise.all(
        Array.from({ length: 4 }, () => ledger.send(server, Array.from({ length: 200 }, ledger.event))),
      );
      await server.end(signal);
      unsettled = await unsettledIn(kvPath);
    }
    await using server = await startServer(kvPath);
    const { events } = await ledger.check(server);
    strictEqual(events, ledger.answered().length);
    await eventually(
      "all is settled though nothing more comes",
      async () => (await server.ask("/api/v1/admin/stats")).body.unsettled === 0,
    );
  });
}

/** How many events of a database that nobody serves are in the journal and not settled. */
async function unsettledIn(kvPath: string): Promise<number> {
  using kv = await Deno.openKv(kvPath);
  const { value: head } = await kv.get<{ events: number }>(["head"]);
  const { value: settled } = await kv.get<{ events: number }>(["settled"]);
  return (head?.events ?? 0) - (settled?.events ?? 0);
}

Deno.test("with the permissions of `deno task start` settling has a thread of its own, and nothing is refused", async () => {
  await using dir = await tempDir();
  await using server = await startServer(`${dir.path}/events.db`);
  strictEqual((await server.send({ type: "track", userId: "u", event: "A" })).status, 200);
  await eventually("everything is settled", async () => {
    const { body } = await server.ask("/api/v1/admin/stats");
    return (body as { unsettled: number }).unsettled === 0;
  });
  strictEqual(server.written().trim(), `signalfold listens on ${server.url}`);
});
