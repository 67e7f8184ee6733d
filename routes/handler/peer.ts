/** Who is at the other end: the peer of the connection, or whoever a trusted proxy says that it speaks for. */
import { readAddress, withoutPort } from "../../domain/enrichment/address.ts";
import type { RouteContext } from "./handle.ts";

/** Most entries of `X-Forwarded-For` that are looked at, from its end: a sender may have put any number before. */
export const MAX_PROXIES = 10;

/**
 * Makes a function that tells the address of a request's peer; `""` where there is none.
 *
 * Each proxy puts the address that it was reached from at the end of `X-Forwarded-For`. So with so many proxies that are
 * trusted, the entry at that place from the end was written by one of them, and everything before it by anybody. Where
 * there are fewer entries, or that one is no address, the request did not come through them all: the connection counts.
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
