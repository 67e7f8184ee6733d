/** The small server's data: its limits are those of `denokv`, and it tells a write that is done twice from one that is not. */
import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { randomOf } from "../process/ledger.ts";
import { BadRequest, createDatabase, LIMITS } from "./database.ts";
import { type Check, M_DELETE, M_SET, type Mutation, type ReadRange } from "./messages.ts";

const NONE = new Uint8Array();
const key = (n: number, bytes = 2) => new Uint8Array(bytes).fill(n >> 8, 0, 1).fill(n & 255, 1);
const check = (n: number, bytes?: number): Check => ({ key: key(n, bytes), versionstamp: NONE });
const set = (n: number, { keyBytes = 2, valueBytes = 1 } = {}): Mutation => ({
  key: key(n, keyBytes),
  value: new Uint8Array(valueBytes),
  encoding: 3,
  type: M_SET,
});
const range = (limit: number, end = key(65_535)): ReadRange => ({ start: NONE, end, limit, reverse: false });
const many = <T>(count: number, make: (n: number) => T): T[] =>
  Array.from({ length: count }, (_, n) => make(n));

const WRITES: [
  what: string,
  most: number,
  write: (n: number) => { checks: Check[]; mutations: Mutation[] },
][] = [
  ["checks", LIMITS.checks, (n) => ({ checks: many(n, (i) => check(i)), mutations: [] })],
  ["mutations", LIMITS.mutations, (n) => ({ checks: [], mutations: many(n, (i) => set(i)) })],
  ["bytes of a key", LIMITS.writeKeyBytes, (n) => ({ checks: [], mutations: [set(1, { keyBytes: n })] })],
  ["bytes of a value", LIMITS.valueBytes, (n) => ({ checks: [], mutations: [set(1, { valueBytes: n })] })],
  ["bytes of a write", LIMITS.writeBytes, (n) => {
    const whole = many(12, (i) => set(i, { valueBytes: 65_000 }));
    return { checks: [], mutations: [...whole, set(99, { valueBytes: n - 12 * 65_002 - 2 })] };
  }],
];

for (const [what, most, write] of WRITES) {
  Deno.test(`a write takes ${most} ${what}, and not one more`, () => {
    const database = createDatabase(randomOf(1));
    ok(database.write(write(most)) !== null);
    throws(() => database.write(write(most + 1)), BadRequest);
  });
}

Deno.test("a read takes 10 ranges and 1,000 entries, and not one more", () => {
  const database = createDatabase(randomOf(1));
  strictEqual(database.read(many(10, () => range(100))).length, 10);
  throws(() => database.read(many(11, () => range(1))), BadRequest);
  throws(() => database.read([range(1000), range(1)]), BadRequest);
  throws(() => database.read([range(0)]), BadRequest);
  throws(() => database.read([range(1, key(1, 2050))]), BadRequest);
});

Deno.test("entries are read in the order of their keys, either way, and deleted; a check that fails leaves all as it was", () => {
  const database = createDatabase(randomOf(1));
  const stamp = database.write({ checks: [check(2)], mutations: [3, 1, 256, 2].map((n) => set(n)) });
  const keys = (reverse: boolean, limit: number) =>
    database.read([{ ...range(limit), reverse }])[0]!.map((entry) => [...entry.key]);
  deepStrictEqual(keys(false, 3), [[0, 1], [0, 2], [0, 3]]);
  deepStrictEqual(keys(true, 2), [[1, 0], [0, 3]]);
  strictEqual(database.write({ checks: [check(2)], mutations: [{ ...set(1), type: M_DELETE }] }), null);
  ok(
    database.write({
      checks: [{ key: key(2), versionstamp: stamp! }],
      mutations: [{ ...set(1), type: M_DELETE }],
    }) !== null,
  );
  deepStrictEqual(keys(false, 9), [[0, 2], [0, 3], [1, 0]]);
});
