/** A destination at work: what the process that holds its lease knows. The files beside share this record. */
import type { RetryLimits } from "../../domain/forwarding/verdict.ts";
import { RETRY_LIMITS } from "../../domain/forwarding/verdict.ts";
import type { Position } from "../../domain/event/position.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import type { Bucket } from "../../domain/limits/token_bucket.ts";
import type { FailureRate } from "../../domain/transformation/failure_rate.ts";
import type { Connections } from "../destinations/connections.ts";
import type { Sender } from "../destinations/sender.ts";
import { SLOT_LIMITS, type SlotLimits, type Slots } from "../destinations/slots.ts";
import type { Clock } from "../store/clock.ts";
import type { Key } from "../store/keys.ts";
import type { Fence } from "../store/lease.ts";
import type { createSerialQueue } from "../store/serial_queue.ts";
import type { Store } from "../store/store.ts";
import type { AttemptParts } from "./attempt.ts";
import type { Destination, Destinations } from "./destinations.ts";
import { FOLLOWER_LIMITS, type FollowerLimits } from "./follower.ts";
import type { DeadRecord, ForwardState, ReplayRecord, SentEntry, SentPage } from "./state.ts";
import { type Stream, STREAM_LIMITS, type StreamLimits } from "./stream.ts";

/** Bounds of forwarding. Tests take shorter times and smaller sizes. */
export const FORWARD_LIMITS = {
  ...RETRY_LIMITS,
  ...STREAM_LIMITS,
  ...FOLLOWER_LIMITS,
  ...SLOT_LIMITS,
  /** An attempt ends after so long. */
  timeoutMs: 30_000,
  /** How often a process looks for what others have committed and ordered. */
  lookMs: 200,
  /** The checkpoint follows a delivery after so long; after so long where nothing was delivered. */
  saveMs: 200,
  saveIdleMs: 5_000,
  /** The lease is given back after so long without work. */
  idleMs: 2_000,
};
export type ForwardLimits =
  & RetryLimits
  & StreamLimits
  & FollowerLimits
  & SlotLimits
  & Pick<typeof FORWARD_LIMITS, "timeoutMs" | "lookMs" | "saveMs" | "saveIdleMs" | "idleMs">;

/** Something that an operator should know. */
export interface Alert {
  type: "destination.paused" | "destination.recovered" | "destination.off" | "delivery.dead";
  destination: string;
  reason?: string;
  /** Of `delivery.dead`. */
  position?: Position;
}

/** What an attempt came to, for figures. */
export const ATTEMPT_OUTCOMES = ["delivered", "retry", "dead", "pause", "off", "split"] as const;
export type AttemptOutcome = typeof ATTEMPT_OUTCOMES[number];

/** What all workers of a process share. */
export interface WorkerParts extends AttemptParts {
  store: Store;
  clock: Clock;
  newId(): string;
  /** The name of this process. */
  owner: string;
  limits: ForwardLimits;
  slots: Slots;
  destinations: Destinations;
  connections: Connections;
  /** The digests of the ids of an event's person. */
  keysOf(event: StoredEvent): readonly string[];
  onAlert(alert: Alert): void;
  /** Called after each request. */
  onAttempt(destination: string, outcome: AttemptOutcome, events: number): void;
  onReplaced(destination: string, characters: number): void;
  onFault(error: unknown): void;
  /** Forgets what this process holds of the journal, if there was an erasure since it looked last. */
  seeErasures(stamp: string | null): void;
}

/** A stream, and where its records stand. */
export interface Running {
  name: string;
  stream: Stream;
  /** What is stored of what waits, by position, as text. */
  stored: Map<Position, string>;
  replay?: ReplayRecord;
  /** The budget of a replay. */
  bucket?: Bucket;
}

/** A destination at work. */
export interface Work {
  parts: WorkerParts;
  destination: Destination;
  sender: { version: string; sender: Sender };
  fence: Fence<ForwardState>;
  state: ForwardState;
  /** The live stream first. */
  streams: Running[];
  /** The stamp of the mark of erasures that the lease is held by. */
  erasedStamp: string | null;
  /** Changes with each erasure. */
  generation: number;
  /** False once the lease is lost or given back: outcomes no longer count here. */
  isCurrent: boolean;
  /** Runs one task at a time: what is stored changes step by step. */
  inTurn: ReturnType<typeof createSerialQueue>;
  flying: Set<{ running: Running; positions: Position[]; keys: readonly string[]; hasBegun: boolean }>;
  /** A probe of the breaker is under way. */
  isProbing: boolean;
  bucket: Bucket | undefined;
  /** Outcomes and other changes that are not stored yet. */
  deads: DeadRecord[];
  /** How many events transformations failed on in the last minute. */
  failureRate: FailureRate;
  sent: SentEntry[];
  sets: [Key, unknown][];
  deletes: Key[];
  isDirty: boolean;
  pages: { n: number; count: number }[];
  lastPage: SentPage;
  /** The key under which this is found when it is due. */
  durations: number[];
  savedMs: number;
  renewedMs: number;
  /** The version of the destination that was stopped by an answer: the others under way say the same. */
  stopped?: string;
  wake(): void;
  /** Looks for orders again. */
  orderAgain(): void;
}

/** Whether the lease is certainly held. */
export function isHeld({ fence, parts: { clock } }: Work): boolean {
  return fence.value().until - clock.now() > LEASE_MARGIN_MS;
}

/** An attempt that begins so shortly before the lease ends might begin after it. */
const LEASE_MARGIN_MS = 500;
