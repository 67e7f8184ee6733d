/** The recipes that ship with signalfold, by the name that a destination gives in `settings.recipe`. */
import type { Recipe } from "./recipe.ts";
import { slack } from "./slack.ts";

export const RECIPES: Readonly<Record<string, Recipe>> = { slack };
