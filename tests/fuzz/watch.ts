/**
 * What goes on beside the attack: the process's memory, `/healthz`, and an honest sender who reads back each event that
 * was answered, and all of them in the end. Told 503 with Retry-After it comes again, as clients of the family do.
 */
import { ADMIN_TOKEN, type Server, sleep, WRITE_KEY } from "../process/server.ts";

/** The heap of each of the two threads may have 512 MB; the rest is the runtime, its buffers, and the store's cache. */
export const MAX_RSS_MB = 1536;

/** Who asks for a sign of life, or is an honest sender, has an answer within this time. */
const PATIENCE_MS = 40_000;

/** Rest between two rounds, in ms. */
const REST_MS = 100;

/** How many honest users there are. */
const USERS = 10;

/** What was seen. */
export interface Seen {
  rounds: number;
  /** Slowest answers, in ms. */
  healthMs: number;
  sendMs: number;
  readMs: number;
  maxRssMb: number;
  /** How often it was told 503 with Retry-After, and came again. */
  retries: number;
}

/** Watches a server until it is told to end. */
export interface Watch {
  seen: Seen;
  /** Memory of the process now, in MB; 0 where the system does not tell. */
  rssMb(): number;
  /** Ends the watch; every event that was answered must then be in the logs, once. */
  end(): Promise<void>;
}

/** Begins to watch; `found` is told what is wrong. */
export function watch(server: Server, found: (what: string) => void): Watch {
  const seen: Seen = { rounds: 0, healthMs: 0, sendMs: 0, readMs: 0, maxRssMb: 0, retries: 0 };
  const sent = new Map<string, string[]>();
  let hasEnded = false;

  function rssMb(): number {
    try {
      const kb = /VmRSS:\s+(\d+)/.exec(Deno.readTextFileSync(`/proc/${server.pid}/status`))?.[1];
      return Math.round(Number(kb) / 1024);
    } catch {
      return 0; // Not Linux, or it has ended, which the other signs of life tell.
    }
  }

  async function ask(path: string, init: RequestInit = {}) {
    const began = performance.now();
    for (;;) {
      const response = await fetch(server.url + path, { ...init, signal: AbortSignal.timeout(PATIENCE_MS) });
      const text = await response.text();
      const ms = Math.round(performance.now() - began);
      const retryAfterS = Number(response.headers.get("retry-after"));
      if (response.status !== 503 || !(retryAfterS > 0) || ms > PATIENCE_MS) {
        return { status: response.status, body: text === "" ? undefined : JSON.parse(text), ms };
      }
      seen.retries++;
      await sleep(retryAfterS * 1000);
    }
  }
  const asReader = { headers: { authorization: `Bearer ${ADMIN_TOKEN}` } };

  async function round(n: number): Promise<void> {
    const health = await ask("/healthz");
    if (health.status !== 200) found(`/healthz answered ${health.status}`);
    const userId = `honest_${n % USERS}`;
    const messageId = `honest_message_${n}`;
    const retriesBefore = seen.retries;
    const answer = await ask("/api/v1/events", {
      method: "POST",
      headers: { authorization: `Basic ${btoa(`${WRITE_KEY}:`)}` },
      body: JSON.stringify({ type: "identify", userId, messageId, traits: { n, text: `\r\n\u2028${n}` } }),
    });
    // What was not acknowledged may be in the journal all the same.
    const mayBeTwice = seen.retries > retriesBefore;
    if (
      answer.status !== 200 || answer.body?.messageId !== messageId || (answer.body?.duplicate && !mayBeTwice)
    ) {
      return found(`an honest event was answered ${answer.status} ${JSON.stringify(answer.body)}`);
    }
    const mine = sent.get(userId) ?? [];
    sent.set(userId, [...mine, messageId]);
    const profile = await ask(`/api/v1/users/${userId}`, asReader);
    if (profile.status !== 200) return found(`an honest read was answered ${profile.status}`);
    const { eventCount, traits } = profile.body;
    if (eventCount !== mine.length + 1 || traits?.n !== n || traits?.text !== `\r\n\u2028${n}`) {
      found(`${userId} has ${eventCount} events of ${mine.length + 1}, and n is ${traits?.n} of ${n}`);
    }
    seen.healthMs = Math.max(seen.healthMs, health.ms);
    seen.sendMs = Math.max(seen.sendMs, answer.ms);
    seen.readMs = Math.max(seen.readMs, profile.ms);
    seen.rounds++;
  }

  async function watching(): Promise<void> {
    for (let n = 0; !hasEnded; n++) {
      await round(n).catch((error) => found(`the honest sender failed: ${error}`));
      await sleep(REST_MS);
    }
  }
  const rounds = watching();
  let tooMuch = false;
  const memory = setInterval(() => {
    seen.maxRssMb = Math.max(seen.maxRssMb, rssMb());
    if (seen.maxRssMb <= MAX_RSS_MB || tooMuch) return;
    tooMuch = true;
    found(`the process took ${seen.maxRssMb} MB`);
  }, 200);

  async function end(): Promise<void> {
    hasEnded = true;
    await rounds;
    clearInterval(memory);
    for (const [userId, messageIds] of sent) {
      const stored: string[] = [];
      for (let cursor: string | null = ""; cursor !== null;) {
        const query = `?order=asc&limit=500${cursor === "" ? "" : `&cursor=${cursor}`}`;
        const page = await ask(`/api/v1/users/${userId}/events${query}`, asReader);
        stored.push(...page.body.events.map((event: { messageId: string }) => event.messageId));
        cursor = page.body.cursor;
      }
      if (stored.join() !== messageIds.join()) found(`the log of ${userId} is not what it sent`);
    }
  }
  return { seen, rssMb, end };
}
