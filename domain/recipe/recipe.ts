/**
 * Recipes: what an HTTP service wants, as data. A recipe names the settings that it needs, makes a body of events by
 * templates, and says which answers mean what. Those of `recipes.ts` ship with signalfold.
 */
import { isObject, type JsonObject } from "../event/json.ts";
import { type Condition, readCondition } from "../condition/condition.ts";
import { compileTemplate, InvalidTemplate, type Make, type Scope, type Template } from "./template.ts";

/** A setting that a recipe needs. Its value is a string. */
export interface RecipeSetting {
  description: string;
  /** Used where the destination does not set it. Without a default it is required. */
  default?: string;
  /** Set by nobody: it may be absent. */
  optional?: true;
}

/** A recipe. */
export interface Recipe {
  /** The service, for people. */
  title: string;
  /** Settings by name. `url` is one, unless the template of the URL says everything. */
  settings: Readonly<Record<string, RecipeSetting>>;
  /** `POST`, `PUT` or `PATCH`, or a template that makes one of them; default `POST`. */
  method?: Template;
  /** The URL; a query belongs to it. */
  url: Template;
  headers?: Readonly<Record<string, Template>>;
  /** Which events the service has a form for: a condition. Others are dropped. */
  where?: JsonObject;
  /** What each event becomes. */
  event: Template;
  /** The body, in which `{"$path": "events"}` is what the events became, and `{"$path": "events.0"}` the first. */
  body: Template;
  /** The form of the body; default `json`. */
  encoding?: "json" | "form";
  /** Events that the service takes at once; default 1. A run of events with one method and URL is one request. */
  maxEvents?: number;
  /** Which answers mean what, by status, where the common rules do not fit. */
  answers?: {
    delivered?: readonly number[];
    retry?: readonly number[];
    dead?: readonly number[];
    pause?: readonly number[];
    /** All events are refused because of one: the batch is split; a single event is dead. */
    split?: readonly number[];
  };
  /** What the JSON of an answer of 2xx says if the events were refused all the same: a condition. */
  refusal?: { where: JsonObject; verdict: "retry" | "dead" | "split" };
  /** Where an answer of 2xx or 400 names the events that failed: an array of objects with their index. */
  failures?: { path: string; index: string; retry?: boolean };
}

/** A recipe that can be used. */
export interface CompiledRecipe {
  recipe: Recipe;
  takes(event: unknown): boolean;
  /** Whether the JSON of an answer of 2xx says that the events were refused. */
  isRefusal(answer: unknown): boolean;
  method: Make;
  url: Make;
  headers: [name: string, make: Make][];
  event: Make;
  body: Make;
}

/** Compiles a recipe. Throws {@link InvalidTemplate} with the path of what is wrong. */
export function compileRecipe(recipe: Recipe): CompiledRecipe {
  const takes = conditionOf(recipe.where, "where");
  const refuses = conditionOf(recipe.refusal?.where, "refusal.where");
  return {
    recipe,
    takes: (event) => takes?.test(event) ?? true,
    isRefusal: (answer) => refuses?.test(answer) ?? false,
    method: compileTemplate(recipe.method ?? "POST", "method"),
    url: compileTemplate(recipe.url, "url"),
    headers: Object.entries(recipe.headers ?? {}).map(([name, template]) => [
      name,
      compileTemplate(template, `headers.${name}`),
    ]),
    event: compileTemplate(recipe.event, "event"),
    body: compileTemplate(recipe.body, "body"),
  };
}

function conditionOf(condition: JsonObject | undefined, path: string): Condition | undefined {
  if (condition === undefined) return undefined;
  const read = readCondition(condition);
  if (!("problem" in read)) return read;
  throw new InvalidTemplate(`${path}.${read.problem.path}`, read.problem.message);
}

/** The methods that a request may have. */
export const RECIPE_METHODS = ["POST", "PUT", "PATCH"] as const;

/** A request that a recipe makes. */
export interface RecipeRequest {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: string;
}

/** What recipes make a request of. */
export interface RecipeInput {
  /** What the events became by {@link CompiledRecipe.event}. */
  events: readonly unknown[];
  settings: JsonObject;
  /** ISO 8601. */
  now: string;
}

/** The value that one event becomes; `undefined` if the service has no form for it. */
export function eventByRecipe(
  compiled: CompiledRecipe,
  scope: { event: unknown; settings: JsonObject; options: JsonObject; now: string },
): unknown {
  return compiled.takes(scope.event) ? compiled.event(scope as unknown as Scope) : undefined;
}

/** The requests for some events, in order: one for each run of events that have the same method and URL. */
export function requestsByRecipe(
  compiled: CompiledRecipe,
  { events, ...common }: RecipeInput,
): { request: RecipeRequest; events: number }[] {
  const runs: { address: string; events: unknown[] }[] = [];
  for (const event of events) {
    const scope: Scope = { events: [event], ...common };
    const address = `${compiled.method(scope)} ${compiled.url(scope)}`;
    const last = runs.at(-1);
    if (last?.address === address) last.events.push(event);
    else runs.push({ address, events: [event] });
  }
  return runs.map((run) => ({
    request: requestByRecipe(compiled, { ...common, events: run.events }),
    events: run.events.length,
  }));
}

/** One request for events that have the same method and URL. */
export function requestByRecipe(
  { recipe, method, url, headers, body }: CompiledRecipe,
  { events, settings, now }: RecipeInput,
): RecipeRequest {
  const scope: Scope = { events, settings, now };
  const made = body(scope);
  const isForm = recipe.encoding === "form";
  const named = headers.flatMap(([name, make]) => {
    const value = make(scope);
    return value === undefined ? [] : [[name.toLowerCase(), String(value)] as const];
  });
  return {
    method: RECIPE_METHODS.find((each) => each === method(scope)) ?? "POST",
    url: String(url(scope)),
    headers: {
      "content-type": isForm ? "application/x-www-form-urlencoded" : "application/json",
      ...Object.fromEntries(named),
    },
    body: isForm ? formOf(made) : JSON.stringify(made),
  };
}

function formOf(value: unknown): string {
  const form = new URLSearchParams();
  for (const [name, each] of Object.entries(isObject(value) ? value : {})) {
    form.append(name, typeof each === "string" ? each : JSON.stringify(each));
  }
  return form.toString();
}

/** The indices of events that an answer names as failed; `undefined` if it names none. */
export function failuresIn(recipe: Recipe, answer: unknown): Set<number> | undefined {
  if (recipe.failures === undefined) return undefined;
  const { path, index } = recipe.failures;
  let value = answer;
  for (const name of path.split(".")) value = isObject(value) ? value[name] : undefined;
  if (!Array.isArray(value)) return undefined;
  return new Set(
    value.flatMap((each) => isObject(each) && typeof each[index] === "number" ? [each[index]] : []),
  );
}
