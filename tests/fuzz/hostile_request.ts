/** What an attack by hand is, and how one is made. */
import { ADMIN_TOKEN, WRITE_KEY } from "../process/server.ts";
import type { Got } from "./answers.ts";
import { type Piece, request } from "./wire.ts";

/** One attack. */
export interface Hostile {
  name: string;
  /** For what an answer must be that is the server's own. */
  method: string;
  path: string;
  pieces: Piece[];
  /** It takes as long as a stalled body is waited for. */
  stalls?: boolean;
  /** Statuses that may come last; 0 is a connection that is closed, or left alone, without a word. */
  statuses: readonly number[];
  /** What else is wrong with the last answer, or nothing. */
  fault?(got: Got): string | undefined;
}

/** The routes that take one event, and a batch. */
export const ONE = "/api/v1/events";
export const BATCH = "/api/v1/events/batch";

/** Credentials as headers. */
export const SENDER = { authorization: `Basic ${btoa(`${WRITE_KEY}:`)}` };
export const ADMIN = { authorization: `Bearer ${ADMIN_TOKEN}` };

/** Arrays in arrays, so many levels. */
export function deep(levels: number): string {
  return "[".repeat(levels) + "]".repeat(levels);
}

/** A page view of these members. */
export function page(members: string): string {
  return `{"type":"page",${members}}`;
}

/** An attack that posts a body. */
export function post(
  name: string,
  { path = ONE, body, headers = SENDER, statuses }: {
    path?: string;
    body: string | Uint8Array;
    headers?: Record<string, string>;
    statuses: number[];
  },
): Hostile {
  return { name, method: "POST", path, statuses, pieces: request(`POST ${path}`, { headers, body }) };
}
