/** The live view of two servers on one database file: each shows what either takes, and outlives the other. */
import { deepStrictEqual, strictEqual } from "node:assert";
import { openViewer, type Viewer } from "../routes/admin/live_client.ts";
import { ADMIN_TOKEN, eventually, runTask, sleep, startServer, tempDir } from "./server.ts";

const track = (messageId: string) => ({ type: "track", event: "A", userId: "u", messageId });

const view = (url: string, lastEventId?: string) => openViewer(url, { token: ADMIN_TOKEN, lastEventId });

const accepted = ({ lines }: Viewer) =>
  lines.filter(({ status }) => status === "accepted").map(({ messageId }) => messageId);

/** The processes that keep notes for others in a database. */
async function noting(kvPath: string): Promise<number> {
  using kv = await Deno.openKv(kvPath);
  let count = 0;
  for await (const _ of kv.list({ prefix: ["notes"] })) count++;
  return count;
}

Deno.test("one server shows what another accepts, and its duplicates and rejections while somebody listens", async () => {
  await using dir = await tempDir();
  const kvPath = `${dir.path}/kv.db`;
  await using one = await startServer(kvPath);
  await using two = await startServer(kvPath);
  await two.send(track("m"));
  await two.send(track("m"));
  strictEqual(await noting(kvPath), 0, "nobody listens");
  await using viewer = await view(one.url);
  // Accepted events need nobody to learn anything.
  await two.send(track("other"));
  await viewer.until("what the other took", () => accepted(viewer).includes("other"));

  await eventually("a duplicate of the other", async () => {
    await two.send(track("m"));
    return viewer.lines.some(({ status }) => status === "duplicate");
  }, { everyMs: 200 });
  // From now on each is shown once.
  const before = viewer.lines.length;
  for (let n = 0; n < 30; n++) {
    await two.send(n % 2 === 0 ? track("m") : { type: "track", messageId: `r${n}` });
  }
  await viewer.until("all of them", () => {
    return viewer.lines.slice(before).filter(({ status }) => status === "rejected").length === 15;
  });
  deepStrictEqual(
    viewer.lines.filter(({ status }) => status === "rejected").map(({ messageId, error }) => [
      messageId,
      error.status,
      error.code,
    ]),
    Array.from({ length: 15 }, (_, n) => [`r${2 * n + 1}`, 400, "missing_event"]),
  );
  strictEqual(await noting(kvPath), 1);

  await viewer.close();
  await eventually("nothing is noted any more", async () => {
    await one.send(track("m"));
    await two.send(track("m"));
    return await noting(kvPath) === 0;
  }, { everyMs: 500 });
});

Deno.test("views of two servers show one order, that of the journal, and nothing twice or missing", async () => {
  await using dir = await tempDir();
  const kvPath = `${dir.path}/kv.db`;
  await using one = await startServer(kvPath);
  await using two = await startServer(kvPath);
  await using a = await view(one.url);
  await using b = await view(two.url);
  const total = 2 * 20 * 30;
  await Promise.all([one, two].flatMap((server, s) =>
    Array.from({ length: 2 }, async (_, worker) => {
      for (let n = 0; n < 10; n++) {
        const batch = Array.from({ length: 30 }, (_, i) => track(`${s}_${worker}_${n}_${i}`));
        strictEqual((await server.send(batch)).status, 200);
      }
    })
  ));
  await Promise.all([a, b].map((each) => each.until("all", () => accepted(each).length === total)));
  const { stdout } = await runTask(kvPath, "export");
  const journal = stdout.trim().split("\n").map((line) => JSON.parse(line).messageId);
  deepStrictEqual([accepted(a), accepted(b)], [journal, journal]);
});

Deno.test("a view that a kill cut off goes on where it was, at whatever server, without a gap", async () => {
  await using dir = await tempDir();
  const kvPath = `${dir.path}/kv.db`;
  await using two = await startServer(kvPath);
  const seen: string[] = [];
  let lastEventId: string | undefined;
  let sent = 0;
  const send = async () => {
    const batch = Array.from({ length: 20 }, () => track(`m${sent++}`));
    strictEqual((await two.send(batch)).status, 200);
  };
  for (let round = 0; round < 3; round++) {
    const one = await startServer(kvPath);
    const viewer = await view(one.url, lastEventId);
    const until = sent;
    await send();
    await viewer.until("what was missed", () => seen.length + accepted(viewer).length >= until + 20);
    // It is killed while more comes.
    const sending = send();
    await sleep(50 * round);
    await one.end("SIGKILL");
    await viewer.ended;
    await sending;
    seen.push(...accepted(viewer));
    lastEventId = viewer.lastId();
    await send();
  }
  await using viewer = await view(two.url, lastEventId);
  await viewer.until("the rest", () => seen.length + accepted(viewer).length === sent);
  seen.push(...accepted(viewer));
  deepStrictEqual(seen, Array.from({ length: sent }, (_, n) => `m${n}`));
});

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.test(`${signal} ends a view, and the server within 5 s`, async () => {
    await using dir = await tempDir();
    const kvPath = `${dir.path}/kv.db`;
    await using server = await startServer(kvPath);
    const viewers = await Promise.all([view(server.url), view(server.url)]);
    // One more that reads nothing, of whom more waits than sockets hold.
    const { hostname, port } = new URL(server.url);
    using stalled = await Deno.connect({ hostname, port: Number(port) });
    const request =
      `GET /api/v1/admin/live HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${ADMIN_TOKEN}\r\n\r\n`;
    await stalled.write(new TextEncoder().encode(request));
    const event = "E".repeat(500);
    const total = 20 * 500;
    for (let n = 0; n < 20; n++) {
      await server.send(Array.from({ length: 500 }, (_, i) => ({ ...track(`${n}_${i}`), event })));
    }
    for (const viewer of viewers) await viewer.until("all", () => viewer.lines.length === total);
    const { code } = await server.end(signal);
    // It ends itself with another before the 5 s are over, if it has to wait.
    strictEqual(code, 0, server.written());
    for (const viewer of viewers) await viewer.ended;
  });
}
