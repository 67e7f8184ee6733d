/**
 * The commits of this process that are under way, or done but not in its tail yet: an entry goes there once no earlier one
 * can come. A commit that was sent after another was answered comes behind it, so each waits only for those that were
 * under way when it was answered.
 */
import type { DigestSet } from "../dedup/digest_set.ts";
import { createDigestSet } from "../dedup/digest_set.ts";
import { DIGEST_WORDS } from "../dedup/digest.ts";
import type { TailEntry } from "./tail.ts";

/** A commit under way. */
export interface Ticket {
  digests: Uint32Array;
  /** Made when somebody asks for one of its ids. */
  ids: DigestSet | undefined;
  /** Once it is done: its entry, and the commits that it waits for. */
  done: { take(): void; end: string; waitsFor: Set<Ticket> } | undefined;
}

/** The commits of a process. */
export function createTickets() {
  const underWay = new Set<Ticket>();
  const pending = new Set<Ticket>();

  function idsOf(ticket: Ticket): DigestSet {
    if (ticket.ids !== undefined) return ticket.ids;
    const count = ticket.digests.length / DIGEST_WORDS;
    ticket.ids = createDigestSet(count);
    for (let at = 0; at < count; at++) ticket.ids.add(ticket.digests, at);
    return ticket.ids;
  }

  function has(tickets: Set<Ticket>, digests: Uint32Array, at: number): boolean {
    for (const ticket of tickets) if (idsOf(ticket).has(digests, at)) return true;
    return false;
  }

  /** Takes in what waits for nothing any more, and all that is before it: no earlier entry can come there either. */
  function settle(): void {
    let end = "";
    for (const { done } of pending) if (done!.waitsFor.size === 0 && done!.end > end) end = done!.end;
    if (end === "") return;
    const ready = [...pending].filter(({ done }) => done!.end <= end);
    ready.sort((a, b) => a.done!.end < b.done!.end ? -1 : 1);
    for (const ticket of ready) {
      pending.delete(ticket);
      ticket.done!.take();
    }
  }

  return {
    begin(digests: Uint32Array): Ticket {
      const ticket: Ticket = { digests, ids: undefined, done: undefined };
      underWay.add(ticket);
      return ticket;
    },
    /** It was not written, or what reads the journal has its entry. */
    drop(ticket: Ticket): void {
      underWay.delete(ticket);
      for (const each of pending) each.done!.waitsFor.delete(ticket);
      settle();
    },
    /** It was written: `take` is called when its turn comes. */
    finish(ticket: Ticket, end: TailEntry["end"], take: () => void): void {
      underWay.delete(ticket);
      ticket.done = { take, end, waitsFor: new Set(underWay) };
      pending.add(ticket);
      for (const each of pending) each.done!.waitsFor.delete(ticket);
      settle();
    },
    /** Whether an id is in a commit that is under way; whether it is in one that is done, but not in the tail. */
    isUnderWay: (digests: Uint32Array, at: number): boolean =>
      underWay.size > 0 && has(underWay, digests, at),
    isPending: (digests: Uint32Array, at: number): boolean => pending.size > 0 && has(pending, digests, at),
    pending: () => pending.size,
    underWay: () => underWay.size,
  };
}
