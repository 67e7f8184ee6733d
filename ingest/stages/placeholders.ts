/** Marks events whose ids a setting says never link, besides those of the list. */
import { placeholdersIn, withPlaceholders } from "../../domain/profile/placeholder.ts";
import type { Stage } from "../pipeline.ts";

/** The stage for ids with commas between; `undefined` where there are none. The mark stays on the event. */
export function placeholderStage(ids: string): Stage | undefined {
  const placeholders = placeholdersIn(ids);
  return placeholders.size === 0 ? undefined : {
    check: (event) => void withPlaceholders(event, placeholders),
  };
}
