import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { tryUpdate, update } from "../../../actors/store/conditional_update.ts";
import { NotServing, StorageFault, StorageUnavailable } from "../../../actors/store/errors.ts";
import type { Key } from "../../../actors/store/keys.ts";
import { type Store, storeOf } from "../../../actors/store/store.ts";
import { systemClock } from "../../../actors/store/clock.ts";
import { STORE_LIMITS } from "../../../actors/store/store.ts";

const KEY: Key = ["head"];

/** A store in memory. */
async function openMemory(): Promise<Store> {
  return storeOf(await Deno.openKv(":memory:"), { clock: systemClock, limits: STORE_LIMITS });
}

/** An attempt that adds one to a number. */
const increment = (store: Store) => async () => {
  const { value, stamp } = await store.get<number>(KEY);
  const next = (value ?? 0) + 1;
  return { result: next, write: { checks: [{ key: KEY, stamp }], sets: [[KEY, next] as [Key, unknown]] } };
};

Deno.test("updates of one value that begin at once all take effect", async () => {
  const store = await openMemory();
  const results = await Promise.all(
    Array.from({ length: 10 }, () => update(store, { named: "the number", tries: 20 }, increment(store))),
  );
  deepStrictEqual(results.toSorted((a, b) => a - b), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  strictEqual((await store.get(KEY)).value, 10);
  store.close();
});

Deno.test("an update that other processes always overtake gives up after its tries", async () => {
  const store = await openMemory();
  let attempts = 0;
  const overtaken = async () => {
    attempts++;
    const attempt = await increment(store)();
    await increment(store)().then(({ write }) => store.commit(write));
    return attempt;
  };
  strictEqual(await tryUpdate(store, { tries: 3 }, overtaken), undefined);
  strictEqual(attempts, 3);
  await rejects(
    update(store, { named: "the number", tries: 2 }, overtaken),
    (error) =>
      error instanceof NotServing && error.code === "contention" &&
      error.message === "Other processes keep changing the number; retry.",
  );
  store.close();
});

Deno.test("an update without a write writes nothing and gives its result", async () => {
  const store = await openMemory();
  deepStrictEqual(
    await tryUpdate(store, { tries: 1 }, () => Promise.resolve({ result: "as it was" })),
    { result: "as it was", stamp: undefined },
  );
  store.close();
});

Deno.test("a write without an answer is retried only on request, and a full disk never", async () => {
  const store = await openMemory();
  const how = { named: "the number", tries: 3 };
  for (
    const { error, options, commits } of [
      { error: new StorageUnavailable("no answer"), options: how, commits: 1 },
      {
        error: new StorageUnavailable("no answer"),
        options: { ...how, retriesUnanswered: true },
        commits: 3,
      },
      { error: new StorageFault("disk full"), options: { ...how, retriesUnanswered: true }, commits: 1 },
    ]
  ) {
    let tried = 0;
    const failing = { commit: () => (tried++, Promise.reject(error)) };
    await rejects(
      update(failing, options, increment(store)),
      (thrown) => thrown instanceof StorageUnavailable && !(thrown instanceof NotServing),
    );
    strictEqual(tried, commits);
  }
  store.close();
});
