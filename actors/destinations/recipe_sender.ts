/** HTTP services by a recipe. */
import type { JsonObject } from "../../domain/event/json.ts";
import { optionsFor } from "../../domain/forwarding/filter.ts";
import { recipeOf } from "../../domain/forwarding/recipe_settings.ts";
import { eventByRecipe, failuresIn, requestByRecipe } from "../../domain/recipe/recipe.ts";
import type { Verdict } from "../../domain/forwarding/verdict.ts";
import { createHttpClient, type HttpAnswer } from "./http_request.ts";
import type { Answer, Outgoing, Sender, SenderOptions } from "./sender.ts";

/** Creates the sender of a recipe. */
export function createRecipeSender(options: SenderOptions): Sender {
  const { definition, name, clock } = options;
  const compiled = recipeOf(definition.settings);
  const { recipe } = compiled;
  const settings = settingsWithDefaults(definition.settings);
  const client = createHttpClient(options);
  const now = () => new Date(clock.now()).toISOString();
  const made = ({ event }: Outgoing) =>
    eventByRecipe(compiled, { event, settings, options: optionsFor(event, name), now: now() });
  return {
    maxEvents: recipe.maxEvents ?? 1,
    dropped(events) {
      const none = events.flatMap((each, index) => compiled.takes({ ...each.event }) ? [] : [index]);
      return Promise.resolve(new Set(none));
    },
    prepare({ events }) {
      const request = requestByRecipe(compiled, { events: events.map(made), settings, now: now() });
      return Promise.resolve(client.prepare(request, (answer) => judge(answer, events.length)));
    },
    close: client.close,
  };

  function judge(answer: HttpAnswer, events: number): Partial<Answer> | undefined {
    const { status } = answer;
    const { delivered, retry, dead, pause } = recipe.answers ?? {};
    const verdict: Verdict | undefined = delivered?.includes(status)
      ? "delivered"
      : retry?.includes(status)
      ? "retry"
      : dead?.includes(status)
      ? "dead"
      : pause?.includes(status)
      ? "pause"
      : undefined;
    const failed = failuresIn(recipe, answer.json());
    if (failed === undefined || failed.size === 0) return verdict && { verdict };
    // An answer that names the events that failed has taken the others.
    const outcome = {
      verdict: recipe.failures?.retry ? "retry" : "dead",
      reason: `rejected (status ${status})`,
    } as const;
    const each = new Map([...failed].filter((index) => index < events).map((index) => [index, outcome]));
    return { verdict: "delivered", each };
  }
}

/** The settings of a recipe, with its defaults. */
export function settingsWithDefaults(settings: JsonObject): JsonObject {
  const { recipe } = recipeOf(settings);
  const defaults = Object.entries(recipe.settings).flatMap(([name, setting]) =>
    setting.default === undefined ? [] : [[name, setting.default] as const]
  );
  return { ...Object.fromEntries(defaults), ...settings };
}
