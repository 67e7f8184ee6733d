/**
 * Wishes for erasure, and the receipts of those that are fulfilled. Wishes are numbered from 1; `settled` says how many are
 * fulfilled, and the number of all wishes says whether there are more.
 */
import type { Position } from "../../domain/event/position.ts";
import { ERASING } from "../store/keys.ts";
import type { Store } from "../store/store.ts";

/** Who can be erased: a user, or an anonymous id. */
export interface Person {
  kind: "user" | "anonymous";
  id: string;
}

/** What an erasure came to: how many events are gone, from how many logs of people and groups, and rejected ones. */
export interface Erased {
  events: number;
  logs: number;
  groups: number;
  rejected: number;
}

/** How many wishes there were. */
export interface Wishes {
  pushed: number;
}

/** How many erasures were ever wished. */
export async function wishedErasures(store: Store): Promise<number> {
  return (await store.get<Wishes>(ERASING)).value?.pushed ?? 0;
}

/** Whom somebody wishes to have erased. A stored format, until it is fulfilled. */
export interface Wish extends Person {
  /** Who wishes it: tells the wishes of one moment apart. */
  op: string;
  /** The digest under which the receipt is kept. */
  digest: string;
  /** Whose later events are not stored: nobody's, those of the id itself, or of all linked ones too. */
  suppress: boolean | "id" | "all";
  /** The end of the journal when it was wished: what is up to it is erased. */
  upTo: Position;
  /** When (ms). */
  at: number;
  /** How many rejected events of theirs are gone already; absent is none. */
  rejected?: number;
  /** The plan, once there is one: in how many parts its lists stand, and what it comes to. */
  plan?: { parts: Partial<Record<PlanList, number>>; erased: Erased };
  /** Everything but the plan itself is done. */
  done?: true;
}

/** The lists of a plan: places of events that go, of others' that lose a name, actors, and a user's anonymous ids. */
export type PlanList = "places" | "mentions" | "names" | "owned";

/** What an erasure came to, kept for ever under a digest. A stored format. */
export interface Receipt {
  /** When the last one was fulfilled (ms). */
  at: number;
  suppressed: boolean;
  /** All together. */
  erased: Erased;
  /** The latest wishes, by their numbers. */
  wishes: { no: number; op: string; erased: Erased }[];
}

/** The sum of two erasures. */
export function addErased(a: Erased = NOTHING_ERASED, b: Erased): Erased {
  return {
    events: a.events + b.events,
    logs: a.logs + b.logs,
    groups: a.groups + b.groups,
    rejected: a.rejected + b.rejected,
  };
}

/** What comes of erasing nobody. */
export const NOTHING_ERASED: Erased = { events: 0, logs: 0, groups: 0, rejected: 0 };
