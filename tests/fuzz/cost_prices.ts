/** What honest events cost the server's thread, which floods are compared with. */
import { orderCompleted } from "../order_completed.ts";
import { gzipSync } from "node:zlib";
import { type Server, WRITE_KEY } from "../process/server.ts";
import type { Flooded } from "./cost_flood.ts";
import type { Shape } from "./cost_shapes.ts";
import { measured, quiet } from "./cost_thread.ts";

/** What honest events cost, by coding and kind of route. */
export interface Prices {
  /** µs of the thread for each byte on the wire. */
  usPerByte: Record<string, number>;
  /** µs of the thread for a request of one small event. */
  usPerRequest: number;
}

const kindOf = ({ coding, path }: Pick<Shape, "coding" | "path">) =>
  `${coding === "plain" ? "plain" : "gzip"} ${path.endsWith("batch") ? "batch" : "single"}`;

/**
 * What as many bytes of honest events by the same coding and route cost, in ms of the thread. A request counts as one
 * honest single event at least: answering takes its time, however small a body is.
 */
export function priceOf(
  prices: Prices,
  { shape, flooded }: { shape: Shape; flooded: Flooded },
): { ms: number; byBytesMs: number } {
  const byBytesMs = (flooded.bytes * prices.usPerByte[kindOf(shape)]!) / 1000;
  return { ms: Math.max(byBytesMs, (flooded.requests * prices.usPerRequest) / 1000), byBytesMs };
}

/** An event as clients send it. */
function honestEvent(n: number) {
  return {
    ...orderCompleted(n, 500),
    context: {
      library: { name: "analytics-node", version: "1.2.3" },
      userAgent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
      page: { url: `https://shop.example.com/checkout/${n}`, path: "/checkout", title: "Checkout" },
      locale: "en-US",
    },
  };
}

/** Sends honest events of each kind, and says what a byte of them costs. */
export async function honestPrices(server: Server): Promise<Prices> {
  const headers = { "x-write-key": WRITE_KEY };
  let n = 0;
  const usPerByte: Record<string, number> = {};
  let usPerRequest = 0;
  // The first time of each warms the server up: what cold code costs would make honest events look dear.
  const kinds = ["plain single", "gzip single", "plain batch", "gzip batch"];
  for (const kind of [...kinds, ...kinds]) {
    const [coding, route] = kind.split(" ");
    const bodies = Array.from({ length: route === "single" ? 2_000 : 60 }, () => {
      const text = JSON.stringify(
        route === "single"
          ? honestEvent(n++)
          : { batch: Array.from({ length: 200 }, () => honestEvent(n++)) },
      );
      return coding === "gzip" ? new Uint8Array(gzipSync(text)) : new TextEncoder().encode(text);
    });
    const path = route === "single" ? "/api/v1/events" : "/api/v1/events/batch";
    const more = coding === "gzip" ? { "content-encoding": "gzip" } : {};
    let next = 0;
    const { ranMs } = await measured(server, () =>
      Promise.all(Array.from({ length: 16 }, async () => {
        while (next < bodies.length) {
          const body = bodies[next++]!;
          const response = await fetch(server.url + path, {
            method: "POST",
            headers: { ...headers, ...more },
            body,
          });
          await response.body?.cancel();
        }
      })));
    const bytes = bodies.reduce((sum, { length }) => sum + length + 200, 0);
    usPerByte[kind] = (ranMs * 1000) / bytes;
    if (kind === "plain single") usPerRequest = (ranMs * 1000) / bodies.length;
    await quiet(server);
  }
  return { usPerByte, usPerRequest };
}
