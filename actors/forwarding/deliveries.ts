/** What became of events at a destination: read from what is stored, in any process. */
import type { StoredEvent } from "../../domain/event/event.ts";
import { END, type Position } from "../../domain/event/position.ts";
import type { Events } from "../journal/event_reader.ts";
import { forwardDeadKey, forwardDeadPrefix, forwardHeldOf, forwardSentPrefix } from "../store/keys.ts";
import type { Store } from "../store/store.ts";
import { filterEvents } from "../delivery/attempt.ts";
import type { Destination } from "../delivery/destinations.ts";
import type { VersionName } from "../transformation/chain.ts";
import { type TracedVersion, traceVersions, type Transforming } from "../delivery/transform.ts";
import type { Follower } from "../delivery/follower.ts";
import {
  type Attempts,
  type DeadRecord,
  type ForwardState,
  type HeldRecord,
  type KeptResponse,
  type SentPage,
} from "../delivery/state.ts";

/** What a delivery can be. */
export const DELIVERY_STATUSES = ["held", "retrying", "dead", "delivered"] as const;
export type DeliveryStatus = typeof DELIVERY_STATUSES[number];

/** One event's way to a destination. */
export interface Delivery {
  messageId: string;
  position: Position;
  status: DeliveryStatus;
  attempts: number;
  firstAt: string | null;
  lastAt: string | null;
  nextAt?: string;
  reason?: string;
  /** What a transformation failed with. */
  message?: string;
  response?: KeptResponse;
  /** The versions of transformations that made what was sent, or that failed. */
  transformations?: VersionName[];
}

/** What reading deliveries needs. */
export interface DeliveryParts {
  store: Store;
  events: Events;
  follower: Follower;
  keysOf(event: StoredEvent): readonly string[];
  traitsOf(event: StoredEvent): Promise<Record<string, unknown>>;
  transformations: Transforming;
}

/** A delivery before its event is looked up. */
export interface FoundDelivery extends Attempts {
  position: Position;
  status: DeliveryStatus;
}

/** Events that are looked through for those that wait behind others. */
const SCANNED_EVENTS = 200_000;

/** What waits at a destination, by its records: in order of the journal. */
async function readRecords(
  { store }: DeliveryParts,
  { id }: Destination,
): Promise<HeldRecord[]> {
  const records: HeldRecord[] = [];
  for await (const { value } of store.list<HeldRecord>({ prefix: forwardHeldOf(id) })) {
    records.push(value!);
  }
  return records;
}

/** Everything that waits: the records, and the events behind them, which are read from the journal. */
export async function findWaiting(
  parts: DeliveryParts,
  destination: Destination,
  state: ForwardState,
): Promise<FoundDelivery[]> {
  const records = await readRecords(parts, destination);
  const known = new Map(records.flatMap((record) => record.n > 0 ? [[record.position, record]] : []));
  const found: FoundDelivery[] = records.flatMap((record) => {
    // An attempt that is under way is neither.
    if (record.attempts === 0 && record.nextAt === undefined) return [];
    return [{ ...record, status: "retrying" as const }];
  });
  /** The keys behind which something waits, and from where on. */
  const from = new Map<string, Position>();
  for (const { position, keys } of records) {
    for (const [key, more] of keys) if (more && !(from.get(key)! <= position)) from.set(key, position);
  }
  const stalled = new Set(
    records.flatMap(({ attempts, nextAt, keys }) =>
      attempts > 0 || nextAt !== undefined ? keys.map(([key]) => key) : []
    ),
  );
  let at = [...from.values()].sort()[0];
  let scanned = 0;
  while (at !== undefined && at < state.position && scanned < SCANNED_EVENTS) {
    const entries = await parts.follower.read(at, state.position);
    if (entries.length === 0) break;
    for (const entry of entries) {
      scanned += entry.n;
      for (const read of entry.events) {
        if (read === undefined || read.position > state.position) continue;
        const keys = parts.keysOf(read.event);
        const isRecord = known.get(read.position);
        if (isRecord !== undefined) {
          if (isRecord.attempts === 0 && keys.some((key) => stalled.has(key))) {
            found.push({ ...isRecord, status: "held" });
          }
          continue;
        }
        const isBehind = keys.some((key) => from.get(key)! < read.position);
        if (!isBehind || destination.filter.refuses(read.event, read.writeKeyId) !== undefined) continue;
        for (const key of keys) if (!from.has(key)) from.set(key, read.position);
        found.push({ position: read.position, status: "held", attempts: 0 });
      }
      at = entry.end;
    }
  }
  return found;
}

