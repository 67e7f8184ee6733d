/** Contracts in storage that fails, and what an event costs of it. */
import { deepStrictEqual, rejects, strictEqual } from "node:assert";
import { monotonicFactory } from "ulid";
import { clockAt, stillClock } from "../clocks.ts";
import { createEventContracts } from "../../../actors/governance/contracts.ts";
import { openStore, type Store } from "../../../actors/store/store.ts";
import type { Contract } from "../../../domain/contract/contract.ts";
import { accept } from "../../../domain/event/accept.ts";
import { type Fault, withFault } from "../stores.ts";
import { StorageUnavailable } from "../../../actors/store/errors.ts";

const AUTHOR = { by: "admin", address: "" };
const CONTRACT: Contract = { name: "c", type: "page", schema: false, mode: "enforce" };
const { event } = accept({ type: "page", userId: "u" }, { receivedAt: 0, newId: () => "m" });
const judging = { writeKeyId: "k", unknown: "allow" } as const;

async function open(store: Store, clock = clockAt(() => 0)) {
  const ulid = monotonicFactory();
  const contracts = createEventContracts({ store, clock, newId: () => ulid() });
  await contracts.fresh();
  return contracts;
}

for (const fault of ["lost", "done but lost", "done but denied"] satisfies Fault[]) {
  Deno.test(`a change whose write is ${fault} is made once, by the first try or the second`, async () => {
    const store = await openStore(":memory:");
    const contracts = await open(withFault(store, { nth: 1, fault }));
    const put = () => contracts.put([CONTRACT], AUTHOR);
    if (fault !== "done but denied") await rejects(put, StorageUnavailable);
    deepStrictEqual((await put()).map(({ version }) => version), [1]);
    strictEqual((await contracts.versions("c", { limit: 9 }))!.length, 1);
    store.close();
  });
  Deno.test(`a deletion whose write is ${fault} is one`, async () => {
    const store = await openStore(":memory:");
    await (await open(store)).put([CONTRACT], AUTHOR);
    const contracts = await open(withFault(store, { nth: 1, fault }));
    const remove = () => contracts.remove("c", AUTHOR);
    if (fault !== "done but denied") await rejects(remove, StorageUnavailable);
    strictEqual(await remove(), fault !== "done but lost");
    deepStrictEqual(
      (await contracts.versions("c", { limit: 9 }))!.map(({ contract }) => contract?.name ?? null),
      [null, "c"],
    );
    store.close();
  });
}

Deno.test("an event reads no storage, whatever contracts there are", async () => {
  const store = await openStore(":memory:");
  let reads = 0;
  const counting: Store = {
    ...store,
    get: (key) => (reads++, store.get(key)),
    getMany: (keys) => (reads++, store.getMany(keys)),
    list: (...args) => (reads++, store.list(...args)),
  };
  const contracts = await open(counting);
  await contracts.put([CONTRACT], AUTHOR);
  reads = 0;
  for (let n = 0; n < 1_000; n++) {
    strictEqual(contracts.fresh(), undefined);
    strictEqual(contracts.judge(event!, judging)?.code, "contract_violation");
  }
  strictEqual(reads, 0);
  deepStrictEqual(contracts.violations(), [{ contract: "c", mode: "enforce", count: 1_000 }]);
  store.close();
});

Deno.test("contracts are refreshed after a response once they are 2 s old, and before one after 4 s", async () => {
  const store = await openStore(":memory:");
  let fails = false;
  const { clock, add } = stillClock();
  const contracts = await open({
    ...store,
    get: (key) => fails ? Promise.reject(new StorageUnavailable("down")) : store.get(key),
  }, clock);
  const other = await open(store);
  await other.put([CONTRACT], AUTHOR);
  const codeNow = () => contracts.judge(event!, judging)?.code;
  strictEqual(codeNow(), undefined, "it does not know yet");
  add(2_100);
  strictEqual(contracts.fresh(), undefined);
  for (let tries = 0; tries < 10_000 && codeNow() === undefined; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  strictEqual(codeNow(), "contract_violation", "it looked behind the answer");
  await other.remove("c", AUTHOR);
  add(4_100);
  await contracts.fresh();
  strictEqual(codeNow(), undefined, "it looked before the answer");
  fails = true;
  add(4_100);
  await rejects(async () => await contracts.fresh(), StorageUnavailable);
  store.close();
});
