/** Alerts to an operator's URL: posted as JSON, a few times, and never in the way of anything. */
import type { Clock } from "../store/clock.ts";
import type { Connections } from "./connections.ts";
import { createHttpClient } from "./http_request.ts";

/** Alerts that wait; more are left out, since they say the same. */
const MAX_WAITING = 100;

/** Attempts at one alert, and the pause after the first. */
const TRIES = 3;
const PAUSE_MS = 1_000;

/** One alert may take so long. */
const TIMEOUT_MS = 10_000;

/** Sends alerts to a URL. */
export function createAlerts(
  { url, connections, clock }: { url: string; connections: Connections; clock: Clock },
) {
  const client = createHttpClient({ connections, clock, timeoutMs: TIMEOUT_MS });
  let waiting: string[] = [];
  let sending: Promise<void> | undefined;
  let isClosed = false;

  async function sendAll(): Promise<void> {
    while (waiting.length > 0 && !isClosed) {
      const body = waiting.shift()!;
      for (let tries = 1; tries <= TRIES && !isClosed; tries++) {
        const headers = { "content-type": "application/json" };
        const { verdict } = await client.prepare({ method: "POST", url, headers, body }).send();
        if (verdict !== "retry") break;
        if (tries < TRIES) await clock.sleep(PAUSE_MS * tries);
      }
    }
    sending = undefined;
  }

  return {
    send(alert: Record<string, unknown>): void {
      if (waiting.length >= MAX_WAITING || isClosed) return;
      waiting.push(JSON.stringify({ ...alert, at: new Date(clock.now()).toISOString() }));
      sending ??= sendAll();
    },
    async close(): Promise<void> {
      isClosed = true;
      waiting = [];
      await client.close();
    },
  };
}
