/** Rate limits shared over one store, by a clock that is told: two processes are two of them here. */
import { deepStrictEqual, notStrictEqual, ok, strictEqual } from "node:assert/strict";
import { rateLimitKey, writeKeyKey, writeKeyUsedKey } from "../../../actors/store/keys.ts";
import {
  createKeyUse,
  DEFAULT_KEY_ID,
  MAX_USED_KEYS,
  USE_WRITTEN_MS,
} from "../../../actors/governance/key_use.ts";
import {
  createRateLimits,
  MAX_BUCKETS,
  type RateLimits,
  SYNC_MS,
} from "../../../actors/governance/rate_limits.ts";
import { openStore, type Store } from "../../../actors/store/store.ts";
import type { RateLimit } from "../../../domain/limits/token_bucket.ts";
import { createAuthenticationLimit, MAX_ADDRESSES } from "../../../routes/auth/authentication_limit.ts";

const START = Date.UTC(2025, 2, 15);
/** How often each process is offered events, in ms. */
const TICK_MS = 10;

/** Keys that there are. */
const KEYS = ["k", "far"];

/** Processes over one store; the clock of each is so much ahead of the one that is told. */
async function openShared(processes: number, { aheadMs = [] as number[] } = {}) {
  const store = await openStore(":memory:");
  await store.commit({ checks: [], sets: KEYS.map((id) => [writeKeyKey(id), { id }]) });
  const clock = { ms: START };
  const limitsOver = (over: Store, owner = "p", ahead = 0) =>
    createRateLimits({ store: over, owner, now: () => clock.ms + ahead });
  const limits = Array.from({ length: processes }, (_, n) => limitsOver(store, `p${n}`, aheadMs[n]));
  return {
    store,
    limits,
    clock,
    limitsOver,
    aheadMs,
    async [Symbol.asyncDispose]() {
      for (const one of limits) await one.close();
      store.close();
    },
  };
}

