/** The routes that erase people. */
import { z } from "zod";
import { erasureQuery } from "../admin/erasure.ts";
import { described, type Group, type Operation } from "./operation.ts";
import { time } from "./reading.ts";

const count = z.int().min(0);

const receiptSchema = z.object({
  erased: z.object({
    events: count.meta({ description: "Gone from the journal." }),
    logs: count.meta({ description: "Of people, of whom nothing is left." }),
    groups: count.meta({ description: "Folded again without the person." }),
    rejected: count.meta({ description: "Gone from the quarantine." }),
  }),
  suppressed: z.boolean().meta({ description: "Whether later events of this person are refused." }),
  at: time,
}).meta({ id: "ErasureReceipt" });

const query = described(erasureQuery, {
  suppress:
    "`true` refuses later events of this person too (403 `suppressed`); they are counted, and not kept.",
});

const example = {
  erased: { events: 8, logs: 3, groups: 1, rejected: 0 },
  suppressed: false,
  at: "2026-11-24T18:00:00.000Z",
};

function erase(summary: string, example?: unknown): Operation {
  return {
    summary,
    description:
      "From profiles, logs, the journal, the quarantine, groups and exports, in every process; what stays is a digest. Can " +
      "be repeated, and takes as long as settling takes. 503 says that it goes on.",
    right: "admin",
    query,
    answers: {
      200: {
        description: "Nobody is shown this person any more.",
        schema: receiptSchema,
        ...example !== undefined && { example },
      },
    },
    refusals: ["BadErasure", "ErasureGoesOn"],
  };
}

/** The group of erasure. */
export const erasure: Group = {
  name: "Erasing",
  description: "Takes a person out of everything that is kept. Needs the admin token.",
  operations: {
    "DELETE /api/v1/users/{userId}": erase("Erase a user", example),
    "DELETE /api/v1/anonymous/{anonymousId}": erase("Erase an anonymous id"),
  },
};
