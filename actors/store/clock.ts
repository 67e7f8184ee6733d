/**
 * Time and chance, as an argument: whoever waits or looks at the time is handed a clock. So a test sets the time, and the
 * simulation decides what happens when. This file alone reads the real clock; `main.ts` and the tasks pass it in.
 */
import { setImmediate } from "node:timers";

/** What the actors know of time. */
export interface Clock {
  /** Time of day, in ms since 1970. It can be set, forward and back. */
  now(): number;
  /** Ms since some moment, by a clock that nobody can set. */
  monotonic(): number;
  /** Resolves after so many ms. */
  sleep(ms: number): Promise<void>;
  /** Calls `act` after so many ms, unless the function that it returns is called before. */
  timer(ms: number, act: () => void): () => void;
  /** Resolves after everything else that is ready has had its turn of the event loop. */
  turn(): Promise<void>;
  /** A number from 0 up to, but not, 1: for pauses that processes must not take in step. Never for a secret or an id. */
  random(): number;
}

/** The clock of this machine. */
export const systemClock: Clock = {
  now: Date.now,
  monotonic: () => performance.now(),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  timer(ms, act) {
    const timer = setTimeout(act, ms);
    return () => clearTimeout(timer);
  },
  turn: () => new Promise((resolve) => setImmediate(resolve)),
  random: Math.random,
};
