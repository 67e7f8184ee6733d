/**
 * Schemas as functions: Ajv compiles a schema that was read (`read_schema.ts`) into code that reports all violations of
 * a value. Expensive schemas were rejected when they were read, so only the violations are counted here.
 */
import {
  _,
  Ajv2020,
  type CodeKeywordDefinition,
  type ErrorObject,
  type KeywordCxt,
  type Options,
} from "ajv/dist/2020.js";
import { dotted, isObject, type JsonObject, shown } from "../event/json.ts";
import { MAX_ERRORS } from "../event/rejection.ts";
import type { Checker, Violation } from "./contract.ts";
import { EACH, type ReadySchema } from "./schema.ts";
import { FORMATS } from "./schema_format.ts";
import { containing, containsRule, isEqual, isUnique, multipleOf, oneOf } from "./schema_values.ts";

/** Most violations that the engine may collect: each takes memory. */
const MAX_NOTES = 20_000;

/** Values of an `enum` that a message lists. */
const MAX_SHOWN_VALUES = 10;

const NOTHING: readonly Violation[] = [];

/** Nothing is fetched, nothing is logged. The schema was checked. */
const OPTIONS: Options = {
  verbose: true,
  meta: false,
  validateSchema: false,
  strict: false,
  ownProperties: true,
  logger: false,
  // Nothing else is done while code is made: tidying it takes several times as long as making it, and lists become code
  // unless they are loops. It runs as fast without either.
  code: { optimize: false },
  loopRequired: 1,
  formats: { ...FORMATS },
};

/** What a checker is given. */
type Checkable = Pick<ReadySchema, "schema" | "patterns">;

/** Stops at the first violation, so that most events, and hostile ones, are cheap; then finds the others. */
export function checkerOf(ready: Checkable): Checker {
  const first = engineOf({ patterns: ready.patterns, allErrors: false }).compile(ready.schema);
  let all: ((value: unknown) => readonly ErrorObject[] | undefined) | undefined;
  return (value) => {
    if (first(value)) return NOTHING;
    const [...errors] = first.errors!;
    // The engine would keep the event.
    first.errors = null;
    all ??= allErrorsOf(ready);
    return (all(value) ?? errors).slice(0, MAX_ERRORS).map(violationOf);
  };
}

/** Gives all violations of a value; `undefined` if there are too many to collect. */
function allErrorsOf(
  { schema, patterns }: Checkable,
): (value: unknown) => readonly ErrorObject[] | undefined {
  let left = 0;
  const engine = engineOf({
    patterns,
    allErrors: true,
    each(schema) {
      const most = notesOf(schema);
      return (value) => {
        left -= most + membersOf(value);
        if (left < 0) throw TOO_MUCH;
      };
    },
  });
  const validate = engine.compile(schema);
  return (value) => {
    left = MAX_NOTES;
    try {
      return validate(value) ? [] : validate.errors!;
    } catch (error) {
      if (error === TOO_MUCH) return undefined;
      throw error;
    } finally {
      validate.errors = null;
    }
  };
}

const TOO_MUCH = new Error("too much is wrong");

/** Most violations of one value by a schema, without those of its members. */
function notesOf(schema: JsonObject): number {
  return [...Object.values(schema), ...Object.values(schema.dependentRequired ?? {})].flat().length;
}

function membersOf(value: unknown): number {
  if (Array.isArray(value)) return value.length;
  return isObject(value) ? Object.keys(value).length : 0;
}

interface EngineOptions extends Pick<ReadySchema, "patterns"> {
  allErrors: boolean;
  /** Called once per schema; the result is called with each value that the schema checks. */
  each?(schema: JsonObject): (value: unknown) => void;
}

/** An engine for schemas that were read. */
export function engineOf({ patterns, allErrors, each }: EngineOptions): Ajv2020 {
  const regExp = Object.assign(
    // The engine identifies patterns by their text.
    (text: string) => ({ test: patterns.get(text)!.test, toString: () => text }),
    { code: "" },
  );
  const engine = new Ajv2020({ ...OPTIONS, allErrors, code: { ...OPTIONS.code, regExp } });
  // No keyword uses it.
  engine.opts.unevaluated = false;
  for (const own of OWN_KEYWORDS) {
    engine.removeKeyword(own.keyword as string);
    engine.addKeyword(own);
  }
  if (each !== undefined) {
    engine.addKeyword({
      keyword: EACH,
      before: "$ref",
      code({ gen, parentSchema, data }: KeywordCxt) {
        gen.code(_`${gen.scopeValue("func", { ref: each(parentSchema) })}(${data})`);
      },
    });
  }
  return engine;
}

/** Keywords that replace the engine's own. */
const OWN_KEYWORDS: readonly CodeKeywordDefinition[] = [
  {
    keyword: "uniqueItems",
    type: "array",
    error: { message: "must not contain equal items" },
    code: test(({ schema }) => schema ? isUnique : () => true),
  },
  {
    keyword: "contains",
    type: "array",
    before: "prefixItems",
    error: { message: ({ parentSchema }) => containsRule(parentSchema!) },
    code: test(({ schema, parentSchema, it }) => containing(it.self.compile(schema), parentSchema)),
  },
  {
    keyword: "const",
    error: { message: "must be equal" },
    code: test(({ schema }) => (value) => isEqual(value, schema)),
  },
  { keyword: "enum", error: { message: "must be one of" }, code: test(({ schema }) => oneOf(schema)) },
  {
    keyword: "multipleOf",
    type: "number",
    error: { message: ({ schema }) => `must be multiple of ${schema}` },
    code: test(({ schema }) => multipleOf(schema)),
  },
];

/** Code of a keyword that tests a value: `make` creates the test, once, from the keyword's value. */
function test<T>(make: (context: KeywordCxt) => (value: T) => boolean): (context: KeywordCxt) => void {
  return (context) => {
    const holds = context.gen.scopeValue("func", { ref: make(context) });
    context.fail(_`!${holds}(${context.data})`);
  };
}

function violationOf({ instancePath, keyword, params, message = "", schema, data }: ErrorObject): Violation {
  const path = instancePath.split("/").slice(1).map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
  const missing: unknown = params.missingProperty;
  if (typeof missing === "string") {
    return { path: dotted([...path, missing]), rule: "is required", keyword, found: "nothing" };
  }
  const extra: unknown = params.additionalProperty;
  if (typeof extra === "string") {
    const found = shown(isObject(data) ? data[extra] : undefined);
    return { path: dotted([...path, extra]), rule: "is not allowed", keyword, found };
  }
  return { path: dotted(path), rule: ruleOf(keyword, { schema, message }), keyword, found: shown(data) };
}

/** The engine's message, except if it does not state the rule. */
function ruleOf(keyword: string, { schema, message }: { schema: unknown; message: string }): string {
  if (keyword === "false schema") return "is not allowed";
  if (keyword === "const") return `must be ${shown(schema)}`;
  if (keyword === "enum") {
    return `must be one of ${(schema as unknown[]).slice(0, MAX_SHOWN_VALUES).map(shown).join(", ")}`;
  }
  if (keyword === "type") return `must be ${[schema].flat().join(" or ")}`;
  return message.replace("must NOT", "must not").toWellFormed();
}
