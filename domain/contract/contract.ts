/**
 * Event contracts: the shape of events of a type, name and write key, and what happens to an event that violates it.
 *
 * The specification: "422 Unprocessable Entity: Event rejected by contract validation".
 */
import type { EventType, StoredEvent } from "../event/event.ts";
import { MAX_ERRORS, type Rejection } from "../event/rejection.ts";
import type { Schema } from "./schema.ts";

/** What happens to an event that violates a contract: it is rejected, or accepted and counted. */
export const CONTRACT_MODES = ["enforce", "monitor"] as const;
export type ContractMode = typeof CONTRACT_MODES[number];

/** What happens to an event without a contract. */
export const UNKNOWN_EVENTS = ["allow", "monitor", "reject"] as const;
export type UnknownEvents = typeof UNKNOWN_EVENTS[number];

/** A contract: its rule and its events. The names are a stored format: stored contracts stay readable. */
export interface Draft {
  type: EventType;
  /** The name of a track event; without it all events of the type are meant. */
  event?: string;
  /** JSON Schema 2020-12 of the whole stored event. */
  schema: Schema;
  mode: ContractMode;
  /** The write keys whose events are meant; absent means all. */
  writeKeyIds?: string[];
}

/** A draft with its name. */
export interface Contract extends Draft {
  name: string;
}

/** One thing that is wrong with a value. */
export interface Violation {
  /** Dotted from the value's root. */
  path: string;
  /** The rule, to follow the path in a message. */
  rule: string;
  /** The violated keyword of the schema. */
  keyword: string;
  /** The value found, shortened. */
  found: string;
}

/** Gives the violations of a value; none if it is valid. */
export type Checker = (value: unknown) => readonly Violation[];

/** A contract that can be held against events. */
export interface Checked extends Contract {
  check: Checker;
  /** Why it checks nothing, if this version cannot use its schema. */
  notice?: string;
}

/** Called for each event that violates a contract, or that has none (`contract` is `null`). */
export type Count = (contract: string | null, mode: ContractMode) => void;

/** Contracts by type and name of event. */
export type Contracts = ReturnType<typeof createContracts>;

/** Whether a contract means an event. */
export function names(contract: Draft, event: StoredEvent, writeKeyId: string): boolean {
  return contract.type === event.type && (contract.event === undefined || contract.event === event.event) &&
    (contract.writeKeyIds === undefined || contract.writeKeyIds.includes(writeKeyId));
}

/** Finds the contracts that mean an event, without going through all. */
export function createContracts(all: readonly Checked[]) {
  const ofType = new Map<EventType, { whole: Checked[]; named: Map<string, Checked[]> }>();
  for (const contract of all) {
    let those = ofType.get(contract.type);
    if (those === undefined) ofType.set(contract.type, those = { whole: [], named: new Map() });
    if (contract.event === undefined) those.whole.push(contract);
    else those.named.set(contract.event, [...those.named.get(contract.event) ?? [], contract]);
  }
  return {
    size: all.length,
    /** The contracts that mean an event of this write key. */
    meeting(event: StoredEvent, writeKeyId: string): readonly Checked[] {
      const those = ofType.get(event.type);
      if (those === undefined) return NONE;
      const named = event.event === undefined ? undefined : those.named.get(event.event);
      const candidates = named === undefined ? those.whole : [...those.whole, ...named];
      return candidates.filter((contract) => names(contract, event, writeKeyId));
    },
  };
}

const NONE: readonly Checked[] = [];

/** What {@link judge} is given in addition to the event. */
export interface Judging {
  writeKeyId: string;
  unknown: UnknownEvents;
  count: Count;
}

/**
 * Checks an event with all contracts that apply to it. Gives the reason for rejection, if any. Pure, except for the
 * counts.
 */
export function judge(contracts: Contracts, event: StoredEvent, judging: Judging): Rejection | undefined {
  const { writeKeyId, unknown, count } = judging;
  const meeting = contracts.meeting(event, writeKeyId);
  if (meeting.length === 0) return unknown === "allow" ? undefined : judgeUnknown(event, { unknown, count });
  const errors: Rejection["errors"] = [];
  for (const { name, mode, check } of meeting) {
    const found = check(event);
    if (found.length === 0) continue;
    count(name, mode);
    if (mode === "enforce") errors.push(...found.map((violation) => errorOf(violation, name)));
  }
  if (errors.length === 0) return undefined;
  return {
    reason: "contract",
    code: "contract_violation",
    ...errors[0]!,
    errors: errors.slice(0, MAX_ERRORS),
  };
}

function judgeUnknown(
  event: StoredEvent,
  { unknown, count }: Pick<Judging, "unknown" | "count">,
): Rejection | undefined {
  count(null, unknown === "reject" ? "enforce" : "monitor");
  if (unknown !== "reject") return undefined;
  const path = event.event === undefined ? "type" : "event";
  const message = `${path} must be named by a contract of this write key`;
  return { reason: "contract", code: "no_contract", path, message, errors: [{ path, message }] };
}

/** Path, rule and value found, as in all rejections, and the contract. */
function errorOf({ path, rule, keyword, found }: Violation, name: string): { path: string; message: string } {
  const subject = path === "" ? "Event" : path;
  return { path, message: `${subject} ${rule}; got ${found} (contract ${name}: ${keyword}).` };
}

/** Why a draft broke on an event, in one line, with its path. `undefined` if it did not. */
export function firstViolation(
  { name, check }: Checked,
  event: StoredEvent,
): { path: string; message: string } | undefined {
  const [first] = check(event);
  return first === undefined ? undefined : errorOf(first, name);
}

/** Whether a contract holds for an event, and all that breaks it, at most {@link MAX_ERRORS}. */
export function verdictOf(
  { name, check }: Checked,
  event: StoredEvent,
): { holds: boolean; errors: { path: string; message: string }[] } {
  const found = check(event);
  return {
    holds: found.length === 0,
    errors: found.slice(0, MAX_ERRORS).map((violation) => errorOf(violation, name)),
  };
}
