/**
 * The pipeline: what an event passes between its sender and the journal. Stages may refuse, delay or enrich events;
 * observers are told what became of them. HTTP and imports run it alike, and each names the stages that it leaves out.
 * No stage reads storage for an ordinary event.
 */
import type { RateDecision } from "../actors/governance/rate_limits.ts";
import type { Receipt } from "../actors/journal/appender.ts";
import type { BatchDefaults } from "../domain/event/accept.ts";
import type { EventType, StoredEvent } from "../domain/event/event.ts";
import type { Rejection } from "../domain/event/rejection.ts";
import type { RateLimit } from "../domain/limits/token_bucket.ts";

/** Who sends. */
export interface Sender {
  /** What stands beside the events that this sender sends. */
  writeKeyId: string;
  /** Types that it may send; absent means all. */
  allowedTypes?: readonly EventType[];
  /** What it may send; absent means no limit. */
  rateLimit?: RateLimit;
}

/** What a rate limit came to for some events. */
export interface Quota {
  limit: RateLimit;
  decision: RateDecision;
}

/** Where some events come from. */
export interface Source {
  sender: Sender;
  /** Milliseconds since 1970. */
  receivedAt: number;
  /** The address of the peer, where it is the user's own: a browser's, not a server's. */
  peer?: (() => string | undefined) | undefined;
  /** The type that the route implies. */
  type?: EventType | undefined;
  /** What the batch says for all its events. */
  defaults?: BatchDefaults | undefined;
  /** An event of the quarantine, which is there already. */
  isResent?: boolean;
  /** What the sender's rate limit came to; absent without one. */
  quota?: Quota;
}

/** Why events may not come now, as a whole. */
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

/** Why an event is not taken; nothing where it is. */
export type Verdict = Rejection | undefined;

/** Something that may refuse what comes. */
export interface Stage {
  /** Why this sender may send nothing at all now (429), or nothing. Before its body is read or parsed. */
  open?(sender: Sender): Refusal | undefined | Promise<Refusal | undefined>;
  /** Told that a request was refused whole after work that so many events would have been. */
  charge?(sender: Sender, events: number): void;
  /** Why so many events may not come from this sender now (429), or nothing. Before any of them is looked at. */
  reserve?(source: Source, events: number): Refusal | undefined | Promise<Refusal | undefined>;
  /** Last before the commit: may enrich the event in place, then says why it is not taken (403, 422), or nothing. */
  check?(event: StoredEvent, source: Source): Verdict | Promise<Verdict>;
  /** Told that events which it reserveted are not taken after all, as a whole (413, 503), and may come again. */
  refund?(source: Source, events: number): void;
}

/** Something that is told what became of events; it never throws, and is quick. */
export interface Observer {
  /** Told of events that the journal has, after the commit and before the answer. */
  committed?(events: readonly StoredEvent[], receipts: readonly Receipt[], source: Source): void;
  /** Told of an event that is not taken; `item` is what was sent, without its write key. */
  rejected?(item: unknown, rejection: Rejection, source: Source): void;
}

/** All stages and observers as one. */
export type Pipeline = Required<Stage & Observer>;

/** Asks the stages in their order, and the first that refuses decides; tells every observer. */
export function createPipeline(stages: readonly Stage[], observers: readonly Observer[]): Pipeline {
  const reserving = stages.filter(({ reserve }) => reserve !== undefined);
  const checking = stages.filter(({ check }) => check !== undefined);
  const watching = observers.filter(({ committed }) => committed !== undefined);
  const noting = observers.filter(({ rejected }) => rejected !== undefined);

  /** Only a stage that has to wait makes the request wait. */
  function open(sender: Sender, at = 0): Refusal | undefined | Promise<Refusal | undefined> {
    for (; at < stages.length; at++) {
      const refusal = stages[at]!.open?.(sender);
      const next = at + 1;
      if (refusal instanceof Promise) return refusal.then((known) => known ?? open(sender, next));
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  }

  /** From the stage `at` on: only one that has to wait makes the request wait. */
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

  /** To the stages that have reserveted: all, or those before one that failed. */
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
