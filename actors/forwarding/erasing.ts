/**
 * Erasure at the destinations, as a participant of the settler's task: kept answers go, processes that deliver forget the
 * person, and destinations that want to know are told.
 */
import { Buffer } from "node:buffer";
import { hash } from "node:crypto";
import { parseExact } from "../../domain/event/exact_json.ts";
import type { Position } from "../../domain/event/position.ts";
import type { Definition } from "../../domain/forwarding/definition.ts";
import type { ErasedNames, EraseParticipant } from "../erasure/execute.ts";
import { personDigest } from "../erasure/suppression.ts";
import type { Clock } from "../store/clock.ts";
import { update } from "../store/conditional_update.ts";
import {
  DESTINATIONS,
  FORWARD_ERASED,
  FORWARD_ORDERED,
  forwardDeadKey,
  forwardErasureKey,
  forwardHeldOf,
  forwardKey,
  forwardNoticeKey,
  forwardSentPrefix,
  planKey,
  SECRET,
} from "../store/keys.ts";
import type { Store } from "../store/store.ts";
import {
  type ErasedMark,
  type EraseNotice,
  type ForwardState,
  type HeldRecord,
  type SentPage,
} from "../delivery/state.ts";

/** What an erasure came to at the destinations. A stored format. */
export interface ErasureReport {
  /** Requests that bore the person and had begun before the erasure. */
  underWay: number;
  /** Of destinations that are told: what became of the notice. */
  notices: Record<string, "delivered" | "dead" | "pending">;
}

/** Longest wait for the outcome of notices; they are sent later, too. */
const NOTICE_MS = 5_000;

/** Pause between two looks at what processes have stored. */
const LOOK_MS = 50;

const TRIES = 20;

/** Keys that are changed in one operation. */
const AT_ONCE = 100;

/** The digests of the ids of an event's person: what stands first in the journal goes first, by each of them. */
export function keysOfPerson(
  { userId, anonymousId, previousId }: { userId?: unknown; anonymousId?: unknown; previousId?: unknown },
  secret: string,
): string[] {
  const keys: string[] = [];
  if (typeof userId === "string") keys.push(keyOf("u", userId, secret));
  if (typeof anonymousId === "string") keys.push(keyOf("a", anonymousId, secret));
  // It may be either.
  if (typeof previousId === "string") {
    for (const key of [keyOf("u", previousId, secret), keyOf("a", previousId, secret)]) {
      if (!keys.includes(key)) keys.push(key);
    }
  }
  return keys;
}

const KEY_CHARACTERS = 20;

function keyOf(kind: string, id: string, secret: string): string {
  return hash("sha256", `${secret}forward ${kind}${id}`, "base64url").slice(0, KEY_CHARACTERS);
}

/** Erases a person from what is kept of deliveries; no attempt that bears them begins after it. */
export const erasedDeliveries: EraseParticipant = {
  async erase(names, no, { store, clock, newId, renew }) {
    const destinations = await destinationsIn(store);
    if (destinations.length === 0) return 0;
    const secret = (await store.get<string>(SECRET)).value ?? "";
    const keys = [
      ...names.userId === undefined
        ? []
        : keysOfPerson({ userId: names.userId, previousId: names.userId }, secret),
      ...(names.anonymousIds ?? []).flatMap((id) =>
        keysOfPerson({ anonymousId: id, previousId: id }, secret)
      ),
    ];
    await mark({ store, clock }, { no, keys: [...new Set(keys)] });
    const underWay = await untilAllKnow({ store, clock, renew }, destinations.map(({ id }) => id), no);
    const places = await placesOf(store, no);
    for (const { id } of destinations) {
      await deleteKept(store, id, places);
      await renew();
    }
    const told = destinations.filter(({ tells }) => tells);
    await askForNotices(store, { told, names, no, at: clock.now(), mark: newId() });
    const notices = await outcomesOf({ store, clock, renew }, told, no);
    const digest = personDigest(
      names.userId === undefined
        ? { kind: "anonymous", id: names.anonymousIds![0]! }
        : { kind: "user", id: names.userId },
      secret,
    );
    await store.commit({
      checks: [],
      sets: [[forwardErasureKey(digest), { underWay, notices } satisfies ErasureReport]],
    });
    return 0;
  },
};

interface Known {
  id: string;
  name: string;
  tells: boolean;
}

