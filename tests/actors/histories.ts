/** Random histories of events, and a system to send them to. */
import fc from "fast-check";
import { clockAt } from "./clocks.ts";
import { type OpenOptions, openSystem } from "../../actors/open.ts";
import type { Store } from "../../actors/store/store.ts";
import type { System } from "../../actors/system.ts";
import { EVENT_TYPES, type StoredEvent } from "../../domain/event/event.ts";
import { HOSTILE_NAMES, traitMaps } from "../domain/profile/facts.ts";

/** When histories begin. */
export const BEGIN_MS = Date.parse("2025-03-15T12:00:00.000Z");

export const USERS = ["u1", "u2", "__proto__", "undefined"];
export const ANONYMOUS = ["a1", "a2", "u1", "null"];
export const GROUPS = ["g1", "constructor"];
export const NAMES = ["Order Completed", ...HOSTILE_NAMES.slice(0, 2)];

/** A clock that tests set: the time of day, and where a test says so the one that nobody can set. */
export interface Clock {
  ms: number;
  monotonic?(): number;
}

/** Opens a system whose clock is given; what makes settling fail goes to `faults`. */
export function openOn(
  storage: string | Store,
  { clock = { ms: BEGIN_MS }, dedupMs = 0, faults = [], limits, observer }: {
    clock?: Clock;
    dedupMs?: number;
    faults?: unknown[];
    limits?: OpenOptions["limits"];
    observer?: OpenOptions["observer"];
  } = {},
): Promise<System> {
  return openSystem({
    storage,
    clock: { ...clockAt(() => clock.ms), ...clock.monotonic && { monotonic: clock.monotonic } },
    newId: () => crypto.randomUUID(),
    randomBytes: (bytes) => void crypto.getRandomValues(bytes),
    dedupMs,
    onFault: (error) => void faults.push(error),
    ...limits !== undefined && { limits },
    ...observer !== undefined && { observer },
  });
}

let made = 0;

/** A stored event with no more than is given: a track call by `u1` at the beginning, with an id of its own. */
export function eventWith(more: Partial<StoredEvent> & { atMs?: number } = {}): StoredEvent {
  const { atMs = 0, ...rest } = more;
  return {
    type: "track",
    messageId: `made ${++made}`,
    timestamp: new Date(BEGIN_MS + atMs).toISOString(),
    receivedAt: new Date(BEGIN_MS + Math.max(0, atMs)).toISOString(),
    ...(rest.userId === undefined && rest.anonymousId === undefined ? { userId: "u1" } : {}),
    ...(rest.type === undefined || rest.type === "track" ? { event: "Order Completed" } : {}),
    ...rest,
  };
}

/** The group that {@link settle} waits with: nobody else names it. */
const SETTLING = eventWith({ type: "group", userId: "~settler", groupId: "~settling" });

/** Settles everything that was committed, and resolves when that is done. */
export async function settle(system: System): Promise<void> {
  await system.commit([{ ...SETTLING, messageId: crypto.randomUUID() }], "tests");
  // Members are read from what is settled, so this read waits for it, and hurries it.
  await system.reader.group("~settling");
}

/** An event of a history, before it has an id and a time of receipt. */
export type Draft = Omit<StoredEvent, "messageId" | "receivedAt"> & { repeats: number | null };

const draft: fc.Arbitrary<Draft> = fc.record({
  type: fc.constantFrom(...EVENT_TYPES, "identify" as const, "group" as const),
  sender: fc.constantFrom("user" as const, "anonymous" as const, "anonymous" as const, "both" as const),
  user: fc.constantFrom(...USERS),
  anonymous: fc.constantFrom(...ANONYMOUS),
  group: fc.constantFrom(...GROUPS),
  name: fc.constantFrom(...NAMES),
  /** Few moments, so that they tie; some before 1970. */
  at: fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 0, max: 12 }) }, fc.constant(-2_000_000_000)),
  traits: fc.option(traitMaps, { nil: undefined }),
  context: fc.option(traitMaps, { nil: undefined }),
  repeats: fc.option(fc.nat(20), { nil: null, freq: 6 }),
}).map(({ type, sender, user, anonymous, group, name, at, traits, context, repeats }) => {
  const isAlias = type === "alias";
  return {
    type,
    ...(isAlias || sender !== "anonymous" ? { userId: user } : {}),
    ...(sender !== "user" ? { anonymousId: anonymous } : {}),
    ...(isAlias ? { previousId: anonymous } : {}),
    ...(type === "group" ? { groupId: group } : {}),
    ...(type === "track" ? { event: name } : {}),
    ...(traits !== undefined && (type === "identify" || type === "group") ? { traits } : {}),
    ...(context === undefined ? {} : { context }),
    timestamp: new Date(BEGIN_MS + at * 1000).toISOString(),
    repeats,
  };
});

/** Batches of drafts. */
export const batches = (max: number): fc.Arbitrary<Draft[][]> =>
  fc.array(fc.array(draft, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: max });

/** Makes events of drafts, in the order of arrival: some bear the message id of one before. */
export function createStamper() {
  const ids: string[] = [];
  return ({ repeats, ...draft }: Draft): StoredEvent => {
    const repeated = repeats === null ? undefined : ids.at(-1 - repeats);
    const messageId = repeated ?? `m${ids.length}`;
    ids.push(messageId);
    const receivedAt = new Date(BEGIN_MS + 60_000 + ids.length * 1000).toISOString();
    // Through JSON, so that a member `__proto__` is one.
    return JSON.parse(JSON.stringify({ ...draft, messageId, receivedAt }));
  };
}
