/** `GET /api/v1/journal`: the accepted events in the order of the journal. */
import { Hono } from "hono";
import { z } from "zod";
import { EVENT_TYPES } from "../../domain/event/event.ts";
import { isPosition, type Position } from "../../domain/event/position.ts";
import { createSemaphore } from "../body/semaphore.ts";
import { type Parts, type RouteEnv, withAccess } from "../handler/handle.ts";
import { escaped } from "../http/printable.ts";
import { SECURITY_HEADERS } from "../http/security_headers.ts";
import { inTurn, READ_WAIT_MS } from "./read_turns.ts";

/** Most events of one answer. */
const MAX_LIMIT = 10_000;
const DEFAULT_LIMIT = 500;

/** Longest wait for an event, in seconds: proxies end a request that takes much longer. */
const MAX_WAIT_S = 60;

/** Answers in progress, each of some MB; others wait in line. */
const ANSWERS_AT_ONCE = 4;

/** Readers that wait for an event at once. */
const WAITING_AT_ONCE = 200;

const LIMIT_RULE = `must be a whole number from 1 to ${MAX_LIMIT}`;
const WAIT_RULE = `must be a whole number of seconds from 0 to ${MAX_WAIT_S}`;

/** Its query. */
export const journalQuery = z.object({
  after: z.string().refine(isPosition, "must be a position: 24 hex digits, as `position` of an event")
    .transform((text) => text as Position).optional()
    .meta({ description: "Only events behind this position; without it, from the beginning." }),
  limit: z.string().regex(/^\d{1,5}$/, LIMIT_RULE).default(String(DEFAULT_LIMIT)).transform(Number)
    .pipe(z.number().min(1, LIMIT_RULE).max(MAX_LIMIT, LIMIT_RULE))
    .meta({ description: "Maximum number of events." }),
  type: z.enum(EVENT_TYPES, `must be one of ${EVENT_TYPES.join(", ")}`).optional()
    .meta({ description: "Only events of this type." }),
  event: z.string().optional().meta({ description: "Only events with this `event` name." }),
  wait: z.string().regex(/^\d{1,2}$/, WAIT_RULE).default("0").transform(Number)
    .pipe(z.number().max(MAX_WAIT_S, WAIT_RULE))
    .meta({ description: "Seconds to wait for an event if there is none yet." }),
});

/** The feed of the journal. */
export function journalRoutes(parts: Parts): Hono<RouteEnv> {
  const { system, now } = parts;
  const routes = new Hono<RouteEnv>();
  const answers = createSemaphore(ANSWERS_AT_ONCE, now, { waitMs: READ_WAIT_MS });
  let waiting = 0;
  routes.get(
    "/api/v1/journal",
    withAccess(
      parts,
      { right: "read", query: journalQuery },
      async (c, { after, limit, type, event, wait }) => {
        const query = { after, limit, type, event };
        const answer = ({ lines, next }: { lines: string[]; next: Position }) =>
          new Response(lines.map((line) => `${escaped(line)}\n`).join(""), {
            headers: {
              ...SECURITY_HEADERS,
              "content-type": "application/x-ndjson",
              "link": `<?after=${next}>; rel="next"`,
            },
          });
        const read = () =>
          inTurn(answers, 1, async () => answer(await system.feed.read({ ...query, waitMs: 0 })));
        if (wait === 0 || c.req.method === "HEAD") return await read();
        if (waiting >= WAITING_AT_ONCE) return TOO_MANY_WAIT;
        waiting++;
        try {
          // One event is enough to end the wait; then it is this reader's turn.
          await system.feed.read({ ...query, limit: 1, waitMs: wait * 1000 });
        } finally {
          waiting--;
        }
        return await read();
      },
    ),
  );
  return routes;
}

const TOO_MANY_WAIT = {
  reason: "unavailable",
  code: "overloaded",
  detail: "Too many readers wait for events; retry later.",
  retryAfterS: 1,
} as const;
