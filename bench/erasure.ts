/**
 * What erasure costs: judging an event while nobody, one and a million people are suppressed; holding the million; and erasing
 * people out of a journal. `deno run --frozen --allow-all bench/erasure.ts`
 */
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { LIMITS } from "../actors/limits.ts";
import { systemClock } from "../actors/store/clock.ts";
import { openSystem } from "../actors/open.ts";
import { SUPPRESSED, suppressedKey } from "../actors/store/keys.ts";
import { openStore } from "../actors/store/store.ts";
import { MAX_SUPPRESSED } from "../actors/erasure/suppressed_records.ts";
import { openSuppression } from "../actors/erasure/suppression.ts";
import type { StoredEvent } from "../domain/event/event.ts";

/** Events that are judged. */
const JUDGED = 500_000;

/** Digests in a page, as `actors/erasure/suppression.ts` has it. */
const PAGE_DIGESTS = 3_000;

/** Events of the one who is erased, among as many of others. */
const ERASED = 10_000;

/** How many devices others have who are erased, with an event on each and a link. */
const DEVICES = [2_000, 10_000];

const SUPPRESSION = {
  clock: systemClock,
  secret: "secret",
  limits: LIMITS,
  linkedSince: () => Promise.resolve(undefined),
};

const folder = await Deno.makeTempDir();
const store = await openStore(`${folder}/suppression.db`);

function judge(what: string, suppression: Awaited<ReturnType<typeof openSuppression>>): void {
  const users = Array.from({ length: 1000 }, (_, n) => ({ userId: `user-${n}` }));
  const began = performance.now();
  let count = 0;
  for (let n = 0; n < JUDGED; n++) if (suppression.isSuppressed(users[n % 1000]!)) count++;
  const microseconds = (performance.now() - began) * 1000 / JUDGED;
  console.log(`${what}: ${microseconds.toFixed(3)} µs an event (${count} refused)`);
}

judge("nobody is suppressed", await openSuppression(store, SUPPRESSION));
const one = await openSuppression(store, SUPPRESSION);
await one.add({ kind: "user", id: "gone" });
judge("one is suppressed", one);
for (let page = 0; page * PAGE_DIGESTS < MAX_SUPPRESSED; page++) {
  const digests = Math.min(PAGE_DIGESTS, MAX_SUPPRESSED - page * PAGE_DIGESTS);
  const bytes = new Uint8Array(Buffer.from(randomBytes(digests * 16)));
  await store.commit({
    checks: [],
    sets: [[suppressedKey(page), bytes], [SUPPRESSED, { count: MAX_SUPPRESSED }]],
  });
}
const heldBefore = Deno.memoryUsage();
const began = performance.now();
const million = await openSuppression(store, SUPPRESSION);
const loadedMs = performance.now() - began;
const heldMb = (Deno.memoryUsage().external - heldBefore.external) / 1024 / 1024;
judge("a million are suppressed", million);
console.log(`a million: loaded in ${loadedMs.toFixed(0)} ms; ${heldMb.toFixed(0)} MB`);
store.close();

const system = await openSystem({
  storage: `${folder}/erasure.db`,
  clock: systemClock,
  newId: () => crypto.randomUUID(),
  randomBytes: (bytes) => void crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>),
  dedupMs: 0,
  onFault: (error) => console.error(error),
});
const at = new Date().toISOString();
const eventOf = (userId: string): StoredEvent => ({
  type: "track",
  event: "Bought",
  userId,
  messageId: crypto.randomUUID(),
  properties: { total: Math.random() },
  timestamp: at,
  receivedAt: at,
});
for (let n = 0; n < ERASED / 250; n++) {
  await system.commit(
    Array.from({ length: 500 }, (_, i) => eventOf(i % 2 === 0 ? "gone" : `user-${n}-${i}`)),
    "key",
  );
}
await system.tick!();
async function erase(what: string, id: string): Promise<void> {
  const began = performance.now();
  const { erased } = await system.erasure.erase({ kind: "user", id }, { suppress: false });
  console.log(`erased ${what}: ${(performance.now() - began).toFixed(0)} ms (${erased.events} events)`);
}
await erase(`${ERASED} events among as many of others`, "gone");
await erase("nothing, again", "gone");
for (const devices of DEVICES) {
  const userId = `of-${devices}`;
  for (let n = 0; n < devices; n += 250) {
    const names = Array.from({ length: 250 }, (_, i) => `${userId}-${n + i}`);
    const { userId: _, ...page } = { ...eventOf(userId), type: "page" as const };
    const events = names.flatMap((anonymousId): StoredEvent[] => [
      { ...page, anonymousId, messageId: crypto.randomUUID() },
      { ...eventOf(userId), type: "identify", anonymousId, traits: {} },
    ]);
    await system.commit(events, "key");
  }
  await system.tick!();
  await erase(`a user of ${devices} devices`, userId);
}
await system.close();
await Deno.remove(folder, { recursive: true });
