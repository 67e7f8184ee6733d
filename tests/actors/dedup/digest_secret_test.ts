import { deepStrictEqual, notStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { digestOf } from "../../../actors/dedup/digest.ts";
import { OLD_HEAD } from "../../../actors/store/keys.ts";
import { OldDatabase, openSecret } from "../../../actors/dedup/digest_secret.ts";
import { eventWith, openOn, settle } from "../histories.ts";
import { FILE, MEMORY } from "../stores.ts";

const randomBytes = (bytes: Uint8Array) => void crypto.getRandomValues(bytes);

Deno.test("all who open a database at once have one secret, and another database has another", async () => {
  await using place = await FILE.make();
  const stores = await Promise.all([place.open(), place.open(), place.open()]);
  const secrets = await Promise.all(stores.map((store) => openSecret(store, randomBytes)));
  strictEqual(new Set(secrets).size, 1);
  strictEqual(await openSecret(stores[0]!, randomBytes), secrets[0]);
  for (const store of stores) store.close();
  await using elsewhere = await MEMORY.make();
  const other = await openSecret(await elsewhere.open(), randomBytes);
  notStrictEqual(other, secrets[0]);
  notStrictEqual(digestOf("m1", other), digestOf("m1", secrets[0]!));
});

Deno.test("a database that 0.3 wrote is refused in one line, which says how to import it", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  await store.commit({ checks: [], sets: [[OLD_HEAD, { seq: 1, events: 1, commit: "c", at: 0 }]] });
  await rejects(openSecret(store, randomBytes), (error) => {
    ok(error instanceof OldDatabase && /^[^\n]*deno task import OLD\.db$/.test(error.message), String(error));
    return true;
  });
});

Deno.test("message ids that were chosen to meet in the dedup index do not stop settling", async () => {
  // More than a part can hold, all with the same first bits: easy to find for who knows how digests are made.
  const chosen: string[] = [];
  for (let i = 0; chosen.length < 6_000; i++) if (digestOf(`${i}`, "").startsWith("00")) chosen.push(`${i}`);
  await using place = await MEMORY.make();
  const faults: unknown[] = [];
  const system = await openOn(await place.open(), { faults });
  for (let i = 0; i < chosen.length; i += 500) {
    await system.commit(chosen.slice(i, i + 500).map((messageId) => eventWith({ messageId })), "k");
  }
  await settle(system);
  const { head, settled } = await system.stats();
  strictEqual(settled, head);
  const again = await system.commit(chosen.map((messageId) => eventWith({ messageId })), "k");
  ok(again.every(({ duplicate }) => duplicate));
  await system.close();
  deepStrictEqual(faults, []);
});
