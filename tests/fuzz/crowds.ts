/** Attacks that are one only in numbers: many at once, or a hundred thousand of a kind. */
import { gzipSync } from "node:zlib";
import { ADMIN_TOKEN, type Server, WRITE_KEY } from "../process/server.ts";
import { bytesOf, exchange } from "./wire.ts";

const SENDER = { authorization: `Basic ${btoa(`${WRITE_KEY}:`)}` };
const READER = { authorization: `Bearer ${ADMIN_TOKEN}` };

/** Events in one request. */
const BATCH_EVENTS = 500;

/** Bombs at once, stalled bodies at once, and connections with half a head. */
const BOMBS = 40;
const STALLED = 300;
const HALF_HEADS = 500;

/** How long a crowd is waited for, in ms: longer than the 10 s after which a stalled body is given up. */
const PATIENCE_MS = 14_000;

/** Identifies of some 28 KB that are sent to one id, whose past is then read. */
const LARGE_EVENTS = 2_000;

/** Events of 32 KB, each of which takes 600 KB of memory. */
const EMPTY_OBJECTS = 500;

/** Reads of a large profile, and of these events, at once. */
const READS = 200;

/** Events of 32 KB of empty objects in a batch: as many as the bound of structure lets through. */
const HEAVY_EVENTS = 27;

/** Senders at once, and batches of each. */
const HEAVY_SENDERS = 6;
const HEAVY_BATCHES = 25;

/** What a crowd works with. */
export interface CrowdOptions {
  server: Server;
  /** Distinct users and event names. */
  distinct: number;
  found(what: string): void;
}

/** What a crowd may be told that honest senders are not: there is no room, or no credit, and when to come again. */
const FULL: Record<string, number> = {
  overloaded: 503,
  settling: 503,
  storage_unavailable: 503,
  too_dense: 429,
};

function isFull({ status, headers }: Response, answer: { code?: unknown }): boolean {
  return FULL[String(answer.code)] === status && headers.has("retry-after");
}

type Coding = "gzip" | "plain";

/** A batch as it is sent. */
function sentAs(events: unknown[], coding: Coding): { headers: Record<string, string>; body: BodyInit } {
  const text = JSON.stringify({ batch: events });
  if (coding === "plain") return { headers: SENDER, body: text };
  return { headers: { ...SENDER, "content-encoding": "gzip" }, body: new Uint8Array(gzipSync(text)) };
}

