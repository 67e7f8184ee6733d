/** The fence: who holds it, and for how long others leave it to them. */
import { ok, strictEqual } from "node:assert/strict";
import { clockAt } from "../clocks.ts";
import { type Fenced, LostFence, takeFence } from "../../../actors/store/lease.ts";
import { FOLD_VERSION } from "../../../domain/profile/fact.ts";
import type { Store } from "../../../actors/store/store.ts";
import { MEMORY } from "../stores.ts";

const KEY = ["fence"];
const EMPTY: Fenced = { fold: FOLD_VERSION, owner: "", until: 0, op: "" };

function test(
  name: string,
  run: (take: (owner: string, nowMs: number) => ReturnType<typeof takeFence>) => Promise<void>,
): void {
  Deno.test(name, async () => {
    await using place = await MEMORY.make();
    const store: Store = await place.open();
    let ops = 0;
    await run((owner, nowMs) =>
      takeFence({
        store,
        key: KEY,
        empty: EMPTY,
        owner,
        clock: clockAt(() => nowMs),
        newId: () => `${owner}-${ops++}`,
        foldVersion: FOLD_VERSION,
      })
    );
  });
}

test("a lease keeps others away until it ends, and its holder may take it again", async (take) => {
  await (await take("a", 1_000_000))!.write({});
  strictEqual(await take("b", 1_001_000), undefined);
  ok(await take("a", 1_001_000));
  ok(await take("b", 1_006_000));
});

test("a lease of a clock that was an hour ahead keeps nobody away", async (take) => {
  await (await take("a", 1_000_000 + 3_600_000))!.write({});
  ok(await take("b", 1_000_000));
});

test("who writes under a fence that another has moved since fails, whatever it had written before", async (take) => {
  const first = (await take("a", 1_000_000))!;
  await first.write({});
  const second = (await take("b", 2_000_000))!;
  await second.write({});
  await first.write({}).then(() => ok(false), (error) => ok(error instanceof LostFence));
  await second.write({});
});

test("writes at the same time go one after the other", async (take) => {
  const fence = (await take("a", 1_000_000))!;
  await Promise.all(Array.from({ length: 20 }, () => fence.write({})));
  strictEqual(fence.value().op, "a-19");
});
