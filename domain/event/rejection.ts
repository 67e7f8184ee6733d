/** A typed reason for rejection, and its message for the sender. */
import type { z } from "zod";
import { type EventType, idText, isAbsent, isMessageId, TOO_MANY } from "./event.ts";
import { dotted, isObject, type JsonObject, type JsonProblem, shown } from "./json.ts";

/** The problems that a rejection lists: a sender mends the first few, not thousands. */
export const MAX_ERRORS = 20;

/** The reason for a rejection. The routes map it to HTTP. */
export interface Rejection {
  reason: "invalid" | "forbidden" | "too_large" | "contract";
  /** Stable, in snake_case, for programs: `missing_id`, `invalid_timestamp`, … */
  code: string;
  /** For people: the problem, the rule, and the value found, shortened. */
  message: string;
  /** Dotted from the event's root (`traits.email`); `""` is the whole event. */
  path: string;
  /** The event's own, if it is valid. */
  messageId?: string;
  /** All problems found, the first of them the one above; at most {@link MAX_ERRORS}. */
  errors: { path: string; message: string }[];
  /** Its sender gets the answer of an accepted event. */
  isDropped?: true;
}

/** One thing that is wrong with an event. */
export type Problem =
  & {
    /** Default: `invalid`. */
    reason?: Rejection["reason"];
    code: string;
    path: string;
  }
  & (
    | {
      /** The message: for rules that concern more than one member. */
      message: string;
    }
    | {
      message?: undefined;
      /** The rule that the member breaks, as the message has it after the path: "must be a string". */
      rule: string;
      /** The value found, in short. */
      found: string;
    }
  );

/** Wraps at least one problem, the most telling first, as the rejection of an event. */
export function refuse(item: unknown, problems: readonly Problem[]): { rejection: Rejection } {
  const errors = problems.slice(0, MAX_ERRORS).map((problem) => ({
    path: problem.path,
    message: problem.message ??
      `${problem.path === "" ? "Event" : problem.path} ${problem.rule}; got ${problem.found}.`,
  }));
  const { reason = "invalid", code } = problems[0]!;
  return { rejection: { reason, code, ...errors[0]!, ...ownMessageId(item), errors } };
}

/** A problem of an event that the check of its JSON found. */
export function fromJson(problem: JsonProblem): Problem {
  const reason = problem.code === "event_too_large" ? "too_large" : "invalid";
  return { ...problem, reason, path: dotted(problem.path) };
}

/**
 * A problem of an event that zod found. All members that zod checks are at the top level, and each has one rule: so the
 * member's name makes the code (`invalid_user_id`), except for two more specific ones (`missing_event`,
 * `too_many_traits`).
 */
export function fromIssue(issue: z.core.$ZodIssue, item: JsonObject): Problem {
  const member = String(issue.path[0]);
  const value = item[member];
  const problem = { path: dotted(issue.path), rule: issue.message, found: shown(value) };
  if (issue.code === "custom" && issue.params?.rule === TOO_MANY) {
    return {
      ...problem,
      code: `${TOO_MANY}_${member}`,
      found: String(Object.keys(value as JsonObject).length),
    };
  }
  return { ...problem, code: member === "event" && isAbsent(value) ? "missing_event" : memberCode(member) };
}

/** The code of a member that is not as it should be: `invalid_user_id`. */
export function memberCode(member: string): string {
  return `invalid_${member.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`;
}

/**
 * The type of a sent item: that of its route, or else its own. Everything that shows or counts a rejected event calls
 * this; the type may be unknown, and need not be text.
 */
export function sentType(item: unknown, implied: EventType | undefined): unknown {
  return implied ?? (isObject(item) ? item.type : undefined);
}

/** The message id that an event was sent with, if it is valid. */
export function ownMessageId(item: unknown): { messageId?: string } {
  const id = isObject(item) ? idText(item.messageId) : undefined;
  return isMessageId(id) ? { messageId: id } : {};
}
