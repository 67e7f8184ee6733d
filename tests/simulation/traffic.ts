/** What senders send in a history: events over few actors, so that they meet; times that tie; some late; some large. */
import { EVENT_TYPES, type StoredEvent } from "../../domain/event/event.ts";
import type { Random } from "./random.ts";

/** When histories begin. */
export const BEGIN_MS = Date.parse("2025-03-15T12:00:00.000Z");

export const USERS = ["u1", "u2", "u3", "__proto__"];
export const ANONYMOUS = ["a1", "a2", "a3", "a4", "u1"];
export const GROUPS = ["g1", "g2", "constructor"];
const NAMES = ["Order Completed", "Product Viewed", "__proto__"];
const TRAITS = ["plan", "email", "__proto__", "seats"];

/** A history has so many events in its journal at the least; some more are sent, as some get lost. */
export const MIN_EVENTS = 30;
const SPARE_EVENTS = 3;
const MORE_EVENTS = 15;

/** The journal of a history names so many of them at the least. */
export const MIN_ACTORS = 10;

/** An event before a sender has sent it: without a time of receipt. */
export type Draft = Omit<StoredEvent, "receivedAt"> & { messageId: string };

/** The requests of a history, each some events. */
export function drawRequests(random: Random): Draft[][] {
  const count = MIN_EVENTS + SPARE_EVENTS + random.below(MORE_EVENTS);
  const names = shuffled(random, [
    ...USERS.map((userId) => ({ userId })),
    ...ANONYMOUS.map((anonymousId) => ({ anonymousId })),
    ...GROUPS.map((groupId) => ({ groupId })),
  ]);
  const drafts = Array.from({ length: count }, (_, i) => drawEvent(random, i, names[i] ?? {}));
  const requests: Draft[][] = [];
  const most = random.pick([1, 4, 8]);
  while (drafts.length > 0) requests.push(drafts.splice(0, 1 + random.below(most)));
  return requests;
}

type Naming = { userId?: string; anonymousId?: string; groupId?: string };

/** An event that names whom it must, and others. */
function drawEvent(random: Random, i: number, must: Naming): Draft {
  const type = must.groupId !== undefined
    ? "group"
    : random.pick([...EVENT_TYPES, "identify", "identify", "track", "group"] as const);
  const userId = must.userId ??
    (must.anonymousId === undefined && random.chance(0.5) ? random.pick(USERS) : undefined);
  const isBoth = type === "alias" || (type === "identify" && random.chance(0.5));
  const user = userId ?? (isBoth && must.anonymousId === undefined ? random.pick(USERS) : undefined);
  const isLone = user === undefined || must.anonymousId !== undefined;
  const anonymousId = must.anonymousId ?? (isLone || isBoth ? random.pick(ANONYMOUS) : undefined);
  const traits = type === "identify" || type === "group" ? { traits: drawTraits(random) } : {};
  const at = random.chance(0.1) ? -1 - random.below(100) : random.below(20);
  const draft = {
    // An alias needs a user: without one it is a page.
    type: type === "alias" && user === undefined ? "page" : type,
    messageId: `m${i}`,
    ...(user === undefined ? {} : { userId: user }),
    ...(type === "alias" && user !== undefined
      ? { previousId: anonymousId }
      : anonymousId === undefined
      ? {}
      : { anonymousId }),
    ...(type === "group" ? { groupId: must.groupId ?? random.pick(GROUPS) } : {}),
    ...(type === "track" ? { event: random.pick(NAMES) } : {}),
    ...traits,
    ...(random.chance(0.15) ? { context: { locale: random.pick(["en", "de", "fr"]) } } : {}),
    timestamp: new Date(BEGIN_MS + at * 1000).toISOString(),
  };
  return draft as Draft;
}

function drawTraits(random: Random): Record<string, unknown> {
  const pairs: string[] = [];
  for (let i = random.below(3); i >= 0; i--) {
    const value = random.chance(0.15)
      ? null
      : random.chance(0.15)
      ? letters(random, 60 + random.below(200))
      : random.below(100);
    pairs.push(`${JSON.stringify(random.pick(TRAITS))}:${JSON.stringify(value)}`);
  }
  // Through JSON, so that a member `__proto__` is one.
  return JSON.parse(`{${pairs.join(",")}}`);
}

/** Text that does not compress to nothing. */
function letters(random: Random, length: number): string {
  let text = "";
  while (text.length < length) text += Math.floor(random.next() * 2 ** 40).toString(36);
  return text;
}

/** The same things in another order. */
function shuffled<T>(random: Random, items: T[]): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [items[i], items[j]] = [items[j]!, items[i]!];
  }
  return items;
}
