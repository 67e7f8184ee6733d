/**
 * What stands between events that are well formed and the journal, and who is told what became of each: limits, what an
 * event is enriched with, what is refused by content; counters, live views. Each is a part of its own, and none of them
 * reads storage for an event.
 */
import type { BatchDefaults } from "../../domain/event/accept.ts";
import type { EventType, StoredEvent } from "../../domain/event/event.ts";
import type { Rejection } from "../../domain/event/rejection.ts";
import type { Caller } from "../auth/authentication.ts";
import type { Problem } from "../http/problem.ts";
import type { Receipt } from "../../actors/journal/appender.ts";

/** Where a request's events come from. */
export interface Source {
  caller: Caller;
  /** Milliseconds since 1970. */
  receivedAt: number;
  request: Request;
  /** The peer's address. */
  address(): string;
  /** The type that the route implies. */
  type?: EventType | undefined;
  /** What the batch says for all its events. */
  defaults?: BatchDefaults | undefined;
  /** An event of the quarantine, which is there already. */
  isResent?: boolean;
  /** What a gate puts beside the answer, whatever it will be. */
  answerHeaders?: Record<string, string>;
}

/** Why an event is not taken; nothing where it is. */
export type Verdict = Rejection | undefined;

/** Something that may refuse what comes. */
export interface Gate {
  /** Why this caller may send nothing at all now (429), or nothing. Before its body is read or parsed. */
  open?(caller: Caller): Problem | undefined | Promise<Problem | undefined>;
  /** Told that a request was refused whole after work that so many events would have been. */
  charge?(caller: Caller, events: number): void;
  /** Why so many events may not come from this caller now (429), or nothing. Before any of them is looked at. */
  admit?(source: Source, events: number): Problem | undefined | Promise<Problem | undefined>;
  /** Last before the commit: may enrich the event in place, then says why it is not taken (403, 422), or nothing. */
  judge?(event: StoredEvent, source: Source): Verdict | Promise<Verdict>;
  /** Told that events which it admitted are not taken after all, as a whole (413, 503), and may come again. */
  giveBack?(source: Source, events: number): void;
}

/** Something that is told what became of events; it never throws, and is quick. */
export interface Witness {
  /** Told of events that the journal has, after the commit and before the answer. */
  committed?(events: readonly StoredEvent[], receipts: readonly Receipt[], source: Source): void;
  /** Told of an event that is not taken; `item` is what was sent, without its write key. */
  rejected?(item: unknown, rejection: Rejection, source: Source): void;
}

/** All gates and witnesses as one. */
export type Intake = Required<Gate & Witness>;

/** Asks the gates in their order, the first that refuses decides; tells every witness. */
export function createIntake(gates: readonly Gate[], witnesses: readonly Witness[]): Intake {
  const admitting = gates.filter(({ admit }) => admit !== undefined);
  const judging = gates.filter(({ judge }) => judge !== undefined);
  const watching = witnesses.filter(({ committed }) => committed !== undefined);
  const noting = witnesses.filter(({ rejected }) => rejected !== undefined);

  /** From the gate `at` on: only one that has to wait makes the request wait. */
  function admit(source: Source, events: number, at = 0): Problem | undefined | Promise<Problem | undefined> {
    for (; at < admitting.length; at++) {
      const refusal = admitting[at]!.admit!(source, events);
      if (refusal instanceof Promise) {
        const next = at + 1;
        return refusal.then((problem) => problem ?? admit(source, events, next), (error) => {
          giveBack(source, events, next - 1);
          throw error;
        });
      }
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  }

  /** Likewise. */
  function judge(event: StoredEvent, source: Source, at = 0): Verdict | Promise<Verdict> {
    for (; at < judging.length; at++) {
      const verdict = judging[at]!.judge!(event, source);
      const next = at + 1;
      if (verdict instanceof Promise) return verdict.then((known) => known ?? judge(event, source, next));
      if (verdict !== undefined) return verdict;
    }
    return undefined;
  }

  /** To the gates that have admitted: all, or those before one that failed. */
  function giveBack(source: Source, events: number, end = admitting.length): void {
    for (let at = 0; at < end; at++) admitting[at]!.giveBack?.(source, events);
  }

  return {
    async open(caller) {
      for (const gate of gates) {
        const refusal = await gate.open?.(caller);
        if (refusal !== undefined) return refusal;
      }
      return undefined;
    },
    charge(caller, events) {
      for (const gate of gates) gate.charge?.(caller, events);
    },
    admit: (source, events) => admit(source, events),
    giveBack: (source, events) => giveBack(source, events),
    judge: (event, source) => judge(event, source),
    committed(events, receipts, source) {
      for (const witness of watching) witness.committed!(events, receipts, source);
    },
    rejected(item, rejection, source) {
      for (const witness of noting) witness.rejected!(item, rejection, source);
    },
  };
}
