/** The settings of `http` destinations: those that their recipe names. */
import { isObject, type JsonObject, shown } from "../event/json.ts";
import { type CompiledRecipe, compileRecipe, type Recipe } from "../recipe/recipe.ts";
import { RECIPES } from "../recipe/recipes.ts";
import { InvalidTemplate } from "../recipe/template.ts";
import { recipeSchema } from "../recipe/recipe_schema.ts";
import { isSecretName } from "./secret_name.ts";

/** Longest value of a setting. */
const MAX_VALUE = 4_000;

/** What is wrong with settings, and where. */
export interface SettingsProblem {
  path: PropertyKey[];
  message: string;
}

/** The recipe that settings name or contain, compiled. */
export function recipeOf(settings: JsonObject): CompiledRecipe {
  const { recipe } = settings;
  const found = typeof recipe === "string" ? RECIPES[recipe] : recipe as unknown as Recipe;
  if (found === undefined) throw new Error(`no recipe is named ${shown(recipe)}`);
  return compileRecipe(found);
}

/** The first thing that is wrong with the settings of an `http` destination. */
export function recipeSettingsProblem(settings: JsonObject): SettingsProblem | undefined {
  const { recipe, ...values } = settings;
  if (typeof recipe === "string" ? !Object.hasOwn(RECIPES, recipe) : !isObject(recipe)) {
    return {
      path: ["recipe"],
      message: `must be a recipe, or one of ${Object.keys(RECIPES).join(", ")}; got ${shown(recipe)}`,
    };
  }
  const problem = typeof recipe === "string" ? undefined : recipeProblem(recipe as JsonObject);
  if (problem !== undefined) return { path: ["recipe", ...problem.path], message: problem.message };
  const known = recipeOf(settings).recipe.settings;
  for (const [name, value] of Object.entries(values)) {
    if (!Object.hasOwn(known, name)) return { path: [name], message: `Unknown field "${name}".` };
    const isKept = isSecretName(name) && value === null;
    if (isKept) continue;
    if (typeof value !== "string" || value === "" || value.length > MAX_VALUE) {
      return {
        path: [name],
        message: `must be a string of 1 to ${MAX_VALUE} characters; got ${shown(value)}`,
      };
    }
  }
  for (const [name, setting] of Object.entries(known)) {
    // A secret may be stored already: its absence is looked at once it is known what is stored.
    if (isRequired(setting) && !isSecretName(name) && values[name] === undefined) {
      return { path: [name], message: `is required: ${setting.description}` };
    }
  }
  return undefined;
}

/** The secrets that a recipe needs, by name. */
export function secretsOfRecipe(settings: JsonObject): string[] {
  return Object.entries(recipeOf(settings).recipe.settings)
    .flatMap(([name, setting]) => isRequired(setting) && isSecretName(name) ? [name] : []);
}

function isRequired(setting: Recipe["settings"][string]): boolean {
  return setting.default === undefined && setting.optional === undefined;
}

function recipeProblem(recipe: JsonObject): SettingsProblem | undefined {
  const read = recipeSchema.safeParse(recipe);
  const issue = read.error?.issues[0];
  if (issue !== undefined) return { path: issue.path, message: issue.message };
  try {
    compileRecipe(recipe as unknown as Recipe);
    return undefined;
  } catch (error) {
    if (!(error instanceof InvalidTemplate)) throw error;
    return { path: error.path.split("."), message: error.message };
  }
}