async function destinationsIn(store: Store): Promise<Known[]> {
  const found: Known[] = [];
  for await (
    const { value } of store.list<{ value: { id: string; name: string; definition: string } }>({
      prefix: DESTINATIONS,
    })
  ) {
    const { id, name, definition } = value!.value;
    found.push({ id, name, tells: (parseExact(definition) as Definition).onErase === "event" });
  }
  return found;
}

/** Tells all processes: what they write under a lease fails until they know of it. */
async function mark({ store, clock }: { store: Store; clock: Clock }, next: ErasedMark): Promise<void> {
  await update(store, { named: "erasures", tries: TRIES, clock, retriesUnanswered: true }, async () => {
    const { value, stamp } = await store.get<ErasedMark>(FORWARD_ERASED);
    if (value !== null && value.no >= next.no) return { result: undefined };
    return {
      result: undefined,
      write: { checks: [{ key: FORWARD_ERASED, stamp }], sets: [[FORWARD_ERASED, next]] },
    };
  });
}

/** Waits for the word of each process that holds a lease, or for the lease to end; gives the attempts under way. */
async function untilAllKnow(
  { store, clock, renew }: { store: Store; clock: Clock; renew(): Promise<void> },
  ids: readonly string[],
  no: number,
): Promise<number> {
  let underWay = 0;
  for (const id of ids) {
    for (;;) {
      const { value } = await store.get<ForwardState>(forwardKey(id));
      if (value === null || value.until <= clock.now()) break;
      if (value.erased >= no) {
        underWay += value.underWay;
        break;
      }
      await clock.sleep(LOOK_MS);
      await renew();
    }
  }
  return underWay;
}

/** The positions of the erased events, from the plan of the erasure. */
async function placesOf(store: Store, no: number): Promise<Set<Position>> {
  const places = new Set<Position>();
  for (let n = 0;; n++) {
    const { value } = await store.get<Uint8Array>(planKey(no, "places", n));
    if (value === null) return places;
    for (const place of Buffer.from(value).toString("hex").match(/.{24}/g) ?? []) {
      places.add(place as Position);
    }
  }
}

/** Deletes what is kept under the positions of erased events: outcomes, and answers. */
async function deleteKept(store: Store, id: string, places: ReadonlySet<Position>): Promise<void> {
  const all = [...places];
  for (let from = 0; from < all.length; from += AT_ONCE) {
    await store.commit({
      checks: [],
      sets: [],
      deletes: all.slice(from, from + AT_ONCE).map((place) => forwardDeadKey(id, place)),
    });
  }
  for await (const { key, value, stamp } of store.list<SentPage>({ prefix: forwardSentPrefix(id) })) {
    const sent = value!.sent.filter(({ position }) => !places.has(position));
    if (sent.length === value!.sent.length) continue;
    // One that was changed since was written by a process that knows.
    await store.commit({ checks: [{ key, stamp }], sets: [[key, { sent }]] });
  }
  for await (const { key, value, stamp } of store.list<HeldRecord>({ prefix: forwardHeldOf(id) })) {
    const { response, reason: _, ...rest } = value!;
    if (response === undefined || !places.has(rest.position)) continue;
    await store.commit({ checks: [{ key, stamp }], sets: [[key, rest]] });
  }
}

async function askForNotices(
  store: Store,
  { told, names, no, at, mark }: {
    told: readonly Known[];
    names: ErasedNames;
    no: number;
    at: number;
    mark: string;
  },
): Promise<void> {
  for (const { id } of told) {
    const key = forwardNoticeKey(id, no);
    const notice: EraseNotice = {
      no,
      userId: names.userId ?? null,
      anonymousIds: [...names.anonymousIds ?? []],
      at,
      attempts: 0,
    };
    // It may have been asked for before a crash.
    await store.commit({ checks: [{ key, stamp: null }], sets: [[key, notice], [FORWARD_ORDERED, mark]] });
  }
}

async function outcomesOf(
  { store, clock, renew }: { store: Store; clock: Clock; renew(): Promise<void> },
  told: readonly Known[],
  no: number,
): Promise<ErasureReport["notices"]> {
  const outcomes: ErasureReport["notices"] = {};
  const endMs = clock.monotonic() + NOTICE_MS;
  for (const { id, name } of told) {
    for (;;) {
      const { value } = await store.get<EraseNotice>(forwardNoticeKey(id, no));
      outcomes[name] = value?.outcome ?? "pending";
      if (outcomes[name] !== "pending" || clock.monotonic() >= endMs) break;
      await clock.sleep(LOOK_MS);
      await renew();
    }
  }
  return outcomes;
}
