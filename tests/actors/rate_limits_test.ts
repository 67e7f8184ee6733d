/** Rate limits shared over one store, by a clock that is told: two processes are two of them here. */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { rateLimitKey } from "../../actors/keys.ts";
import { createKeyUse, MAX_USED_KEYS, USE_WRITTEN_MS } from "../../actors/key_use.ts";
import { createRateLimits, MAX_BUCKETS, SYNC_MS } from "../../actors/rate_limits.ts";
import { openStore, type Store } from "../../actors/store.ts";
import type { RateLimits } from "../../actors/system.ts";
import type { RateLimit } from "../../domain/token_bucket.ts";
import { createAuthenticationLimit, MAX_ADDRESSES } from "../../routes/authentication_limit.ts";

const START = Date.UTC(2025, 2, 15);
/** How often each process is offered events, in ms. */
const TICK_MS = 10;

async function openShared(processes: number) {
  const store = await openStore(":memory:");
  const limits = Array.from({ length: processes }, (_, n) => createRateLimits({ store, owner: `p${n}` }));
  return {
    store,
    limits,
    async [Symbol.asyncDispose]() {
      for (const one of limits) await one.close();
      store.close();
    },
  };
}

/** Offers events to each process for a time, and gives how many each took. What is behind answers is done between ticks. */
async function offer(
  limits: RateLimits[],
  { limit, perTick, fromMs = 0, ms }: { limit: RateLimit; perTick: number[]; fromMs?: number; ms: number },
): Promise<number[]> {
  const taken = limits.map(() => 0);
  for (let at = fromMs; at < fromMs + ms; at += TICK_MS) {
    for (const [i, one] of limits.entries()) {
      for (let n = 0; n < perTick[i]!; n++) {
        const { admitted } = await one.take("k", limit, { events: 1, now: START + at });
        if (admitted) taken[i]!++;
      }
    }
    for (const one of limits) await one.close();
  }
  return taken;
}

const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);

const SHARINGS: [what: string, limit: RateLimit, perTick: number[]][] = [
  ["one alone", { perSecond: 400, burst: 100 }, [20]],
  ["two that both want all", { perSecond: 400, burst: 100 }, [20, 20]],
  ["two of which one wants little", { perSecond: 400, burst: 100 }, [20, 1]],
  ["two of which one is idle", { perSecond: 400, burst: 100 }, [20, 0]],
  ["two with a burst of a second", { perSecond: 400, burst: 400 }, [20, 20]],
  ["two with a tiny burst", { perSecond: 400, burst: 4 }, [20, 20]],
  ["two with a tiny burst, one of which wants little", { perSecond: 400, burst: 4 }, [20, 1]],
  ["four", { perSecond: 400, burst: 100 }, [20, 20, 20, 20]],
];

for (const [what, limit, perTick] of SHARINGS) {
  Deno.test(`${what}: over 10 s within 10 % of ${limit.perSecond} a second and a burst of ${limit.burst}`, async () => {
    await using shared = await openShared(perTick.length);
    const taken = await offer(shared.limits, { limit, perTick, ms: 10_000 });
    const due = limit.perSecond * 10 + limit.burst;
    ok(Math.abs(sum(taken) - due) <= due / 10, `took ${taken} of ${due}`);
  });
}

Deno.test("when one of two falls idle the other gets all that it leaves", async () => {
  await using shared = await openShared(2);
  const limit = { perSecond: 400, burst: 100 };
  const [one, two] = await offer(shared.limits, { limit, perTick: [20, 20], ms: 5_000 });
  ok(one! > 500 && two! > 500, `both get a share: ${one} and ${two}`);
  const [, alone] = await offer(shared.limits, { limit, perTick: [0, 20], fromMs: 5_000, ms: 5_000 });
  ok(alone! > 0.9 * 2_000 && alone! < 1.1 * 2_000, `${alone} of 2000`);
});

Deno.test("a process that starts goes on with what the others left, and does not give the burst again", async () => {
  await using shared = await openShared(2);
  const limit = { perSecond: 1, burst: 100 };
  const [one, two] = shared.limits as [RateLimits, RateLimits];
  strictEqual((await one.take("k", limit, { events: 100, now: START })).admitted, true);
  await one.close();
  const decision = await two.take("k", limit, { events: 1, now: START });
  deepStrictEqual([decision.admitted, decision.remaining], [false, 0]);
});

Deno.test("a clock that is behind fills nothing twice, and one that was far ahead does not stop the key", async () => {
  await using shared = await openShared(2);
  const limit = { perSecond: 100, burst: 100 };
  const [one, two] = shared.limits as [RateLimits, RateLimits];
  await one.take("k", limit, { events: 100, now: START + 5_000 });
  await one.close();
  strictEqual((await two.take("k", limit, { events: 1, now: START })).admitted, false);
  await one.take("far", limit, { events: 100, now: START + 86_400_000 });
  await one.close();
  await two.take("far", limit, { events: 1, now: START });
  await two.close();
  strictEqual((await two.take("far", limit, { events: 90, now: START + 1_000 })).admitted, true);
});

