/**
 * Requests for erasure, and the receipts of completed ones. Requests are numbered from 1; `settled` has the number of
 * completed ones, and the number of all requests tells whether there are more.
 */
import type { Position } from "../../domain/event/position.ts";
import { ERASING } from "../store/keys.ts";
import type { Store } from "../store/store.ts";

/** A person that can be erased: a user, or an anonymous id. */
export interface Person {
  kind: "user" | "anonymous";
  id: string;
}

/** What an erasure removed: events, the logs of people and groups that had them, and rejected events. */
export interface Erased {
  events: number;
  logs: number;
  groups: number;
  rejected: number;
}

/** The number of all requests. A stored format. */
export interface ErasureRequests {
  pushed: number;
}

/** Number of erasures that were ever requested. */
export async function requestedErasures(store: Store): Promise<number> {
  return (await store.get<ErasureRequests>(ERASING)).value?.pushed ?? 0;
}

/** A request for erasure. A stored format, until the erasure is completed. */
export interface ErasureRequest extends Person {
  /** The attempt that wrote it: tells requests of one moment apart. */
  op: string;
  /** The digest in the key of the receipt. */
  digest: string;
  /** Whose later events are not stored: nobody's, those of the id itself, or also those of all linked ids. */
  suppress: boolean | "id" | "all";
  /** The end of the journal at the request: events up to it are erased. */
  upTo: Position;
  /** Ms since 1970. */
  at: number;
  /** Whether every process that commits has known the suppression before `upTo`. */
  isKnown?: true;
  /** Number of rejected events that are erased already; none if absent. */
  rejected?: number;
  /** The plan, once there is one: the number of parts of each list, and what it removes. */
  plan?: { parts: Partial<Record<PlanList, number>>; erased: Erased };
  /** Everything but the plan itself is done. */
  done?: true;
}

/** The lists of a plan: positions of events to erase, of events that lose a name, actors, and a user's anonymous ids. */
export type PlanList = "places" | "mentions" | "names" | "owned";

/** The receipt of an erasure, kept for ever under a digest. A stored format. */
export interface Receipt {
  /** When the last one was completed (ms). */
  at: number;
  suppressed: boolean;
  /** All together. */
  erased: Erased;
  /** The latest requests. The name is stored. */
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

/** The result of erasing nobody. */
export const NOTHING_ERASED: Erased = { events: 0, logs: 0, groups: 0, rejected: 0 };
