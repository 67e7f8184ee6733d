/** The routes that replay the journal. */
import { z } from "zod";
import { replaySchema } from "../admin/replays.ts";
import type { Group } from "../operation/operation.ts";
import { time } from "./reading.ts";

const count = z.int().min(0);

const shownSchema = z.object({
  id: z.string(),
  scope: z.string().nullable().meta({ description: "`null`: everything." }),
  verify: z.boolean(),
  state: z.enum(["waiting", "running", "done", "failed"]),
  requestedAt: time,
  startedAt: time.optional(),
  finishedAt: time.optional(),
  events: count.optional().meta({ description: "Events replayed so far; once it is done, in all." }),
  totalEvents: count.optional().meta({ description: "While a full replay runs: the number of events." }),
  compared: count.optional().meta({ description: "Stored values compared with what the events give." }),
  differences: count.optional().meta({
    description: "How many of them differed. With `verify` they are unchanged, otherwise corrected.",
  }),
  examples: z.array(z.string()).optional().meta({
    description: "The first differences: `user/ID`, `group/ID` and `anonymous/ID` can be used as `scope`.",
  }),
  error: z.string().optional().meta({ description: "Why it failed." }),
}).meta({ id: "Replay" });

/** The group of replays. */
export const replays: Group = {
  name: "Replay",
  description: "Recomputes or verifies state from the journal. Needs the admin token.",
  operations: {
    "POST /api/v1/admin/replay": {
      summary: "Replay or verify",
      description:
        "Recomputes everything, or one user, group or anonymous id, while the servers run; with `verify` it changes " +
        "nothing and reports differences. Replays run one at a time, in any process. One that is interrupted starts again, " +
        "at most 5 times.",
      right: "admin",
      body: {
        schema: replaySchema,
        examples: {
          "Verify everything": { verify: true },
          "Replay a user": { scope: "user/user_123" },
          "Replay everything": {},
        },
      },
      answers: {
        202: {
          description: "The replay waits or runs.",
          schema: z.object({ id: z.string() }),
          example: { id: "01M84NYA09JNNE65BQ3GBSTT6Y" },
        },
      },
      refusals: ["BadBody", "BodyTooLarge"],
    },
    "GET /api/v1/admin/replays": {
      summary: "List the latest replays",
      description: "Newest first, at most 20.",
      right: "admin",
      answers: {
        200: { description: "The replays.", schema: z.object({ replays: z.array(shownSchema) }) },
      },
    },
  },
};
