/** Runs rules: a step is a function that changes a copy of the event, or says that it is dropped. No rule throws. */
import { hash } from "node:crypto";
import { MAX_EVENT_BYTES, type StoredEvent } from "../event/event.ts";
import {
  beginLook,
  findExcess,
  findProblem,
  isObject,
  jsonBytes,
  type JsonObject,
  MAX_DEPTH,
} from "../event/json.ts";
import { fitsMember } from "./outcome.ts";
import {
  cloneJson,
  findAll,
  type Found,
  type Path,
  type Place,
  placesAt,
  removeAll,
  replace,
  valueOf,
} from "./path.ts";
import { conditionOf, type Operation, type operations, pathOf, type Rule } from "./rule.ts";
import { coerced, hashedTextOf, masked, textOf } from "./value_rules.ts";
import type { z } from "zod";

/** Applies all rules to an event: a changed copy, or `null` if it is dropped. The event itself is never changed. */
export type RunRules = (event: StoredEvent) => StoredEvent | null;

/** An event at work: a copy that the steps change. */
interface Work {
  event: JsonObject;
  /** Bytes of JSON that steps may still add: a `copy` of a `copy` would grow without bound. */
  roomBytes: number;
}

/** A step: false if the event is dropped. */
type Step = (work: Work) => boolean;

/** The containers in which `keep` works. */
const KEPT = ["properties", "traits", "context"] as const;

/** The part of a person's hash that decides about a sample, in hex digits and as a number. */
const SAMPLE_DIGITS = 8;
const SAMPLE_RANGE = 16 ** SAMPLE_DIGITS;

/** Makes a function of rules that were checked before. */
export function compileRules(rules: readonly Rule[]): RunRules {
  const steps = rules.map(compileRule);
  return (event) => {
    const work: Work = { event: cloneJson(event) as JsonObject, roomBytes: MAX_EVENT_BYTES };
    for (const step of steps) if (!step(work)) return null;
    return work.event as StoredEvent;
  };
}

/** The settings of an operation. */
type Of<Name extends Operation> = z.output<(typeof operations)[Name]>;

/** How each operation is compiled. */
const COMPILERS: { [Name in Operation]: (settings: Of<Name>) => Step } = {
  rename: ({ from, to }) => move(pathOf(from), pathOf(to)),
  copy: ({ from, to }) => copy(pathOf(from), pathOf(to)),
  set: ({ path, value }) => set(pathOf(path), value),
  remove: ({ paths }) => {
    const removed = paths.map(pathOf);
    return always(({ event }) => removed.forEach((path) => removeAll(findAll(event, path))));
  },
  keep: ({ paths }) => keep(paths.map(pathOf)),
  hash: ({ paths }) => change(paths, (value) => sha256(hashedTextOf(value))),
  mask: ({ paths }) => change(paths, masked),
  map: ({ path, values }) => change([path], mapper(values as JsonObject)),
  coerce: ({ path, to }) => change([path], (value) => coerced(value, to)),
  renameEvent: ({ to }) =>
    always(({ event }) => {
      if (event.type === "track") event.event = to;
    }),
  drop: () => () => false,
  sample: ({ rate }) => ({ event }) => {
    const person = textOf(event.userId ?? event.anonymousId ?? "");
    return parseInt(sha256(person).slice(0, SAMPLE_DIGITS), 16) / SAMPLE_RANGE < rate;
  },
};

const sha256 = (text: string): string => hash("sha256", text, "hex");

function compileRule(rule: Rule): Step {
  const name = (Object.keys(COMPILERS) as Operation[]).find((each) => rule[each] !== undefined)!;
  const step = (COMPILERS[name] as (settings: unknown) => Step)(rule[name]);
  if (rule.where === undefined) return step;
  const { test } = conditionOf(rule.where);
  return (work) => !test(work.event) || step(work);
}

function always(act: (work: Work) => void): Step {
  return (work) => {
    act(work);
    return true;
  };
}

/** Replaces the values at some paths; `null` stays, and so does a value for which `valueFor` has none. */
function change(texts: readonly string[], valueFor: (value: unknown) => unknown): Step {
  const paths = texts.map(pathOf);
  return always(({ event }) => {
    for (const path of paths) {
      for (const found of findAll(event, path)) {
        const old = valueOf(found);
        const value = old === null ? undefined : valueFor(old);
        if (value !== undefined && fits(path, value)) replace(found, value);
      }
    }
  });
}

/** New values by old ones; old ones that are no string, number or boolean match nothing. */
function mapper(values: JsonObject): (value: unknown) => unknown {
  return (value) => {
    const key = Array.isArray(value) || isObject(value) ? undefined : String(value);
    return key !== undefined && Object.hasOwn(values, key) ? cloneJson(values[key]) : undefined;
  };
}

