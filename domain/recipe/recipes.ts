/** The recipes that ship with signalfold, by the name that a destination gives in `settings.recipe`. */
import { amplitude } from "./amplitude.ts";
import { customerio } from "./customerio.ts";
import { ga4 } from "./ga4.ts";
import { mixpanel } from "./mixpanel.ts";
import { posthog } from "./posthog.ts";
import type { Recipe } from "./recipe.ts";
import { slack } from "./slack.ts";

export const RECIPES: Readonly<Record<string, Recipe>> = {
  posthog,
  amplitude,
  mixpanel,
  customerio,
  ga4,
  slack,
};
