/**
 * Attacks a real server on a real port, in a process of its own over a database file: with requests made at random, by
 * hand, and in crowds, while an honest sender is served beside them. What is wrong is a finding; there must be none.
 */
import { accept } from "../../domain/event/accept.ts";
import { type Server, sleep, startServer, tempDir } from "../process/server.ts";
import { type Ask, faultOf, type Got } from "./answers.ts";
import { CROWDS } from "./crowds.ts";
import { generated } from "./generated.ts";
import { hostile } from "./hostile.ts";
import type { Hostile } from "./hostile_request.ts";
import { type Seen, watch } from "./watch.ts";
import { exchange } from "./wire.ts";

/** How much of an attack. */
export interface AttackOptions {
  seed: number;
  /** Requests made at random. */
  requests: number;
  /** Distinct users and event names of the crowd. */
  distinct: number;
  /** Which of {@link CROWDS} come. */
  crowds: readonly string[];
  /** Told of progress, a line at a time. */
  say(line: string): void;
}

/** What came of it. */
export interface Report {
  findings: string[];
  /** Answers to requests made at random and by hand, by status; 0 is a connection closed without a word. */
  statuses: Record<number, number>;
  requests: number;
  hostile: number;
  seen: Seen;
  /** Memory of the process after each part, in MB. */
  rssMb: Record<string, number>;
  tookMs: number;
}

/** Requests under way at once. */
const WORKERS = 16;
const HOSTILE_AT_ONCE = 8;

/** An answer to a request by hand is waited for so long, and where none is due: bodies that stall are given up after 10 s. */
const PATIENCE_MS = 60_000;
const SILENCE_MS = 15_000;

/** One that is told that there is no room comes again, as clients do, so often, after so many ms. */
const TRIES = 10;
const RETRY_MS = 1_000;

/** So many findings are enough. */
const MAX_FINDINGS = 20;

/** How often progress is told. */
const SAY_EVERY = 2_000;

/** Attacks, and says what came of it. */
export async function attack({ seed, requests, distinct, crowds, say }: AttackOptions): Promise<Report> {
  const began = performance.now();
  const findings: string[] = [];
  const found = (what: string) => {
    if (findings.length >= MAX_FINDINGS) return;
    findings.push(what);
    say(`found: ${what}`);
  };
  await using dir = await tempDir();
  await using server = await startServer(`${dir.path}/fuzz.db`, { AUTH_FAILURES_PER_MINUTE: "0" });
  const watching = watch(server, found);
  const rssMb: Record<string, number> = { start: watching.rssMb() };
  const part = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const partBegan = performance.now();
    const result = await work();
    rssMb[name] = watching.rssMb();
    say(
      `${name}: ${Math.round(performance.now() - partBegan)} ms, ${
        rssMb[name]
      } MB, ${findings.length} findings`,
    );
    return result;
  };

  const statuses: Record<number, number> = {};
  const count = (status: number) => {
    statuses[status] = (statuses[status] ?? 0) + 1;
  };
  await part("generated", () => sendGenerated({ server, seed, requests, say, found, count }));
  const byHand = hostile();
  const tryOne = async (each: Hostile) => {
    const { status, fault } = await tryHostile(server, each);
    count(status);
    if (fault !== undefined) found(`${each.name}: ${fault}`);
  };
  await part("by hand", async () => {
    const quick = byHand.filter(({ stalls }) => !stalls);
    const stalled = byHand.filter(({ stalls }) => stalls).map(tryOne);
    await Promise.all([...stalled, inParallel(quick.values(), HOSTILE_AT_ONCE, tryOne)]);
  });
  for (const name of crowds) {
    await part(name, () => CROWDS[name]!({ server, distinct, found }));
  }
  await watching.end();
  const written = server.written();
  const { code } = await server.end("SIGTERM");
  if (code !== 0) found(`the server ended with ${code}: ${written.slice(-500)}`);
  for (const line of written.split("\n")) {
    if (line.includes('"level":"error"')) found(`logged: ${line.slice(0, 500)}`);
  }
  return {
    findings,
    statuses,
    requests,
    hostile: byHand.length,
    seen: watching.seen,
    rssMb,
    tookMs: Math.round(performance.now() - began),
  };
}

interface Generation {
  server: Server;
  seed: number;
  requests: number;
  say(line: string): void;
  found(what: string): void;
  /** Told of each answer's status. */
  count(status: number): void;
}

