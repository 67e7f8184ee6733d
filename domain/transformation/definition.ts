/** Definitions of transformations: their schema, their bounds, and what of them is secret. */
import { z } from "zod";
import { isObject, jsonBytes, type JsonObject } from "../event/json.ts";
import { type Case, caseSchema, MAX_CASES, MAX_CASES_BYTES } from "./case.ts";
import { MAX_RULES_BYTES, type Rule, rulesSchema } from "./rule.ts";

/** Transformations at most: every process holds all of them in memory. */
export const MAX_TRANSFORMATIONS = 200;

/** UTF-16 units of a name. */
export const MAX_NAME_LENGTH = 100;

/** Params of a transformation, and bytes of JSON of all of them. */
export const MAX_PARAMS = 50;
export const MAX_PARAMS_BYTES = 8 * 1024;

/** Bytes of code in UTF-8: the contract's bound. */
export const MAX_CODE_BYTES = 64 * 1024;

/** The kinds of transformations. */
export const KINDS = ["rules", "javascript"] as const;
export type Kind = typeof KINDS[number];

/** A transformation by rules. */
export interface RulesDefinition {
  kind: "rules";
  rules: Rule[];
  tests?: Case[];
}

/** A transformation by code. */
export interface CodeDefinition {
  kind: "javascript";
  code: string;
  params?: JsonObject;
  tests?: Case[];
}

/** A transformation as an administrator defines it, with the values of its params. */
export type Definition = RulesDefinition | CodeDefinition;

const within = (bytes: number) => (value: unknown) => jsonBytes(value) <= bytes;

const tests = z.array(caseSchema, "must be an array of tests").max(
  MAX_CASES,
  `must contain at most ${MAX_CASES} tests`,
)
  .refine(within(MAX_CASES_BYTES), `must be at most ${MAX_CASES_BYTES} bytes of JSON`);

const params = z.unknown().refine(isObject, { error: "must be an object of values by name", abort: true })
  .refine((given) => Object.keys(given as JsonObject).length <= MAX_PARAMS, {
    error: `must have at most ${MAX_PARAMS} members`,
  })
  .refine(within(MAX_PARAMS_BYTES), `must be at most ${MAX_PARAMS_BYTES} bytes of JSON`);

const errors: z.core.$ZodErrorMap = (issue) =>
  issue.code === "unrecognized_keys"
    ? `Unknown field "${issue.keys?.[0]}".`
    : "The body must be a JSON object.";

const shapes = {
  rules: z.strictObject({
    kind: z.literal("rules"),
    rules: rulesSchema.refine(within(MAX_RULES_BYTES), `must be at most ${MAX_RULES_BYTES} bytes of JSON`),
    tests: tests.optional(),
  }, { error: errors }),
  javascript: z.strictObject({
    kind: z.literal("javascript"),
    code: z.string("must be a string").refine(
      (code) => new TextEncoder().encode(code).length <= MAX_CODE_BYTES,
      `must be at most ${MAX_CODE_BYTES} bytes`,
    ),
    params: params.optional(),
    tests: tests.optional(),
  }, { error: errors }),
};

/** A draft as an administrator writes it. Whether its code can be read is not known yet. */
export const draftSchema = z.discriminatedUnion("kind", [shapes.rules, shapes.javascript], {
  error: (issue) =>
    issue.code === "invalid_union" ? `must be one of ${KINDS.join(", ")}` : "The body must be a JSON object.",
});
export type Draft = z.output<typeof draftSchema>;

/**
 * The definition that a draft makes of the one that stands. A param that is absent or `"***"` keeps its stored value, and
 * `null` removes it, as with the secrets of destinations.
 */
export function definitionOf(draft: Draft, standing: Definition | undefined): Definition {
  const { tests } = draft;
  const more = tests === undefined ? {} : { tests };
  if (draft.kind === "rules") return { kind: "rules", rules: draft.rules, ...more };
  const before = standing?.kind === "javascript" ? standing.params ?? {} : {};
  const given = (draft.params ?? {}) as JsonObject;
  const params: JsonObject = {};
  for (const name of new Set([...Object.keys(before), ...Object.keys(given)])) {
    const value = given[name] === undefined || given[name] === "***" ? before[name] : given[name];
    if (value !== undefined && value !== null) params[name] = value;
  }
  return {
    kind: "javascript",
    code: draft.code,
    ...Object.keys(params).length > 0 && { params },
    ...more,
  };
}

/** A definition as answers show it: of its params the names. */
export function shownDefinition(definition: Definition): JsonObject {
  if (definition.kind === "rules") return { ...definition };
  const { params, ...rest } = definition;
  return { ...rest, params: Object.keys(params ?? {}) };
}