/** Offers events to each process for a time, and gives how many each took. What is behind answers is done between ticks. */
async function offer(
  { limits, clock, aheadMs }: { limits: RateLimits[]; clock: { ms: number }; aheadMs: number[] },
  { limit, perTick, fromMs = 0, ms }: { limit: RateLimit; perTick: number[]; fromMs?: number; ms: number },
): Promise<number[]> {
  const taken = limits.map(() => 0);
  for (let at = fromMs; at < fromMs + ms; at += TICK_MS) {
    clock.ms = START + at;
    for (const [i, one] of limits.entries()) {
      for (let n = 0; n < perTick[i]!; n++) {
        const now = clock.ms + (aheadMs[i] ?? 0);
        const { admitted } = await one.take("k", limit, { events: 1, now });
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
    const taken = await offer(shared, { limit, perTick, ms: 10_000 });
    const due = limit.perSecond * 10 + limit.burst;
    ok(Math.abs(sum(taken) - due) <= due / 10, `took ${taken} of ${due}`);
  });
}

Deno.test("when one of two falls idle the other gets all that it leaves", async () => {
  await using shared = await openShared(2);
  const limit = { perSecond: 400, burst: 100 };
  const [one, two] = await offer(shared, { limit, perTick: [20, 20], ms: 5_000 });
  ok(one! > 500 && two! > 500, `both get a share: ${one} and ${two}`);
  const [, alone] = await offer(shared, { limit, perTick: [0, 20], fromMs: 5_000, ms: 5_000 });
  ok(alone! > 0.9 * 2_000 && alone! < 1.1 * 2_000, `${alone} of 2000`);
});

Deno.test("a new process continues with the rest of the budget, and does not grant the burst again", async () => {
  await using shared = await openShared(2);
  const limit = { perSecond: 1, burst: 100 };
  const [one, two] = shared.limits as [RateLimits, RateLimits];
  strictEqual((await one.take("k", limit, { events: 100, now: START })).admitted, true);
  await one.close();
  const decision = await two.take("k", limit, { events: 1, now: START });
  deepStrictEqual([decision.admitted, decision.remaining], [false, 0]);
});

Deno.test("a clock that is behind fills nothing twice, and one that is far ahead does not stop the key", async () => {
  for (const aheadMs of [5_000, 86_400_000]) {
    await using shared = await openShared(2, { aheadMs: [aheadMs, 0] });
    const limit = { perSecond: 100, burst: 100 };
    const [one, two] = shared.limits as [RateLimits, RateLimits];
    await one.take("k", limit, { events: 100, now: START + aheadMs });
    await one.close();
    strictEqual((await two.take("k", limit, { events: 1, now: START })).admitted, false);
    await two.close();
    shared.clock.ms += 1_000;
    strictEqual((await two.take("k", limit, { events: 90, now: START + 1_000 })).admitted, true);
  }
});

const SKEWS: [what: string, aheadMs: number[]][] = [
  ["the second is 5 s ahead", [0, 5_000]],
  ["the first is 5 s ahead", [5_000, 0]],
  ["the second is 10 minutes ahead", [0, 600_000]],
  ["the first is 10 minutes ahead", [600_000, 0]],
  ["they are a day apart", [0, 86_400_000]],
  ["all of four differ", [0, 700_000, -5_000, 300]],
];

for (const [what, aheadMs] of SKEWS) {
  Deno.test(`processes whose clocks differ share a limit as others do, within 10 %: ${what}`, async () => {
    await using shared = await openShared(aheadMs.length, { aheadMs });
    const limit = { perSecond: 400, burst: 100 };
    const perTick = aheadMs.map(() => 20);
    const due = 400 * 10 + 100;
    const taken = await offer(shared, { limit, perTick, ms: 10_000 });
    ok(Math.abs(sum(taken) - due) <= due / 10, `took ${taken} of ${due}`);
    const later = await offer(shared, { limit, perTick, fromMs: 10_000, ms: 10_000 });
    ok(Math.abs(sum(later) - 4_000) <= 400, `took ${later} of 4000`);
    const share = 1 / aheadMs.length;
    for (const each of later) ok(each > (share / 2) * sum(later), `each has a share: ${later}`);
  });
}

for (const aheadMs of [[5_000, 0], [0, 5_000], [600_000, 0], [0, 600_000]]) {
  Deno.test(`whose clock is ${aheadMs[1]! - aheadMs[0]!} ms ahead of one that falls idle gets all that it leaves`, async () => {
    await using shared = await openShared(2, { aheadMs });
    const limit = { perSecond: 400, burst: 100 };
    await offer(shared, { limit, perTick: [20, 20], ms: 2_000 });
    const [, alone] = await offer(shared, { limit, perTick: [0, 20], fromMs: 2_000, ms: 4_000 });
    ok(alone! > 0.9 * 1_600 && alone! < 1.1 * 1_600, `${alone} of 1600`);
  });
}

Deno.test("a write by another process while storage is slow is not mistaken for a clock that is ahead", async () => {
  await using shared = await openShared(1);
  const { store, clock } = shared;
  const answer = Promise.withResolvers<void>();
  let isSlow = false;
  const slow: Store = {
    ...store,
    getMany: async (keys) => (isSlow && await answer.promise, await store.getMany(keys)),
  };
  const [one, two] = [shared.limitsOver(slow, "slow"), shared.limits[0]!];
  const limit = { perSecond: 1_000, burst: 1_000 };
  const take = (from: RateLimits, events: number) => from.take("k", limit, { events, now: clock.ms });
  await take(one, 1_000);
  await one.close();
  clock.ms += SYNC_MS;
  isSlow = true;
  await take(one, 1);
  clock.ms += 500;
  await take(two, 1);
  await two.close();
  answer.resolve();
  await one.close();
  strictEqual((await take(one, 0)).remaining, SYNC_MS + 500 - 2);
});

let uses = START;
const AFTERWARDS: [what: string, write: (store: Store) => Promise<void>, key: typeof rateLimitKey][] = [
  ["a rate limit", async (store) => {
    const limits = createRateLimits({ store, owner: "p", now: () => START });
    await limits.take("k", { perSecond: 1, burst: 10 }, { events: 1, now: START });
    await limits.close();
  }, rateLimitKey],
  ["a last use", async (store) => {
    const use = createKeyUse(store);
    use.used("k", uses++);
    await use.close();
  }, writeKeyUsedKey],
];

for (const [what, write, key] of AFTERWARDS) {
  Deno.test(`${what} that is written during or after the deletion of its key does not stay`, async () => {
    await using shared = await openShared(0);
    const { store } = shared;
    const remove = () =>
      store.commit({
        checks: [],
        sets: [],
        deletes: [writeKeyKey("k"), rateLimitKey("k"), writeKeyUsedKey("k")],
      });
    await write(store);
    notStrictEqual((await store.get(key("k"))).stamp, null, "as long as there is the key");
    for (const isWritten of [true, false]) {
      // Where nothing of it is written yet, nothing of it is deleted either.
      if (!isWritten) await store.commit({ checks: [], sets: [[writeKeyKey("k"), { id: "k" }]] });
      await write({ ...store, commit: async (given) => (await remove(), await store.commit(given)) });
      strictEqual((await store.get(key("k"))).stamp, null, "read before it was deleted, written after");
    }
    await write(store);
    strictEqual((await store.get(key("k"))).stamp, null, "later");
  });
}

Deno.test("the last use of the key of the environment, which is not stored, is written", async () => {
  await using shared = await openShared(0);
  const use = createKeyUse(shared.store);
  use.used(DEFAULT_KEY_ID, START);
  await use.close();
  deepStrictEqual(await createKeyUse(shared.store).lastUsed([DEFAULT_KEY_ID]), [START]);
});

Deno.test("budget that is given back can be used again, in every process, and never exceeds the burst", async () => {
  await using shared = await openShared(2);
  const { clock } = shared;
  const limit = { perSecond: 1, burst: 10 };
  const [one, two] = shared.limits as [RateLimits, RateLimits];
  await one.take("k", limit, { events: 10, now: clock.ms });
  await one.close();
  strictEqual(one.giveBack("k", limit, 10).remaining, 10);
  clock.ms += SYNC_MS;
  strictEqual(one.giveBack("k", limit, 5).remaining, 10);
  await one.close();
  strictEqual((await two.take("k", limit, { events: 10, now: clock.ms })).admitted, true);
  strictEqual((await two.take("k", limit, { events: 1, now: clock.ms })).admitted, false);
});

Deno.test("a request reads no storage, and use is written a few times a second however many events come", async () => {
  await using shared = await openShared(0);
  let calls = 0;
  const counting: Store = {
    ...shared.store,
    getMany: (keys) => (calls++, shared.store.getMany(keys)),
    commit: (write) => (calls++, shared.store.commit(write)),
  };
  const limits = shared.limitsOver(counting);
  await offer({ ...shared, limits: [limits] }, {
    limit: { perSecond: 400, burst: 100 },
    perTick: [50],
    ms: 2_000,
  });
  const rounds = 2_000 / SYNC_MS;
  ok(calls <= 2 * (rounds + 1), `${calls} calls for 10,000 requests`);
});

Deno.test("storage that does not answer leaves each process its own bucket", async () => {
  await using shared = await openShared(0);
  const failing: Store = { ...shared.store, getMany: () => Promise.reject(new Error("gone")) };
  const limits = shared.limitsOver(failing);
  const limit = { perSecond: 400, burst: 100 };
  const [taken] = await offer({ ...shared, limits: [limits] }, { limit, perTick: [20], ms: 2_000 });
  ok(Math.abs(taken! - 900) < 20, `${taken}`);
});

Deno.test("after minutes without storage a key waits for seconds, not for minutes", async () => {
  await using shared = await openShared(0);
  let isAway = true;
  const failing: Store = {
    ...shared.store,
    getMany: (keys) => isAway ? Promise.reject(new Error("gone")) : shared.store.getMany(keys),
  };
  const limits = shared.limitsOver(failing);
  const limit = { perSecond: 100, burst: 100 };
  await offer({ ...shared, limits: [limits] }, { limit, perTick: [5], ms: 120_000 });
  isAway = false;
  // What was too much while it was away is a debt of ten seconds and a burst at the most; then all is as ever.
  await offer({ ...shared, limits: [limits] }, { limit, perTick: [5], ms: 12_000, fromMs: 120_000 });
  const [taken] = await offer({ ...shared, limits: [limits] }, {
    limit,
    perTick: [5],
    ms: 10_000,
    fromMs: 132_000,
  });
  ok(taken! >= 900 && taken! <= 1_100, `${taken}`);
});

Deno.test("a million keys and addresses, and a hundred thousand keys with limits, are remembered in bounded memory", async () => {
  await using shared = await openShared(0);
  const empty: Store = {
    ...shared.store,
    getMany: (keys) =>
      Promise.resolve(keys.map((key) => ({ key, value: null, stamp: key[0] === "writeKey" ? "1" : null }))),
    commit: () => Promise.resolve("1"),
  };
  const limits = shared.limitsOver(empty);
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

Deno.test("a bucket tells of a bounded number of processes, however many take of it", async () => {
  await using shared = await openShared(100);
  await offer(shared, {
    limit: { perSecond: 1_000_000, burst: 1_000_000 },
    perTick: shared.limits.map(() => 1),
    ms: TICK_MS,
  });
  const { value } = await shared.store.get<{ by: Record<string, number> }>(rateLimitKey("k"));
  strictEqual(Object.keys(value!.by).length, 64);
});
