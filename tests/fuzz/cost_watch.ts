/** An honest sender and a probe of `/healthz` beside floods: how long they wait, and that nothing is lost. */
import { ADMIN_TOKEN, type Server, sleep, WRITE_KEY } from "../process/server.ts";
import { threadTime } from "./cost_thread.ts";
import { MAX_RSS_MB } from "./watch.ts";

/** Rest between two requests of each, in ms. */
const REST_MS = 50;

/** An answer is waited for so long, in ms. */
const PATIENCE_MS = 40_000;

/** The address of the honest sender, as a trusted proxy names it. */
const FROM = { "x-forwarded-for": "203.0.113.9" };

/** What was seen since {@link Honest.begin}. */
export interface HonestSeen {
  /** Slowest answer of `/healthz`, in ms. */
  healthMs: number;
  /** The same without the time that the server's thread waited for a processor, which other processes had. */
  healthNetMs: number;
  /** How long each event took that was answered 200, in ms, and the same without such waiting. */
  eventMs: readonly number[];
  eventNetMs: readonly number[];
  /** Most memory of the process, in MB. */
  rssMb: number;
}

/** How long a request took, in ms: by the clock, and without the server's waiting for a processor. */
interface Took {
  ms: number;
  netMs: number;
}

/** Watches from when it is made. */
export interface Honest extends AsyncDisposable {
  begin(): void;
  end(): HonestSeen;
  /** Looks whether every event that was answered 200 since the last check is in the log, once. */
  check(): Promise<void>;
}

/** Begins to watch; `found` is told what is wrong. */
export function watchHonest(server: Server, found: (what: string) => void): Honest {
  let hasEnded = false;
  let health: Took[] = [];
  let events: Took[] = [];
  let rssMb = 0;
  let checks = 0;
  /** Events that were answered 200, by the honest user: each check has its own, so that none reads all of the run. */
  let acknowledged = new Map<string, string[]>();
  const client = Deno.createHttpClient({ poolMaxIdlePerHost: 8 });

  async function timed(
    path: string,
    init: RequestInit,
  ): Promise<{ status: number; text: string; took: Took }> {
    const [began, waited] = [performance.now(), threadTime(server.pid).waitedMs];
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const response = await fetch(server.url + path, { ...init, signal, client });
    const text = await response.text();
    const ms = Math.round(performance.now() - began);
    const netMs = Math.max(0, Math.round(ms - (threadTime(server.pid).waitedMs - waited)));
    return { status: response.status, text, took: { ms, netMs } };
  }

  async function again(work: () => Promise<void>): Promise<void> {
    while (!hasEnded) {
      await work().catch((error) => found(`an honest request failed: ${error}`));
      await sleep(REST_MS);
    }
  }

  const probing = again(async () => {
    const { status, took } = await timed("/healthz", {});
    if (status !== 200) found(`/healthz was answered ${status}`);
    health.push(took);
    const nowMb = residentMb(server.pid);
    rssMb = Math.max(rssMb, nowMb);
    if (nowMb > MAX_RSS_MB) found(`the process takes ${nowMb} MB`);
  });
  let n = 0;
  const sending = again(async () => {
    const messageId = `honest_${n++}`;
    const userId = `honest_${checks}`;
    const headers = { ...FROM, authorization: `Basic ${btoa(`${WRITE_KEY}:`)}` };
    const body = JSON.stringify({ type: "identify", userId, messageId, traits: { n } });
    const { status, text, took } = await timed("/api/v1/events", { method: "POST", headers, body });
    if (status !== 200) return found(`an honest event was answered ${status} ${text.slice(0, 200)}`);
    const ids = acknowledged.get(userId);
    if (ids === undefined) acknowledged.set(userId, [messageId]);
    else ids.push(messageId);
    events.push(took);
  });

  /** How often each event of a user is in the log. */
  async function storedOf(userId: string): Promise<Map<string, number>> {
    const stored = new Map<string, number>();
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
    for (let cursor: string | null = ""; cursor !== null;) {
      const query = `?limit=500${cursor === "" ? "" : `&cursor=${cursor}`}`;
      const { text } = await timed(`/api/v1/users/${userId}/events${query}`, { headers });
      const page = JSON.parse(text);
      for (const { messageId } of page.events) stored.set(messageId, (stored.get(messageId) ?? 0) + 1);
      cursor = page.cursor;
    }
    return stored;
  }

  return {
    begin() {
      health = [];
      events = [];
      rssMb = 0;
    },
    end() {
      return {
        healthMs: Math.max(0, ...health.map(({ ms }) => ms)),
        healthNetMs: Math.max(0, ...health.map(({ netMs }) => netMs)),
        eventMs: events.map(({ ms }) => ms),
        eventNetMs: events.map(({ netMs }) => netMs),
        rssMb,
      };
    },
    async check() {
      const due = acknowledged;
      acknowledged = new Map();
      checks++;
      for (const [userId, messageIds] of due) {
        const stored = await storedOf(userId);
        const wrong = messageIds.filter((messageId) => stored.get(messageId) !== 1);
        if (wrong.length === 0) continue;
        found(`${wrong.length} of ${messageIds.length} acknowledged events are not in the log once`);
      }
    },
    async [Symbol.asyncDispose]() {
      hasEnded = true;
      await Promise.all([probing, sending]);
      client.close();
    },
  };
}

function residentMb(pid: number): number {
  try {
    return Math.round(
      Number(/VmRSS:\s+(\d+)/.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1]) / 1024,
    );
  } catch {
    return 0; // Not Linux.
  }
}
