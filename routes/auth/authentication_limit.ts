/** A limit on wrong credentials per address, so that keys can't be guessed at the speed of the server. */

import { forgetOldest } from "../../domain/limits/bounded_map.ts";

/** The window in which failures are counted. */
const WINDOW_MS = 60_000;

/** Addresses remembered at once, some 10 MB; beyond them those that came first are forgotten. */
export const MAX_ADDRESSES = 50_000;

interface Window {
  sinceMs: number;
  failures: number;
}

/** Counts failed authentications. It is asked only after a failure, so a valid credential is never refused by it. */
export interface AuthenticationLimit {
  /** Counts a failure from an address, and says in how many seconds to come again if there were too many. */
  fail(address: string): number | undefined;
  /** How many addresses are remembered. */
  size(): number;
}

/** Makes a limit of so many failures a minute and address; 0 is no limit. */
export function createAuthenticationLimit(perMinute: number, now: () => number): AuthenticationLimit {
  const windows = new Map<string, Window>();
  return {
    size: () => windows.size,
    fail(address) {
      if (perMinute === 0) return undefined;
      const who = networkOf(address);
      const nowMs = now();
      let window = windows.get(who);
      if (window === undefined || nowMs - window.sinceMs >= WINDOW_MS || nowMs < window.sinceMs) {
        window = { sinceMs: nowMs, failures: 0 };
        windows.delete(who); // So that the order of the map is that of the windows' beginnings.
        windows.set(who, window);
        forgetOldest(windows, MAX_ADDRESSES);
      }
      window.failures++;
      if (window.failures <= perMinute) return undefined;
      return Math.max(1, Math.ceil((window.sinceMs + WINDOW_MS - nowMs) / 1000));
    },
  };
}

/** An IPv6 subscriber has at least a /64 (RFC 6177), and with it more addresses than could be counted one by one. */
function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped !== null) return mapped[1]!;
  const [head = "", tail] = address.split("::");
  const groups = head === "" ? [] : head.split(":");
  if (tail !== undefined) {
    const after = tail === "" ? 0 : tail.split(":").length;
    while (groups.length + after < 8) groups.push("0");
  }
  return groups.slice(0, 4).map((group) => group.replace(/^0+(?=.)/, "")).join(":");
}
