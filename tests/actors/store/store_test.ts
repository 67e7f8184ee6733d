/** What a store makes of a file that others use. */
import { rejects, strictEqual } from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { openStore } from "../../../actors/store/store.ts";
import { eventually, tempDir } from "../../process/server.ts";
import { StorageFault, StorageUnavailable } from "../../../actors/store/errors.ts";

Deno.test("a file that another process keeps locked is storage that does not answer, and can be read meanwhile", async () => {
  await using dir = await tempDir();
  const store = await openStore(`${dir.path}/kv.db`);
  const write = (value: string, key = "name") => store.commit({ checks: [], sets: [[[key], value]] });
  await write("before");
  const other = new DatabaseSync(`${dir.path}/kv.db`);
  other.exec("BEGIN IMMEDIATE");
  // After some 5 s: SQLite waits for so long.
  await rejects(
    write("locked"),
    (error) => error instanceof StorageUnavailable && !(error instanceof StorageFault),
  );
  // Deno KV deletes what has expired now and then; if it waits for the lock with that, reads wait for it.
  const read = () =>
    store.get(["name"]).catch((error) => {
      if (error instanceof StorageUnavailable) return undefined;
      throw error;
    });
  await eventually("it is read", async () => (await read())?.value === "before");
  other.exec("ROLLBACK");
  other.close();
  // Under another key: the write that was given up may still be done.
  await write("after", "later");
  strictEqual((await store.get(["later"])).value, "after");
  store.close();
});
