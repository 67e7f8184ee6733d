/**
 * Templates: JSON that makes JSON of an event. An object with one member that begins with `$` is an instruction; everything
 * else stands for itself, and members without a value are left out. `docs/forwarding-recipes.md` lists the instructions.
 */
import { Buffer } from "node:buffer";
import { readCondition } from "../condition/condition.ts";
import { isObject, type JsonObject } from "../event/json.ts";
import { numberText } from "../event/exact_json.ts";
import { parseTimestamp } from "../event/timestamp.ts";
import { ulidOf, uuidOf } from "./derived_ids.ts";
import { cut, flatParams, nameOf } from "./flat_params.ts";

/** What a template can name: `event`, `settings`, `options` (the event's `integrations` object), `now` (ISO 8601), … */
export type Scope = Readonly<Record<string, unknown>>;

/** A template as JSON. */
export type Template = unknown;

/** Makes a value; `undefined` stands for nothing. */
export type Make = (scope: Scope) => unknown;

/** Levels of a template. */
const MAX_TEMPLATE_DEPTH = 20;

/** Thrown for a template that cannot be read; `path` is dotted. */
export class InvalidTemplate extends Error {
  constructor(readonly path: string, message: string) {
    super(message);
  }
}

/** Compiles a template. Throws {@link InvalidTemplate}. */
export function compileTemplate(template: Template, path = "", depth = 0): Make {
  if (depth > MAX_TEMPLATE_DEPTH) throw new InvalidTemplate(path, "is nested too deep");
  const inner = (each: Template, name: string) =>
    compileTemplate(each, path === "" ? name : `${path}.${name}`, depth + 1);
  if (Array.isArray(template)) {
    const items = template.map((each, index) => inner(each, String(index)));
    return (scope) => items.map((make) => make(scope)).filter((value) => value !== undefined);
  }
  if (!isObject(template)) return () => template;
  const [name] = Object.keys(template);
  if (name?.startsWith("$")) {
    const read = INSTRUCTIONS.get(name);
    if (read === undefined) throw new InvalidTemplate(path, `has an unknown instruction ${name}`);
    return read(template[name], { path, inner, rest: template });
  }
  return membersOf(template, inner);
}

/** An object whose names stand for themselves. */
function membersOf(template: JsonObject, inner: Reading["inner"]): Make {
  const members = Object.entries(template).map(([key, each]) => [key, inner(each, key)] as const);
  return (scope) => {
    const made: JsonObject = {};
    for (const [key, make] of members) {
      const value = make(scope);
      if (value !== undefined) made[key] = value;
    }
    return made;
  };
}

/** What the reader of an instruction is given: its operand comes before. */
interface Reading {
  path: string;
  inner(template: Template, name: string): Make;
  /** All members of the instruction. */
  rest: JsonObject;
}

type ReadInstruction = (operand: unknown, reading: Reading) => Make;

/** A function of one value; nothing stays nothing. */
const ofValue = (map: (value: unknown) => unknown): ReadInstruction => (operand, { inner }) => {
  const make = inner(operand, "$");
  return (scope) => {
    const value = make(scope);
    return value === undefined || value === null ? undefined : map(value);
  };
};

const timeIn = (perMs: number) =>
  ofValue((value) => {
    const ms = typeof value === "string" ? parseTimestamp(value) : undefined;
    return ms === undefined ? undefined : Math.floor(ms * perMs);
  });

