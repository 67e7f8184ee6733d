/** A client's ledger: what it sent, what it was told, and what must therefore be in the journal. */
import type { Draft } from "./traffic.ts";
import type { Watch } from "./watch.ts";
import { Violation } from "./world.ts";
import type { Receipt } from "../../actors/appending/commit_group.ts";

/** A request as its sender knows it. */
export interface Sent {
  drafts: Draft[];
  /** How often it was sent, and how often answered. */
  sent: number;
  answered: number;
  tooLarge: boolean;
}

/** A ledger. */
export type Ledger = ReturnType<typeof createLedger>;

/**
 * Makes a ledger. The watch tells what is in the journal; `isTroubled`, whether anything befell a write or a process.
 * Beyond a window an event counts again.
 */
export function createLedger(
  watch: Watch,
  { isTroubled, hasWindow }: { isTroubled(): boolean; hasWindow: boolean },
) {
  const requests: Sent[] = [];
  /** How often each id was said to be new. */
  const news = new Map<string, number>();

  return {
    /** A new request. */
    request(drafts: Draft[]): Sent {
      const request = { drafts, sent: 0, answered: 0, tooLarge: false };
      requests.push(request);
      return request;
    },
    sending: (request: Sent): void => void request.sent++,
    /** Checks receipts at the moment of the answer: what is acknowledged is in the journal. */
    answered(request: Sent, receipts: Receipt[]): void {
      if (receipts.length !== request.drafts.length) throw new Violation("ledger: a receipt is missing");
      for (const [index, { messageId, duplicate }] of receipts.entries()) {
        if (messageId !== request.drafts[index]!.messageId) {
          throw new Violation("ledger: a receipt is another's");
        }
        const there = watch.placesOf(messageId).length;
        if (there === 0) throw new Violation(`ledger: ${messageId} is acknowledged and not in the journal`);
        if (!duplicate) news.set(messageId, (news.get(messageId) ?? 0) + 1);
        if ((news.get(messageId) ?? 0) > there) {
          throw new Violation(`ledger: ${messageId} was said to be new twice`);
        }
        // After a write of which nobody knows, an event may be taken for another's though it was brought by its own.
        if (duplicate && request.sent === 1 && !isTroubled()) {
          throw new Violation(`ledger: ${messageId} was sent once and is said to be a duplicate`);
        }
      }
      request.answered++;
    },
    /** A request that is too large for one operation. */
    tooLarge(request: Sent): void {
      request.tooLarge = true;
    },
    /** Checks everything at the end: what was acknowledged is there, and each request is there whole or not at all. */
    check(): void {
      for (const { drafts, sent, answered, tooLarge } of requests) {
        const commits = drafts.map(({ messageId }) => watch.placesOf(messageId)[0]?.commit);
        if (answered > 0 && commits.includes(undefined)) {
          throw new Violation(
            `ledger: an acknowledged event is gone: ${drafts.map(({ messageId }) => messageId)}`,
          );
        }
        if (new Set(commits).size > 1) {
          throw new Violation(`invariant 1: a request was committed by halves: ${commits}`);
        }
        if (tooLarge && commits[0] !== undefined) throw new Violation("ledger: a refused request is there");
        // One of several answers says so; but that may be one that never came.
        if (answered === 0 || sent > answered || tooLarge || hasWindow) continue;
        for (const { messageId } of drafts) {
          if (news.get(messageId) !== 1) throw new Violation(`ledger: ${messageId} was never said to be new`);
        }
      }
    },
    /** All requests. */
    requests,
  };
}
