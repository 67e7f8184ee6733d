/** A limit on wrong credentials per address, so that keys can't be guessed at the speed of the server. */

import { forgetOldest } from "../../domain/limits/bounded_map.ts";
import { PROCESS_LIMITS } from "../body/limits.ts";
import { networksOf } from "../http/network.ts";

/** The window in which failures are counted. */
const WINDOW_MS = 60_000;

/** Addresses remembered at once, some 10 MB; beyond it the oldest are forgotten. */
export const MAX_ADDRESSES = 50_000;

interface Window {
  sinceMs: number;
  failures: number;
}

/** Counts failed authentications. It is called only after a failure, so it never refuses a valid credential. */
export interface AuthenticationLimit {
  /** Counts a failure from an address; gives the seconds until a retry if there were too many. */
  fail(address: string): number | undefined;
  /** How many addresses are remembered. */
  size(): number;
}

/**
 * Creates a limit on failures per minute and address (for IPv6 per address and /64), with a higher one per /48; 0 is no
 * limit.
 */
export function createAuthenticationLimit(perMinute: number, now: () => number): AuthenticationLimit {
  const windows = new Map<string, Window>();

  /** Counts a failure in a network; gives the ms until its window ends if there were more than `most`. */
  function failIn(network: string, most: number): number {
    const nowMs = now();
    let window = windows.get(network);
    if (window === undefined || nowMs - window.sinceMs >= WINDOW_MS || nowMs < window.sinceMs) {
      window = { sinceMs: nowMs, failures: 0 };
      windows.delete(network); // So that the order of the map is that of the windows' beginnings.
      windows.set(network, window);
      forgetOldest(windows, MAX_ADDRESSES);
    }
    window.failures++;
    return window.failures > most ? window.sinceMs + WINDOW_MS - nowMs : 0;
  }

  return {
    size: () => windows.size,
    fail(address) {
      if (perMinute === 0) return undefined;
      const { narrow, wide } = networksOf(address);
      const narrowMs = failIn(narrow, perMinute);
      const wideMs = wide === undefined ? 0 : failIn(wide, perMinute * PROCESS_LIMITS.wideFactor);
      const ms = Math.max(narrowMs, wideMs);
      return ms > 0 ? Math.max(1, Math.ceil(ms / 1000)) : undefined;
    },
  };
}
