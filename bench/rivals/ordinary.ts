/**
 * The ordinary implementation on Deno KV: one atomic operation per event that refuses a message id already seen,
 * appends to the user's log and folds into the user's profile. A batch is its events, one by one and several at a
 * time, so that half of one can stay where the server dies.
 */
import type { StoredEvent } from "../../domain/event/event.ts";
import { evolve, ownerOf, type Profile, shown } from "./profile.ts";
import { serveRival, variable } from "./rival.ts";
import type { Receipt } from "../../actors/appending/commit_group.ts";
import { StorageUnavailable } from "../../actors/store/errors.ts";

/** Users of a batch that are worked on at a time: KV gains nothing by more. */
const IN_FLIGHT = 64;

/** How long one event tries again after lost races, in ms. */
const DEADLINE_MS = 10_000;

/** The longest pause after a lost race, in ms; each is a random part of it, so that losers do not meet again. */
const PAUSE_MS = 20;

const kv = await Deno.openKv(variable("KV_URL"));
let stored = 0;

/** Appends and folds one event, or finds that its message id was there. */
async function commitOne(event: StoredEvent): Promise<Receipt> {
  const owner = ownerOf(event);
  const seenKey = ["seen", event.messageId];
  const until = performance.now() + DEADLINE_MS;
  while (performance.now() < until) {
    const before = await kv.get<Profile>(["profile", owner]);
    const profile = evolve(before.value, event);
    const { ok } = await kv.atomic()
      .check({ key: seenKey, versionstamp: null }, before)
      .set(seenKey, owner)
      .set(["log", owner, profile.eventCount], event)
      .set(before.key, profile)
      .commit();
    if (ok) {
      stored++;
      return { messageId: event.messageId, duplicate: false };
    }
    const seen = await kv.get(seenKey);
    if (seen.versionstamp !== null) return { messageId: event.messageId, duplicate: true };
    await new Promise((resolve) => setTimeout(resolve, Math.random() * PAUSE_MS));
  }
  throw new StorageUnavailable(`gave up after ${DEADLINE_MS} ms of lost races for ${owner}`);
}

/** Commits a request's events: those of one user in order, the users side by side. */
async function commit(events: StoredEvent[]): Promise<Receipt[]> {
  const receipts: Receipt[] = [];
  const waiting = Map.groupBy(events.keys(), (index) => ownerOf(events[index]!)).values();
  async function work() {
    for (const indexes of waiting) {
      for (const index of indexes) receipts[index] = await commitOne(events[index]!);
    }
  }
  await Promise.all(Array.from({ length: Math.min(IN_FLIGHT, events.length) }, work));
  return receipts;
}

serveRival({
  commit,
  user: async (userId) => {
    const { value } = await kv.get<Profile>(["profile", `user/${userId}`]);
    return value === null ? null : shown(value);
  },
  stored: () => Promise.resolve(stored),
  close: () => Promise.resolve(kv.close()),
});