/** What was delivered last, and what is dead. */
async function findSettled(
  { store }: DeliveryParts,
  { id }: Destination,
  { status, before, limit }: { status: "dead" | "delivered"; before: Position; limit: number },
): Promise<FoundDelivery[]> {
  const found: FoundDelivery[] = [];
  if (status === "dead") {
    const range = { start: forwardDeadPrefix(id), end: forwardDeadKey(id, before) };
    for await (const { value } of store.list<DeadRecord>(range, { reverse: true, limit })) {
      found.push({ ...value!, status });
    }
    return found;
  }
  for await (const { value } of store.list<SentPage>({ prefix: forwardSentPrefix(id) })) {
    for (const { at, ...rest } of value!.sent) {
      if (rest.position < before) found.push({ ...rest, lastAt: at, status });
    }
  }
  return found.sort((a, b) => a.position < b.position ? 1 : -1).slice(0, limit);
}

/** A page of deliveries, newest first. */
export async function listDeliveries(
  parts: DeliveryParts,
  destination: Destination,
  { state, status, before = END, limit }: {
    state: ForwardState;
    status: DeliveryStatus | undefined;
    before?: Position;
    limit: number;
  },
): Promise<{ deliveries: Delivery[]; next: Position | undefined }> {
  const wants = (each: DeliveryStatus) => status === undefined || status === each;
  const found: FoundDelivery[] = [];
  if (wants("held") || wants("retrying")) {
    const all = await findWaiting(parts, destination, state);
    found.push(...all.filter((each) => wants(each.status) && each.position < before));
  }
  for (const each of ["dead", "delivered"] as const) {
    if (wants(each)) {
      found.push(...await findSettled(parts, destination, { status: each, before, limit: limit + 1 }));
    }
  }
  const sorted = found.sort((a, b) => a.position < b.position ? 1 : -1);
  const page = sorted.slice(0, limit);
  const events = await parts.events.at(page.map(({ position }) => position));
  return {
    // Those of erased people have no event any more.
    deliveries: page.flatMap((each, n) =>
      events[n] === undefined ? [] : [shownDelivery(each, events[n].event)]
    ),
    next: sorted.length > limit ? page.at(-1)!.position : undefined,
  };
}

function shownDelivery(
  { position, status, attempts, firstAt, lastAt, nextAt, reason, message, response, by }: FoundDelivery,
  { messageId }: StoredEvent,
): Delivery {
  return {
    messageId,
    position,
    status,
    attempts,
    firstAt: iso(firstAt),
    lastAt: iso(lastAt),
    ...nextAt !== undefined && { nextAt: iso(nextAt)! },
    ...reason !== undefined && status !== "delivered" && { reason },
    ...message !== undefined && { message },
    ...response !== undefined && { response },
    ...by !== undefined && { transformations: versionsOf(by) },
  };
}

function versionsOf(by: NonNullable<Attempts["by"]>): VersionName[] {
  return by.map(([name, version]) => ({ name, version }));
}

const iso = (ms: number | undefined) => ms === undefined ? null : new Date(ms).toISOString();

