/** The keys of the lookup index. */
import type { ActorKind } from "../../domain/profile/fact.ts";
import { type Key, keyId } from "../store/keys.ts";

/** How far the lookup index is. */
export const LOOKUP: Key = ["lookup"];

/** Who may have a value of a trait, by the value's digest; and what an actor may have, for erasures. */
export const lookupPrefix = (kind: ActorKind, trait: string, digest: string): Key => [
  "lookupBy",
  kind,
  trait,
  digest,
];
export const lookupKey = (kind: ActorKind, trait: string, digest: string, id: string): Key => [
  ...lookupPrefix(kind, trait, digest),
  keyId(id),
];
export const lookupOfPrefix = (kind: ActorKind, id: string): Key => ["lookupOf", kind, keyId(id)];
export const lookupOfKey = (kind: ActorKind, id: string, trait: string, digest: string): Key => [
  ...lookupOfPrefix(kind, id),
  trait,
  digest,
];

/** All entries of the index. */
export const LOOKUP_ENTRIES: readonly Key[] = [["lookupBy"], ["lookupOf"]];
