/** The live view over a real connection: what comes is shown, in order, once, to who may see it. */
import { ENTRIES_AT_ONCE } from "../../../actors/live/listener.ts";
import type { Range } from "../../../actors/store/store.ts";
import { isPosition, pack } from "../../../domain/event/position.ts";
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { systemClock } from "../../../actors/store/clock.ts";
import { type LiveLimits, MAX_LISTENERS } from "../../../actors/live/live_feed.ts";
import type { System } from "../../../actors/system.ts";
import { MEMORY } from "../../actors/stores.ts";
import { openViewer, type Viewer } from "./live_client.ts";
import { ADMIN_TOKEN, openTestApp, openTestSystem } from "../test_app.ts";
import { StorageUnavailable } from "../../../actors/store/errors.ts";

const LIVE = "/api/v1/admin/live";

/** As a time between two looks, or what it is multiplied by: there are none after the first. */
const NO_LOOKS = 1_000_000;

/** The routes on a port. */
async function openServer(
  { limits, heartbeatMs, system: given }: {
    limits?: Partial<LiveLimits>;
    heartbeatMs?: number;
    system?: System;
  } = {},
) {
  const system = given ??
    await openTestSystem(":memory:", { ...limits !== undefined && { limits } });
  const test = await openTestApp({ system, ...heartbeatMs !== undefined && { heartbeatMs } });
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    (request, info) => test.app.fetch(request, info),
  );
  return {
    ...test,
    url: `http://127.0.0.1:${server.addr.port}`,
    async [Symbol.asyncDispose]() {
      await test.app.stop();
      await server.shutdown();
      await test[Symbol.asyncDispose]();
    },
  };
}

const track = (messageId: string, more: object = {}) => ({
  type: "track",
  event: "Order Completed",
  userId: "u1",
  messageId,
  timestamp: "2025-03-15T14:30:00Z",
  ...more,
});

const idsOf = ({ lines }: Viewer) => lines.map(({ messageId }) => messageId);

const numbered = (count: number, prefix = "m") =>
  Array.from({ length: count }, (_, n) => track(`${prefix}${n}`));

Deno.test("an accepted event is shown without waiting for a read of the journal, with its ids", async () => {
  await using server = await openServer({ limits: { pace: NO_LOOKS } });
  await using viewer = await openViewer(server.url);
  strictEqual(viewer.status, 200);
  await server.send("/api/v1/events", track("m0"));
  await server.send("/api/v1/events", track("m1", { groupId: "g1", properties: { secret: 1 } }));
  await viewer.until("both", () => viewer.lines.length === 2);
  const { receivedAt, position, ...line } = viewer.lines[1]!;
  deepStrictEqual(line, {
    status: "accepted",
    messageId: "m1",
    type: "track",
    event: "Order Completed",
    userId: "u1",
    groupId: "g1",
    writeKeyId: "default",
    timestamp: "2025-03-15T14:30:00.000Z",
  });
  match(receivedAt, /^\d{4}-.*Z$/);
  ok(isPosition(position) && position > viewer.lines[0]!.position);
});

Deno.test("the answer's head comes at once, though nothing does, and no proxy keeps or holds it back", async () => {
  await using server = await openServer();
  await using viewer = await openViewer(server.url);
  strictEqual(viewer.headers.get("content-type"), "text/event-stream");
  strictEqual(viewer.headers.get("cache-control"), "no-store");
  strictEqual(viewer.headers.get("x-accel-buffering"), "no");
  await viewer.until("an id to come back with", () => viewer.lastId() !== undefined);
});

