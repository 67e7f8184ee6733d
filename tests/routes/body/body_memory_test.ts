import { deepStrictEqual, ok, strictEqual } from "node:assert";
import fc from "fast-check";
import { type BodySender, createBodyMemory, type Hold } from "../../../routes/body/body_memory.ts";
import { LIMITS } from "../../../routes/body/limits.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

const key = (keyId: string): BodySender => ({ keyId, network: () => "192.0.2.1" });
const stranger = (network: string): BodySender => ({ network: () => network });

/** Holds as many bodies of a size as there is room for, and gives how many these were. */
function fill(
  memory: ReturnType<typeof createBodyMemory>,
  senders: Iterable<BodySender>,
  bytes: number,
): Hold[] {
  const holds: Hold[] = [];
  for (const sender of senders) {
    const hold = memory.open(sender, bytes);
    if (hold.isRefused || !memory.add(hold, bytes)) {
      memory.release(hold);
      return holds;
    }
    holds.push(hold);
  }
  return holds;
}

function* forever(sender: (n: number) => BodySender): Generator<BodySender> {
  for (let n = 0; n < 10_000; n++) yield sender(n);
}

Deno.test("large bodies of one key leave room for those of others, and all of them for small ones", () => {
  const memory = createBodyMemory(LIMITS);
  strictEqual(fill(memory, forever(() => key("public")), 4 * MIB).length, 7);
  strictEqual(fill(memory, forever(() => key("mine")), 4 * MIB).length, 3);
  strictEqual(fill(memory, [key("third")], 100 * KIB).length, 0);
  ok(fill(memory, forever(() => key("public")), 60 * KIB).length * 60 * KIB > 7 * MIB);
});

Deno.test("unknown senders use none of the known ones' memory, and their large bodies none of the small ones'", () => {
  const memory = createBodyMemory(LIMITS);
  strictEqual(fill(memory, forever((n) => stranger(`large ${n}`)), 512 * KIB).length, 16);
  const small = fill(memory, forever((n) => stranger(`small ${n}`)), 60 * KIB).length * 60 * KIB;
  ok(small > 3 * MIB && small <= 4 * MIB, `${small}`);
  strictEqual(fill(memory, forever(() => key("mine")), 4 * MIB).length, 7);
  ok(fill(memory, forever(() => key("mine")), 60 * KIB).length * 60 * KIB > 3 * MIB);
});

Deno.test("an unknown network sends one large body at a time, however it declares its length", () => {
  const memory = createBodyMemory(LIMITS);
  const first = memory.open(stranger("a"), 100 * KIB);
  strictEqual(memory.open(stranger("a"), 100 * KIB).isRefused, true);
  strictEqual(memory.open(stranger("b"), 100 * KIB).isRefused, false);
  const chunked = memory.open(stranger("a"), NaN);
  strictEqual(memory.add(chunked, 60 * KIB), true);
  strictEqual(memory.add(chunked, 10 * KIB), false);
  memory.release(first);
  strictEqual(memory.add(chunked, 10 * KIB), true);
  memory.release(chunked);
  strictEqual(memory.open(stranger("a"), 100 * KIB).isRefused, false);
});

Deno.test("memory is bounded whatever is held and released, and all of it is returned", () => {
  const senders = [key("a"), key("b"), stranger("x"), stranger("y"), stranger("z")];
  const step = fc.record({
    sender: fc.constantFrom(...senders),
    declared: fc.constantFrom(NaN, 1000, 100 * KIB),
    adds: fc.array(fc.nat(5 * MIB), { maxLength: 4 }),
    releases: fc.boolean(),
  });
  fc.assert(fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
    const memory = createBodyMemory(LIMITS);
    const open = new Set<Hold>();
    for (const { sender, declared, adds, releases } of steps) {
      const hold = memory.open(sender, declared);
      if (hold.isRefused) continue;
      open.add(hold);
      for (const bytes of adds) memory.add(hold, bytes);
      ok([...open].reduce((sum, { bytes }) => sum + bytes, 0) <= LIMITS.maxHeldBytes);
      if (releases) {
        memory.release(hold);
        open.delete(hold);
      }
    }
    for (const hold of open) memory.release(hold);
    for (const hold of open) memory.release(hold);
    deepStrictEqual(fill(memory, forever(() => key("a")), 4 * MIB).length, 7);
    deepStrictEqual(fill(memory, forever((n) => stranger(`${n}`)), 512 * KIB).length, 16);
  }));
});
