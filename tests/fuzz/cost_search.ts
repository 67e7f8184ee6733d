/**
 * Finds shapes of bodies that take most time of the thread for each byte that is sent: the routes run in this process, by
 * the bounds that hold when a sender's credit is used up, and good shapes are changed a little again and again.
 */
import { monotonicFactory } from "ulid";
import { openSystem } from "../../actors/open.ts";
import { systemClock } from "../../actors/store/clock.ts";
import { createApp } from "../../routes/app.ts";
import { createLog } from "../../routes/http/logger.ts";
import { randomOf } from "../process/ledger.ts";
import { threadMs } from "./cost_thread.ts";
import { bytesOf, changed, headersOf, randomShape, type Shape } from "./cost_shapes.ts";

/** Bytes of a head, about: a body is never alone on the wire. */
const HEAD_BYTES = 200;

/** How long a shape is tried, in ms, at first and before it is believed: the system counts a thread's time in ticks of 4 ms. */
const TRIAL_MS = 40;
const TRIAL_AGAIN_MS = 200;

/** Requests of a trial: commits wait for storage, which is no time of the thread. */
const MOST_TIMES = 200;

/** Shapes that the next are made of, for each kind. */
const KEPT_OF_KIND = 4;

const WRITE_KEY = "search_write_key";
const ADMIN_TOKEN = "search_admin_token_0123456789";

/** A shape and what it takes. */
export interface Found {
  shape: Shape;
  /** Time for each byte on the wire, in µs. */
  usPerByte: number;
}

/** Shapes of one kind rival each other only: the search must not end with one sender and one route. */
function kindOf({ credential, coding, path }: Shape): string {
  return [credential, coding, path.endsWith("batch")].join();
}

/** Searches for `ms`, and gives the `count` dearest of all kinds, the dearest of each kind first. */
export async function searchShapes(
  { seed, ms, count }: { seed: number; ms: number; count: number },
): Promise<Found[]> {
  const random = randomOf(seed);
  await using bench = await openBench();
  const best = new Map<string, Found[]>();
  const until = performance.now() + ms;
  while (performance.now() < until) {
    const kinds = [...best.values()];
    const parents = kinds[Math.floor(random() * kinds.length)];
    const parent = parents?.[Math.floor(random() * parents.length)];
    const shape = parent === undefined || random() < 0.3
      ? randomShape(random)
      : changed(parent.shape, random);
    const kind = kindOf(shape);
    const rivals = best.get(kind) ?? [];
    const worst = rivals.length < KEPT_OF_KIND ? -1 : rivals[KEPT_OF_KIND - 1]!.usPerByte;
    let usPerByte = await bench.measure(shape, TRIAL_MS);
    if (usPerByte > worst && usPerByte > 0) {
      usPerByte = Math.min(usPerByte, await bench.measure(shape, TRIAL_AGAIN_MS));
    }
    if (usPerByte <= worst) continue;
    const found = { shape, usPerByte };
    const kept = [...rivals, found].toSorted((a, b) => b.usPerByte - a.usPerByte);
    best.set(kind, kept.slice(0, KEPT_OF_KIND));
  }
  const ranks = Array.from(
    { length: KEPT_OF_KIND },
    (_, rank) => [...best.values()].flatMap((kept) => kept[rank] ?? []),
  );
  return ranks.flatMap((found) => found.toSorted((a, b) => b.usPerByte - a.usPerByte)).slice(0, count);
}

/** The routes over a store in memory; a key's credit is as good as used up. */
async function openBench() {
  const ulid = monotonicFactory();
  const newId = () => ulid();
  const system = await openSystem({
    storage: ":memory:",
    clock: systemClock,
    newId,
    randomBytes: (bytes) => void crypto.getRandomValues(bytes),
    dedupMs: 0,
    onFault() {},
  });
  const { key } = await system.writeKeys.create({
    name: "limited",
    rateLimit: { perSecond: 1e6, burst: 1e6 },
  });
  const app = createApp({
    system,
    settings: { adminToken: ADMIN_TOKEN, writeKey: WRITE_KEY, authFailuresPerMinute: 0 },
    log: createLog({ level: "off", write() {}, now: Date.now }),
    now: Date.now,
    elapsed: () => performance.now(),
    newId,
    limits: { loadCredit: 1e-9, refusedMs: 1e9 },
  });
  const keys = { publicKey: WRITE_KEY, limitedKey: key };
  const connection = { remoteAddr: { transport: "tcp", hostname: "127.0.0.1", port: 1 } } as const;

  async function once(shape: Shape, body: Uint8Array<ArrayBuffer>): Promise<void> {
    const length = { "content-length": `${body.length}` };
    const headers = { ...headersOf(shape, keys), ...shape.transfer === "length" && length };
    const request = new Request(`http://localhost${shape.path}`, { method: "POST", headers, body });
    const response = await app.fetch(request, connection);
    await response.body?.cancel();
  }

  return {
    async measure(shape: Shape, forMs: number): Promise<number> {
      const body = bytesOf(shape, WRITE_KEY);
      await once(shape, body);
      const began = threadMs(Deno.pid);
      let times = 0;
      for (; times === 0 || threadMs(Deno.pid) - began < forMs && times < MOST_TIMES; times++) {
        await once(shape, body);
      }
      return ((threadMs(Deno.pid) - began) * 1000) / times / (body.length + HEAD_BYTES);
    },
    [Symbol.asyncDispose]: () => system.close(),
  };
}