Deno.test("duplicates and rejections show with why", async () => {
  await using server = await openServer();
  await using viewer = await openViewer(server.url);
  await server.send("/api/v1/events", track("m1"));
  await server.send("/api/v1/events", track("m1"));
  await server.send("/v1/track", { userId: 7, messageId: "bad" });
  await server.send("/api/v1/events/batch", { batch: [track("m1"), track("m2"), { type: "odd" }, 3] });
  await viewer.until("all", () => viewer.lines.length === 7);
  deepStrictEqual(
    viewer.lines.map(({ status, messageId, type, userId, error }) => [
      status,
      messageId,
      type,
      userId,
      error?.code,
      error?.path,
    ]).toSorted(),
    [
      ["accepted", "m1", "track", "u1", undefined, undefined],
      ["accepted", "m2", "track", "u1", undefined, undefined],
      ["duplicate", "m1", "track", "u1", undefined, undefined],
      ["duplicate", "m1", "track", "u1", undefined, undefined],
      ["rejected", "bad", "track", "7", "missing_event", "event"],
      ["rejected", null, "odd", undefined, "invalid_type", "type"],
      ["rejected", null, null, undefined, "not_an_object", undefined],
    ].toSorted(),
  );
  const { error, writeKeyId, receivedAt } = viewer.lines.find(({ messageId }) => messageId === "bad")!;
  deepStrictEqual([error.status, writeKeyId], [400, "default"]);
  match(error.message, /event must be/);
  strictEqual(new Date(receivedAt).toISOString(), receivedAt);
});

Deno.test("long values of a sender are shown cut", async () => {
  await using server = await openServer();
  await using viewer = await openViewer(server.url);
  const long = "x".repeat(20_000);
  await server.send("/api/v1/events", { type: long, userId: `${long}\ud800`, messageId: long });
  await viewer.until("it", () => viewer.lines.length === 1);
  ok(JSON.stringify(viewer.lines[0]).length < 2_000);
  strictEqual(viewer.lines[0]!.type, `${"x".repeat(512)}…`);
});

/** What is sent, and which of it each filter leaves. */
const SENT = [
  track("t1"),
  track("t2", { userId: "u2", event: "Signed Up" }),
  { type: "page", userId: "u1", name: "Order Completed", messageId: "p1" },
  { type: "identify", anonymousId: "a1", messageId: "i1", traits: { userId: "u1", type: "track" } },
  track("t1"),
  { type: "track", userId: "u1", messageId: "r1" },
];

const FILTERS: [query: string, left: string[]][] = [
  ["", ["t1", "t2", "p1", "i1", "t1", "r1"]],
  ["?status=accepted", ["t1", "t2", "p1", "i1"]],
  ["?status=duplicate", ["t1"]],
  ["?status=rejected", ["r1"]],
  ["?type=track", ["t1", "t2", "t1", "r1"]],
  ["?type=page", ["p1"]],
  ["?type=screen", []],
  ["?event=Order+Completed", ["t1", "t1"]],
  ["?event=Signed%20Up", ["t2"]],
  ["?event=signed%20up", []],
  ["?userId=u1", ["t1", "p1", "t1", "r1"]],
  ["?userId=u2", ["t2"]],
  ["?userId=a1", []],
  ["?writeKeyId=default", ["t1", "t2", "p1", "i1", "t1", "r1"]],
  ["?writeKeyId=other", []],
  ["?userId=u1&type=track&status=accepted", ["t1"]],
  ["?userId=u2&status=duplicate", []],
];

Deno.test("events that a filter excludes are not sent, and all others are", async () => {
  await using server = await openServer();
  const viewers = await Promise.all(FILTERS.map(([query]) => openViewer(server.url, { query })));
  await using all = await openViewer(server.url);
  for (const event of SENT) await server.send("/api/v1/events", event);
  await all.until("all", () => all.lines.length === SENT.length);
  for (const [index, viewer] of viewers.entries()) {
    await viewer.until("as many", () => viewer.lines.length >= FILTERS[index]![1].length);
  }
  // Whoever was shown what it should not be has been by now, or is before the stream ends.
  await systemClock.sleep(200);
  await server.app.stop();
  for (const [index, viewer] of viewers.entries()) {
    await viewer.ended;
    const [query, left] = FILTERS[index]!;
    // Events come in the order of the journal, notes in theirs.
    deepStrictEqual(idsOf(viewer).toSorted(), left.toSorted(), query);
  }
});

