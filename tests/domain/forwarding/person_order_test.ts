/** The order of deliveries, compared with a list in which an event waits for every earlier one that shares a key. */
import { deepStrictEqual, ok } from "node:assert";
import fc from "fast-check";
import { createPersonOrder, type Waiting } from "../../../domain/forwarding/person_order.ts";
import { type Position, positionOf } from "../../../domain/event/position.ts";

const at = (n: number): Position => positionOf(String(n).padStart(20, "0"), 0);

interface Step {
  keys: string[];
  /** How many of the ready events are settled then. */
  settle: number | undefined;
}

const steps = fc.array(
  fc.record({
    keys: fc.uniqueArray(fc.constantFrom("u1", "u2", "u3", "a1", "a2", "a3"), { minLength: 0, maxLength: 3 }),
    settle: fc.option(fc.nat({ max: 5 }), { nil: undefined }),
  }),
  { minLength: 1, maxLength: 40 },
);

for (const maxItems of [0, 2, 5, 1_000]) {
  Deno.test(`order: with room for ${maxItems} each person's events are ready one by one, in order`, () => {
    fc.assert(fc.property(steps, (each) => run(each, maxItems)), { numRuns: 500 });
  });
}

function run(given: readonly Step[], maxItems: number): void {
  const order = createPersonOrder<Waiting>({ maxItems });
  const journal: Waiting[] = [];
  const unsettled: Waiting[] = [];
  const ready = new Map<Position, Waiting>();

  /** The naive rule. */
  const expected = () =>
    unsettled.filter((item, index) =>
      !unsettled.slice(0, index).some(({ keys }) => keys.some((key) => item.keys.includes(key)))
    ).map(({ position }) => position);

  function refill(): void {
    for (let due = order.starved(); due !== undefined; due = order.starved()) {
      const { keys, from } = due;
      const found = journal.filter(({ position, keys: own }) =>
        position > from && own.some((key) => keys.has(key) && order.isUnread(key, position))
      ).slice(0, 2);
      const isAll = found.length < 2;
      const last = found.at(-1)?.position;
      for (const item of order.refill(keys, found, isAll ? undefined : last)) {
        ready.set(item.position, item);
      }
    }
  }

  function settle(n: number): void {
    const item = [...ready.values()][n % ready.size]!;
    ready.delete(item.position);
    unsettled.splice(unsettled.findIndex(({ position }) => position === item.position), 1);
    for (const next of order.remove(item)) ready.set(next.position, next);
  }

  for (const [n, { keys, settle: which }] of given.entries()) {
    const item = { position: at(n + 1), keys };
    journal.push(item);
    unsettled.push(item);
    if (order.add(item) && order.isFirst(item)) ready.set(item.position, item);
    // Several are settled before what is left out is read again.
    for (let times = which ?? 0; times > 0 && ready.size > 0; times--) settle(times);
    refill();
    deepStrictEqual([...ready.keys()].sort(), expected());
  }
  while (ready.size > 0) {
    settle(0);
    if (ready.size > 0) settle(0);
    refill();
    deepStrictEqual([...ready.keys()].sort(), expected());
  }
  ok(unsettled.length === 0 && order.size() === 0 && order.keys() === 0, "nothing is left");
}
