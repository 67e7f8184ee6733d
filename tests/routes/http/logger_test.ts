import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { createLog, LOG_LEVELS, type LogLevel, SUMMARY_INTERVAL_MS } from "../../../routes/http/logger.ts";
import { loggedOf } from "../../../routes/ingest/rejection_log.ts";
import { AS_ADMIN, AS_READER, openTestApp, WRITE_KEY } from "../test_app.ts";

function openLog(level: LogLevel) {
  const lines: Record<string, unknown>[] = [];
  const clock = { nowMs: Date.UTC(2025, 2, 15) };
  const log = createLog({ level, write: (line) => lines.push(JSON.parse(line)), now: () => clock.nowMs });
  return { log, lines, clock };
}

Deno.test("a log writes lines of its level and above", () => {
  for (const level of LOG_LEVELS) {
    const { log, lines } = openLog(level);
    for (const lineLevel of ["debug", "info", "warn", "error"] as const) log.line(lineLevel, "x");
    deepStrictEqual(lines.map((line) => line.level), LOG_LEVELS.slice(LOG_LEVELS.indexOf(level), 4));
  }
});

Deno.test("a log writes the first refusal at once, and counts those of a minute in one line", () => {
  const { log, lines, clock } = openLog("info");
  for (let i = 0; i < 1000; i++) log.count("info", "refused", { code: "invalid_json", requestId: `r${i}` });
  log.count("info", "refused", { code: "unauthorized" }, 7);
  const first = { time: "2025-03-15T00:00:00.000Z", level: "info", message: "refused" };
  deepStrictEqual(lines.slice(0), [
    { ...first, code: "invalid_json", requestId: "r0" },
    { ...first, code: "unauthorized", count: 7 },
  ]);
  clock.nowMs += SUMMARY_INTERVAL_MS;
  log.count("info", "refused", { code: "not_found" });
  deepStrictEqual(lines.slice(2).map(({ code, count }) => [code, count]), [
    ["invalid_json", 999],
    ["not_found", undefined],
  ]);
  log.count("info", "refused", { code: "not_found" });
  log.flush();
  deepStrictEqual(lines.slice(4).map(({ code, count }) => [code, count]), [["not_found", 1]]);
});

Deno.test("a log counts a thousand kinds separately, then writes the counts and begins again", () => {
  const { log, lines } = openLog("info");
  const count = (code: string) => log.count("info", "refused", { code });
  count("first");
  count("first");
  for (let n = 0; n < 999; n++) count(`other ${n}`);
  strictEqual(lines.filter(({ code }) => code === "first").length, 1);
  count("one more");
  deepStrictEqual(lines.filter(({ code }) => code === "first").map((line) => line.count), [undefined, 1]);
});

Deno.test("requests are logged at debug only, by route, with status, duration and counts", async () => {
  await using quiet = await openTestApp({ logLevel: "info" });
  await quiet.send("/api/v1/events", { type: "track", userId: "u1", event: "x" });
  deepStrictEqual(quiet.logged, []);

  await using test = await openTestApp({ logLevel: "debug" });
  const answer = await test.send("/api/v1/events/batch", {
    batch: [{ type: "track", userId: "u1", event: "x" }, {}],
  });
  await test.get("/api/v1/users/jane@example.com");
  const [rejected, batch, refused, reading] = test.logged;
  deepStrictEqual([rejected?.message, rejected?.code, rejected?.status], [
    "event rejected",
    "missing_type",
    400,
  ]);
  deepStrictEqual(batch, {
    time: new Date(test.clock.nowMs).toISOString(),
    level: "debug",
    message: "request",
    method: "POST",
    route: "/api/v1/events/batch",
    requestId: answer.headers.get("x-request-id"),
    status: 200,
    durationMs: 0,
    received: 2,
    accepted: 1,
    rejected: 1,
    duplicates: 0,
  });
  deepStrictEqual([refused?.message, refused?.code, refused?.status], ["refused", "not_found", 404]);
  strictEqual(reading?.route, "/api/v1/users/:id");
});

Deno.test("the line of a rejection names the write key, the path, and where to look, and no member that may be data", async () => {
  const look = (code: string) => `/api/v1/admin/rejected?code=${code}&writeKeyId=default`;
  await using test = await openTestApp({ logLevel: "info" });
  await test.send("/api/v1/events", { type: "track", userId: "u", event: "e", timestamp: "yesterday" });
  await test.send("/api/v1/events/batch", { batch: [{ type: "identify", userId: "u", traits: "none" }] });
  const [one, inBatch] = test.logged;
  deepStrictEqual([one?.message, one?.code, one?.writeKeyId, one?.path, one?.look], [
    "refused",
    "invalid_timestamp",
    "default",
    "timestamp",
    look("invalid_timestamp"),
  ]);
  deepStrictEqual([inBatch?.message, inBatch?.writeKeyId, inBatch?.path], [
    "event rejected",
    "default",
    "traits",
  ]);
  strictEqual(inBatch?.look, look(String(inBatch?.code)));
  const kept = await test.get(String(one?.look), AS_ADMIN);
  strictEqual(kept.body.rejected.length, 1);

  const hidden = loggedOf(
    { reason: "invalid", code: "c", path: "traits.jane@example.com.x", message: "", errors: [] },
    { sender: { writeKeyId: "k" }, receivedAt: 0 },
  );
  strictEqual(hidden.path, "traits.….com.x");
});

Deno.test("no body, key, token or id is ever logged", async () => {
  await using test = await openTestApp({ logLevel: "debug" });
  const planted = [
    "planted_user",
    "planted_trait",
    "planted_token",
    "planted_key",
    WRITE_KEY,
    "read_token_test",
  ];
  await test.send("/api/v1/events", {
    type: "identify",
    userId: "planted_user",
    traits: { a: "planted_trait" },
  });
  await test.send("/api/v1/events", '{"planted_trait": planted_user');
  await test.send("/api/v1/events", { type: "planted_trait", userId: "planted_user" });
  await test.send("/api/v1/events", { type: "page" }, { headers: { authorization: "Bearer planted_token" } });
  await test.send("/api/v1/events", { type: "page", writeKey: "planted_key" }, { headers: {} });
  await test.get("/api/v1/users/planted_user?limit=planted_trait&at=planted_trait", AS_READER);
  await test.get("/planted_user?writeKey=planted_key");
  ok(test.logged.length > 7);
  for (const secret of planted) strictEqual(JSON.stringify(test.logged).includes(secret), false, secret);
});

Deno.test("a line of the log holds no control character and no password of a URL, and is JSON", () => {
  const lines: string[] = [];
  const log = createLog({ level: "info", write: (line) => lines.push(line), now: () => 0 });
  log.line("warn", "a\x1b[31m\nb\x9b\x7f\u2028\u202e", {
    error: "http://user:secret@127.0.0.1/?token=secret",
  });
  log.count("warn", "\x9b", { code: "\u2029" });
  for (const line of lines) deepStrictEqual(line.match(/[\p{Cc}\u2028\u2029\u202e]/gu), null, line);
  ok(!lines.join().includes("secret"), lines.join());
  deepStrictEqual(JSON.parse(lines[0]!), {
    time: "1970-01-01T00:00:00.000Z",
    level: "warn",
    message: "a\x1b[31m\nb\x9b\x7f\u2028\u202e",
    error: "http://***@127.0.0.1/?***",
  });
});
