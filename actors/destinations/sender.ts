/** What every kind of destination does: prepare a request for some events, send it, and judge the answer. */
import type { Clock } from "../store/clock.ts";
import type { Position } from "../../domain/event/position.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import type { Definition } from "../../domain/forwarding/definition.ts";
import type { Verdict } from "../../domain/forwarding/verdict.ts";
import type { Connections } from "./connections.ts";

/** An event on its way out: as it is sent, which may be other than it is stored. */
export interface Outgoing {
  event: StoredEvent;
  position: Position;
  writeKeyId: string;
  /** The event as JSON. */
  json: string;
}

/** A request as people are shown it. */
export interface ShownRequest {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: string;
}

/** What a destination answered. */
export interface Answer {
  verdict: Verdict;
  /** Why it is not `delivered`, in a word or a short sentence. */
  reason?: string;
  response?: { status: number; body: string };
  /** The address is forbidden: nothing was connected to. */
  isRefused?: true;
  /** Verdicts of single events, by their index, where the answer tells them apart. */
  each?: ReadonlyMap<number, { verdict: Verdict; reason: string }>;
  /** How long the destination asks to wait, in ms. */
  retryAfterMs?: number;
  /** Whether that holds for all events. */
  holdsForAll?: boolean;
}

/** A request that is ready. */
export interface Prepared {
  shown: ShownRequest;
  bytes: number;
  /** Sends it. Never throws for what the destination does. */
  send(): Promise<Answer>;
}

/** A batch to prepare. */
export interface Batch {
  events: readonly Outgoing[];
  /** The positions between which a batch of stored boundaries lies. */
  span: { from: Position; to: Position };
}

/** A destination that can be sent to. */
export interface Sender {
  /** Events of one request at most, whatever the definition says. */
  maxEvents?: number;
  /** Events that the destination has no form for, by their index: they are dropped. */
  dropped?(events: readonly Outgoing[]): Promise<ReadonlySet<number>>;
  prepare(batch: Batch): Promise<Prepared>;
  close(): Promise<void>;
}

/** What a sender is made of. */
export interface SenderOptions {
  /** The name of the destination, and the id that it keeps for life. */
  name: string;
  id: string;
  definition: Definition;
  /** The webhook secrets that are valid, the newest first. */
  secrets: readonly string[];
  connections: Connections;
  clock: Clock;
  timeoutMs: number;
}

/** The kinds whose batches have stored boundaries: the composition of a batch decides whether it is the same one. */
export function isSealed({ kind }: Definition): boolean {
  return kind === "s3" || kind === "clickhouse";
}
