/** The tree of a definition's conditions, and what reading one shares. */
import type { Condition } from "../condition/condition.ts";
import type { EventType } from "../event/event.ts";
import type { JsonObject } from "../event/json.ts";

/** Conditions of one definition; steps of a sequence count too. */
export const MAX_AUDIENCE_CONDITIONS = 50;

/** Levels of `all`, `any` and `not`. */
export const MAX_AUDIENCE_DEPTH = 10;

/** Bytes of a definition as JSON: it is stored in one value. */
export const MAX_AUDIENCE_BYTES = 32 * 1024;

/** UTF-16 units of an audience's name. */
export const MAX_AUDIENCE_NAME = 100;

/** What an administrator writes: a condition, and whether transitions are events. */
export interface AudienceDefinition {
  description?: string;
  where: JsonObject;
  emit: boolean;
}

/** Comparisons with numbers, or with decimals; all must hold. */
export interface Comparison {
  test(value: number | bigint): boolean;
  /** The comparisons as they were written. */
  given: JsonObject;
}

/** Which events: those of a type and name that satisfy a condition. */
export interface Selector {
  type?: EventType;
  /** The name of a track event. */
  event?: string;
  /** The name of a page or screen. */
  name?: string;
  where?: Condition;
  /** The path of the number that is summed. */
  sum?: readonly string[];
  /** Equal for selectors that select alike. */
  id: string;
}

/** A window of time before a moment t: (t − `fromMs`, t − `toMs`], and `since` ≤ timestamp < `until`. */
export interface Window {
  fromMs: number;
  toMs: number;
  since: number;
  until: number;
}

/** A step of a sequence: an event, or (`isNot`) no such event within a time. */
export interface Step {
  selector: Selector;
  isNot: boolean;
  /** After the step before, at most; `Infinity` without a bound. */
  withinMs: number;
}

/** A condition on the traits of a person or a group: which traits it reads, and its test. */
export interface TraitTest {
  keys: readonly string[];
  test(traits: Record<string, unknown>): boolean;
}

/** A node as it was written, without its children. */
interface Written {
  given: JsonObject;
}

/** A node of the tree. */
export type Node =
  & Written
  & (
    | { kind: "all" | "any"; parts: Node[] }
    | { kind: "not"; part: Node }
    | { kind: "traits"; traits: TraitTest }
    | { kind: "count"; selector: Selector; window: Window; compare: Comparison }
    | { kind: "last"; selector: Selector; window: Window; moreThanMs: number }
    | { kind: "sum"; selector: Selector; window: Window; compare: Comparison }
    | { kind: "sequence"; steps: Step[]; withinMs: number }
    | { kind: "group"; traits: TraitTest; match: "any" | "all" | "none" }
    | { kind: "audience"; name: string }
  );

/** Something wrong, and its path in the body (`where.all.1.within`). */
export interface DefinitionProblem {
  path: string;
  message: string;
}

/** What reading shares: the problems found, and how much was read. */
export interface Reading {
  problems: DefinitionProblem[];
  conditions: number;
}

/** Adds a problem, and gives nothing. */
export function refuse({ problems }: Reading, path: string, message: string): undefined {
  problems.push({ path, message });
}

/** Refuses members that a condition does not have: a typing error must not widen an audience. */
export function onlyMembers(
  given: JsonObject,
  known: readonly string[],
  path: string,
  reading: Reading,
): void {
  for (const member of Object.keys(given)) {
    if (known.includes(member)) continue;
    refuse(reading, `${path}.${member}`, `is not allowed here: this condition takes ${known.join(", ")}`);
  }
}
