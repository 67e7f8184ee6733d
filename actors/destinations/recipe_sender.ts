/** HTTP services by a recipe. */
import type { JsonObject } from "../../domain/event/json.ts";
import { optionsFor } from "../../domain/forwarding/filter.ts";
import { recipeOf } from "../../domain/forwarding/recipe_settings.ts";
import { eventByRecipe, failuresIn, requestsByRecipe } from "../../domain/recipe/recipe.ts";
import type { Verdict } from "../../domain/forwarding/verdict.ts";
import { createHttpClient, type HttpAnswer } from "./http_request.ts";
import type { Answer, Outgoing, Prepared, Sender, SenderOptions } from "./sender.ts";

/** What a recipe may say of a status. */
const VERDICTS = ["delivered", "retry", "dead", "pause", "split"] as const;

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
      const requests = requestsByRecipe(compiled, { events: events.map(made), settings, now: now() });
      const parts = requests.map(({ request, events }) => ({
        prepared: client.prepare(request, (answer) => judge(answer, events)),
        events,
      }));
      return Promise.resolve(parts.length === 1 ? parts[0]!.prepared : inTurn(parts));
    },
    close: client.close,
  };

  function judge(answer: HttpAnswer, events: number): Partial<Answer> | undefined {
    const { status } = answer;
    const verdict = VERDICTS.find((each) => recipe.answers?.[each]?.includes(status));
    const json = answer.json();
    const failed = failuresIn(recipe, json);
    if (failed === undefined || failed.size === 0) {
      if (verdict !== undefined) return { verdict };
      if (recipe.refusal === undefined || status >= 300 || !compiled.isRefusal(json)) return undefined;
      return { verdict: recipe.refusal.verdict, reason: `refused (status ${status})` };
    }
    // An answer that names the events that failed has taken the others.
    const outcome = {
      verdict: recipe.failures?.retry ? "retry" : "dead",
      reason: `rejected (status ${status})`,
    } as const;
    const each = new Map([...failed].filter((index) => index < events).map((index) => [index, outcome]));
    return { verdict: "delivered", each };
  }
}

/** Requests of one batch, one after the other. The first that settles nothing ends the attempt. */
function inTurn(parts: readonly { prepared: Prepared; events: number }[]): Prepared {
  return {
    shown: parts[0]!.prepared.shown,
    bytes: Math.max(...parts.map(({ prepared }) => prepared.bytes)),
    async send() {
      const each = new Map<number, { verdict: Verdict; reason: string }>();
      let begun = 0;
      let answer: Answer | undefined;
      for (const { prepared, events } of parts) {
        answer = await prepared.send();
        const { verdict, reason = "" } = answer;
        if (verdict !== "delivered" && verdict !== "dead") break;
        for (let n = 0; n < events; n++) {
          each.set(begun + n, answer.each?.get(n) ?? { verdict, reason });
        }
        begun += events;
      }
      return { ...answer!, each };
    },
  };
}

/** The settings of a recipe, with its defaults. */
export function settingsWithDefaults(settings: JsonObject): JsonObject {
  const { recipe } = recipeOf(settings);
  const defaults = Object.entries(recipe.settings).flatMap(([name, setting]) =>
    setting.default === undefined ? [] : [[name, setting.default] as const]
  );
  return { ...Object.fromEntries(defaults), ...settings };
}
