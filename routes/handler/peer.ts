/** The peer: of the connection, or of a trusted proxy. */
import { readAddress, withoutPort } from "../../domain/enrichment/address.ts";
import type { RouteContext } from "./handle.ts";

/** Entries of `X-Forwarded-For` that are read, from its end: a sender may have added any number before. */
export const MAX_PROXIES = 10;

/**
 * Makes a function that gives the address of a request's peer; `""` if there is none.
 *
 * Each proxy appends the address that connected to it to `X-Forwarded-For`. So with this many trusted proxies, the
 * entry at that index from the end was written by one of them, and everything before it by anybody. If there are fewer
 * entries, or if that one is not an address, the request did not pass all proxies: then the connection's address
 * counts.
 */
export function createPeerOf(trustedProxies: number): (c: RouteContext) => string {
  return function peerOf(c) {
    const connected = connectedAddress(c);
    if (trustedProxies === 0) return connected;
    const entries = (c.req.raw.headers.get("x-forwarded-for") ?? "").split(",");
    const entry = entries[entries.length - trustedProxies]?.trim() ?? "";
    return readAddress(withoutPort(entry))?.toString() ?? connected;
  };
}

function connectedAddress(c: RouteContext): string {
  const address = c.env?.remoteAddr;
  return address !== undefined && "hostname" in address ? address.hostname : "";
}