/** The trace of an event at one destination. */
export interface TracedDelivery {
  destination: string;
  status: DeliveryStatus | "pending" | "filtered" | "dropped";
  reason?: string;
  message?: string;
  attempts: number;
  at: string | null;
  /** The versions of transformations that made what was sent, that dropped it or that failed, and what they logged. */
  transformations?: TracedVersion[];
}

/** What became of one event; `undefined` if it was never for this destination. */
export async function traceDelivery(
  parts: DeliveryParts,
  destination: Destination,
  { event, position, writeKeyId, state }: {
    event: StoredEvent;
    position: Position;
    writeKeyId: string;
    state: ForwardState;
  },
): Promise<TracedDelivery | undefined> {
  const { name, id } = destination;
  const { value: dead } = await parts.store.get<DeadRecord>(forwardDeadKey(id, position));
  if (dead !== null) {
    return {
      destination: name,
      status: "dead",
      ...reasonOf(dead),
      attempts: dead.attempts,
      at: iso(dead.lastAt),
      ...await versionsIn(parts, dead, { event, position }),
    };
  }
  const waiting = (await findWaiting(parts, destination, state)).find((each) => each.position === position);
  if (waiting !== undefined) {
    const { status, attempts, lastAt } = waiting;
    return { destination: name, status, ...reasonOf(waiting), attempts, at: iso(lastAt) };
  }
  const settled = await findSettled(parts, destination, {
    status: "delivered",
    before: END,
    limit: Infinity,
  });
  const sent = settled.find((each) => each.position === position);
  if (sent !== undefined) {
    const { attempts, lastAt } = sent;
    const versions = await versionsIn(parts, sent, { event, position });
    return { destination: name, status: "delivered", attempts, at: iso(lastAt), ...versions };
  }
  const isBefore = position <= destination.start.position ||
    state.skipped.some(([from, to]) => position > from && position <= to);
  if (isBefore) return undefined;
  const read = { event, position, writeKeyId, json: "" };
  const [refused] = await filterEvents(parts, [read], destination);
  if (refused !== undefined) {
    return { destination: name, status: "filtered", reason: refused, attempts: 0, at: null };
  }
  if (position > state.position) return { destination: name, status: "pending", attempts: 0, at: null };
  const dropped = await droppedBy(parts, read, destination);
  if (dropped !== undefined) {
    return { destination: name, status: "dropped", attempts: 0, at: null, transformations: dropped };
  }
  const isUnderWay = (await readRecords(parts, destination)).some((each) =>
    each.n > 0 && each.position === position
  );
  return isUnderWay
    ? { destination: name, status: "pending", attempts: 0, at: null }
    : { destination: name, status: "delivered", attempts: 1, at: null };
}

/** The transformations that drop an event now: what drops it leaves no record. */
async function droppedBy(
  { transformations }: DeliveryParts,
  { event, position }: { event: StoredEvent; position: Position },
  { id, definition }: Destination,
): Promise<TracedVersion[] | undefined> {
  const names = definition.transformations ?? [];
  if (names.length === 0) return undefined;
  const [transformed] = await transformations.apply(names, [{ event, position }], `trace/${id}`);
  const { results, by, logs } = transformed!;
  if (results === undefined || results.length > 0) return undefined;
  return by.map(({ name, version }) => {
    const lines = logs.flatMap((each) => each.name === name ? each.lines : []);
    return { name, version, ...lines.length > 0 && { logs: lines } };
  });
}

/** The transformations of a record, with what they log for the event. */
async function versionsIn(
  { transformations }: DeliveryParts,
  { by }: Attempts,
  { event, position }: { event: StoredEvent; position: Position },
): Promise<{ transformations?: TracedVersion[] }> {
  if (by === undefined) return {};
  return { transformations: await traceVersions(transformations, { event, position, by: versionsOf(by) }) };
}

function reasonOf({ reason, message }: Attempts): { reason?: string; message?: string } {
  return { ...reason !== undefined && { reason }, ...message !== undefined && { message } };
}
