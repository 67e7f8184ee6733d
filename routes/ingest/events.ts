/** The routes that take events: one, or a batch. */
import { setImmediate } from "node:timers";
import { Hono } from "hono";
import { z } from "zod";
import { createSerialQueue } from "../../actors/store/serial_queue.ts";
import { accept } from "../../domain/event/accept.ts";
import type { BatchDefaults } from "../../domain/event/batch_defaults.ts";
import { type EventType, MAX_EVENT_BYTES, type StoredEvent } from "../../domain/event/event.ts";
import { ownMessageId, type Rejection } from "../../domain/event/rejection.ts";
import { formatTimestamp } from "../../domain/event/timestamp.ts";
import { BODY_LIMITS } from "../body/limits.ts";
import { CORS_HEADERS, preflightOf } from "../http/cors.ts";
import { handle, type Outcome, type Parts, type RouteContext, type RouteEnv } from "../handler/handle.ts";
import type { Source } from "../../ingest/pipeline.ts";
import { problemOfRefusal, rateLimitHeaders } from "./rate_limit_headers.ts";
import { invalid, type Problem, STATUS_OF } from "../http/problem.ts";
import { readQuery } from "../http/query.ts";
import { receive, type Receiving, type Sent } from "./receive.ts";
import { loggedOf } from "./rejection_log.ts";
import { SECURITY_HEADERS } from "../http/security_headers.ts";
import { BATCH_PATH, EVENT_PATH } from "../http/paths.ts";
import { BatchTooLarge } from "../../actors/store/errors.ts";
import type { Receipt } from "../../actors/appending/commit_group.ts";

/** Events in one batch of signalfold's own API. */
export const MAX_BATCH_EVENTS = 500;

/** Events in one batch of Segment's clients: the limit that Segment's own HTTP API states. */
export const MAX_SEGMENT_BATCH_EVENTS = 2500;

/** Bytes of a batch once its `context` and `integrations` are filled into its events: as of a body, 4 MiB. */
const MAX_FILLED_BYTES = BODY_LIMITS.maxBytes;

/** Longest time for checking a batch, including the turns of others: it may then wait as long for its commit. */
const JUDGING_MS = 10_000;

/** A batch yields to waiting requests after this time: contracts may be slow, events large. */
const TURN_MS = 5;

/** Each header here is a microsecond on every event's path. */
const RECEIPT_HEADERS = {
  "content-type": "application/json",
  "x-content-type-options": SECURITY_HEADERS["x-content-type-options"],
  ...CORS_HEADERS,
};

/** A key in the query, for the one request that can have no header: a beacon. */
export const keyQuery = z.object({
  writeKey: z.string().optional().meta({ description: "The write key, if no header has one." }),
});

/** `POST /api/v1/events` and `/api/v1/events/batch`, with their preflights. */
export function sendingRoutes(parts: Parts): Hono<RouteEnv> {
  const routes = new Hono<RouteEnv>();
  routes.post(EVENT_PATH, takeEvents(parts, { send: sendOne }));
  routes.post(BATCH_PATH, takeEvents(parts, { send: sendBatch }));
  for (const path of [EVENT_PATH, BATCH_PATH]) routes.options(path, preflightOf("POST"));
  return routes;
}

/** How a route takes events. */
export interface Taking {
  send: (parts: Parts, c: RouteContext, taken: Taken) => Promise<Outcome>;
  /** Of the routes of Segment's clients: their batches are larger, their answers begin with `success`. */
  segment?: {
    /** The type that the route implies. */
    type?: EventType;
    /** Whether the key may be in the query. */
    keyInQuery?: boolean;
  };
}

/** A body of a sender that may send, on a route. */
interface Taken {
  sent: Sent;
  segment: Taking["segment"];
}

/** An event has at most as many structural bytes as bytes: a body with more contains no valid event. */
const EVENT_STRUCTURE: Receiving["structure"] = {
  most: MAX_EVENT_BYTES,
  problem: {
    reason: "too_large",
    code: "event_too_large",
    detail: `Event must be at most ${MAX_EVENT_BYTES} bytes of JSON.`,
  },
};

