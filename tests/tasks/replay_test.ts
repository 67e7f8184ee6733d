/** `deno task replay` beside a running server: readers notice nothing, and what was spoilt is found and mended. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { actorKey } from "../../actors/store/keys.ts";
import { createLedger, newSeed, randomOf, type SentEvent } from "../process/ledger.ts";
import { openStore } from "../../actors/store/store.ts";
import { eventually, runTask, type Server, sleep, startServer, tempDir } from "../process/server.ts";

/** What is done beside the load, one after the other. */
const REPLAYS = [
  ["--all"],
  ["--verify"],
  ["--user", "watched"],
  ["--anonymous", "anon"],
  ["--group", "watched"],
  ["--all"],
  ["--verify"],
];

/** What a reader of a profile found wrong: it only grows, and holds all that was answered before it was asked for. */
async function watch(
  server: Server,
  { path, answered, signal }: { path: string; answered(): number; signal: AbortSignal },
): Promise<{ reads: number; wrong: string[] }> {
  const wrong: string[] = [];
  let reads = 0;
  let last = 0;
  while (!signal.aborted) {
    const least = Math.max(last, answered());
    const { status, body } = await server.ask(path);
    reads++;
    if (status !== 200) wrong.push(`read ${reads}: ${status} ${JSON.stringify(body)}`);
    else if (body.eventCount < least) wrong.push(`read ${reads}: ${body.eventCount} after ${least}`);
    else last = body.eventCount;
    await sleep(5);
  }
  return { reads, wrong };
}

Deno.test("while everything is replayed under load, each read shows all that was answered, and verify finds nothing", async () => {
  await using dir = await tempDir();
  const kvPath = `${dir.path}/kv.db`;
  await using server = await startServer(kvPath);
  const ledger = createLedger("noise", randomOf(newSeed("replay under load")));
  const stop = new AbortController();
  const { signal } = stop;
  let watched = 0;
  const event = (): SentEvent => ({
    type: "track",
    event: "Watched",
    userId: "watched",
    messageId: `watched_${watched}`,
  });
  strictEqual(
    (await server.send({ ...event(), messageId: "first", type: "group", groupId: "watched" })).status,
    200,
  );
  strictEqual(
    (await server.send({ ...event(), messageId: "link", type: "identify", anonymousId: "anon" })).status,
    200,
  );
  await Promise.all(
    Array.from({ length: 30 }, () => ledger.send(server, Array.from({ length: 300 }, ledger.event))),
  );

  const sender = async () => {
    while (!signal.aborted) {
      // By turns the user's own event and one of the anonymous id that is theirs.
      const { userId: _, ...anonymous } = event();
      const { status } = await server.send(
        watched % 2 === 0 ? event() : { ...anonymous, anonymousId: "anon" },
      );
      strictEqual(status, 200);
      watched++;
      await sleep(5);
    }
  };
  const answered = () => watched + 2;
  const background = Promise.all([ledger.load(server, { workers: 2, signal, restMs: 100 }), sender()]);
  const watches = Promise.all([
    watch(server, { path: "/api/v1/users/watched", answered, signal }),
    watch(server, { path: "/api/v1/anonymous/anon", answered, signal }),
    watch(server, { path: "/api/v1/groups/watched", answered: () => 1, signal }),
  ]);
  const ends = [];
  try {
    for (const args of REPLAYS) ends.push({ args, ...await runTask(kvPath, "replay", ...args) });
  } finally {
    stop.abort();
    await background;
  }
  for (const { reads, wrong } of await watches) {
    deepStrictEqual(wrong.slice(0, 5), [], `of ${reads} reads ${wrong.length} are wrong`);
    ok(reads > 50, `${reads} reads`);
  }
  for (const { args, code, stdout, stderr } of ends) {
    strictEqual(code, 0, `replay ${args.join(" ")}: ${stdout}${stderr}`);
    match(stdout, args[0] === "--verify" ? /^verified \d+ events.*; no differences/ : /^replayed /);
  }
  const { body: profile } = await server.ask("/api/v1/users/watched");
  strictEqual(profile.eventCount, watched + 2);
});

Deno.test("a state that was spoilt in the database is named by verify, and mended by a replay of its user", async () => {
  await using dir = await tempDir();
  const kvPath = `${dir.path}/kv.db`;
  await using server = await startServer(kvPath);
  const batch = Array.from({ length: 60 }, (_, n) => (
    { type: "track", event: "Order Completed", userId: `user_${n % 3}`, messageId: `m${n}` }
  ));
  strictEqual((await server.send(batch)).status, 200);
  await eventually(
    "all is settled",
    async () => (await server.ask("/api/v1/admin/stats")).body.unsettled === 0,
  );
  strictEqual((await runTask(kvPath, "replay", "--verify")).code, 0);

  await spoil(kvPath, "user_1");
  strictEqual((await server.ask("/api/v1/users/user_1")).body.counts.track, 21);
  const all = await runTask(kvPath, "replay", "--verify");
  strictEqual(all.code, 1);
  match(all.stdout, /^differs: .*user_1/m);
  ok(!/user_0|user_2/.test(all.stdout), all.stdout);
  const one = await runTask(kvPath, "replay", "--user", "user_1", "--verify");
  strictEqual(one.code, 1);
  match(one.stdout, /^differs: user\/user_1$/m);
  strictEqual((await server.ask("/api/v1/users/user_1")).body.counts.track, 21, "verify mends nothing");

  const mended = await runTask(kvPath, "replay", "--user", "user_1");
  strictEqual(mended.code, 0, mended.stderr);
  strictEqual((await server.ask("/api/v1/users/user_1")).body.counts.track, 20);
  const after = await runTask(kvPath, "replay", "--verify");
  strictEqual(after.code, 0, after.stdout);
  await server.send({ type: "track", event: "Order Completed", userId: "user_1", messageId: "next" });
  strictEqual((await server.ask("/api/v1/users/user_1")).body.counts.track, 21, "and it goes on from there");
});

Deno.test("a replay of an unknown user reports that, and ends with a status other than 0", async () => {
  await using dir = await tempDir();
  (await openStore(`${dir.path}/kv.db`)).close();
  const { code, stderr } = await runTask(`${dir.path}/kv.db`, "replay", "--user", "nobody");
  ok(code !== 0);
  match(stderr, /Unknown user nobody\./);
});

/** Adds one to the count of `track` events in a user's settled state, behind the server's back. */
async function spoil(kvPath: string, userId: string): Promise<void> {
  using kv = await Deno.openKv(kvPath);
  const { value: settled } = await kv.get<{ generation: number }>(["settled"]);
  const key = actorKey(settled!.generation, "user", userId) as Deno.KvKey;
  const { value, versionstamp } = await kv.get<unknown>(key);
  // The stored bytes are JSON, alone or as a member of the value.
  const bytes = value instanceof Uint8Array ? value : (value as { state: Uint8Array }).state;
  const spoilt = addToCounts(bytes);
  const changed = value instanceof Uint8Array ? spoilt : { ...value as object, state: spoilt };
  const { ok: done } = await kv.atomic().check({ key, versionstamp }).set(key, changed).commit();
  ok(done);
}

function addToCounts(bytes: Uint8Array): Uint8Array {
  const text = new TextDecoder().decode(bytes);
  const counts = /\[20,0,0,0,0,0\]|\[0,20,0,0,0,0\]/.exec(text)?.[0];
  ok(counts !== undefined, `counts of 20 track events in ${text}`);
  return new TextEncoder().encode(text.replace(counts, counts.replace("20", "21")));
}
