/** The routes that erase people. */
import { z } from "zod";
import { erasureQuery } from "../admin/erasure.ts";
import { described, type Group, type Operation } from "../operation/operation.ts";
import { time } from "./reading.ts";

const count = z.int().min(0);

const erased = {
  events: count.meta({ description: "Events of the journal." }),
  logs: count.meta({ description: "Deleted logs of people." }),
  groups: count.meta({ description: "Groups that are recomputed without the person." }),
  rejected: count.meta({ description: "Rejected events that name the person." }),
};

const known = z.literal(false).optional().meta({
  description: "Present if this id is unknown; it may be misspelt.",
});

const receiptSchema = z.object({
  erased: z.object(erased),
  suppressed: z.boolean().meta({ description: "Whether later events of this person are not stored." }),
  at: time,
  known,
  forwarding: z.object({
    underWay: count.meta({ description: "Requests that bore the person and had begun before the erasure." }),
    notices: z.record(z.string(), z.enum(["delivered", "dead", "pending"])).meta({
      description: "Of destinations with `onErase: event`, what became of the notice.",
    }),
  }).optional().meta({ description: "Present if there are destinations." }),
}).meta({ id: "ErasureReceipt" });

const previewSchema = z.object({
  wouldErase: z.object({
    ...erased,
    anonymousIds: z.array(z.string()).meta({ description: "Anonymous ids of which the person owns events." }),
    intervals: z.array(z.object({
      anonymousId: z.string(),
      from: time.nullable().meta({ description: "`null`: from the beginning." }),
      until: time.nullable().meta({ description: "`null`: still." }),
      events: count,
    })).meta({
      description: "When each anonymous id belonged to the person, and its events in that time.",
    }),
  }),
  known,
}).meta({ id: "ErasurePreview" });

const query = described(erasureQuery, {
  suppress:
    "`true`: later events of this id are answered as accepted and not stored. `all`: also those of each linked " +
    "anonymous id, for the time in which the person owned it.",
  dryRun: "`true` reports what would be erased (`wouldErase`) and changes nothing.",
});

const example = {
  erased: { events: 8, logs: 3, groups: 1, rejected: 0 },
  suppressed: false,
  at: "2026-11-24T18:00:00.000Z",
  forwarding: { underWay: 0, notices: {} },
};

function erase(summary: string, example?: unknown): Operation {
  return {
    summary,
    description:
      "From profiles, logs, the journal, the quarantine, groups and exports, in every process; only a digest remains. The " +
      "request can be repeated. It takes as long as settling takes; 503 means that it is still in progress.",
    right: "admin",
    query,
    answers: {
      200: {
        description: "The person is erased; with `dryRun=true`: what would be erased.",
        schema: z.union([receiptSchema, previewSchema]),
        ...example !== undefined && { example },
      },
    },
    refusals: ["BadErasure", "ErasureGoesOn"],
  };
}

function lift(summary: string): Operation {
  return {
    summary,
    description: "Takes effect at once in this process, in others within 5 s. Erased data is not restored.",
    right: "admin",
    answers: { 204: { description: "Later events of this id are stored again." } },
    refusals: ["BadQuery", "NotFound"],
  };
}

/** The group of erasure. */
export const erasure: Group = {
  name: "Erasure",
  description: "Erases a person from all stored data. Needs the admin token.",
  operations: {
    "DELETE /api/v1/users/{userId}": erase("Erase a user", example),
    "DELETE /api/v1/anonymous/{anonymousId}": erase("Erase an anonymous id"),
    "DELETE /api/v1/admin/suppressed/users/{userId}": lift("Lift the suppression of a user"),
    "DELETE /api/v1/admin/suppressed/anonymous/{anonymousId}": lift(
      "Lift the suppression of an anonymous id",
    ),
  },
};
