/** An honest sender and a probe of `/healthz` beside floods: how long they wait, and that nothing is lost. */
import { ADMIN_TOKEN, type Server, sleep, WRITE_KEY } from "../process/server.ts";
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
  /** The 99th percentile of an event's time, in ms. */
  honestP99Ms: number;
  /** Events that were answered. */
  honestRounds: number;
}

/** Watches from when it is made. */
export interface Honest extends AsyncDisposable {
  begin(): void;
  end(): HonestSeen;
  /** Looks whether every event that was answered 200 is in the log, once. */
  check(): Promise<void>;
}

/** Begins to watch; `found` is told what is wrong. */
export function watchHonest(server: Server, found: (what: string) => void): Honest {
  let hasEnded = false;
  let health: number[] = [];
  let events: number[] = [];
  const acknowledged: string[] = [];
  const client = Deno.createHttpClient({ poolMaxIdlePerHost: 8 });

  async function timed(
    path: string,
    init: RequestInit,
  ): Promise<{ status: number; text: string; ms: number }> {
    const began = performance.now();
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const response = await fetch(server.url + path, { ...init, signal, client });
    const text = await response.text();
    return { status: response.status, text, ms: Math.round(performance.now() - began) };
  }

  async function again(work: () => Promise<void>): Promise<void> {
    while (!hasEnded) {
      await work().catch((error) => found(`an honest request failed: ${error}`));
      await sleep(REST_MS);
    }
  }

  const probing = again(async () => {
    const { status, ms } = await timed("/healthz", {});
    if (status !== 200) found(`/healthz was answered ${status}`);
    health.push(ms);
    const rssMb = residentMb(server.pid);
    if (rssMb > MAX_RSS_MB) found(`the process takes ${rssMb} MB`);
  });
  let n = 0;
  const sending = again(async () => {
    const messageId = `honest_${n++}`;
    const headers = { ...FROM, authorization: `Basic ${btoa(`${WRITE_KEY}:`)}` };
    const body = JSON.stringify({ type: "identify", userId: "honest", messageId, traits: { n } });
    const { status, text, ms } = await timed("/api/v1/events", { method: "POST", headers, body });
    if (status !== 200) return found(`an honest event was answered ${status} ${text.slice(0, 200)}`);
    acknowledged.push(messageId);
    events.push(ms);
  });

  return {
    begin() {
      health = [];
      events = [];
    },
    end() {
      const sorted = events.toSorted((a, b) => a - b);
      const honestP99Ms = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.99))] ?? 0;
      return { healthMs: Math.max(0, ...health), honestP99Ms, honestRounds: sorted.length };
    },
    async check() {
      const stored = new Map<string, number>();
      const count = acknowledged.length;
      const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
      for (let cursor: string | null = ""; cursor !== null;) {
        const query = `?limit=500${cursor === "" ? "" : `&cursor=${cursor}`}`;
        const { text } = await timed(`/api/v1/users/honest/events${query}`, { headers });
        const page = JSON.parse(text);
        for (const { messageId } of page.events) stored.set(messageId, (stored.get(messageId) ?? 0) + 1);
        cursor = page.cursor;
      }
      const wrong = acknowledged.slice(0, count).filter((messageId) => stored.get(messageId) !== 1);
      if (wrong.length > 0) found(`${wrong.length} of ${count} acknowledged events are not in the log once`);
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
