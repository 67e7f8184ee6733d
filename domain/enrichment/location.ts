/** The location of an event: from a database of addresses into the event's context. */
import { type Address, readSentAddress, truncated } from "./address.ts";
import type { StoredEvent } from "../event/event.ts";
import { isObject, type JsonObject } from "../event/json.ts";

/** An event's `context.location`; names are English, the country is its code (ISO 3166-1 alpha-2). */
export interface Location {
  country: string;
  region?: string;
  city?: string;
  /** By its IANA name. */
  timezone?: string;
}

/** What happens to an address after the lookup. */
export const ADDRESS_POLICIES = ["keep", "truncate", "drop"] as const;

/** One of {@link ADDRESS_POLICIES}. */
export type AddressPolicy = typeof ADDRESS_POLICIES[number];

/** The record of a database for an address, or nothing. */
export type LookUp = (address: string) => unknown;

/**
 * Longest name from a database, in UTF-16 units of at most 3 bytes each: databases come from outside, and four names
 * with the timestamps must fit the 2 KiB that `MAX_STORED_EVENT_BYTES` leaves.
 */
const MAX_NAME_LENGTH = 100;

/** Characters that JSON escapes, most of them in six bytes. */
// deno-lint-ignore no-control-regex -- these are what it looks for.
const ESCAPED = /[\0-\x1f"\\]/;

/**
 * The location in a record of a database in MaxMind's format, with its own shape (GeoLite2-City, GeoIP2) or the flat
 * one of ip-location-db; `undefined` if it has no country.
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

/** What a sent address says; nothing where it is none, or where nobody knows the place. */
export interface Place {
  address?: Address | undefined;
  location?: Location | undefined;
}

/** Finds the place of an address as it was sent. */
export type PlaceOf = (sent: unknown) => Place;

/** Places that are remembered: a server sends all its events from one address, and a person some in a row. */
const MAX_PLACES = 4_096;

/** A longer text is no single address: it is not remembered. */
const MAX_REMEMBERED_LENGTH = 64;

/** Makes what finds places by a database; without one it reads addresses only. */
export function createPlaceOf(lookUp: LookUp | undefined): PlaceOf {
  const places = new Map<unknown, Place>();
  return (sent) => {
    let place = places.get(sent);
    if (place !== undefined) return place;
    const address = readSentAddress(sent);
    place = { address, location: address && lookUp && find(lookUp, address.toString()) };
    if (typeof sent !== "string" || sent.length > MAX_REMEMBERED_LENGTH) return place;
    if (places.size >= MAX_PLACES) places.clear();
    places.set(sent, place);
    return place;
  };
}

/** A damaged database gives no location: that is no reason to reject an event. */
function find(lookUp: LookUp, address: string): Location | undefined {
  try {
    return locationOf(lookUp(address));
  } catch {
    return undefined;
  }
}

/** How events are located. */
export interface LocateOptions {
  placeOf: PlaceOf;
  policy: AddressPolicy;
  /** The address of the request's sender, if that is the user (a browser); called if the event has no address. */
  peer?: (() => string | undefined) | undefined;
}

/**
 * Adds `context.location` to an event if the place of its `context.ip` is known, or of the peer's address if it has
 * none; then keeps, truncates or drops `context.ip`. A location from the sender stays. Never throws, whatever is in
 * `context.ip`. Events of a batch may share the context, so it is copied, not changed.
 */
export function locate(event: StoredEvent, { placeOf, policy, peer }: LocateOptions): void {
  const { context } = event;
  const ip = context?.ip;
  const hasIp = ip !== undefined && ip !== null && ip !== "";
  const given = hasIp ? ip : peer?.();
  if (given === undefined) return;
  const { address, location } = placeOf(given);
  const isGiven = context?.location !== undefined && context.location !== null;
  const located = location === undefined || isGiven ? context : { ...context, location };
  const settled = hasIp && policy !== "keep"
    ? withoutIp(located!, policy === "truncate" && address !== undefined ? truncated(address) : undefined)
    : located;
  if (settled !== undefined && settled !== context) event.context = settled;
}

/** By spreading, the one way of copying that keeps a member named `__proto__` a member. */
function withoutIp({ ip: _, ...rest }: JsonObject, instead: string | undefined): JsonObject {
  return instead === undefined ? rest : { ...rest, ip: instead };
}