async function send(
  server: Server,
  events: unknown[],
  coding: Coding,
): Promise<{ status: number; accepted: unknown }> {
  const { headers, body } = sentAs(events, coding);
  // Senders try again when they are told that there is no room: that is what the answer is for.
  for (let tries = 0;; tries++) {
    const response = await fetch(`${server.url}/api/v1/events/batch`, { method: "POST", headers, body });
    const answer = await response.json();
    if (!isFull(response, answer) || tries === 10) {
      return { status: response.status, accepted: answer.accepted };
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

async function sendAll(
  { server, found }: CrowdOptions,
  what: string,
  batches: Iterable<unknown[]>,
  coding: Coding = "gzip",
): Promise<void> {
  for (const events of batches) {
    const { status, accepted } = await send(server, events, coding);
    if (status !== 200 || accepted !== events.length) {
      return found(`${what}: a batch was answered ${status}, ${accepted} of ${events.length} accepted`);
    }
  }
}

function* batchesOf(count: number, make: (n: number) => unknown, size = BATCH_EVENTS): Generator<unknown[]> {
  for (let from = 0; from < count; from += size) {
    yield Array.from({ length: Math.min(size, count - from) }, (_, n) => make(from + n));
  }
}

async function read({ server, found }: CrowdOptions, path: string) {
  const response = await fetch(server.url + path, { headers: READER });
  const text = await response.text();
  if (response.status !== 200) found(`GET ${path} was answered ${response.status} ${text.slice(0, 200)}`);
  return { profile: JSON.parse(text), bytes: text.length };
}

/** Each event of another user, anonymous id, group and name: then all names to one user. */
async function distinctNames(options: CrowdOptions): Promise<void> {
  const { distinct, found } = options;
  await sendAll(
    options,
    "distinct users",
    batchesOf(distinct, (n) => {
      return { type: "track", userId: `distinct_user_${n}`, event: `Distinct ${n}` };
    }),
  );
  await sendAll(
    options,
    "distinct names",
    batchesOf(distinct, (n) => {
      return { type: "track", userId: "of_all_names", event: `Distinct ${n}` };
    }),
  );
  const { profile, bytes } = await read(options, "/api/v1/users/of_all_names");
  if (profile.eventCount !== distinct) found(`one user has ${profile.eventCount} events of ${distinct}`);
  if (bytes > 1_500_000) found(`the profile of all names has ${bytes} bytes`);
  if (Object.keys(profile.events).length + (profile.dropped ?? 0) !== distinct) {
    found("names neither shown nor counted as dropped");
  }
}

/** One user of many anonymous ids and groups, and one id of large events, of whose past a read is made. */
async function expensiveReads(options: CrowdOptions): Promise<void> {
  const { distinct, found } = options;
  const ids = Math.ceil(distinct / 20);
  await sendAll(
    options,
    "many ids",
    batchesOf(ids, (n) => {
      return {
        type: "identify",
        userId: "of_many_ids",
        anonymousId: `id_${n}`,
        traits: { [`t${n}`]: "x".repeat(500) },
      };
    }),
  );
  await sendAll(
    options,
    "many groups",
    batchesOf(ids, (n) => {
      return {
        type: "group",
        userId: "of_many_groups",
        groupId: `group_${n}`,
        traits: { name: "x".repeat(500) },
      };
    }),
  );
  const traits = Object.fromEntries(Array.from({ length: 400 }, (_, n) => [`t${n}`, "{".repeat(60)]));
  const large = Math.min(LARGE_EVENTS, ids);
  await sendAll(
    options,
    "large events",
    batchesOf(large, () => {
      return { type: "identify", anonymousId: "of_large_events", traits };
    }, 100),
  );
  const { profile } = await read(options, "/api/v1/users/of_many_ids");
  if (profile.version !== ids) found(`the user of many ids has version ${profile.version} of ${ids}`);
  const { profile: member } = await read(options, "/api/v1/users/of_many_groups");
  if (member.groups.length > ids) found("more groups than there are");
  const { profile: past } = await read(options, "/api/v1/anonymous/of_large_events?at=2100-01-01");
  if (past.eventCount !== large) found(`the past has ${past.eventCount} events of ${large}`);
  const empty = { type: "page", userId: "of_empty_objects", x: Array(10_800).fill({}) };
  const empties = batchesOf(Math.min(EMPTY_OBJECTS, ids), () => empty, HEAVY_EVENTS);
  await sendAll(options, "empty objects", empties, "plain");
  await Promise.all(Array.from({ length: Math.min(READS, ids) }, async (_, n) => {
    const path = n % 10 === 0 ? "of_empty_objects/events?limit=500" : "of_all_names";
    const response = await fetch(`${options.server.url}/api/v1/users/${path}`, { headers: READER });
    const isRight = response.status === 200 || isFull(response, await response.clone().json());
    if (!isRight) found(`one of many reads was answered ${response.status}`);
    await response.body?.cancel();
  }));
}

/** Empty objects of a bomb: more than the bound of structure (each would become 100 MB), and less. */
const BOMB_OBJECTS = [1_390_000, 290_000];

/** Compressed requests of a few KB: parsed at once, all of them would be more than the heap. */
async function bombs({ server, found }: CrowdOptions): Promise<void> {
  const event = '{"type":"page","userId":"bomb"}';
  const bodies = BOMB_OBJECTS.map((count) =>
    new Uint8Array(gzipSync(`{"batch":[${event}],"x":[${"{},".repeat(count)}{}]}`))
  );
  const statuses = await Promise.all(Array.from({ length: BOMBS }, async (_, n) => {
    const headers = { ...SENDER, "content-encoding": "gzip" };
    const body = bodies[n % bodies.length]!;
    const response = await fetch(`${server.url}/api/v1/events/batch`, { method: "POST", headers, body });
    const answer = await response.json();
    return isFull(response, answer) ? 200 : response.status;
  }));
  for (const status of new Set(statuses)) {
    if (status !== 200 && status !== 413) found(`a bomb among many was answered ${status}`);
  }
}

/** Faster than they are settled: a round of 32 MiB of these would be 600 MB. */
async function heavyRounds({ server, found }: CrowdOptions): Promise<void> {
  const events = Array.from({ length: HEAVY_EVENTS }, (_, n) => {
    return { type: "identify", userId: `heavy_${n}`, traits: { x: Array(10_800).fill({}) } };
  });
  const { headers, body } = sentAs(events, "plain");
  await Promise.all(Array.from({ length: HEAVY_SENDERS }, async () => {
    for (let n = 0; n < HEAVY_BATCHES; n++) {
      const response = await fetch(`${server.url}/api/v1/events/batch`, { method: "POST", headers, body });
      const answer = await response.json();
      if (!isFull(response, answer) && answer.accepted !== HEAVY_EVENTS) {
        return found(`heavy events were answered ${response.status}`);
      }
    }
  }));
}

/** Connections that say half of what they have to say, and stay: known senders and strangers. */
async function stalled({ server, found }: CrowdOptions): Promise<void> {
  const port = Number(new URL(server.url).port);
  const head = (key: string) =>
    `POST /api/v1/events HTTP/1.1\r\nhost: x\r\n${key}content-length: 60000\r\nconnection: close\r\n\r\n`;
  const bodies = Array.from({ length: STALLED }, async (_, n) => {
    const key = n % 2 === 0 ? `x-write-key: ${WRITE_KEY}\r\n` : "";
    const [answer] = await exchange(port, [head(key), bytesOf(" ".repeat(50_000))], PATIENCE_MS);
    return answer?.status ?? 0;
  });
  const heads = Array.from(
    { length: HALF_HEADS },
    () => exchange(port, ["POST /api/v1/events HTTP/1.1\r\nhost: x\r\na"], PATIENCE_MS),
  );
  const statuses = new Set(await Promise.all(bodies));
  await Promise.all(heads);
  // A stranger's may find no room, which is 503 with Retry-After; known senders are given up after 10 s.
  for (const status of statuses) {
    if (status !== 400 && status !== 503) found(`a stalled body was answered ${status}`);
  }
}

/** Every crowd, by name. */
export const CROWDS: Record<string, (options: CrowdOptions) => Promise<void>> = {
  "distinct users and names": distinctNames,
  "expensive reads": expensiveReads,
  "bombs at once": bombs,
  "heavy rounds": heavyRounds,
  "stalled connections": stalled,
  "stalled connections again": stalled,
};