const BAD: [what: string, query: string, headers: Record<string, string>, place: string][] = [
  ["a status that is none", "?status=ok", {}, "status"],
  ["an empty status", "?status=", {}, "status"],
  ["a type that is none", "?type=Track", {}, "type"],
  ["an empty event", "?event=", {}, "event"],
  ["an event that is too long", `?event=${"x".repeat(513)}`, {}, "event"],
  ["an empty user", "?userId=", {}, "userId"],
  ["a user that is ill-formed", "?userId=%ff", {}, "userId"],
  ["a key given twice", "?writeKeyId=a&writeKeyId=b", {}, "writeKeyId"],
  ["a filter that is unknown", "?user=u1", {}, "user"],
  ["an id that is none", "", { "last-event-id": "x" }, ""],
  ["an id with a sign", "", { "last-event-id": "-1-1" }, ""],
  ["an id that is too large", "", { "last-event-id": "9".repeat(25) + "-1" }, ""],
];

for (const [what, query, headers, place] of BAD) {
  Deno.test(`${what} is 400, which names it`, async () => {
    await using test = await openTestApp();
    const { status, body } = await test.get(LIVE + query, {
      authorization: `Bearer ${ADMIN_TOKEN}`,
      ...headers,
    });
    strictEqual(status, 400);
    strictEqual(body.errors[0].path, place);
  });
}

Deno.test("a client that reconnects with its last id gets exactly the events in between, in order", async () => {
  await using server = await openServer();
  const seen: string[] = [];
  let lastEventId: string | undefined;
  for (let round = 0; round < 5; round++) {
    const viewer = await openViewer(server.url, { lastEventId });
    const before = seen.length;
    for (const part of [numbered(7, `a${round}_`), numbered(40, `b${round}_`)]) {
      await server.send("/api/v1/events/batch", { batch: part });
    }
    const missed = round === 0 ? 0 : 30;
    await viewer.until("all of the round", () => viewer.lines.length === 47 + missed);
    // Somewhere in the middle of a batch is where it was cut off.
    const kept = viewer.lines.length - 5;
    seen.push(...idsOf(viewer).slice(0, kept));
    lastEventId = viewer.ids[kept - 1];
    await viewer.close();
    strictEqual(seen.length, before + kept);
    await server.send("/api/v1/events/batch", { batch: numbered(25, `c${round}_`) });
  }
  const sent = Array.from(
    { length: 5 },
    (_, round) => [numbered(7, `a${round}_`), numbered(40, `b${round}_`), numbered(25, `c${round}_`)],
  ).flat(2);
  deepStrictEqual(seen, sent.map(({ messageId }) => messageId).slice(0, seen.length));
});

Deno.test("the id advances even if the filters leave nothing, so that no event is read twice", async () => {
  await using server = await openServer({ heartbeatMs: 50 });
  await using viewer = await openViewer(server.url, { query: "?userId=nobody" });
  await viewer.until("an id", () => viewer.lastId() !== undefined);
  const first = viewer.lastId();
  await server.send("/api/v1/events/batch", { batch: numbered(10) });
  await viewer.until("another id", () => viewer.lastId() !== first);
  await using again = await openViewer(server.url, { lastEventId: viewer.lastId() });
  await server.send("/api/v1/events", track("new"));
  await again.until("the new one", () => again.lines.length === 1);
  deepStrictEqual(idsOf(again), ["new"]);
});

Deno.test("a client that connected to an empty database and reconnects gets the events in between", async () => {
  await using server = await openServer();
  const viewer = await openViewer(server.url);
  await viewer.until("an id", () => viewer.lastId() !== undefined);
  await viewer.close();
  await server.send("/api/v1/events", track("m1"));
  await using again = await openViewer(server.url, { lastEventId: viewer.lastId() });
  await again.until("it", () => again.lines.length === 1);
  deepStrictEqual(idsOf(again), ["m1"]);
});

Deno.test("a connection on which nothing comes has a comment now and then", async () => {
  await using server = await openServer({ heartbeatMs: 50 });
  await using viewer = await openViewer(server.url);
  await viewer.until("three", () => viewer.comments.length >= 3);
  strictEqual(viewer.lines.length, 0);
});

