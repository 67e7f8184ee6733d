/** All kinds of destinations by name. A new kind is a file here, and its settings in `domain/forwarding/definition.ts`. */
import type { JsonObject } from "../../domain/event/json.ts";
import type { Definition, Kind } from "../../domain/forwarding/definition.ts";
import { recipeOf } from "../../domain/forwarding/recipe_settings.ts";
import { createClickHouse } from "./clickhouse.ts";
import { createPostgres } from "./postgres.ts";
import { createRecipeSender, settingsWithDefaults } from "./recipe_sender.ts";
import { createS3 } from "./s3.ts";
import { createSegment } from "./segment.ts";
import type { Sender, SenderOptions } from "./sender.ts";
import { createWebhook } from "./webhook.ts";

/** What kinds count. */
export interface KindCounts {
  /** Characters that a destination refuses and that were replaced. */
  replaced(characters: number): void;
}

const MAKERS: Readonly<Record<Kind, (options: SenderOptions, counts: KindCounts) => Sender>> = {
  webhook: createWebhook,
  segment: createSegment,
  postgres: (options, counts) => createPostgres(options, counts.replaced),
  clickhouse: createClickHouse,
  s3: createS3,
  http: createRecipeSender,
};

/** Creates the sender of a destination. It connects to nothing yet. */
export function createSender(options: SenderOptions, counts: KindCounts): Sender {
  return MAKERS[options.definition.kind](options, counts);
}

/** The URL that a destination connects to, and the setting that says it. */
export function urlOf(
  { kind, settings }: Pick<Definition, "kind" | "settings">,
): { setting: string; url: string } {
  if (kind === "s3") return { setting: "endpoint", url: String(settings.endpoint) };
  if (kind !== "http") return { setting: "url", url: String(settings.url) };
  const made = recipeOf(settings).url({
    settings: settingsWithDefaults(settings) as JsonObject,
    events: [],
    now: "",
  });
  return { setting: Object.keys(settings).find((name) => /url$/i.test(name)) ?? "recipe", url: String(made) };
}
