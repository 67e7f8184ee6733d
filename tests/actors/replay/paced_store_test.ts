/** A store that rests between its calls: as long as the work asks for, once for all calls, and with the same results. */
import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { pacedStore } from "../../../actors/replay/paced_store.ts";
import { type Clock, systemClock } from "../../../actors/store/clock.ts";
import { openStore, type Store } from "../../../actors/store/store.ts";

/** A paced store whose calls take some time by a clock that nothing else moves, and the rests that it took. */
interface Paced {
  store: Store;
  rests: number[];
  /** No rest ends before so many further calls have been done. */
  holdRests(calls: number): void;
}

async function openPaced(takesMs: number): Promise<Paced> {
  let nowMs = 0;
  let done = 0;
  let heldUntil = 0;
  const rests: number[] = [];
  const clock: Clock = {
    ...systemClock,
    monotonic: () => nowMs,
    sleep: async (ms) => {
      rests.push(ms);
      while (done < heldUntil) await systemClock.turn();
      nowMs += ms;
    },
  };
  const memory = await openStore(":memory:");
  const work = <T>(result: T): T => {
    nowMs += takesMs;
    done++;
    return result;
  };
  const slow: Store = {
    ...memory,
    get: (key) => memory.get<never>(key).then(work),
    commit: (write) => memory.commit(write).then(work),
    async *list(range, options) {
      for await (const entry of memory.list(range, options)) yield work(entry) as never;
    },
  };
  return {
    store: pacedStore(slow, { clock, limits: { pacedWorkMs: 10 } }),
    rests,
    holdRests: (calls) => void (heldUntil = done + calls),
  };
}

const set = (...names: string[]) => ({
  checks: [],
  sets: names.map((name): [[string], string] => [[name], name]),
});

Deno.test("after work a paced store rests three times as long, and at most a second", async () => {
  for (const [takesMs, restMs] of [[20, 60], [10, 30], [5_000, 1_000]] as const) {
    const { store, rests } = await openPaced(takesMs);
    await store.commit(set("a"));
    strictEqual((await store.get(["a"])).value, "a");
    deepStrictEqual(rests, [restMs, restMs], `${takesMs} ms`);
    store.close();
  }
});

Deno.test("a paced store does not rest for what is short until it adds up", async () => {
  const { store, rests } = await openPaced(4);
  for (let n = 0; n < 6; n++) await store.get(["a"]);
  deepStrictEqual(rests, [36, 36]);
  store.close();
});

Deno.test("calls at once share a rest, and a list rests between its entries and loses none", async () => {
  const { store, rests, holdRests } = await openPaced(10);
  await store.commit(set("a", "b", "c"));
  rests.length = 0;
  holdRests(3);
  await Promise.all([store.get(["a"]), store.get(["b"]), store.get(["c"])]);
  strictEqual(rests.length, 1, rests.join());
  rests.length = 0;
  const entries = await Array.fromAsync(store.list({ prefix: [] }));
  deepStrictEqual(entries.map(({ value }) => value), ["a", "b", "c"]);
  deepStrictEqual(rests, [30, 30, 30]);
  store.close();
});