/** The handler of a route that takes events. */
export function takeEvents(parts: Parts, { send, segment }: Taking) {
  const receiving: Receiving = {
    send: (parts, c, sent) => send(parts, c, { sent, segment }),
    ...send === sendOne && { structure: EVENT_STRUCTURE },
    ...segment?.keyInQuery && { byQuery: keyInQuery },
  };
  return handle(parts, (c) => receive(parts, c, receiving));
}

function keyInQuery(url: string) {
  const read = readQuery(url, keyQuery, "passed over");
  return read.problem === undefined ? { writeKey: read.query.writeKey } : read;
}

/** One event, whose type is given by its route or by itself. */
export async function sendOne(
  parts: Parts,
  c: RouteContext,
  { sent, segment }: Taken,
): Promise<Outcome> {
  const { value, caller } = sent;
  const { pipeline, log } = parts;
  const source = sourceOf(parts, c, { sender: caller, type: segment?.type });
  const waiting = pipeline.reserve(source, 1);
  const refusal = waiting instanceof Promise ? await waiting : waiting;
  if (refusal !== undefined) return problemOfRefusal(refusal);
  sent.paidEvents = 1;
  dropWriteKey(value);
  const taken = await takeOne(parts, value, { source, newId: parts.newId });
  if (taken.problem !== undefined) {
    // It was given back.
    if (taken.problem.reason === "too_large") sent.paidEvents = 0;
    return taken.problem;
  }
  const { messageId, duplicate } = taken.receipt;
  if (log.debugging) c.set("counts", { received: 1, accepted: 1, duplicates: duplicate ? 1 : 0 });
  const answer = segment === undefined ? { success: true, messageId, duplicate } : { success: true };
  return receiptOf(answer, source);
}

/** How {@link takeOne} is to take an event. */
interface TakingOne {
  source: Source;
  /** Creates a message id for an event without one. */
  newId: () => string;
  /**
   * When it was first sent (ms), if that was at another time: clock skew is corrected by it, and it is the default of
   * `timestamp`.
   */
  firstSentAt?: number;
}

/** Accepts an admitted event: checks it, commits it, and tells the observers. */
export async function takeOne(
  { system, pipeline }: Parts,
  value: unknown,
  { source, newId, firstSentAt }: TakingOne,
): Promise<{ receipt: Receipt; problem?: undefined } | { problem: Problem }> {
  const { sender, receivedAt, type } = source;
  const { allowedTypes } = sender;
  const accepted = accept(value, { receivedAt: firstSentAt ?? receivedAt, newId, type, allowedTypes });
  // It is known since now, whenever it happened.
  if (firstSentAt !== undefined && accepted.event) accepted.event.receivedAt = formatTimestamp(receivedAt);
  const judging = accepted.rejection ?? pipeline.check(accepted.event, source);
  const rejection = judging instanceof Promise ? await judging : judging;
  if (rejection !== undefined) {
    pipeline.rejected(value, rejection, source);
    if (rejection.isDropped) return { receipt: { messageId: accepted.event!.messageId, duplicate: false } };
    if (rejection.reason === "too_large") pipeline.refund(source, 1);
    const logged = loggedOf(rejection, source);
    return { problem: refusalOf({ ...problemOf(rejection), logged }, source) };
  }
  const events = [accepted.event!];
  let receipts: readonly Receipt[];
  try {
    receipts = await system.commit(events, sender.writeKeyId, source.judged);
  } catch (error) {
    pipeline.refund(source, 1);
    throw error;
  }
  pipeline.committed(events, receipts, source);
  const [receipt] = receipts;
  if (receipt === undefined) throw new Error("a commit of one event gave no receipt");
  return { receipt };
}

