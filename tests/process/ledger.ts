/**
 * A client that keeps a ledger of what it sent and what was answered, and holds it against what servers then show.
 *
 * How it works: workers send single events and batches over some users, anonymous ids and groups, until they are told
 * to stop or their server is gone. Each request is written down before it is sent and marked once it is answered 200.
 * `check` reads every log and profile: what was answered is there, a request that was not is there whole or not at all,
 * nothing is there twice, nothing that was never sent, and each profile counts just what its log shows.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { type Server, sleep } from "./server.ts";

/** People of each kind. */
const USERS = 24;
const ANONYMOUS = 8;
const GROUPS = 3;

/** Largest batch of the load: in several chunks of one commit, so that half of it could be there. */
const BATCH_EVENTS = 300;

/** An event as it is sent. */
export interface SentEvent {
  messageId: string;
  type: string;
  userId?: string;
  anonymousId?: string;
  [member: string]: unknown;
}

/** A request of the ledger. */
export interface Sent {
  body: SentEvent | SentEvent[];
  answered: boolean;
}

/** Numbers from 0 (within) to 1 (without), the same for the same seed: mulberry32. */
export type Random = () => number;

/** Makes the numbers of a seed. */
export function randomOf(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The seed of a test: a new one each time, or `PROCESS_SEED`. It is printed before anything can go wrong. */
export function newSeed(test: string): number {
  const seed = Number(Deno.env.get("PROCESS_SEED") || Math.floor(Math.random() * 2 ** 32));
  console.log(`${test}: PROCESS_SEED=${seed}`);
  return seed;
}

/** A whole number from `from` to `to`. */
export function between(random: Random, from: number, to: number): number {
  return from + Math.floor(random() * (to - from + 1));
}

/** What ends the work of a worker. */
export interface LoadOptions {
  workers: number;
  /** Stops the workers once their requests under way are answered. */
  signal: AbortSignal;
  /** Rest of a worker between two requests, at most, in ms. */
  restMs?: number;
}

/** What holding a ledger against a server came to: events there, and unanswered requests that were there and were not. */
export interface Checked {
  events: number;
  whole: number;
  absent: number;
}

/** A client's ledger. */
export interface Ledger {
  /** An event that nobody has sent yet. */
  event(): SentEvent;
  /** Writes a request down and sends it. Gives whether it was answered; an answer other than 200 is kept for `check`. */
  send(server: Server, body: SentEvent | SentEvent[]): Promise<boolean>;
  /** Sends until the signal, or for each worker until its server is gone. */
  load(server: Server, options: LoadOptions): Promise<void>;
  /** Sends every request again that was not answered, with the same messageIds. */
  sendUnanswered(server: Server): Promise<void>;
  /** The events of all requests that were answered. */
  answered(): SentEvent[];
  /** Every request that was sent, for whoever looks into a violation. */
  entries(): readonly Sent[];
  /** Holds what a server shows against the ledger. */
  check(server: Server): Promise<Checked>;
}

/** Opens a ledger; `name` begins its messageIds. */
export function createLedger(name: string, random: Random): Ledger {
  const sent: Sent[] = [];
  /** Answers other than 200: there must be none. */
  const refused: unknown[] = [];
  let made = 0;

  function event(): SentEvent {
    const n = made++;
    const messageId = `${name}_${n}`;
    const userId = `user_${between(random, 0, USERS - 1)}`;
    const anonymous = between(random, 0, ANONYMOUS - 1);
    const base = { messageId, timestamp: new Date(Date.UTC(2025, 0, 1) + n * 1000).toISOString() };
    const kind = random();
    // Each anonymous id has but one user, and half of them none.
    if (kind < 0.02 && anonymous % 2 === 0) {
      return { ...base, type: "identify", userId: `user_${anonymous}`, anonymousId: `anon_${anonymous}` };
    }
    if (kind < 0.1) return { ...base, type: "page", anonymousId: `anon_${anonymous}` };
    if (kind < 0.12) {
      return { ...base, type: "group", userId, groupId: `group_${between(random, 0, GROUPS - 1)}` };
    }
    if (kind < 0.2) return { ...base, type: "identify", userId, traits: { n } };
    const properties = { n, text: "x".repeat(80) };
    return { ...base, type: "track", userId, event: "Order Completed", properties };
  }

  async function deliver(server: Server, entry: Sent): Promise<boolean> {
    let answer;
    try {
      answer = await server.send(entry.body);
    } catch {
      // The connection broke: whether the server took it is for `check` to see.
      return false;
    }
    // Its way of saying that it took nothing more: nothing of it may be there.
    if (answer.status === 503 && answer.body?.code === "stopping") return false;
    const whole = Array.isArray(entry.body)
      ? answer.body?.accepted === entry.body.length
      : answer.body?.messageId === entry.body.messageId;
    if (answer.status === 200 && whole) entry.answered = true;
    else refused.push(answer);
    return entry.answered;
  }

  async function send(server: Server, body: SentEvent | SentEvent[]): Promise<boolean> {
    const entry: Sent = { body, answered: false };
    sent.push(entry);
    return await deliver(server, entry);
  }

  return {
    event,
    send,
    async load(server, { workers, signal, restMs = 0 }) {
      const work = async () => {
        while (!signal.aborted) {
          const size = random() < 0.3 ? 1 : between(random, 2, BATCH_EVENTS);
          const events = Array.from({ length: size }, event);
          if (!await send(server, size === 1 ? events[0]! : events)) return;
          if (restMs > 0) await sleep(random() * restMs);
        }
      };
      await Promise.all(Array.from({ length: workers }, work));
    },
    async sendUnanswered(server) {
      for (const entry of sent) {
        if (!entry.answered) ok(await deliver(server, entry), "a request that is sent again is answered");
      }
    },
    entries: () => sent,
    answered: () => sent.filter(({ answered }) => answered).flatMap(({ body }) => body),
    async check(server) {
      deepStrictEqual(refused, [], "every answer is 200");
      const stored = await storedEvents(server);
      const known = new Set(sent.flatMap(({ body }) => body).map(({ messageId }) => messageId));
      for (const id of stored) ok(known.has(id), `${id} was never sent`);
      const unanswered = { whole: 0, absent: 0 };
      for (const { body, answered } of sent) {
        const events = [body].flat();
        const there = events.filter(({ messageId }) => stored.has(messageId)).length;
        const what = `${events.length} events from ${events[0]!.messageId}, ${
          answered ? "" : "not "
        }answered`;
        if (answered) strictEqual(there, events.length, `${what}: all are there`);
        else ok(there === 0 || there === events.length, `${what}: ${there} are there`);
        if (!answered) unanswered[there === 0 ? "absent" : "whole"]++;
      }
      const { body: { head } } = await server.ask("/api/v1/admin/stats");
      strictEqual(head, stored.size, "the journal holds what the logs show, each once");
      return { events: stored.size, ...unanswered };
    },
  };
}

/** The messageIds in all logs, after each log was held against its profile. */
async function storedEvents(server: Server): Promise<Set<string>> {
  const stored = new Set<string>();
  const read = async (kind: "users" | "anonymous" | "groups", id: string) => {
    const log = await readLog(server, `/api/v1/${kind}/${id}/events`);
    strictEqual(new Set(log.map(({ messageId }) => messageId)).size, log.length, `${kind}/${id}: none twice`);
    for (const { messageId } of log) stored.add(messageId);
    return log;
  };
  for (let n = 0; n < USERS; n++) {
    const log = await read("users", `user_${n}`);
    const { status, body: profile } = await server.ask(`/api/v1/users/user_${n}`);
    if (log.length === 0) {
      strictEqual(status, 404);
      continue;
    }
    const counts: Record<string, number> = { track: 0, identify: 0, page: 0, screen: 0, group: 0, alias: 0 };
    for (const { type } of log) counts[type]!++;
    deepStrictEqual(
      {
        eventCount: profile.eventCount,
        counts: profile.counts,
        orders: profile.events["Order Completed"]?.count ?? 0,
      },
      { eventCount: log.length, counts, orders: counts.track },
      `user_${n}: the profile counts what the log shows`,
    );
  }
  for (let n = 0; n < ANONYMOUS; n++) await read("anonymous", `anon_${n}`);
  for (let n = 0; n < GROUPS; n++) {
    const log = await read("groups", `group_${n}`);
    if (log.length === 0) continue;
    const { body: group } = await server.ask(`/api/v1/groups/group_${n}`);
    const { body: { members } } = await server.ask(`/api/v1/groups/group_${n}/members?limit=500`);
    const joined = new Set(log.map(({ userId }) => userId));
    deepStrictEqual(
      new Set(members.map((member: SentEvent) => member.userId)),
      joined,
      `group_${n}: its members`,
    );
    strictEqual(group.memberCount, joined.size, `group_${n}: how many members`);
    strictEqual(group.eventCount, log.length, `group_${n}: how many events`);
  }
  return stored;
}

/** A whole log, page by page, oldest first; empty where nobody was ever seen. */
export async function readLog(server: Server, path: string): Promise<SentEvent[]> {
  const events: SentEvent[] = [];
  for (let cursor: string | null = ""; cursor !== null;) {
    const query = `?order=asc&limit=500${cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`}`;
    const { status, body } = await server.ask(path + query);
    if (status === 404) return [];
    strictEqual(status, 200, JSON.stringify(body));
    events.push(...body.events);
    cursor = body.cursor;
  }
  return events;
}
