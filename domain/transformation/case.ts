/** Tests that live with a transformation: an event, and what is expected of it. They run at each save. */
import { z } from "zod";
import { EVENT_TYPES, type StoredEvent } from "../event/event.ts";
import { canonicalJson, isObject, type JsonObject } from "../event/json.ts";
import { parseTimestamp } from "../event/timestamp.ts";
import type { Outcome } from "./outcome.ts";

/** Tests of one transformation, and bytes of JSON of all of them. */
export const MAX_CASES = 100;
export const MAX_CASES_BYTES = 64 * 1024;

/** UTF-16 units of a test's name. */
const MAX_NAME_LENGTH = 200;

/** The members that count only where an expected event names them. */
const UNLESS_NAMED = ["messageId", "timestamp", "originalTimestamp", "sentAt", "receivedAt"];

/** The time of a test whose event has none: a result must not depend on the day on which it is saved. */
const TIME_OF_CASES = "2026-01-01T00:00:00.000Z";

const TIMES = ["timestamp", "receivedAt"] as const;

/** An event as a test, or a try, gives it: the times and the message id may be missing. */
export const givenEvent = z.unknown().superRefine((event, context) => {
  const fail = (message: string, path: string[] = []) => context.addIssue({ code: "custom", message, path });
  if (!isObject(event)) return fail("must be an event");
  if (!(EVENT_TYPES as readonly unknown[]).includes(event.type)) {
    fail(`must be one of ${EVENT_TYPES.join(", ")}`, ["type"]);
  }
  for (const name of TIMES) {
    const time = event[name];
    if (time === undefined || typeof time === "string" && parseTimestamp(time) !== undefined) continue;
    fail("must be an ISO 8601 date-time", [name]);
  }
});

const person = z.unknown().refine(isObject, "must be a profile: an object");

/** One test. */
export const caseSchema = z.strictObject({
  name: z.string("must be a string").min(1, "must not be empty")
    .max(MAX_NAME_LENGTH, `must have at most ${MAX_NAME_LENGTH} characters`),
  event: givenEvent,
  person: person.optional(),
  expect: z.unknown().refine(
    (value) => value === null || Array.isArray(value) || isObject(value),
    "must be an event, null, an array of events or an error",
  ),
});

/** A test as it is stored. */
export type Case = z.output<typeof caseSchema>;

/** An event of a test or a try as a whole one; without times it is of the moment that is given. */
export function wholeEvent(given: unknown, at: string = TIME_OF_CASES): StoredEvent {
  const { timestamp, receivedAt, messageId, ...rest } = given as JsonObject;
  const received = (receivedAt ?? timestamp ?? at) as string;
  return {
    ...rest,
    messageId: typeof messageId === "string" && messageId !== "" ? messageId : "test",
    timestamp: (timestamp ?? received) as string,
    receivedAt: received,
  } as StoredEvent;
}

/** Why a test failed; `undefined` if it passed. */
export function judgeCase({ expect }: Case, outcome: Outcome): string | undefined {
  const expected = expectedError(expect);
  if ("error" in outcome) {
    const { message } = outcome.error;
    if (expected === undefined) {
      return `expected ${shownResult(expect)}; got the error ${JSON.stringify(message)}`;
    }
    const isExpected = typeof expected !== "string" || message.includes(expected);
    return isExpected
      ? undefined
      : `expected the error ${JSON.stringify(expected)}; got ${JSON.stringify(message)}`;
  }
  const { results } = outcome;
  if (expected === undefined && isExpected(expect, results)) return undefined;
  const wanted = expected === undefined ? shownResult(expect) : `the error ${JSON.stringify(expected)}`;
  const got = results.length === 1 ? results[0] : results.length === 0 ? null : results;
  return `expected ${wanted}; got ${shownResult(got)}`;
}

/** The expected error: a part of its message, or anything else for any error. An event has a type, so it is none. */
function expectedError(expect: unknown): unknown {
  return isObject(expect) && Object.hasOwn(expect, "error") && expect.type === undefined
    ? expect.error
    : undefined;
}

function isExpected(expect: unknown, results: readonly StoredEvent[]): boolean {
  if (expect === null) return results.length === 0;
  const expected = Array.isArray(expect) ? expect : [expect];
  return expected.length === results.length &&
    expected.every((each, index) => isEqual(each, results[index]!));
}

function isEqual(expected: unknown, result: StoredEvent): boolean {
  if (!isObject(expected)) return false;
  const compared: JsonObject = { ...result };
  for (const name of UNLESS_NAMED) if (!Object.hasOwn(expected, name)) delete compared[name];
  return canonicalJson(expected) === canonicalJson(compared);
}

/** Characters of a result that a message shows. */
const SHOWN_CHARACTERS = 1_000;

function shownResult(result: unknown): string {
  const text = JSON.stringify(result);
  return text.length <= SHOWN_CHARACTERS ? text : `${text.slice(0, SHOWN_CHARACTERS)}…`;
}
