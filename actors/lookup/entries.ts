/**
 * The entries of the lookup index. An event that sets a trait makes an entry for the actor that it names. Entries only say who may have a value: a search reads each profile and compares. So the order of events,
 * late events and replays cannot make a search wrong; an entry that is no longer true costs one read.
 */
import { hash } from "node:crypto";
import type { ActorKind, Fact } from "../../domain/profile/fact.ts";
import type { Key } from "../store/keys.ts";
import { lookupKey, lookupOfKey } from "./keys.ts";

/** An entry with the entry by which an erasure finds it; the values are ids, which may stand in keys as digests. */
export type Entries = [Key, string][];

/** Hex digits of a digest: 128 bits, so that no two values share one. */
const DIGEST_DIGITS = 32;

/** Text of values that are compared, in UTF-16 units: no address and no number is longer. */
const MAX_VALUE_UNITS = 1_000;

/**
 * The form in which values are compared: without surrounding blanks, in lower case. Numbers and booleans are their JSON;
 * `undefined` for a value that nobody looks up: `null`, an object, an array, blanks only.
 */
export function comparable(value: unknown): string | undefined {
  const text = typeof value === "string" ? value : scalarText(value);
  const form = text?.slice(0, MAX_VALUE_UNITS).trim().toLowerCase();
  return form === "" ? undefined : form;
}

function scalarText(value: unknown): string | undefined {
  if (value === null || value === undefined) return undefined;
  // Long integers are kept with their digits in objects that only JSON shows.
  const text = JSON.stringify(value);
  return /^[-\dtf]/.test(text) ? text : undefined;
}

/** The digest of a value in keys: ids and values of people are in no key as they are. */
export function digestOf(form: string): string {
  return hash("sha256", form, "hex").slice(0, DIGEST_DIGITS);
}

/** The entries of an event for some traits. */
export function entriesOf(fact: Fact, traits: readonly string[]): Entries {
  const entries: Entries = [];
  const actor = actorOf(fact);
  if (actor === undefined || fact.traits === undefined) return entries;
  for (const trait of traits) {
    const form = Object.hasOwn(fact.traits, trait) ? comparable(fact.traits[trait]) : undefined;
    if (form === undefined) continue;
    const [kind, id] = actor;
    entries.push([lookupKey(kind, trait, digestOf(form), id), id]);
    entries.push([lookupOfKey(kind, id, trait, digestOf(form)), id]);
  }
  return entries;
}

function actorOf({ type, userId, anonymousId, groupId }: Fact): [ActorKind, string] | undefined {
  if (type === "group") return groupId === undefined ? undefined : ["group", groupId];
  if (type !== "identify") return undefined;
  if (userId !== undefined) return ["user", userId];
  return anonymousId === undefined ? undefined : ["anonymous", anonymousId];
}
