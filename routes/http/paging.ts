/** Query parameters that lists have in common. */
import { z } from "zod";
import { parseTimestamp } from "../../domain/event/timestamp.ts";

/** Longest cursor that is read; ours contain an id of up to 512 units, which JSON may write as six characters each. */
const MAX_CURSOR_LENGTH = 8192;

/** The contract: "`limit` (1 to 500, default 50, else 400)". */
export const limit = z.string().regex(/^([1-9]\d?|[1-4]\d\d|500)$/, "must be a whole number from 1 to 500")
  .default("50").transform(Number).meta({
    description: "Maximum number of items in a page.",
    examples: ["2"],
  });

/** The cursor of the previous page. */
export const cursor = z.string().min(1, "is invalid: use the cursor of the previous page")
  .max(MAX_CURSOR_LENGTH, "is invalid: use the cursor of the previous page").optional()
  .meta({ description: "`cursor` of the previous page, for the next one." });

/** A moment; the blank is a `+` that was not percent-encoded, which forms decode to a blank. */
export const moment = z.string().transform((text, context) => {
  const ms = parseTimestamp(text.replace(/ (?=\d\d(:?\d\d)?$)/, "+"));
  if (ms !== undefined) return ms;
  context.addIssue({ code: "custom", message: "must be an ISO 8601 date or date-time" });
  return z.NEVER;
}).optional();