Deno.test("a client that reconnects from too far back begins at the end, and gets the number of skipped events", async () => {
  await using server = await openServer({ limits: { maxBehindEvents: 20 } });
  await using first = await openViewer(server.url);
  await server.send("/api/v1/events/batch", { batch: numbered(5) });
  await first.until("five", () => first.lines.length === 5);
  await server.send("/api/v1/events/batch", { batch: numbered(30, "n") });
  await using again = await openViewer(server.url, { lastEventId: first.ids[2] });
  await again.until("how many", () => again.named.length === 1);
  deepStrictEqual(again.named, [{ event: "skipped", data: { status: "skipped", skipped: 32 } }]);
  await server.send("/api/v1/events", track("new"));
  await again.until("the new one", () => again.lines.length === 1);
  deepStrictEqual(idsOf(again), ["new"]);
});

Deno.test("an id from a database that was restored from a backup begins at the end", async () => {
  await using server = await openServer();
  await using viewer = await openViewer(server.url, { lastEventId: `${pack(2 ** 40, 0)}-5000` });
  await server.send("/api/v1/events", track("new"));
  await viewer.until("the new one", () => viewer.lines.length === 1);
  deepStrictEqual(idsOf(viewer), ["new"]);
});

Deno.test("a client that does not read delays nobody, and is told the number of missed events", async () => {
  // On a slow machine it reads nothing for longer than a client may.
  await using server = await openServer({ limits: { maxBehindEvents: 2_000, stalledMs: NO_LOOKS } });
  const { port } = new URL(server.url);
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
  await connection.write(
    new TextEncoder().encode(
      `GET ${LIVE} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${ADMIN_TOKEN}\r\n\r\n`,
    ),
  );
  // Its head: from here on it listens.
  await connection.read(new Uint8Array(16));
  await using other = await openViewer(server.url);
  // More than what sockets hold, and more than it may be behind.
  const event = "E".repeat(500);
  const total = 40 * 500;
  for (let n = 0; n < 40; n++) {
    const batch = Array.from({ length: 500 }, (_, i) => track(`m${n}_${i}`, { event }));
    strictEqual((await server.send("/api/v1/events/batch", { batch })).body.accepted, 500);
    await other.until("as many", () => other.lines.length === 500 * (n + 1));
  }
  let text = "";
  const decoder = new TextDecoder();
  const bytes = new Uint8Array(1 << 20);
  // The sizes between the chunks of the answer (RFC 9112, section 7.1) may stand in the middle of a line.
  const whole = () => text.replaceAll(/\r\n[0-9a-f]+\r\n/g, "");
  async function readUntil(found: RegExp): Promise<void> {
    // What was found before stays found: only the end of a long text is looked at.
    while (!found.test(whole().slice(-2 * bytes.length))) {
      const read = await connection.read(bytes);
      ok(read !== null, "the server has closed the stream");
      text += decoder.decode(bytes.subarray(0, read), { stream: true });
    }
  }
  // An id ends in the number of events that were shown or skipped until then; it may have missed some more than once.
  await readUntil(new RegExp(`-${total}\n`));
  await server.send("/api/v1/events", track("last"));
  await readUntil(new RegExp(`-${total + 1}\n`));
  const shown = whole().match(/"status":"accepted"/g)?.length ?? 0;
  const skipped = [...whole().matchAll(/"skipped":(\d+)/g)].reduce((sum, [, n]) => sum + Number(n), 0);
  ok(skipped > 0, "it was slow");
  strictEqual(shown + skipped, total + 1);
});

Deno.test("a client that reads nothing for long is disconnected, so that another gets its slot", async () => {
  await using server = await openServer({ limits: { stalledMs: 600 } });
  const { port } = new URL(server.url);
  const stalled = await Promise.all(Array.from({ length: MAX_LISTENERS }, async () => {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
    await connection.write(
      new TextEncoder().encode(
        `GET ${LIVE} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${ADMIN_TOKEN}\r\n\r\n`,
      ),
    );
    await connection.read(new Uint8Array(16));
    return connection;
  }));
  strictEqual((await server.get(LIVE, { authorization: `Bearer ${ADMIN_TOKEN}` })).status, 503);
  const event = "E".repeat(500);
  // Until one has its place.
  for (let n = 0, status = 503; status !== 200; n++) {
    const batch = Array.from({ length: 500 }, (_, i) => track(`m${n}_${i}`, { event }));
    await server.send("/api/v1/events/batch", { batch });
    ({ status } = await server.get(LIVE, { authorization: `Bearer ${ADMIN_TOKEN}` }));
  }
  for (const connection of stalled) connection.close();
});

