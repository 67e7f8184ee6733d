/** Rules: the steps of a transformation that needs no code, as administrators write them. */
import { z } from "zod";
import { EVENT_TYPES } from "../event/event.ts";
import { isObject, shown } from "../event/json.ts";
import { type Condition, readCondition } from "../condition/condition.ts";
import { type Path, readPath, sharesArrays } from "./path.ts";

/** Steps of one transformation: each costs some time for every event. */
export const MAX_RULES = 100;

/** Paths of one step. */
export const MAX_PATHS = 100;

/** Values of one `map`. */
export const MAX_VALUES = 1_000;

/** UTF-16 units of a new event name. */
const MAX_NAME_LENGTH = 500;

/** Bytes of JSON of all steps: with its tests a transformation fits the versions of the store. */
export const MAX_RULES_BYTES = 64 * 1024;

/** The types to which a value can be coerced. */
export const COERCIONS = ["string", "number", "boolean"] as const;
export type Coercion = typeof COERCIONS[number];

/** Members that no rule changes, and those that no rule takes away: every destination needs them. */
const FIXED = ["messageId", "type"];
const NEEDED = ["timestamp", "receivedAt"];

/** A path that may be read. */
const readable = z.string("must be a path").superRefine((text, context) => {
  const path = readPath(text);
  if ("problem" in path) context.addIssue({ code: "custom", message: path.problem });
});

/** A path that may be changed. */
const changeable = readable.superRefine((text, context) => {
  const name = text.split(/[.[]/, 1)[0]!;
  if (FIXED.includes(name)) {
    context.addIssue({ code: "custom", message: `must not be ${name}, which cannot be changed` });
  }
});

/** A path whose value may be taken away. */
const removable = changeable.superRefine((text, context) => {
  if (!NEEDED.includes(text)) return;
  context.addIssue({ code: "custom", message: `must not be ${text}, which every event has` });
});

const paths = (path: z.ZodType<string>) =>
  z.array(path, "must be an array of paths").min(1, "must contain at least one path")
    .max(MAX_PATHS, `must contain at most ${MAX_PATHS} paths`);

const json = z.unknown().refine((value) => value !== undefined, "must be a JSON value");

/** Where every item of an array would have to go to one place, the result would depend on chance. */
const needsSameArrays = (value: { from: string; to: string }, context: z.RefinementCtx) => {
  const [from, to] = [readPath(value.from), readPath(value.to)];
  if ("problem" in from || "problem" in to || sharesArrays(from, to)) return;
  context.addIssue({
    code: "custom",
    path: ["to"],
    message: `must reach into the same arrays as from (${shown(value.from)})`,
  });
};

const RATE = "must be a number from 0 to 1";

/** The operations, by name. */
export const operations = {
  rename: z.strictObject({
    from: removable.refine((path) => !path.endsWith("[]"), "must not end with []"),
    to: changeable,
  }).superRefine(needsSameArrays),
  copy: z.strictObject({ from: readable, to: changeable }).superRefine(needsSameArrays),
  set: z.strictObject({ path: changeable, value: json }),
  remove: z.strictObject({ paths: paths(removable) }),
  keep: z.strictObject({ paths: paths(readable) }),
  hash: z.strictObject({ paths: paths(changeable) }),
  mask: z.strictObject({ paths: paths(changeable) }),
  map: z.strictObject({
    path: changeable,
    values: z.unknown().refine(isObject, {
      error: "must be an object of new values by old ones",
      abort: true,
    })
      .refine((values) => Object.keys(values as object).length <= MAX_VALUES, {
        error: `must have at most ${MAX_VALUES} values`,
      }),
  }),
  coerce: z.strictObject({
    path: changeable,
    to: z.enum(COERCIONS, `must be one of ${COERCIONS.join(", ")}`),
  }),
  renameEvent: z.strictObject({
    to: z.string("must be a string").min(1, "must not be empty")
      .max(MAX_NAME_LENGTH, `must have at most ${MAX_NAME_LENGTH} characters`)
      .refine((name) => name.isWellFormed(), "must be well-formed Unicode"),
  }),
  drop: z.strictObject({}),
  sample: z.strictObject({ rate: z.number(RATE).min(0, RATE).max(1, RATE) }),
} as const;

/** The name of an operation. */
export type Operation = keyof typeof operations;
const OPERATIONS = Object.keys(operations) as Operation[];

const members = Object.fromEntries(
  OPERATIONS.map((name) => [name, operations[name].optional()]),
) as { [Name in Operation]: z.ZodOptional<(typeof operations)[Name]> };

/** A condition that the event must meet, as the steps before have left it. */
export const conditionSchema = z.unknown().superRefine((given, context) => {
  const read = readCondition(given);
  if (!("problem" in read)) return;
  const { path, message } = read.problem;
  context.addIssue({ code: "custom", path: path === "" ? [] : [path], message });
});

/** One step: exactly one operation. */
export const ruleSchema = z.strictObject({ ...members, where: conditionSchema.optional() }).superRefine(
  (rule, context) => {
    const named = OPERATIONS.filter((name) => rule[name] !== undefined);
    if (named.length === 1) return;
    context.addIssue({
      code: "custom",
      message: `must have exactly one of ${OPERATIONS.join(", ")}; got ${named.join(" and ") || "none"}`,
    });
  },
);

/** A step as it is stored and shown. */
export type Rule = z.output<typeof ruleSchema>;

/** The steps of a transformation, in their order. */
export const rulesSchema = z.array(ruleSchema, "must be an array of rules")
  .min(1, "must contain at least one rule").max(MAX_RULES, `must contain at most ${MAX_RULES} rules`);

/** A path of a rule that was checked before. */
export function pathOf(text: string): Path {
  const path = readPath(text);
  if ("problem" in path) throw new TypeError(`path ${text} ${path.problem}`);
  return path;
}

/** A condition of a rule that was checked before. */
export function conditionOf(given: unknown): Condition {
  const condition = readCondition(given);
  if ("problem" in condition) throw new TypeError(`condition ${condition.problem.message}`);
  return condition;
}

/** Whether a type is one that an event can have. */
export function isEventType(type: unknown): boolean {
  return (EVENT_TYPES as readonly unknown[]).includes(type);
}
