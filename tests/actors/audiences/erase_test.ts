/** The erasure of transitions, while another process rewrites the same entry of the journal. */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { openSystem } from "../../../actors/open.ts";
import { FLAGS } from "../../../actors/journal/header.ts";
import {
  type JournalEntry,
  linesOfEntry,
  readJournal,
  rewriteEntry,
} from "../../../actors/journal/read_journal.ts";
import { openStore, type Store, type Write } from "../../../actors/store/store.ts";
import type { StoredEvent } from "../../../domain/event/event.ts";
import { clockAt } from "../clocks.ts";

const NOW = Date.parse("2026-01-01T00:00:00Z");

const eventOf = (userId: string): StoredEvent => ({
  type: "track",
  messageId: `of ${userId}`,
  userId,
  event: "Logged In",
  timestamp: new Date(NOW).toISOString(),
  receivedAt: new Date(NOW).toISOString(),
});

/** The transitions of each user that the journal still has, and an entry that has some. */
async function transitionsIn(store: Store): Promise<{ users: string[]; entry: JournalEntry | undefined }> {
  const users: string[] = [];
  let found: JournalEntry | undefined;
  for await (const entry of readJournal(store, {})) {
    const events: StoredEvent[] = (await linesOfEntry(store, entry)).map((line) => JSON.parse(line));
    const derived = events.filter((event) => event.derived === true);
    if (derived.length > 0) found = entry;
    users.push(...derived.map(({ userId }) => userId!));
  }
  return { users: users.sort(), entry: found };
}

Deno.test("what another process erased of an entry meanwhile does not come back with an erased transition", async () => {
  const store = await openStore(":memory:");
  /** Acts before the next write that rewrites an entry under the lease of audiences. */
  let meanwhile: (() => Promise<void>) | undefined;
  const rewritesEntry = ({ checks, sets }: Write) =>
    sets.some(([[name]]) => name === "journal") && checks.some(({ key }) => key[0] === "audiencesFollowed");
  const system = await openSystem({
    storage: {
      ...store,
      async commit(write) {
        const act = meanwhile;
        if (act !== undefined && rewritesEntry(write)) {
          meanwhile = undefined;
          await act();
        }
        return await store.commit(write);
      },
      close() {},
    },
    clock: clockAt(() => NOW),
    newId: () => crypto.randomUUID(),
    randomBytes: (bytes) => void crypto.getRandomValues(bytes),
    dedupMs: 0,
    onFault: (error) => console.error(error),
  });
  const where = { event: "Logged In" };
  await system.audiences.put({ name: "seen", where, emit: true }, { by: "test", address: "" });
  await system.audiences.tick(60_000);
  await system.commit([eventOf("jane"), eventOf("joe")], "key");
  await system.audiences.tick(60_000);
  const { users, entry } = await transitionsIn(store);
  deepStrictEqual(users, ["jane", "joe"], "both transitions were appended");
  const events: StoredEvent[] = (await linesOfEntry(store, entry!)).map((line) => JSON.parse(line));
  strictEqual(events.length, 2, "they are in one entry");
  let hasActed = false;
  meanwhile = async () => {
    const changeOf = (index: number) => events[index]!.userId === "joe" ? { gone: FLAGS.erased } : undefined;
    const { sets, deletes } = await rewriteEntry(store, entry!, { changeOf, lineWithout: (line) => line });
    ok(await store.commit({ checks: [], sets, deletes }) !== null);
    hasActed = true;
  };
  await system.erasure.erase({ kind: "user", id: "jane" }, { suppress: false });
  ok(hasActed);
  deepStrictEqual((await transitionsIn(store)).users, []);
  await system.close();
  store.close();
});
