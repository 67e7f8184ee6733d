/** The lookup of users and groups: its index, and the search. */
import type { Subscription } from "../journal/subscription.ts";
import { createFind, type FindOptions, type FoundPage, type LookupKind, type LookupQuery } from "./find.ts";
import { followForLookup, type LookupFollowOptions } from "./follow.ts";

/** See the file. */
export interface Lookup {
  /** The traits that can be looked up. */
  traits: readonly string[];
  find(kind: LookupKind, query: LookupQuery): Promise<FoundPage>;
}

/** Creates the lookup of a store. Wake its follower after each commit. */
export function createLookup(
  options: Omit<FindOptions, "hurry"> & Omit<LookupFollowOptions, "onMoved">,
): { lookup: Lookup; follower: Subscription } {
  const follower = followForLookup({ ...options, onMoved() {} });
  return {
    lookup: { traits: options.traits, find: createFind({ ...options, hurry: follower.hurry }) },
    follower,
  };
}
