/** Where an event comes from: what a database of addresses says, put into the event's context. */
import { readSentAddress, truncated } from "./address.ts";
import type { StoredEvent } from "../event/event.ts";
import { isObject, type JsonObject } from "../event/json.ts";

/** What an event's `context.location` says; names are English, the country is its code (ISO 3166-1 alpha-2). */
export interface Location {
  country: string;
  region?: string;
  city?: string;
  /** By its IANA name. */
  timezone?: string;
}

/** What may become of an address once it was looked up. */
export const ADDRESS_POLICIES = ["keep", "truncate", "drop"] as const;

/** One of {@link ADDRESS_POLICIES}. */
export type AddressPolicy = typeof ADDRESS_POLICIES[number];

/** The record of a database for an address, or nothing. */
export type LookUp = (address: string) => unknown;

/**
 * Longest name that is taken from a database, in UTF-16 units of at most 3 bytes each: they are not ours, and four of them
 * with the stamps must fit the 2 KiB that `MAX_STORED_EVENT_BYTES` leaves.
 */
const MAX_NAME_LENGTH = 100;

/** What JSON writes longer than it is, most of it in six bytes. */
// deno-lint-ignore no-control-regex -- these are what it looks for.
const ESCAPED = /[\0-\x1f"\\]/;

/**
 * The location in a record of a database in MaxMind's format, of its own shape (GeoLite2-City, GeoIP2) or of the flat
 * one of ip-location-db; nothing where it has no country.
 */
export function locationOf(record: unknown): Location | undefined {
  if (!isObject(record)) return undefined;
  const country = nameIn(record.country_code) ?? nameIn(under(record.country, "iso_code")) ??
    nameIn(under(record.registered_country, "iso_code"));
  if (country === undefined) return undefined;
  const subdivision = Array.isArray(record.subdivisions) ? record.subdivisions[0] : undefined;
  const region = nameIn(record.state1) ?? englishName(subdivision) ?? nameIn(under(subdivision, "iso_code"));
  const city = nameIn(record.city) ?? englishName(record.city);
  const timezone = nameIn(record.timezone) ?? nameIn(under(record.location, "time_zone"));
  return {
    country,
    ...region !== undefined && { region },
    ...city !== undefined && { city },
    ...timezone !== undefined && { timezone },
  };
}

function under(value: unknown, member: string): unknown {
  return isObject(value) && Object.hasOwn(value, member) ? value[member] : undefined;
}

function englishName(value: unknown): string | undefined {
  return nameIn(under(under(value, "names"), "en"));
}

function nameIn(value: unknown): string | undefined {
  const isName = typeof value === "string" && value !== "" && value.length <= MAX_NAME_LENGTH;
  return isName && value.isWellFormed() && !ESCAPED.test(value) ? value : undefined;
}

/** How events are located. */
export interface LocateOptions {
  /** Absent: nothing is looked up. */
  lookUp?: LookUp | undefined;
  policy: AddressPolicy;
  /** The address of whoever sent the request, where that is the user (a browser); asked for where the event has none. */
  peer?: (() => string | undefined) | undefined;
}

/**
 * Puts `context.location` into an event where the database knows the event's `context.ip`, or its peer's address where it
 * has none, and then keeps, truncates or drops `context.ip`. A location that the sender gave stays. Never throws, whatever
 * stands in `context.ip`. The context may be shared with other events of a batch, so it is copied, not changed.
 */
export function locate(event: StoredEvent, { lookUp, policy, peer }: LocateOptions): void {
  const { context } = event;
  const ip = context?.ip;
  const hasIp = ip !== undefined && ip !== null && ip !== "";
  const given = hasIp ? ip : lookUp && peer?.();
  if (given === undefined) return;
  const address = readSentAddress(given);
  const isGiven = context?.location !== undefined && context.location !== null;
  const location = address === undefined || isGiven ? undefined : lookUp && find(lookUp, address.toString());
  const located = location === undefined ? context : { ...context, location };
  const settled = hasIp && policy !== "keep"
    ? withoutIp(located!, policy === "truncate" && address !== undefined ? truncated(address) : undefined)
    : located;
  if (settled !== undefined && settled !== context) event.context = settled;
}

/** A database that is damaged says nothing: it is no reason to refuse an event. */
function find(lookUp: LookUp, address: string): Location | undefined {
  try {
    return locationOf(lookUp(address));
  } catch {
    return undefined;
  }
}

/** By spreading, the one way of copying that keeps a member named `__proto__` a member. */
function withoutIp({ ip: _, ...rest }: JsonObject, instead: string | undefined): JsonObject {
  return instead === undefined ? rest : { ...rest, ip: instead };
}