function receiptOf(answer: unknown, { quota }: Source): Response {
  const headers = quota === undefined ? RECEIPT_HEADERS : { ...RECEIPT_HEADERS, ...rateLimitHeaders(quota) };
  return new Response(JSON.stringify(answer), { headers });
}

function refusalOf(problem: Problem, { quota }: Source): Problem {
  return quota === undefined
    ? problem
    : { ...problem, headers: { ...rateLimitHeaders(quota), ...problem.headers } };
}

function sourceOf(
  { now, peerOf }: Parts,
  c: RouteContext,
  { sender, type, defaults }: Pick<Source, "sender" | "type" | "defaults">,
): Source {
  // `get`, since `has` makes the runtime build a list of all headers, for each event. A server's address says nothing
  // about its user; a browser sends its origin with each request.
  const peer = () => c.req.raw.headers.get("origin") === null ? undefined : peerOf(c);
  return { sender, type, defaults, receivedAt: now(), peer };
}

/** The entry of a rejected event in a batch's answer. */
interface EventError {
  index: number;
  status: number;
  code: string;
  message: string;
  path?: string;
  messageId?: string;
}

/** A batch: all of its valid events or none, and an error for each of the others. */
export async function sendBatch(
  parts: Parts,
  c: RouteContext,
  { sent, segment }: Taken,
): Promise<Outcome> {
  const { system, pipeline, newId, now, log } = parts;
  const { value, bytes, caller } = sent;
  const batch = readBatch(value, segment === undefined ? MAX_BATCH_EVENTS : MAX_SEGMENT_BATCH_EVENTS);
  if ("problem" in batch) return batch.problem;
  const { items, defaults } = batch;
  const source = sourceOf(parts, c, { sender: caller, defaults });
  const refusal = await pipeline.reserve(source, items.length);
  if (refusal !== undefined) return problemOfRefusal(refusal);
  sent.paidEvents = items.length;
  const refuseAll = (problem: Problem) => {
    sent.paidEvents = 0;
    pipeline.refund(source, items.length);
    return refusalOf(problem, source);
  };
  const options = { receivedAt: source.receivedAt, newId, allowedTypes: caller.allowedTypes, defaults };
  const events: StoredEvent[] = [];
  const rejected: { index: number; rejection: Rejection }[] = [];
  // Measured only if a quick sum, as if each event had all the defaults, may be too large.
  let filledBytes = mayExceedFilled(bytes, batch) ? 0 : undefined;
  let turnEndsAt = source.receivedAt + TURN_MS;
  for (let index = 0; index < items.length; index++) {
    dropWriteKey(items[index]);
    const { event, rejection } = accept(items[index], options);
    if (filledBytes !== undefined && event !== undefined) {
      filledBytes += bytesOf(event);
      if (filledBytes > MAX_FILLED_BYTES) return refuseAll(TOO_LARGE_FILLED);
    }
    const judging = rejection ?? pipeline.check(event, source);
    const refused = judging instanceof Promise ? await judging : judging;
    if (refused === undefined) events.push(event!);
    else rejected.push({ index, rejection: { ...refused, ...ownMessageId(items[index]) } });
    if (now() > turnEndsAt) {
      await othersTurn();
      // Nothing is given back: the sender has used what the limit protects, the server's time.
      if (now() - source.receivedAt > JUDGING_MS) return refusalOf(TOO_LONG, source);
      turnEndsAt = now() + TURN_MS;
    }
  }

  let duplicates = 0;
  if (events.length > 0) {
    try {
      const receipts = await system.commit(events, caller.writeKeyId, source.judged);
      pipeline.committed(events, receipts, source);
      for (const { duplicate } of receipts) duplicates += duplicate ? 1 : 0;
    } catch (error) {
      if (error instanceof BatchTooLarge) return refuseAll(tooLargeCompressed(error));
      pipeline.refund(source, items.length);
      throw error;
    }
  }
  // Not before: a batch that is not answered so is sent again whole.
  for (const { index, rejection } of rejected) pipeline.rejected(items[index], rejection, source);
  const told = rejected.filter(({ rejection }) => !rejection.isDropped);
  const errors = told.map(({ index, rejection }) => errorOf(index, rejection));
  for (const { rejection } of told) {
    const { code, reason } = rejection;
    log.count("info", "event rejected", { code, status: STATUS_OF[reason], ...loggedOf(rejection, source) });
  }
  const received = items.length;
  const counts = { received, accepted: received - errors.length, rejected: errors.length };
  if (log.debugging) c.set("counts", { ...counts, duplicates });
  const answer = segment === undefined ? { ...counts, errors } : { success: true, ...counts, errors };
  return receiptOf(answer, source);
}