function move(from: Path, to: Path): Step {
  return always((work) => {
    // All are removed first: `properties` may be moved to `properties.all`.
    const moved = findAll(work.event, from).map((found) => ({ found, value: valueOf(found) }));
    const fitting = moved.filter(({ value }) => isShallow(value, to) && fits(to, value));
    removeAll(fitting.map(({ found }) => found));
    for (const { found, value } of fitting) putAt(work.event, to, { found, from, value });
  });
}

function copy(from: Path, to: Path): Step {
  return always((work) => {
    const copied = findAll(work.event, from).map((found) => ({ found, value: valueOf(found) }));
    for (const { found, value } of copied) {
      if (fits(to, value)) putAt(work.event, to, { found, from, value, work });
    }
  });
}

function set(path: Path, value: unknown): Step {
  const bytes = jsonBytes(value);
  return always((work) => {
    for (const place of placesAt(work.event, path)) {
      if (bytes > work.roomBytes || !isShallow(value, path) || !fits(path, value)) return;
      work.roomBytes -= bytes;
      put(place, cloneJson(value));
    }
  });
}

/** Puts a value that stood at `from` to the places at `to` that belong to it. With `work` each gets a copy, within its room. */
function putAt(
  event: JsonObject,
  to: Path,
  { found, from, value, work }: { found: Found; from: Path; value: unknown; work?: Work },
): void {
  const indexes = found.indexes.slice(0, countEach(from));
  for (const place of placesAt(event, to, indexes)) {
    if (work === undefined) put(place, value);
    else if (takesRoom(work, value, to)) put(place, cloneJson(value));
  }
}

function countEach({ steps }: Path): number {
  return steps.filter((step) => step === "each").length;
}

function put({ parent, key }: Place, value: unknown): void {
  (parent as JsonObject)[key] = value;
}

/** Takes the room of a copied value; false if there is none, or if the value would be nested too deep. */
function takesRoom(work: Work, value: unknown, { steps }: Path): boolean {
  if (typeof value === "object" && value !== null) {
    const look = { ...beginLook(work.roomBytes), depth: steps.length };
    if ((findProblem(value, look) ?? findExcess(value, look)) !== undefined) return false;
  }
  const bytes = jsonBytes(value);
  if (bytes > work.roomBytes) return false;
  work.roomBytes -= bytes;
  return true;
}

/** Whether a value may stand at a path: members at the top keep the type that every reader of an event expects. */
function fits({ steps }: Path, value: unknown): boolean {
  const [first] = steps;
  return steps.length > 1 || first === "each" || first === undefined || fitsMember(first.name, value);
}

/** Whether a value at a path is not nested too deep. */
function isShallow(value: unknown, { steps }: Path): boolean {
  if (typeof value !== "object" || value === null) return true;
  return depthOf(value) + steps.length <= MAX_DEPTH;
}

function depthOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  let deepest = 0;
  for (const member of Object.values(value)) deepest = Math.max(deepest, depthOf(member));
  return deepest + 1;
}

/** A tree of the paths to keep: names, and `[]` for items; `true` keeps everything below. */
type Kept = Map<string, Kept> | true;

function keep(paths: readonly Path[]): Step {
  const tree: Kept = new Map();
  for (const { steps } of paths) addKept(tree, steps.map((step) => step === "each" ? "[]" : step.name));
  return always(({ event }) => {
    for (const name of KEPT) {
      if (isObject(event[name])) event[name] = keptOf(event[name], tree.get(name) ?? new Map());
    }
  });
}

function addKept(tree: Map<string, Kept>, names: readonly string[]): void {
  const [name, ...rest] = names as [string, ...string[]];
  const below = tree.get(name);
  if (below === true) return;
  if (rest.length === 0) tree.set(name, true);
  else {
    const branch = below ?? new Map<string, Kept>();
    tree.set(name, branch);
    addKept(branch, rest);
  }
}

/** The kept part of a value; `undefined` if nothing of it is. */
function keptOf(value: unknown, kept: Kept): unknown {
  if (kept === true) return value;
  if (Array.isArray(value)) return keptItems(value, kept);
  if (!isObject(value)) return undefined;
  const result: JsonObject = {};
  for (const [name, below] of kept) {
    if (!Object.hasOwn(value, name)) continue;
    const part = keptOf(value[name], below);
    if (part !== undefined) result[name] = part;
  }
  return result;
}

/** Items of an array by `[]`, or by their numbers. */
function keptItems(items: readonly unknown[], kept: Map<string, Kept>): unknown {
  const each = kept.get("[]");
  if (each !== undefined) return items.map((item) => keptOf(item, each)).filter((item) => item !== undefined);
  const chosen = items.flatMap((item, index) => {
    const below = kept.get(String(index));
    const part = below === undefined ? undefined : keptOf(item, below);
    return part === undefined ? [] : [part];
  });
  return chosen.length === 0 ? undefined : chosen;
}