Deno.test("a request reads nothing, and what is told is told a few times a second however many events come", async () => {
  await using shared = await openShared(0);
  let calls = 0;
  const counting: Store = {
    ...shared.store,
    get: (key) => (calls++, shared.store.get(key)),
    commit: (write) => (calls++, shared.store.commit(write)),
  };
  const limits = createRateLimits({ store: counting, owner: "p" });
  await offer([limits], { limit: { perSecond: 400, burst: 100 }, perTick: [50], ms: 2_000 });
  const rounds = 2_000 / SYNC_MS;
  ok(calls <= 2 * (rounds + 1), `${calls} calls for 10,000 requests`);
});

Deno.test("storage that does not answer leaves each process its own bucket", async () => {
  await using shared = await openShared(0);
  const failing: Store = { ...shared.store, get: () => Promise.reject(new Error("gone")) };
  const limits = createRateLimits({ store: failing, owner: "p" });
  const limit = { perSecond: 400, burst: 100 };
  const [taken] = await offer([limits], { limit, perTick: [20], ms: 2_000 });
  ok(Math.abs(taken! - 900) < 20, `${taken}`);
});

Deno.test("after minutes without storage a key waits for seconds, not for minutes", async () => {
  await using shared = await openShared(0);
  let isAway = true;
  const failing: Store = {
    ...shared.store,
    get: (key) => isAway ? Promise.reject(new Error("gone")) : shared.store.get(key),
  };
  const limits = createRateLimits({ store: failing, owner: "p" });
  const limit = { perSecond: 100, burst: 100 };
  await offer([limits], { limit, perTick: [5], ms: 120_000 });
  isAway = false;
  // What was too much while it was away is a debt of ten seconds and a burst at the most; then all is as ever.
  await offer([limits], { limit, perTick: [5], ms: 12_000, fromMs: 120_000 });
  const [taken] = await offer([limits], { limit, perTick: [5], ms: 10_000, fromMs: 132_000 });
  ok(taken! >= 900 && taken! <= 1_100, `${taken}`);
});

Deno.test("a million keys and addresses, and a hundred thousand keys with limits, are remembered in bounded memory", async () => {
  await using shared = await openShared(0);
  const entry = { key: rateLimitKey("k"), value: null, stamp: null };
  const empty: Store = {
    ...shared.store,
    get: () => Promise.resolve(entry),
    commit: () => Promise.resolve("1"),
  };
  const limits = createRateLimits({ store: empty, owner: "p" });
  const use = createKeyUse(empty);
  const addresses = createAuthenticationLimit(100, () => START);
  const limit = { perSecond: 1, burst: 1 };
  let most = 0;
  for (let n = 0; n < 1_000_000; n++) {
    use.used(`k${n}`, START);
    addresses.fail(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`);
    // Each waits in its turn, as requests do.
    if (n % 10 === 0) {
      await limits.take(`k${n}`, limit, { events: 1, now: START });
      most = Math.max(most, limits.size());
    }
  }
  ok(most <= MAX_BUCKETS && most > 0.85 * MAX_BUCKETS, `${most}`);
  for (const [size, bound] of [[use.size(), MAX_USED_KEYS], [addresses.size(), MAX_ADDRESSES]] as const) {
    ok(size <= bound && size > 0.85 * bound, `${size} of ${bound}`);
  }
});

Deno.test("a key's last use is written at most every half minute, the latest of all processes wins", async () => {
  await using shared = await openShared(0);
  let writes = 0;
  const counting: Store = {
    ...shared.store,
    commit: (write) => (writes++, shared.store.commit(write)),
  };
  const [one, two] = [createKeyUse(counting), createKeyUse(counting)];
  one.used("k", START);
  await one.close();
  for (let ms = 0; ms < USE_WRITTEN_MS; ms += 10) one.used("k", START + ms);
  await one.close();
  strictEqual(writes, 1);
  deepStrictEqual(await one.lastUsed(["k", "none"]), [START + USE_WRITTEN_MS - 10, undefined]);
  deepStrictEqual(await two.lastUsed(["k"]), [START], "as it was written: half a minute behind at the most");
  one.used("k", START + 2 * USE_WRITTEN_MS);
  two.used("k", START + USE_WRITTEN_MS);
  await one.close();
  await two.close();
  deepStrictEqual(await two.lastUsed(["k"]), [START + 2 * USE_WRITTEN_MS]);
});
