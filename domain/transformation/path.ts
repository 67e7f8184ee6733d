/**
 * Paths into an event: names joined by dots, from the event's root. `products[].price` reaches into each item of an array;
 * a number names one item. Only own members count, so no path reaches a prototype.
 */
import { isObject, type JsonObject, MAX_DEPTH } from "../event/json.ts";

/** UTF-16 units of a path: more than any name of a member needs. */
export const MAX_PATH_LENGTH = 500;

/** One step of a path: a member by its name, or every item of an array. */
type Step = { name: string } | "each";

/** A path that was read. */
export interface Path {
  text: string;
  steps: readonly Step[];
  /** Number of steps up to and with the last that reaches into an array; 0 if none does. */
  arrays: number;
}

/** A member that a path found: its parent, its name there, and the items on the way to it. */
export interface Found {
  parent: JsonObject | unknown[];
  key: string | number;
  /** The index at each `[]` of the path. */
  indexes: readonly number[];
}

/** Reads a path, or gives its problem, to follow the path of the rule. */
export function readPath(text: string): Path | { problem: string } {
  if (text.length === 0 || text.length > MAX_PATH_LENGTH) {
    return { problem: `must have 1 to ${MAX_PATH_LENGTH} characters` };
  }
  const steps: Step[] = [];
  let arrays = 0;
  for (const part of text.split(".")) {
    const name = part.replace(/(\[\])+$/, "");
    if (name === "") return { problem: "must have a name before and after each dot" };
    if (/[[\]]/.test(name)) return { problem: "may have [] only at the end of a name" };
    if (name === "__proto__") return { problem: "must not contain __proto__" };
    steps.push({ name });
    for (let n = name.length; n < part.length; n += 2) {
      steps.push("each");
      arrays = steps.length;
    }
  }
  if (steps.length >= MAX_DEPTH) return { problem: `must have fewer than ${MAX_DEPTH} steps` };
  return { text, steps, arrays };
}

/** Whether every array that `from` reaches into is an array that `to` reaches into, too: then each value has one place. */
export function sharesArrays(from: Path, to: Path): boolean {
  return from.steps.slice(0, from.arrays).every((step, index) => {
    const other = to.steps[index];
    if (step === "each" || other === "each" || other === undefined) return step === other;
    return step.name === other.name;
  });
}

/** The members of an event at a path that are there. */
export function findAll(event: JsonObject, { steps }: Path): Found[] {
  const found: Found[] = [];
  find(event, { steps, at: 0, indexes: [], found });
  return found;
}

interface Search {
  steps: readonly Step[];
  at: number;
  indexes: readonly number[];
  found: Found[];
}

function find(parent: unknown, search: Search): void {
  const { steps, at, indexes, found } = search;
  const step = steps[at]!;
  const isLast = at === steps.length - 1;
  if (step === "each") {
    if (!Array.isArray(parent)) return;
    for (let index = 0; index < parent.length; index++) {
      const way = [...indexes, index];
      if (isLast) found.push({ parent, key: index, indexes: way });
      else find(parent[index], { steps, at: at + 1, indexes: way, found });
    }
    return;
  }
  const key = keyIn(parent, step.name);
  if (key === undefined) return;
  if (isLast) found.push({ parent: parent as JsonObject, key, indexes });
  else find((parent as JsonObject)[key], { steps, at: at + 1, indexes, found });
}

/** The key of an own member of an object, or the index of an item. */
function keyIn(parent: unknown, name: string): string | number | undefined {
  if (isObject(parent)) return Object.hasOwn(parent, name) ? name : undefined;
  if (!Array.isArray(parent) || !/^(0|[1-9]\d{0,8})$/.test(name)) return undefined;
  return Number(name) < parent.length ? Number(name) : undefined;
}

/** The value of a member that was found. */
export function valueOf({ parent, key }: Found): unknown {
  return (parent as JsonObject)[key];
}

/** Gives a member that was found another value. */
export function replace({ parent, key }: Found, value: unknown): void {
  (parent as JsonObject)[key] = value;
}

/** Removes members that {@link findAll} found. Items of one array are removed from its end, so that indexes hold. */
export function removeAll(found: readonly Found[]): void {
  for (const { parent, key } of found.toReversed()) {
    if (Array.isArray(parent)) parent.splice(key as number, 1);
    else delete parent[key];
  }
}

/** A place for a value at a path: an object or an array, and the key there. */
export type Place = Pick<Found, "parent" | "key">;

/**
 * The places at a path for new values. Objects on the way are created where nothing is; where another value is in the way
 * there is no place. `indexes` names the items at the first `[]`s; every item of later arrays gets a place.
 */
export function placesAt(event: JsonObject, { steps }: Path, indexes: readonly number[] = []): Place[] {
  const places: Place[] = [];
  make(event, { steps, at: 0, indexes, places });
  return places;
}

interface Making {
  steps: readonly Step[];
  at: number;
  indexes: readonly number[];
  places: Place[];
}

function make(parent: unknown, making: Making): void {
  const { steps, at, indexes, places } = making;
  const step = steps[at]!;
  const isLast = at === steps.length - 1;
  if (step === "each") {
    if (!Array.isArray(parent)) return;
    const [only, ...rest] = indexes;
    const items = only === undefined ? parent.keys() : [only];
    for (const index of items) {
      if (index >= parent.length) continue;
      if (isLast) places.push({ parent, key: index });
      else make(parent[index], { steps, at: at + 1, indexes: rest, places });
    }
    return;
  }
  if (!isObject(parent)) {
    const key = keyIn(parent, step.name);
    if (key === undefined) return;
    if (isLast) places.push({ parent: parent as unknown[], key });
    else make((parent as unknown[])[key as number], { steps, at: at + 1, indexes, places });
    return;
  }
  if (isLast) return void places.push({ parent, key: step.name });
  const isNew = !Object.hasOwn(parent, step.name) || parent[step.name] === null;
  // An array is never created: it would have no items.
  if (isNew && steps[at + 1] !== "each") parent[step.name] = {};
  if (Object.hasOwn(parent, step.name)) make(parent[step.name], { steps, at: at + 1, indexes, places });
}

/** A copy of a JSON value that shares no object or array with it. Long integers never change, so they are shared. */
export function cloneJson(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(cloneJson);
  if (!isObject(value)) return value;
  const copy: JsonObject = {};
  for (const key in value) {
    // JSON may have such a member as data; an assignment would set the prototype instead.
    if (key === "__proto__") {
      const options = { value: cloneJson(value[key]), enumerable: true, configurable: true, writable: true };
      Object.defineProperty(copy, key, options);
    } else copy[key] = cloneJson(value[key]);
  }
  return copy;
}
