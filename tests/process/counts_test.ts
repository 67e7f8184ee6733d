/** Counts of two servers on one database add up, and outlive their processes. */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { eventually, type Server, startServer, tempDir } from "./server.ts";

const pages = (n: number) => Array.from({ length: n }, () => ({ type: "page", userId: "u" }));

/** Accepted, duplicate and rejected of the last day. */
async function sums(server: Server): Promise<[number, number, number]> {
  const { accepted, duplicate, rejected } = (await server.ask("/api/v1/admin/stats")).body.counts;
  return [accepted, duplicate, rejected];
}

Deno.test("two servers' counts add up, soon or when one stops, and a kill loses only what is newer", async () => {
  await using dir = await tempDir();
  const kvPath = `${dir.path}/kv.db`;
  const servers = await Promise.all([startServer(kvPath), startServer(kvPath)]);
  await using one = servers[0];
  await using two = servers[1];
  await one.send([...pages(30), { type: "page" }]);
  await two.send(pages(20));
  const again = { type: "page", userId: "u", messageId: "m" };
  await two.send([again, again]);
  deepStrictEqual((await sums(one))[2], 1, "a server knows its own at once");
  await eventually("the other's counts", async () => (await sums(one))[0] === 51, { everyMs: 250 });
  deepStrictEqual(await sums(one), [51, 1, 1]);

  await two.send(pages(7));
  strictEqual((await two.end("SIGTERM")).code, 0);
  deepStrictEqual(await sums(one), [58, 1, 1], "who stops writes first");

  await one.send(pages(5));
  await one.end("SIGKILL");
  await using later = await startServer(kvPath);
  const { body: { head, counts: { accepted } } } = await later.ask("/api/v1/admin/stats");
  strictEqual(head, 63);
  ok(accepted >= 58 && accepted <= 63, `${accepted}: what was counted in the last 5 s may be lost`);
  await later.send(pages(1));
  strictEqual((await sums(later))[0], accepted + 1);
});
