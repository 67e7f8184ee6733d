/** What befalls requests on their way to a KV Connect server and back, drawn from a seed. */
import type { Random } from "../process/ledger.ts";

/** What befalls a request. A client that breaks off tries again by itself, for ever. */
export const FAULTS = [
  /** The connection breaks before anything was done. */
  "dropped",
  /** 503: nothing was done. */
  "refused",
  /** It is done, and the connection breaks before the answer. */
  "answer dropped",
  /** It is done, and answered 503: the client tries again. */
  "answer refused",
  /** It is done, and the connection breaks in the midst of the answer: the client library throws. Writes only. */
  "answer cut",
  /** It is done after a while. */
  "delayed",
  /** It is done at once, and answered after a while. */
  "answer delayed",
  /** It is done twice, and the second is answered: a write whose check then fails, though it was written. */
  "doubled",
  /** The connection breaks, and it is done a while later, perhaps after the client's next try. */
  "late",
] as const;

/** One of {@link FAULTS}. */
export type Fault = typeof FAULTS[number];

/** A delay is at most so long: around it the client library's own next try comes, after 200 to 300 ms. */
const MAX_DELAY_MS = 400;

/** What befalls each request. */
export interface Faults {
  /** What befalls the next request; `undefined` for nothing. */
  next(isWrite: boolean): Fault | undefined;
  /** How long what is delayed takes. */
  delayMs(): number;
  /** How often each was. */
  counts: Record<Fault, number>;
}

/** Draws faults, so many of a hundred requests. */
export function createFaults(random: Random, percent: number): Faults {
  const counts = Object.fromEntries(FAULTS.map((fault) => [fault, 0])) as Record<Fault, number>;
  return {
    counts,
    next(isWrite) {
      if (random() * 100 >= percent) return undefined;
      const fault = FAULTS[Math.floor(random() * FAULTS.length)]!;
      // A read that was cut is thrown to whoever asked: that is a 503, not something to be hidden.
      if (fault === "answer cut" && !isWrite) return undefined;
      counts[fault]++;
      return fault;
    },
    // Mostly short, as delays are.
    delayMs: () => MAX_DELAY_MS * random() ** 3,
  };
}