Deno.test("a listener beyond the limit must retry later, and gets a slot once another leaves", async () => {
  await using server = await openServer();
  const viewers = await Promise.all(Array.from({ length: MAX_LISTENERS }, () => openViewer(server.url)));
  const asAdmin = { authorization: `Bearer ${ADMIN_TOKEN}` };
  const refused = await server.get(LIVE, asAdmin);
  deepStrictEqual([refused.status, refused.body.code], [503, "too_many_listeners"]);
  ok(Number(refused.headers.get("retry-after")) >= 1);
  await viewers[0]!.close();
  // The server learns of it when it next writes.
  for (let status = 503; status !== 200;) {
    await server.send("/api/v1/events", track(crypto.randomUUID()));
    ({ status } = await server.get(LIVE, asAdmin));
  }
  for (const viewer of viewers.slice(1)) await viewer.close();
});

Deno.test("while nobody listens nothing is noted; a stop ends every stream, and lets nobody listen any more", async () => {
  // Nothing else would end a stream, which waits for news, before the test is given up.
  await using server = await openServer({ heartbeatMs: NO_LOOKS, limits: { pace: NO_LOOKS } });
  while (server.system.live.wanted(performance.now())) await systemClock.sleep(5);
  await using viewer = await openViewer(server.url);
  strictEqual(server.system.live.wanted(performance.now()), true);
  await server.app.stop();
  await viewer.ended;
  const late = await server.system.live.listen({});
  strictEqual(await late.next(10_000), undefined);
});

Deno.test("if storage fails the stream ends, and the log says why", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  let fails = false;
  const system = await openTestSystem({
    ...store,
    list<T>(range: Range, options?: { batchSize?: number }) {
      // By its batch a listener's look is told from this process's own, which finds that something came.
      const isLook = "start" in range && range.start[0] === "journal" &&
        options?.batchSize === ENTRIES_AT_ONCE;
      if (fails && isLook) throw new StorageUnavailable("gone");
      return store.list<T>(range, options);
    },
  });
  await using server = await openServer({ system });
  // What another process has committed has to be read.
  const other = await openTestSystem(await place.open());
  await using viewer = await openViewer(server.url);
  const send = (messageId: string) =>
    other.commit([{ ...track(messageId), type: "track", receivedAt: "2025-03-15T14:30:00.000Z" }], "k");
  await send("m1");
  await viewer.until("it", () => viewer.lines.length === 1);
  fails = true;
  await send("m2");
  await viewer.ended;
  const { level, message, code } = server.logged.at(-1)!;
  deepStrictEqual([level, message, code], ["warn", "failed", "live"]);
  fails = false;
  await using again = await openViewer(server.url, { lastEventId: viewer.lastId() });
  await again.until("what was missed", () => again.lines.length === 1);
  deepStrictEqual(idsOf(again), ["m2"]);
  await other.close();
});

Deno.test("a view can begin with the last events, in their order, each marked as past and shown once", async () => {
  await using server = await openServer();
  await server.send("/api/v1/events/batch", { batch: [...numbered(30), track("x", { userId: "u2" })] });
  await using viewer = await openViewer(server.url, { query: "?last=5&userId=u1" });
  await viewer.until("the past is shown", () => viewer.lines.length >= 5);
  deepStrictEqual(idsOf(viewer), ["m25", "m26", "m27", "m28", "m29"]);
  ok(viewer.lines.every(({ past }) => past === true));
  await server.send("/api/v1/events", track("new"));
  await viewer.until("the new event is shown", () => viewer.lines.length >= 6);
  deepStrictEqual([idsOf(viewer).at(-1), viewer.lines.at(-1)!.past], ["new", undefined]);
  await using again = await openViewer(server.url, { query: "?last=5", lastEventId: viewer.lastId()! });
  await server.send("/api/v1/events", track("later"));
  await again.until("only later events are shown", () => again.lines.length >= 1);
  deepStrictEqual(idsOf(again), ["later"]);
  strictEqual(
    (await server.get(`${LIVE}?last=1001`, { authorization: `Bearer ${ADMIN_TOKEN}` })).status,
    400,
  );
});
