/** A server on a database that a newer version settles. */
import { match, ok, strictEqual } from "node:assert/strict";
import { FOLD_VERSION } from "../../domain/profile/fact.ts";
import { copyRepository, spawnTask } from "../routes/spawned.ts";
import {
  ADMIN_TOKEN,
  eventually,
  runTask,
  startServer,
  tempDir,
  WRITE_KEY,
  writes,
} from "../process/server.ts";
import { BATCH, batch, isReady, settled } from "../process/storage.ts";

Deno.test("beside a newer fold version a server of the older one takes events, reads right, and leaves settling to it", async () => {
  await using dir = await tempDir();
  const kvPath = `${dir.path}/kv.db`;
  const newerCode = await copyRepository();
  try {
    const source = `${newerCode}/domain/profile/fact.ts`;
    const text = await Deno.readTextFile(source);
    const newer = text.replace(
      /FOLD_VERSION = (\d+)/,
      (_, version) => `FOLD_VERSION = ${Number(version) + 1}`,
    );
    ok(newer !== text);
    await Deno.writeTextFile(source, newer);
    const env = { PORT: "0", HOST: "127.0.0.1", KV_URL: kvPath, ADMIN_TOKEN, WRITE_KEY };

    await using older = await startServer(kvPath);
    strictEqual((await older.send(batch(0))).status, 200);
    await settled(older);
    {
      await using upgraded = spawnTask(newerCode, "start", env);
      const url = await upgraded.url();
      // Each settles what it has taken; once the newer has, it is the only one.
      let sent = 0;
      await eventually("the newer settles", async () => {
        using kv = await Deno.openKv(kvPath);
        const { value } = await kv.get<{ fold: number }>(["settled"]);
        if (value!.fold > FOLD_VERSION) return true;
        const answer = await fetch(`${url}/api/v1/events/batch`, {
          method: "POST",
          headers: { authorization: `Basic ${btoa(`${WRITE_KEY}:`)}` },
          body: JSON.stringify({ batch: batch(1000 + sent++) }),
        });
        strictEqual((await answer.json()).accepted, BATCH);
        return false;
      }, { everyMs: 500 });
      await settled(older);
      ok(await isReady(older));
      strictEqual((await older.ask("/api/v1/users/u1")).body.eventCount, (1 + sent) * BATCH);
    }
    const before = (await older.ask("/api/v1/users/u1")).body.eventCount;
    strictEqual((await older.send(batch(3))).status, 200);
    strictEqual((await older.ask("/api/v1/users/u1")).body.eventCount, before + BATCH);
    await writes(older, new RegExp(`\\(fold ${FOLD_VERSION + 1}, this process has ${FOLD_VERSION}\\)`));
    const { code, stderr } = await runTask(kvPath, "replay", "--user", "u1");
    strictEqual(code, 2);
    match(stderr, /^signalfold: .*written by a newer version/m);
    await eventually("nobody settles: the older is not ready", async () => !await isReady(older), {
      everyMs: 500,
    });

    await using upgraded = spawnTask(newerCode, "start", env);
    await upgraded.url();
    await eventually("ready again", () => isReady(older), { everyMs: 500 });
    strictEqual((await older.ask("/api/v1/users/u1")).body.eventCount, before + BATCH);
    await settled(older);
    await using replayed = spawnTask(newerCode, "replay", env);
    strictEqual((await replayed.status).code, 0, replayed.errors());
  } finally {
    await Deno.remove(newerCode, { recursive: true });
  }
});
