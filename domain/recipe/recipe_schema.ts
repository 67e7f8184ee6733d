/** The schema of a recipe that an administrator writes. Templates are checked where they are compiled. */
import { z } from "zod";
import { RECIPE_METHODS } from "./recipe.ts";

const statuses = z.array(z.int("must be a status").min(100, "must be a status").max(599, "must be a status"));
const template = z.unknown();

export const recipeSchema = z.strictObject({
  title: z.string("must be a string").max(100, "must have at most 100 characters"),
  settings: z.record(
    z.string().regex(/^[A-Za-z][A-Za-z0-9]{0,49}$/, "must be a name of letters and digits"),
    z.strictObject({
      description: z.string("must be a string"),
      default: z.string("must be a string").optional(),
      optional: z.literal(true, "must be true").optional(),
    }),
    "must be an object of settings",
  ),
  method: z.union(
    [z.enum(RECIPE_METHODS), z.record(z.string(), z.unknown())],
    "must be POST, PUT or PATCH, or an instruction that makes one of them",
  ).optional(),
  url: template.refine((value) => value !== undefined, "must be a template"),
  headers: z.record(z.string().regex(/^[A-Za-z0-9-]{1,100}$/, "must be the name of a header"), template)
    .optional(),
  where: z.unknown().optional(),
  event: template.refine((value) => value !== undefined, "must be a template"),
  body: template.refine((value) => value !== undefined, "must be a template"),
  encoding: z.enum(["json", "form"], "must be json or form").optional(),
  maxEvents: z.int("must be a whole number").min(1).max(1_000, "must be at most 1000").optional(),
  answers: z.strictObject({
    delivered: statuses.optional(),
    retry: statuses.optional(),
    dead: statuses.optional(),
    pause: statuses.optional(),
    split: statuses.optional(),
  }).optional(),
  refusal: z.strictObject({
    where: z.unknown(),
    verdict: z.enum(["retry", "dead", "split"], "must be retry, dead or split"),
  }).optional(),
  failures: z.strictObject({ path: z.string(), index: z.string(), retry: z.boolean().optional() }).optional(),
}, {
  error: (issue) =>
    issue.code === "unrecognized_keys" ? `Unknown field "${issue.keys?.[0]}".` : "must be an object",
});