const INSTRUCTIONS: ReadonlyMap<string, ReadInstruction> = new Map<string, ReadInstruction>([
  ["$path", readPathOf],
  ["$first", (operand, reading) => {
    const makers = listOf(operand, reading);
    return (scope) => {
      for (const make of makers) {
        const value = make(scope);
        if (value !== undefined && value !== null && value !== "") return value;
      }
      return undefined;
    };
  }],
  ["$merge", (operand, reading) => {
    const makers = listOf(operand, reading);
    return (scope) => {
      const made: JsonObject = {};
      for (const make of makers) {
        const value = make(scope);
        if (isObject(value)) Object.assign(made, value);
      }
      return made;
    };
  }],
  ["$join", (operand, reading) => {
    const makers = listOf(operand, reading);
    return (scope) =>
      makers.map((make) => make(scope)).filter((each) => each !== undefined && each !== null).join("");
  }],
  ["$if", readIf],
  ["$without", (operand, { inner, rest, path }) => {
    const make = inner(operand, "$without");
    const names = new Set(namesIn(rest.names, path));
    return (scope) => {
      const value = make(scope);
      if (!isObject(value)) return undefined;
      return Object.fromEntries(Object.entries(value).filter(([name]) => !names.has(name)));
    };
  }],
  ["$rename", (operand, { inner, rest, path }) => {
    const make = inner(operand, "$rename");
    if (!isObject(rest.names)) throw new InvalidTemplate(path, "must have names");
    const names = rest.names;
    return (scope) => {
      const value = make(scope);
      if (!isObject(value)) return undefined;
      return Object.fromEntries(Object.entries(value).map(([name, each]) => [names[name] ?? name, each]));
    };
  }],
  ["$nonEmpty", ofValue((value) => isObject(value) && Object.keys(value).length === 0 ? undefined : value)],
  [
    "$string",
    ofValue((value) => typeof value === "string" ? value : numberText(value) ?? JSON.stringify(value)),
  ],
  ["$number", ofValue((value) => Number.isFinite(Number(value)) ? Number(value) : undefined)],
  ["$lower", ofValue((value) => String(value).toLowerCase())],
  ["$json", ofValue((value) => JSON.stringify(value))],
  ["$ms", timeIn(1)],
  ["$seconds", timeIn(1 / 1_000)],
  ["$micros", timeIn(1_000)],
  ["$base64", ofValue((value) => Buffer.from(String(value)).toString("base64"))],
  ["$uri", ofValue((value) => encodeURIComponent(String(value)))],
  ["$object", (operand, { path, inner }) => {
    if (!isObject(operand)) throw new InvalidTemplate(path, "must have an object");
    return membersOf(operand, inner);
  }],
  ["$pair", (operand, reading) => {
    const [name, value] = listOf(operand, reading);
    if (name === undefined || value === undefined) {
      throw new InvalidTemplate(reading.path, "must have a name and a value");
    }
    return (scope) => {
      const made = value(scope);
      return made === undefined ? {} : { [String(name(scope))]: made };
    };
  }],
  ["$flat", (operand, { inner }) => {
    const make = inner(operand, "$flat");
    return (scope) => {
      const value = make(scope);
      return Array.isArray(value) ? value.flat() : value;
    };
  }],
  ["$pluck", (operand, { inner, rest, path }) => {
    const make = inner(operand, "$pluck");
    const { name } = rest;
    if (typeof name !== "string") throw new InvalidTemplate(path, "must have name, a string");
    return (scope) => {
      const value = make(scope);
      return Array.isArray(value) ? value.map((each) => isObject(each) ? each[name] : undefined) : undefined;
    };
  }],
  ["$cut", (operand, reading) => {
    const length = boundOf(reading, "length");
    return ofValue((value) => cut(String(value), length))(operand, reading);
  }],
  ["$uuid", ofValue((value) => uuidOf(String(value)))],
  ["$ulid", (operand, { inner, rest }) => {
    const [id, at] = [inner(operand, "$ulid"), inner(rest.at, "at")];
    return (scope) => {
      const [value, ms] = [id(scope), parseTimestamp(String(at(scope)))];
      return value === undefined || ms === undefined ? undefined : ulidOf(String(value), ms);
    };
  }],
  ["$params", readParams],
  // Names of events of GA4: letters, digits and underscores, a letter first, 40 at most.
  ["$name", ofValue((value) => nameOf(String(value), 40) || undefined)],
]);

function listOf(operand: unknown, { path, inner }: Reading): Make[] {
  if (!Array.isArray(operand)) throw new InvalidTemplate(path, "must have an array");
  return operand.map((each, index) => inner(each, String(index)));
}

function namesIn(names: unknown, path: string): string[] {
  if (Array.isArray(names) && names.every((each) => typeof each === "string")) return names;
  throw new InvalidTemplate(path, "must have names, an array of strings");
}

function readPathOf(operand: unknown, { path }: Reading): Make {
  if (typeof operand !== "string" || operand === "") throw new InvalidTemplate(path, "must have a path");
  const names = operand.split(".");
  return (scope) => {
    let value: unknown = scope;
    for (const name of names) {
      if (Array.isArray(value)) value = value[Number(name)];
      else if (isObject(value) && Object.hasOwn(value, name)) value = value[name];
      else return undefined;
    }
    return value;
  };
}

/** `{"$params": object, "count": …, "name": …, "value": …, "wrapped"?: true}`. */
function readParams(operand: unknown, reading: Reading): Make {
  const make = reading.inner(operand, "$params");
  const limits = {
    count: boundOf(reading, "count"),
    name: boundOf(reading, "name"),
    value: boundOf(reading, "value"),
  };
  if (reading.rest.wrapped !== true) return (scope) => flatParams(make(scope), limits);
  return (scope) =>
    Object.fromEntries(
      Object.entries(flatParams(make(scope), limits)).map(([name, value]) => [name, { value }]),
    );
}

/** A bound of an instruction: a whole number above 0. */
function boundOf({ rest, path }: Reading, name: string): number {
  const value = rest[name];
  if (typeof value === "number" && Number.isInteger(value) && value > 0) return value;
  throw new InvalidTemplate(path, `must have ${name}, a whole number above 0`);
}

/** `{"$if": condition over the scope, "then": …, "else": …}`. */
function readIf(operand: unknown, { path, inner, rest }: Reading): Make {
  const condition = readCondition(operand);
  if ("problem" in condition) {
    throw new InvalidTemplate(path, `$if.${condition.problem.path} ${condition.problem.message}`);
  }
  const nothing: Make = () => undefined;
  const yes = rest.then === undefined ? nothing : inner(rest.then, "then");
  const no = rest.else === undefined ? nothing : inner(rest.else, "else");
  return (scope) => condition.test(scope) ? yes(scope) : no(scope);
}
