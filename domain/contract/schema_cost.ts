/**
 * The worst cost of a schema, for any event: in steps of some 3 ns, calculated when a contract is saved.
 *
 * How it works: a schema either applies to one value of an event, and is used once; or (under `items`,
 * `additionalProperties`, …) to any number of values, each of which takes some bytes of the event. So each keyword has
 * a fixed number of steps, and a number per byte. A schema has their sum. Schemas that apply to different values
 * (`properties`) share the bytes: only the most expensive one counts.
 */
import { MAX_STORED_EVENT_BYTES } from "../event/accept.ts";
import type { JsonObject } from "../event/json.ts";
import { Refusal, type Schema } from "./schema.ts";
import type { Pattern } from "./schema_pattern.ts";

/**
 * Most steps of a contract for one stored event. With an event of 32 KiB, the worst known case took some 40 ms
 * (`bench/domain/contract/worst_bench.ts`); a typical one takes a microsecond.
 */
export const MAX_STEPS = 16_000_000;

/** Fewest bytes of an item with its comma, and of a member: `0,` and `"":0,`. */
const ITEM_BYTES = 2;
const MEMBER_BYTES = 5;

/** Steps as `bench/domain/contract/worst_bench.ts` sees them: each of the engine's own doings, or for each byte of a value. */
const STEPS = {
  schema: 1,
  keyword: 1,
  /** The lookup of a name. */
  name: 1,
  /** One of several schemas of which one must match: the engine creates an error for each that does not. */
  branch: 7,
  /** An item that `contains` checks, and a text that a pattern checks. */
  contained: 10,
  text: 40,
  /** For each character of a value in the schema, with which others are compared. */
  compared: 0.6,
  /** For each byte of the event. */
  counted: 2,
  named: 4,
  format: 4,
  unique: 10,
  /** For each byte, and each instruction that its pattern goes through. */
  instruction: 6,
};

/** Fixed steps, and steps per byte of the event. */
interface Steps {
  fixed: number;
  perByte: number;
}

interface Costing {
  patterns: ReadonlyMap<string, Pattern>;
  /** The path of a keyword in the document. */
  pathOf(schema: Schema, keyword: string): readonly string[];
}

const NONE: Steps = { fixed: 0, perByte: 0 };

/** The steps of a schema for the worst event. Throws {@link Refusal} for the innermost schema that may take too many. */
export function worstSteps(schema: Schema, costing: Costing): number {
  return worstOf(costOf(costing, schema, 0));
}

function worstOf({ fixed, perByte }: Steps): number {
  return Math.ceil(fixed + perByte * MAX_STORED_EVENT_BYTES);
}

/** The steps of a schema that applies to one value (`everyBytes` 0), or to one value in this many bytes. */
function costOf(costing: Costing, schema: Schema, everyBytes: number): Steps {
  if (typeof schema === "boolean") return at(STEPS.schema, everyBytes);
  const keywords = Object.keys(schema).map((keyword) => ({
    keyword,
    steps: plus(at(STEPS.keyword, everyBytes), ofKeyword(costing, keyword, { schema, everyBytes })),
  }));
  // Members that `properties` describes are not additional, items of `prefixItems` are none of `items`.
  const rest = keywords.filter(({ keyword }) => !PLACES.includes(keyword)).map(({ steps }) => steps);
  const places = PLACES.map((name) => keywords.find(({ keyword }) => keyword === name)?.steps ?? NONE);
  const steps = [...rest, shared(places)].reduce(plus, at(STEPS.schema, everyBytes));
  if (worstOf(steps) > MAX_STEPS) {
    const [worst] = keywords.toSorted((a, b) => worstOf(b.steps) - worstOf(a.steps));
    throw new Refusal(costing.pathOf(schema, worst!.keyword), tooCostly(worstOf(steps)));
  }
  return steps;
}

function ofKeyword(
  costing: Costing,
  keyword: string,
  { schema, everyBytes }: { schema: JsonObject; everyBytes: number },
): Steps {
  const value = schema[keyword];
  const same = (schema: Schema, more = 0) => plus(costOf(costing, schema, everyBytes), at(more, everyBytes));
  const list = (more: number) => (value as Schema[]).map((each) => same(each, more)).reduce(plus, NONE);
  const compared = (other: unknown) => at(JSON.stringify(other).length * STEPS.compared, everyBytes);
  const map = Object.entries(value ?? {}) as [string, Schema][];
  switch (keyword) {
    case "not":
    case "if":
    case "then":
    case "else":
      return same(value as Schema, STEPS.name);
    case "allOf":
      return list(0);
    case "anyOf":
    case "oneOf":
      return list(STEPS.branch);
    case "dependentSchemas":
      return map.map(([, each]) => same(each, STEPS.name)).reduce(plus, NONE);
    case "properties": {
      const names = at(map.length * STEPS.name, everyBytes);
      return plus(
        names,
        shared(map.map(([name, each]) => costOf(costing, each, everyBytes && name.length + MEMBER_BYTES))),
      );
    }
    case "prefixItems":
      return shared((value as Schema[]).map((each) => costOf(costing, each, everyBytes && ITEM_BYTES)));
    case "items":
      return costOf(costing, value as Schema, ITEM_BYTES);
    case "contains":
      return plus(costOf(costing, value as Schema, ITEM_BYTES), at(STEPS.contained, ITEM_BYTES));
    case "additionalProperties":
    case "propertyNames":
      return plus(costOf(costing, value as Schema, MEMBER_BYTES), perByte(STEPS.named));
    case "patternProperties":
      return map.map(([text, each]) => {
        const once = ofPattern(costing, text, MEMBER_BYTES);
        const more = "additionalProperties" in schema ? once : NONE;
        return [costOf(costing, each, MEMBER_BYTES), once, more].reduce(plus);
      }).reduce(plus, NONE);
    case "pattern":
      return ofPattern(costing, value as string, everyBytes);
    case "format":
      return perByte(STEPS.format);
    case "uniqueItems":
      return perByte(STEPS.unique);
    case "enum":
      // Others are found at once.
      return compared((value as unknown[]).filter((each) => typeof each === "object"));
    case "const":
    case "dependentRequired":
      return compared(value);
    case "required":
    case "maxProperties":
    case "minProperties":
    case "maxLength":
    case "minLength":
      return perByte(STEPS.counted);
    default:
      return NONE;
  }
}

function ofPattern(costing: Costing, text: string, everyBytes: number): Steps {
  return plus(
    at(STEPS.text, everyBytes),
    perByte(costing.patterns.get(text)!.instructions * STEPS.instruction),
  );
}

/** Keywords that apply to different values: no two of them apply to the same member or item. */
const PLACES = ["properties", "additionalProperties", "prefixItems", "items"];

function tooCostly(steps: number): string {
  return `may take ${steps} steps per event (limit ${MAX_STEPS}): use fewer alternatives, smaller patterns or fewer ` +
    "schemas per item";
}

function at(steps: number, everyBytes: number): Steps {
  return everyBytes === 0 ? { fixed: steps, perByte: 0 } : perByte(steps / everyBytes);
}

function perByte(steps: number): Steps {
  return { fixed: 0, perByte: steps };
}

function plus(one: Steps, other: Steps): Steps {
  return { fixed: one.fixed + other.fixed, perByte: one.perByte + other.perByte };
}

/** The steps of schemas that apply to different values. */
function shared(all: readonly Steps[]): Steps {
  return all.reduce((sum, { fixed, perByte }) => ({
    fixed: sum.fixed + fixed,
    perByte: Math.max(sum.perByte, perByte),
  }), NONE);
}
