/** The stage that marks events with additional placeholder ids. */
import { placeholdersIn, withPlaceholders } from "../../domain/profile/placeholder.ts";
import type { Stage } from "../pipeline.ts";

/** Creates the stage for ids, separated by commas; `undefined` if there are none. The mark stays on the event. */
export function placeholderStage(ids: string): Stage | undefined {
  const placeholders = placeholdersIn(ids);
  return placeholders.size === 0 ? undefined : {
    check: (event) => void withPlaceholders(event, placeholders),
  };
}
