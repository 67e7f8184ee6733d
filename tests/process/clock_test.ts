/**
 * A server whose wall clock is moved: while it runs it takes nothing until the clock comes back, and nothing is damaged
 * where it was started with a clock that is wrong.
 */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { eventually, runTask, type Server, startEntry, startServer, tempDir, writes } from "./server.ts";

const HOUR_MS = 3_600_000;
const DAYS_31_MS = 31 * 24 * HOUR_MS;

const track = (messageId: string) => ({ type: "track", event: "Order Completed", userId: "u1", messageId });

async function startMoved(kvPath: string, byMs: number): Promise<{ server: Server; move(ms: number): void }> {
  const file = `${kvPath}.clock`;
  const move = (ms: number) => Deno.writeTextFileSync(file, String(ms));
  move(byMs);
  const server = await startEntry("tests/process/moved_clock.ts", { kvPath, env: { CLOCK_FILE: file } });
  return { server, move };
}

async function eventCount(server: Server): Promise<number> {
  return (await server.ask("/api/v1/users/u1")).body.eventCount;
}

async function settled(server: Server): Promise<void> {
  await eventually(
    "all is settled",
    async () => (await server.ask("/api/v1/admin/stats")).body.unsettled === 0,
  );
}

const MOVES: [what: string, ms: number][] = [
  ["an hour ahead", HOUR_MS],
  ["an hour back", -HOUR_MS],
  ["31 days ahead", DAYS_31_MS],
  ["31 days back", -DAYS_31_MS],
];

Deno.test("a server whose clock is moved while it runs says so, takes nothing, and goes on when it comes back", async () => {
  await using dir = await tempDir();
  const { server, move } = await startMoved(`${dir.path}/kv.db`, 0);
  await using _ = server;
  let taken = 0;
  for (const [what, ms] of MOVES) {
    strictEqual((await server.send(track(`before ${what}`))).status, 200);
    taken++;
    move(ms);
    const event = track(`during ${what}`);
    await eventually(`${what}: not ready`, async () => (await server.ask("/readyz")).status === 503);
    const { status, body } = await server.send(event);
    deepStrictEqual([status, body.code], [503, "clock_moved"]);
    match(body.detail, /^The clock of this server jumped \d+ (minutes|hours|days) (ahead|back)/);
    strictEqual((await server.ask("/healthz")).status, 200);
    strictEqual(await eventCount(server), taken, "it still reads, and what was refused is not there");
    move(0);
    await eventually(`${what}: ready again`, async () => (await server.ask("/readyz")).status === 200);
    deepStrictEqual((await server.send(event)).body, {
      success: true,
      messageId: event.messageId,
      duplicate: false,
    });
    taken++;
    strictEqual(await eventCount(server), taken);
  }
  const told = (text: RegExp) =>
    server.written().split("\n").filter((line) => line.includes('"code":"clock_moved"') && text.test(line));
  await eventually("all is written", () => told(/The clock is correct again/).length >= MOVES.length);
  strictEqual(told(/The clock is correct again/).length, MOVES.length);
  ok(told(/jumped 31 days ahead .* if the clock is correct now, restart/).length > 0, server.written());
});

Deno.test("a server started with a clock 31 days ahead forgets no message id, nor does one whose clock is right again", async () => {
  await using dir = await tempDir();
  const kvPath = `${dir.path}/kv.db`;
  {
    await using server = await startServer(kvPath);
    strictEqual((await server.send(track("first"))).body.duplicate, false);
    await settled(server);
    await server.end("SIGTERM");
  }
  {
    const { server } = await startMoved(kvPath, DAYS_31_MS);
    await using _ = server;
    await writes(server, /The newest event of the database is 31 days old by the clock of this server/);
    strictEqual((await server.send(track("second"))).body.duplicate, false);
    await settled(server);
    strictEqual((await server.send(track("first"))).body.duplicate, true);
    await server.end("SIGTERM");
  }
  await using server = await startServer(kvPath);
  await writes(server, /The clock of this server is 31 days behind the newest event of the database/);
  strictEqual((await server.send(track("third"))).body.duplicate, false);
  await settled(server);
  for (const id of ["first", "second", "third"]) {
    strictEqual((await server.send(track(id))).body.duplicate, true);
  }
  strictEqual(await eventCount(server), 3);
  const { code, stdout } = await runTask(kvPath, "replay", "--verify");
  strictEqual(code, 0, stdout);
});
