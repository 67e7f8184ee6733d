/**
 * Time and chance, as an argument. So a test sets the time, and the simulation decides what happens when. Only this
 * file reads the real clock; `main.ts` and the tasks pass it in.
 */
import { setImmediate } from "node:timers";

/** The time, for all actors. */
export interface Clock {
  /** Time of day, in ms since 1970. It can be set, forward and back. */
  now(): number;
  /** Ms since some moment, by a clock that nobody can set. */
  monotonic(): number;
  /** Resolves after this many ms. */
  sleep(ms: number): Promise<void>;
  /** Calls `act` after this many ms, unless the returned function is called before. */
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
