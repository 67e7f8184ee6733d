/** A local receiver of webhooks, and a system that forwards to it. */
import { monotonicFactory } from "ulid";
import type { ForwardLimits } from "../../../actors/delivery/work.ts";
import { type OpenOptions, openSystem } from "../../../actors/open.ts";
import { systemClock } from "../../../actors/store/clock.ts";
import type { Store } from "../../../actors/store/store.ts";
import type { System } from "../../../actors/system.ts";
import type { StoredEvent } from "../../../domain/event/event.ts";
import { LOOPBACK, readAllowList } from "../../../domain/forwarding/address.ts";
import { type Definition, definitionSchema } from "../../../domain/forwarding/definition.ts";
import type { Alert } from "../../../actors/delivery/work.ts";

/** A request as it was received. */
export interface Received {
  path: string;
  headers: Headers;
  body: string;
  /** By `Date.now`. */
  at: number;
}

/** A receiver on this machine. */
export interface Receiver extends AsyncDisposable {
  url: string;
  received: Received[];
  /** The message ids of all events that were received, in order. */
  messageIds(): string[];
}

/** Starts a receiver. `answer` gives the answer to each request; by default 200. */
export function startReceiver(
  answer: (received: Received, n: number) => Response | Promise<Response> = () => new Response("ok"),
): Receiver {
  const received: Received[] = [];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
    const one = {
      path: new URL(request.url).pathname,
      headers: request.headers,
      body: await request.text(),
      at: Date.now(),
    };
    received.push(one);
    return await answer(one, received.length);
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    received,
    messageIds: () => received.flatMap(({ body }) => idsIn(body)),
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** The message ids in a webhook's body. */
export function idsIn(body: string): string[] {
  const parsed = JSON.parse(body);
  const events: StoredEvent[] = parsed.batch ?? [parsed];
  return events.map(({ messageId }) => messageId);
}

/** Shorter times than in production. */
export const FAST: Partial<ForwardLimits> = {
  retryDelaysMs: [40, 80, 120, 160, 200, 240, 280, 320, 360],
  probeMs: 50,
  maxProbeMs: 200,
  timeoutMs: 2_000,
  lookMs: 20,
  saveMs: 20,
  saveIdleMs: 50,
  idleMs: 200,
  slowMs: 100,
};

/** A system that forwards, over memory or a store. */
export async function openForwarding(
  { store = ":memory:", limits = {}, alerts = [], allow = LOOPBACK, ...more }:
    & Partial<Omit<OpenOptions, "limits">>
    & {
      store?: ":memory:" | Store | string;
      limits?: Partial<ForwardLimits>;
      alerts?: Alert[];
      allow?: string;
    } = {},
): Promise<System> {
  const ulid = monotonicFactory();
  return await openSystem({
    storage: store,
    clock: systemClock,
    newId: () => ulid(),
    randomBytes: (bytes) => void crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>),
    dedupMs: 0,
    onFault: (error) => console.error(error),
    ...more,
    forwarding: {
      allow: readAllowList(allow)!,
      onAlert: (alert) => void alerts.push(alert),
      limits: { ...FAST, ...limits },
      ...more.forwarding,
    },
  });
}

/** Who changes things in tests. */
export const AUTHOR = { by: "test", address: "192.0.2.1" };

/** Defines a destination. */
export async function define(system: System, name: string, definition: Partial<Definition> | object) {
  return await system.forwarding.put(name, definitionSchema.parse(definition), AUTHOR);
}

/** Defines a webhook. */
export async function defineWebhook(system: System, name: string, url: string, more: object = {}) {
  return await define(system, name, { kind: "webhook", settings: { url }, ...more });
}

let count = 0;

/** An event of a user. */
export function track(userId: string, more: Partial<StoredEvent> = {}): StoredEvent {
  const at = new Date().toISOString();
  return {
    type: "track",
    event: "Order Completed",
    userId,
    messageId: `m${++count}`,
    timestamp: at,
    receivedAt: at,
    ...more,
  };
}

/** Waits until something is true; fails after a while. */
export async function until(
  what: string,
  isTrue: () => boolean | Promise<boolean>,
  ms = 10_000,
): Promise<void> {
  const end = performance.now() + ms;
  while (!await isTrue()) {
    if (performance.now() > end) throw new Error(`it never came that ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
