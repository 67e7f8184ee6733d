/**
 * Schemas as functions: Ajv makes code of a schema that was read (`read_schema.ts`), which tells all that is wrong with a
 * value. Reading has refused what could take long, so that nothing is counted here but what a bad event is told.
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
import type { Checker, Violation } from "./checker.ts";
import { readSchema } from "./read_schema.ts";
import { EACH, type ReadySchema, type Schema, type SchemaProblem } from "./schema.ts";
import { FORMATS } from "./schema_format.ts";
import { containing, containsRule, isEqual, isUnique, multipleOf, oneOf } from "./schema_values.ts";

/** What looking for all violations may make the engine note: each takes memory. */
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

/** Makes a checker of a schema from outside, or says what is wrong with the schema. Never throws. */
export function compileSchema(
  given: unknown,
): { check: Checker; problem?: undefined } | { problem: SchemaProblem } {
  const ready = readSchema(given);
  if (ready.problem !== undefined) return ready;
  const shape = problemOfShape(given as Schema);
  return shape === undefined ? { check: checkerOf(ready) } : { problem: shape };
}

let metaSchema: Ajv2020 | undefined;

/** Whether each keyword has a value that it may have, as the specification's own schema says. */
function problemOfShape(schema: Schema): SchemaProblem | undefined {
  // Made when first needed: most processes never store a schema.
  metaSchema ??= new Ajv2020({ ...OPTIONS, meta: true, validateFormats: false });
  if (metaSchema.validateSchema(schema)) return undefined;
  const [first] = metaSchema.errors!.map(violationOf);
  return { path: first!.path, message: `${first!.rule}, found ${first!.found}` };
}

/** Stops at the first violation, so that most events, and hostile ones, cost little; then looks for the others. */
export function checkerOf(ready: ReadySchema): Checker {
  const engine = engineOf({ patterns: ready.patterns, allErrors: false });
  const first = engine.compile(ready.schema);
  let all: ((value: unknown) => readonly ErrorObject[] | undefined) | undefined;
  return (value) => {
    if (first(value)) return NOTHING;
    const [...errors] = first.errors!;
    // The engine would keep the event.
    first.errors = null;
    all ??= allErrorsOf(ready, engine);
    return (all(value) ?? errors).slice(0, MAX_ERRORS).map(violationOf);
  };
}

/** Tells all that is wrong with a value, or nothing where that is too much to note. */
function allErrorsOf(
  { schema, patterns }: ReadySchema,
  firstOnly: Ajv2020,
): (value: unknown) => readonly ErrorObject[] | undefined {
  let left = 0;
  const engine = engineOf({
    patterns,
    allErrors: true,
    firstOnly,
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

/** How many violations a schema may make of one value, but for those of its members. */
function notesOf(schema: JsonObject): number {
  const lists = [
    schema.required,
    schema.allOf,
    schema.anyOf,
    schema.oneOf,
    ...Object.values(schema.dependentRequired ?? {}),
  ];
  return lists.reduce(
    (sum: number, list) => sum + (Array.isArray(list) ? list.length : 0),
    Object.keys(schema).length,
  );
}

function membersOf(value: unknown): number {
  if (Array.isArray(value)) return value.length;
  return isObject(value) ? Object.keys(value).length : 0;
}

/** What {@link engineOf} makes an engine of. */
interface EngineOptions extends Pick<ReadySchema, "patterns"> {
  allErrors: boolean;
  /** Looks at the items of `contains`, whose violations nobody is told; default: the engine itself. */
  firstOnly?: Ajv2020;
  /** Is given each schema once; what it gives is called with each value that the schema is held against. */
  each?(schema: JsonObject): (value: unknown) => void;
}

/** An engine for schemas that were read. */
export function engineOf({ patterns, allErrors, firstOnly, each }: EngineOptions): Ajv2020 {
  const regExp = Object.assign(
    // The engine tells patterns apart by their text.
    (text: string) => ({ test: patterns.get(text)!.test, toString: () => text }),
    { code: "" },
  );
  const engine = new Ajv2020({ ...OPTIONS, allErrors, code: { ...OPTIONS.code, regExp } });
  // No keyword asks for it.
  engine.opts.unevaluated = false;
  const items = (firstOnly ?? engine).compile.bind(firstOnly ?? engine);
  for (const own of ownKeywords(items)) {
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

/** Keywords in the place of the engine's own. */
function ownKeywords(items: (schema: Schema) => (value: unknown) => boolean): CodeKeywordDefinition[] {
  return [
    {
      keyword: "uniqueItems",
      type: "array",
      error: { message: "must not have items that are equal" },
      code: test(({ schema }) => schema ? isUnique : () => true),
    },
    {
      keyword: "contains",
      type: "array",
      before: "prefixItems",
      error: { message: ({ parentSchema }) => containsRule(parentSchema!) },
      code: test(({ schema, parentSchema }) => containing(items(schema), parentSchema)),
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
}

/** Code of a keyword that is a test of the value: `make` makes it, once, from what the schema says. */
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
    return { path: dotted([...path, missing]), rule: "must be given", keyword, found: "nothing" };
  }
  const extra: unknown = params.additionalProperty;
  if (typeof extra === "string") {
    const found = shown(isObject(data) ? data[extra] : undefined);
    return { path: dotted([...path, extra]), rule: "must not be there", keyword, found };
  }
  return { path: dotted(path), rule: ruleOf(keyword, { schema, message }), keyword, found: shown(data) };
}

/** The engine's words, but where they don't say the rule. */
function ruleOf(keyword: string, { schema, message }: { schema: unknown; message: string }): string {
  if (keyword === "false schema") return "must not be there";
  if (keyword === "const") return `must be ${shown(schema)}`;
  if (keyword === "enum") {
    return `must be one of ${(schema as unknown[]).slice(0, MAX_SHOWN_VALUES).map(shown).join(", ")}`;
  }
  if (keyword === "type") return `must be ${[schema].flat().join(" or ")}`;
  return message.replace("must NOT", "must not").toWellFormed();
}
