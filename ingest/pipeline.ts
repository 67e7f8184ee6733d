/**
 * The pipeline that an event passes between its sender and the journal. Stages may reject, delay or enrich events;
 * observers are told the outcome. HTTP and imports run the same pipeline, and name the stages that they leave out. No
 * stage reads storage for an ordinary event.
 */
import type { RateDecision } from "../actors/governance/rate_limits.ts";
import type { Receipt } from "../actors/appending/commit_group.ts";
import type { BatchDefaults } from "../domain/event/batch_defaults.ts";
import type { EventType, StoredEvent } from "../domain/event/event.ts";
import type { Rejection } from "../domain/event/rejection.ts";
import type { RateLimit } from "../domain/limits/token_bucket.ts";

/** The sender of events. */
export interface Sender {
  /** The id that is stored with the sender's events. */
  writeKeyId: string;
  /** Types that it may send; absent means all. */
  allowedTypes?: readonly EventType[];
  /** No limit if absent. */
  rateLimit?: RateLimit;
}

/** The result of a rate limit for some events. */
export interface Quota {
  limit: RateLimit;
  decision: RateDecision;
}

/** The source of some events. */
export interface Source {
  sender: Sender;
  /** Milliseconds since 1970. */
  receivedAt: number;
  /** The address of the peer, if it is the user's own: a browser's, not a server's. */
  peer?: (() => string | undefined) | undefined;
  /** The type that the route implies. */
  type?: EventType | undefined;
  /** The defaults of the batch for all its events. */
  defaults?: BatchDefaults | undefined;
  /** An event of the quarantine, which is there already. */
  isResent?: boolean;
  /** Nothing comes of it: no stage counts anything. */
  isTrial?: boolean;
  /** The version of the suppression list by which its first event was judged; absent before. */
  judged?: number;
  /** The result of the sender's rate limit; absent without one. */
  quota?: Quota;
}

/** Why a request is refused as a whole. */
export interface Refusal {
  reason: "rate_limited";
  /** Stable, in snake_case. */
  code: string;
  /** One sentence for people. */
  detail: string;
  /** Whole seconds, at least 1. */
  retryAfterS?: number;
  quota?: Quota;
}

/** Why an event is rejected; `undefined` if it is accepted. */
export type Verdict = Rejection | undefined;

/** A step of the pipeline that may reject events. */
export interface Stage {
  /** Why this sender may send nothing at all now (429), or nothing. Before its body is read or parsed. */
  open?(sender: Sender): Refusal | undefined | Promise<Refusal | undefined>;
  /** Called after a request was refused as a whole, after work that was worth this many events. */
  charge?(sender: Sender, events: number): void;
  /** Why this many events of this sender are refused now (429), if they are. Called before any event is read. */
  reserve?(source: Source, events: number): Refusal | undefined | Promise<Refusal | undefined>;
  /** Called before the commit: may enrich the event in place, and gives the reason if it is rejected (403, 422). */
  check?(event: StoredEvent, source: Source): Verdict | Promise<Verdict>;
  /** Called if reserved events are refused after all, as a whole (413, 503), and may come again. */
  refund?(source: Source, events: number): void;
}

/** A step of the pipeline that is only told the outcome of events. It never throws, and is quick. */
export interface Observer {
  /** Called with events that the journal has, after the commit and before the answer. */
  committed?(events: readonly StoredEvent[], receipts: readonly Receipt[], source: Source): void;
  /** Called with a rejected event; `item` is what was sent, without its write key. */
  rejected?(item: unknown, rejection: Rejection, source: Source): void;
}

/** All stages and observers as one. */
export type Pipeline = Required<Stage & Observer>;

/** Calls the stages in order, and the first that rejects decides; calls every observer. */
export function createPipeline(stages: readonly Stage[], observers: readonly Observer[]): Pipeline {
  const reserving = stages.filter(({ reserve }) => reserve !== undefined);
  const checking = stages.filter(({ check }) => check !== undefined);
  const watching = observers.filter(({ committed }) => committed !== undefined);
  const noting = observers.filter(({ rejected }) => rejected !== undefined);

  /** The request waits only if a stage has to wait. */
  function open(sender: Sender, at = 0): Refusal | undefined | Promise<Refusal | undefined> {
    for (; at < stages.length; at++) {
      const refusal = stages[at]!.open?.(sender);
      const next = at + 1;
      if (refusal instanceof Promise) return refusal.then((known) => known ?? open(sender, next));
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  }

  /** From the stage `at` on. The request waits only if a stage has to wait. */
  function reserve(
    source: Source,
    events: number,
    at = 0,
  ): Refusal | undefined | Promise<Refusal | undefined> {
    for (; at < reserving.length; at++) {
      const refusal = reserving[at]!.reserve!(source, events);
      if (refusal instanceof Promise) {
        const next = at + 1;
        return refusal.then((problem) => problem ?? reserve(source, events, next), (error) => {
          refund(source, events, next - 1);
          throw error;
        });
      }
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  }

  /** Likewise. */
  function check(event: StoredEvent, source: Source, at = 0): Verdict | Promise<Verdict> {
    for (; at < checking.length; at++) {
      const verdict = checking[at]!.check!(event, source);
      const next = at + 1;
      if (verdict instanceof Promise) return verdict.then((known) => known ?? check(event, source, next));
      if (verdict !== undefined) return verdict;
    }
    return undefined;
  }

  /** To the stages that have reserved: all, or those before one that failed. */
  function refund(source: Source, events: number, end = reserving.length): void {
    for (let at = 0; at < end; at++) reserving[at]!.refund?.(source, events);
  }

  return {
    open: (sender) => open(sender),
    charge(sender, events) {
      for (const stage of stages) stage.charge?.(sender, events);
    },
    reserve: (source, events) => reserve(source, events),
    refund: (source, events) => refund(source, events),
    check: (event, source) => check(event, source),
    committed(events, receipts, source) {
      for (const observer of watching) observer.committed!(events, receipts, source);
    },
    rejected(item, rejection, source) {
      for (const observer of noting) observer.rejected!(item, rejection, source);
    },
  };
}
