/** The live view: events as server-sent events (HTML, section 9.2), for administrators. */
import { isPosition } from "../../domain/event/position.ts";
import { Hono } from "hono";
import { z } from "zod";
import { traceOf } from "../../actors/store/error_trace.ts";
import { EVENT_TYPES } from "../../domain/event/event.ts";
import { adminOnly, type Outcome, type Parts, type RouteContext, type RouteEnv } from "../handler/handle.ts";
import { MAX_SHOWN } from "../../ingest/observers/live.ts";
import { lineOf, type LiveLine } from "./live_lines.ts";
import { invalid, type Problem } from "../http/problem.ts";
import { SECURITY_HEADERS } from "../http/security_headers.ts";
import type { PastEvent } from "../../actors/live/last_events.ts";
import type { Listener, LivePosition, News } from "../../actors/live/listener.ts";
import { TooManyListeners } from "../../actors/store/errors.ts";

/** Quiet time after which a comment is sent: proxies close quiet connections, mostly after a minute. */
export const HEARTBEAT_MS = 15_000;

/** The time after which a client that lost its connection should retry. */
const RETRY_MS = 2_000;

/** Events from before a listener came. */
const MAX_LAST = 1_000;

const shown = (what: string) => {
  const rule = `must be ${what} of 1 to ${MAX_SHOWN} characters`;
  return z.string().min(1, rule).max(MAX_SHOWN, rule).optional();
};

/** `?type=&event=&userId=&status=&writeKeyId=`: shown lines match all given filters. */
export const liveQuery = z.object({
  status: z.enum(["accepted", "duplicate", "rejected"], "must be accepted, duplicate or rejected").optional(),
  type: z.enum(EVENT_TYPES, `must be one of ${EVENT_TYPES.join(", ")}`).optional(),
  event: shown("the name of a track event"),
  userId: shown("a user id"),
  writeKeyId: shown("the id of a write key"),
  last: z.string().regex(/^(\d{1,3}|1000)$/, `must be a whole number from 0 to ${MAX_LAST}`).default("0")
    .transform(Number),
});

type Filters = Omit<z.output<typeof liveQuery>, "last">;

const HEADERS = {
  ...SECURITY_HEADERS,
  "content-type": "text/event-stream",
  // nginx would else hold the stream back until a buffer is full.
  "x-accel-buffering": "no",
};

/** `GET /api/v1/admin/live`. `heartbeatMs` is shorter in tests. */
export function liveRoutes(parts: Parts, heartbeatMs = HEARTBEAT_MS): Hono<RouteEnv> {
  const routes = new Hono<RouteEnv>();
  routes.get(
    "/api/v1/admin/live",
    adminOnly(parts, (c, { last, ...filters }) => show(parts, c, { filters, last, heartbeatMs }), liveQuery),
  );
  return routes;
}

async function show(
  { system, log }: Parts,
  c: RouteContext,
  { filters, last, heartbeatMs }: { filters: Filters; last: number; heartbeatMs: number },
): Promise<Outcome> {
  const after = readId(c.req.header("last-event-id"));
  if (after !== undefined && "reason" in after) return after;
  // Nobody reads the rest.
  if (c.req.method === "HEAD") return new Response(null, { headers: HEADERS });
  try {
    const mayWant = preselect(filters);
    const listener = await system.live.listen({ after, mayWant });
    // A listener that returns knows what came before.
    const past = after !== undefined || last === 0 || mayWant === undefined ? [] : await system.live.last({
      count: last,
      upTo: listener.position().place,
      mayWant,
      wants: (event) => passes(filters, lineOf(event)),
    }).catch((error) => {
      listener.close();
      throw error;
    });
    const onError = (error: unknown) => log.count("warn", "failed", { code: "live", error: traceOf(error) });
    return new Response(streamOf(listener, { filters, heartbeatMs, past, onError }), { headers: HEADERS });
  } catch (error) {
    if (error instanceof TooManyListeners) return { ...TOO_MANY, detail: `${error.message}: try later` };
    throw error;
  }
}

const TOO_MANY: Problem = {
  reason: "unavailable",
  code: "too_many_listeners",
  detail: "",
  retryAfterS: 5,
};

const ID = /^([0-9a-f]+)-(\d{1,15})$/;

/** The position of a `Last-Event-ID`; an empty one means none. */
function readId(text: string | undefined): LivePosition | Problem | undefined {
  if (text === undefined || text === "") return undefined;
  const match = ID.exec(text);
  const place = match?.[1];
  if (match === null || !isPosition(place)) {
    return invalid("invalid_last_event_id", "", "Last-Event-ID must be an id from this stream.");
  }
  return { place, count: Number(match[2]) };
}

/**
 * Makes a quick filter for lines of JSON: it searches for the necessary texts, at a fraction of the cost of parsing.
 * `undefined` if no event can pass.
 */
function preselect({ status, type, event, userId }: Filters): ((line: string) => boolean) | undefined {
  if (status !== undefined && status !== "accepted") return undefined;
  const needles = [type, event, userId].filter((text) => text !== undefined).map((text) =>
    JSON.stringify(text)
  );
  return (line) => needles.every((needle) => line.includes(needle));
}

function passes(filters: Filters, line: LiveLine): boolean {
  return Object.entries(filters).every(([name, value]) =>
    value === undefined || line[name as keyof Filters] === value
  );
}

interface StreamOptions {
  filters: Filters;
  heartbeatMs: number;
  /** Told first. */
  past: readonly PastEvent[];
  onError(error: unknown): void;
}

/** A stream that asks the listener for news when it is read: nothing unread is held. */
function streamOf(listener: Listener, { filters, heartbeatMs, past, onError }: StreamOptions) {
  const encoder = new TextEncoder();
  let sent = listener.position();
  let isFirst = true;
  let cancelled = false;

  function idLine(position: LivePosition): string {
    sent = position;
    return `id: ${position.place}-${position.count}\n`;
  }

  /** News as text; `""` if nothing passes the filters. */
  function textOf({ skipped, events, notes, position }: News): string {
    let text = skipped > 0 ? `event: skipped\n${dataOf({ status: "skipped", skipped })}` : "";
    for (const news of events) {
      const line = lineOf({ ...news, position: news.position.place });
      if (passes(filters, line)) text += idLine(news.position) + dataOf(line);
    }
    for (const note of notes) if (passes(filters, note)) text += dataOf(note);
    // An id without data is not an event; it tells the position after the filtered events.
    if (text !== "" && sent.count !== position.count) text += `${idLine(position)}\n`;
    return text;
  }

  async function nextText(): Promise<string | undefined> {
    if (isFirst) {
      isFirst = false;
      const before = past.map((event) => dataOf({ ...lineOf(event), past: true })).join("");
      return `retry: ${RETRY_MS}\n${idLine(sent)}\n${before}`;
    }
    const dueMs = performance.now() + heartbeatMs;
    for (;;) {
      const leftMs = dueMs - performance.now();
      const news = await listener.next(Math.max(0, leftMs));
      if (news === undefined) return undefined;
      const text = textOf(news);
      if (text !== "") return text;
      if (performance.now() >= dueMs) return `:\n${idLine(news.position)}\n`;
    }
  }

  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const text = await nextText().catch((error) => {
        // If storage fails, the client reconnects, and gets the error then.
        onError(error);
        listener.close();
        return undefined;
      });
      if (cancelled) return;
      if (text === undefined) controller.close();
      else controller.enqueue(encoder.encode(text));
    },
    cancel() {
      cancelled = true;
      listener.close();
    },
  }, { highWaterMark: 0 });
}

function dataOf(value: object): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}
