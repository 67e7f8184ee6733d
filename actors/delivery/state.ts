/** What is stored of a destination's deliveries: positions, digests and figures, never events or ids. Stored formats. */
import { BEGINNING, type Position } from "../../domain/event/position.ts";
import { type Breaker, CLOSED } from "../../domain/forwarding/breaker.ts";
import type { FilteredBy } from "../../domain/forwarding/filter.ts";
import type { Fenced } from "../store/lease.ts";

/** The version of these formats: a process of an older version leaves a newer destination alone. */
export const FORWARD_VERSION = 1;

/** The stream of live events; the others are named by their replay. */
export const LIVE = "live";

/** What was answered, cut to what is kept. */
export interface KeptResponse {
  status: number;
  body: string;
}

/** The checkpoint of a destination, which is its lease too. */
export interface ForwardState extends Fenced {
  /** Everything up to here is settled, or stands in a record of its own; so many events. */
  position: Position;
  events: number;
  /** Waiting behind others; waiting for another attempt; given up; delivered. */
  held: number;
  retrying: number;
  dead: number;
  delivered: number;
  filtered: Record<FilteredBy, number>;
  /** Counts by hour since 1970, the newest last. */
  hours: [hour: number, delivered: number, failed: number, dead: number][];
  breaker: Breaker;
  /** `Retry-After` of the whole destination: no attempt before this time (ms). */
  blockedUntil: number;
  /** Durations of the last attempts in ms. */
  latency: { p50Ms: number; p99Ms: number };
  /** Whether the last attempt failed, and the last failure. */
  isFailing: boolean;
  lastError?: { at: number; reason: string; response?: KeptResponse; position?: Position };
  /** The key that finds what is due, by its time. */
  dueAt: number | null;
  /** The newest erasure that the holder of the lease obeys, and its attempts under way then that bear the person. */
  erased: number;
  underWay: number;
  /** Stretches that were skipped: `resume` from now. */
  skipped: [from: Position, to: Position][];
  /** The number of the newest page of delivered events. */
  page: number;
}

/** Before the first event, of a destination that begins behind a position. */
export function initialState({ position, events }: { position: Position; events: number }): ForwardState {
  return {
    fold: 0,
    owner: "",
    until: 0,
    op: "",
    position,
    events,
    held: 0,
    retrying: 0,
    dead: 0,
    delivered: 0,
    filtered: { where: 0, writeKey: 0, integrations: 0, consent: 0 },
    hours: [],
    breaker: CLOSED,
    blockedUntil: 0,
    latency: { p50Ms: 0, p99Ms: 0 },
    isFailing: false,
    dueAt: null,
    erased: 0,
    underWay: 0,
    skipped: [],
    page: 0,
  };
}

/** What is known of the attempts at something. */
export interface Attempts {
  /** Attempts that count. */
  attempts: number;
  firstAt?: number;
  lastAt?: number;
  /** When the next comes. */
  nextAt?: number;
  reason?: string;
  response?: KeptResponse;
  /** What a transformation failed with, and the versions that made what was sent. */
  message?: string;
  by?: [name: string, version: number][];
}

/** Something that waits and is first for one of its keys: an event, or a batch with stored boundaries. */
export interface HeldRecord extends Attempts {
  position: Position;
  /** The last position of a batch; absent: one event. */
  to?: Position;
  /** Digests of the ids, and whether more waits behind it for each. */
  keys: [digest: string, more: boolean][];
  /** Number of events. 0: what stood here is settled, and what waits behind it is not read again yet. */
  n: number;
  /** The earlier outcome was `dead`: its later events may have been delivered. */
  again?: true;
}

/** An event that is not sent again by itself. */
export interface DeadRecord extends Attempts {
  position: Position;
}

/** A page of delivered events, in the order of their delivery. */
export interface SentPage {
  sent: SentEntry[];
}

export interface SentEntry {
  position: Position;
  attempts: number;
  firstAt: number;
  at: number;
  response?: KeptResponse;
  by?: [name: string, version: number][];
}

/** Delivered events that are kept. */
export const KEPT_DELIVERED = 1_000;

/** A replay of history to one destination. */
export interface ReplayRecord {
  id: string;
  state: "running" | "paused" | "done" | "cancelled";
  /** The stretch, from behind one position up to another. */
  from: Position;
  to: Position;
  /** Everything up to here is settled, or stands in a record of its own. */
  position: Position;
  where?: Record<string, unknown>;
  perSecond?: number;
  matched: number;
  sent: number;
  createdAt: number;
}

/** An order of an administrator, for the process that holds the lease. */
export type Order =
  | {
    type: "retry";
    status: "dead" | "retrying" | "held";
    reason?: string;
    positions?: Position[];
    /** Only what was given up before this time. */
    at: number;
  }
  | { type: "skip"; to: Position; events: number }
  | { type: "replay"; id: string; state: "running" | "paused" | "cancelled" };

/** The value of {@link FORWARD_ERASED}: the number of the newest erasure, and the digests of its person's ids. */
export interface ErasedMark {
  no: number;
  keys: string[];
}

/** A notice to a destination that somebody was erased. It has their ids until it is sent. */
export interface EraseNotice extends Attempts {
  no: number;
  userId: string | null;
  anonymousIds: string[];
  at: number;
  outcome?: "delivered" | "dead";
}

/** Where a destination begins: behind a position, at so many events. */
export interface Start {
  position: Position;
  events: number;
}

export const FROM_START: Start = { position: BEGINNING, events: 0 };

const HOUR_MS = 3_600_000;
const HOURS = 24;

/** Counts an outcome in its hour. Mutates `hours`. */
export function countHour(
  hours: ForwardState["hours"],
  what: "delivered" | "failed" | "dead",
  { now, times = 1 }: { now: number; times?: number },
): void {
  const hour = Math.floor(now / HOUR_MS);
  let last = hours.at(-1);
  if (last === undefined || last[0] < hour) {
    hours.push(last = [hour, 0, 0, 0]);
    while (hours.length > 0 && hours[0]![0] <= hour - HOURS - 1) hours.shift();
  }
  last[what === "delivered" ? 1 : what === "failed" ? 2 : 3] += times;
}

/** The counts of the last 24 hours. */
export function lastDay(hours: ForwardState["hours"], now: number) {
  const first = Math.floor(now / HOUR_MS) - HOURS + 1;
  const sum = { delivered: 0, failed: 0, dead: 0 };
  for (const [hour, delivered, failed, dead] of hours) {
    if (hour < first) continue;
    sum.delivered += delivered;
    sum.failed += failed;
    sum.dead += dead;
  }
  return sum;
}