async function sendGenerated({ server, seed, requests, say, found, count }: Generation): Promise<void> {
  let done = 0;
  await inParallel(generated(seed, requests), WORKERS, async (ask) => {
    const number = done++;
    if (number > 0 && number % SAY_EVERY === 0) say(`${number} of ${requests}`);
    const got = await send(server, ask);
    count(got.status);
    // As the client sends it: it takes `..` out of a path.
    const { pathname } = new URL(server.url + ask.path);
    const fault = faultOf({ ...ask, path: pathname }, got) ?? faultOfReceipt(ask, got);
    if (fault !== undefined) {
      found(`${fault}: seed ${seed}, request ${number}: ${shown(ask)} was answered ${got.text}`);
    }
  });
}

async function send(server: Server, { method, path, headers, body }: Ask): Promise<Got> {
  const response = await fetch(server.url + path, { method, headers, ...body !== undefined && { body } });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

function shown({ method, path, headers, body }: Ask): string {
  const text = typeof body === "string" ? JSON.stringify(body) : body === undefined ? "" : body.toHex();
  return `${method} ${path} ${JSON.stringify(headers)} ${text}`;
}

/** Whether what was taken is what the domain takes, and the answer says so. */
function faultOfReceipt({ method, path, body }: Ask, { status, text }: Got): string | undefined {
  if (method !== "POST" || typeof body !== "string" || (status !== 200 && status !== 400 && status !== 413)) {
    return undefined;
  }
  const value = parsed(body);
  if (value === undefined) return status === 400 ? undefined : "no JSON, and not 400";
  const receivedAt = Date.now();
  const isTaken = (item: unknown, defaults = {}) =>
    accept(item, { receivedAt, newId: () => "id", defaults }).rejection === undefined;
  const answer = JSON.parse(text);
  if (path === "/api/v1/events") {
    if ((status === 200) !== isTaken(value)) return "what the domain says is another thing";
    return status === 200 && (answer.success !== true || typeof answer.messageId !== "string")
      ? "a receipt that is none"
      : undefined;
  }
  if (path !== "/api/v1/events/batch" || status !== 200) return undefined;
  const { batch, ...defaults } = value as { batch: unknown[] };
  const taken = batch.filter((item) => isTaken(item, defaults)).length;
  const isRight = answer.received === batch.length && answer.accepted === taken &&
    answer.rejected === batch.length - taken && answer.errors.length === answer.rejected;
  return isRight ? undefined : `${taken} of ${batch.length} should be accepted`;
}

function parsed(text: string): unknown {
  try {
    // As the server reads it: UTF-8, with or without a byte order mark.
    return JSON.parse(new TextDecoder().decode(new TextEncoder().encode(text)));
  } catch {
    return undefined;
  }
}

async function tryHostile(server: Server, each: Hostile): Promise<{ status: number; fault?: string }> {
  const port = Number(new URL(server.url).port);
  const ms = each.statuses.includes(0) ? SILENCE_MS : PATIENCE_MS;
  let last: Got | undefined;
  for (let tries = 0; tries < TRIES; tries++) {
    if (tries > 0) await sleep(RETRY_MS);
    last = (await exchange(port, each.pieces, ms)).at(-1);
    if (last?.status !== 503 || !last.text.includes('"overloaded"')) break;
  }
  const status = last?.status ?? 0;
  const fault = each.statuses.includes(status)
    ? last && faultOfAnswer(each, last)
    : `answered ${status}, not ${each.statuses.join(" or ")}: ${last?.text.slice(0, 300)}`;
  return { status, ...fault !== undefined && { fault } };
}

function faultOfAnswer(each: Hostile, last: Got): string | undefined {
  // An answer of the runtime's own has none of our headers, and no body.
  if (!last.headers.has("x-content-type-options") && last.text === "") return undefined;
  return faultOf(each.path === "/" ? { ...each, path: pathOf(each) } : each, last) ?? each.fault?.(last);
}

/** Where a head by hand asks to go. */
function pathOf({ pieces }: Hostile): string {
  return String(pieces[0]).split(" ")[1] ?? "/";
}

async function inParallel<T>(
  items: Iterator<T>,
  workers: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  await Promise.all(Array.from({ length: workers }, async () => {
    for (let next = items.next(); !next.done; next = items.next()) await work(next.value);
  }));
}
