/** The requests that wait for a commit, in the order in which they came. */
import type { Journal } from "../journal/journal_state.ts";
import type { Clock } from "../store/clock.ts";
import { NotServing, StorageUnavailable } from "../store/errors.ts";
import { type CommitLimits, type Receipt, type Request, wordsOf } from "./commit_group.ts";

/** A request is answered or refused within this time. */
export const DEADLINE_MS = 10_000;

/** Requests that wait hold at most so much JSON: beyond it new ones are refused at once. */
const WAITING_BYTES = 64 * 1024 * 1024;

const TOO_MANY_WAIT = "Too many requests are waiting for storage.";
const WAITED_TOO_LONG = `The request waited longer than ${DEADLINE_MS / 1000} s for storage.`;

/** The refusal of a request that no commit took within the deadline. */
export function waitedTooLong(): NotServing {
  return new NotServing(WAITED_TOO_LONG, "overloaded");
}

/** Makes the list of those that wait. Each of them is resolved or rejected by whoever takes it out. */
export function createWaiting(
  { journal, clock, limits }: { journal: Journal; clock: Clock; limits: CommitLimits },
) {
  let waiting: Request[] = [];
  let waitingBytes = 0;
  /** Requests of the next group at the most: a group that was too large is taken again in halves. */
  let maxRequests = Infinity;

  function isHeld(request: Request): boolean {
    const words = wordsOf(request);
    for (let at = 0; at < request.events.length; at++) if (journal.isUnderWay(words, at)) return true;
    return false;
  }

  return {
    count: () => waiting.length,
    bytes: () => waitingBytes,
    /** Milliseconds until the first is refused; `Infinity` where nobody waits. */
    leftMs: () =>
      waiting.length === 0 ? Infinity : Math.max(0, waiting[0]!.cameMs + DEADLINE_MS - clock.monotonic()),
    /** Resolves with the request's receipts; rejects at once where too many bytes wait. */
    add(
      request: Pick<Request, "events" | "lines" | "digests" | "writeKeyId" | "judged">,
    ): Promise<Receipt[]> {
      if (waitingBytes > WAITING_BYTES) return Promise.reject(new NotServing(TOO_MANY_WAIT, "overloaded"));
      const bytes = request.lines.reduce((sum, line) => sum + line.length, 0);
      return new Promise((resolve, reject) => {
        waiting.push({ ...request, words: undefined, bytes, cameMs: clock.monotonic(), resolve, reject });
        waitingBytes += bytes;
      });
    },
    /** Takes the requests that came first, whole, up to `groupBytes`; not those with an id that is under way. */
    take(): Request[] {
      const group: Request[] = [];
      let bytes = 0;
      let events = 0;
      let rest: Request[] | undefined;
      for (const [index, request] of waiting.entries()) {
        const isFull = bytes + request.bytes > limits.groupBytes || group.length >= maxRequests ||
          events + request.events.length > limits.groupEvents;
        if (group.length > 0 && isFull) {
          rest = [...rest ?? [], ...waiting.slice(index)];
          break;
        }
        if (journal.underWay() > 0 && isHeld(request)) {
          rest ??= [];
          rest.push(request);
          continue;
        }
        bytes += request.bytes;
        events += request.events.length;
        group.push(request);
      }
      maxRequests = Infinity;
      waiting = rest ?? [];
      waitingBytes -= bytes;
      return group;
    },
    /** Puts a group that was too large back in front, to be taken in halves. */
    putBack(requests: readonly Request[]): void {
      maxRequests = Math.ceil(requests.length / 2);
      waiting = [...requests, ...waiting];
      waitingBytes += requests.reduce((sum, request) => sum + request.bytes, 0);
    },
    /** Refuses those that have waited too long. */
    expire(late: () => StorageUnavailable | NotServing = waitedTooLong): void {
      const nowMs = clock.monotonic();
      while (waiting.length > 0 && nowMs - waiting[0]!.cameMs >= DEADLINE_MS) {
        const request = waiting.shift()!;
        waitingBytes -= request.bytes;
        request.reject(late());
      }
    },
    refuseAll(error: unknown): void {
      for (const request of waiting) request.reject(error);
      [waiting, waitingBytes] = [[], 0];
    },
  };
}

export type Waiting = ReturnType<typeof createWaiting>;