/** One long batch continues in each turn of the event loop, since all share one thread. */
const inTurn = createSerialQueue();

/** Lets requests that wait go on, so that none waits for all of a batch that takes long. */
function othersTurn(): Promise<void> {
  return inTurn(() => new Promise((resolve) => setImmediate(resolve)));
}

/** A batch's events, and its defaults for all of them. */
interface Batch {
  items: unknown[];
  defaults: BatchDefaults | undefined;
}

/** Reads a batch; other members are passed over. */
function readBatch(value: unknown, maxEvents: number): Batch | { problem: Problem } {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { problem: invalid("not_an_object", "", 'The body must be a JSON object such as {"batch":[…]}.') };
  }
  const { batch, context, integrations, sentAt } = value as Record<string, unknown>;
  if (!Array.isArray(batch)) {
    return { problem: invalid("missing_batch", "batch", "must be an array of events") };
  }
  if (batch.length === 0) {
    return { problem: invalid("empty_batch", "batch", "must contain at least 1 event (found 0)") };
  }
  if (batch.length > maxEvents) {
    const rule = `must contain at most ${maxEvents} events (found ${batch.length}): send smaller batches`;
    return { problem: invalid("too_many_events", "batch", rule) };
  }
  const hasDefaults = context !== undefined || integrations !== undefined || sentAt !== undefined;
  return { items: batch, defaults: hasDefaults ? { context, integrations, sentAt } : undefined };
}

/** A body's `writeKey` is a credential: never stored, wherever a client puts it. */
function dropWriteKey(item: unknown): void {
  if (typeof item === "object" && item !== null && Object.hasOwn(item, "writeKey")) {
    delete (item as { writeKey?: unknown }).writeKey;
  }
}

const encoder = new TextEncoder();
const bytesOf = (value: unknown): number =>
  value === undefined ? 0 : encoder.encode(JSON.stringify(value)).length;

/** Whether the events may be too large once each has the context and the integrations of the batch. */
function mayExceedFilled(bodyBytes: number, { items, defaults }: Batch): boolean {
  const eachBytes = bytesOf(defaults?.context) + bytesOf(defaults?.integrations);
  return eachBytes > 0 && bodyBytes + eachBytes * items.length > MAX_FILLED_BYTES;
}

const TOO_LARGE_FILLED: Problem = {
  reason: "too_large",
  code: "batch_too_large",
  detail:
    `The batch must have at most ${MAX_FILLED_BYTES} bytes once its context is copied into each event. Send smaller batches.`,
};

function tooLargeCompressed({ message }: BatchTooLarge): Problem {
  return { reason: "too_large", code: "batch_too_large", detail: `${message} Send smaller batches.` };
}

const TOO_LONG: Problem = {
  reason: "unavailable",
  code: "overloaded",
  detail: "Contract validation of this batch timed out. Send smaller batches.",
  retryAfterS: 1,
};

function problemOf({ reason, code, message, errors }: Rejection): Problem {
  return { reason, code, detail: message, errors };
}

function errorOf(index: number, { reason, code, message, path, messageId }: Rejection): EventError {
  return {
    index,
    status: STATUS_OF[reason],
    code,
    message,
    ...path !== "" && { path },
    ...messageId !== undefined && { messageId },
  };
}
