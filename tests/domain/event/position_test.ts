import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import fc from "fast-check";
import {
  BEGINNING,
  comparePositions,
  END,
  endOf,
  indexOf,
  isPosition,
  justBefore,
  pack,
  type Position,
  positionOf,
  stampOf,
  unpack,
} from "../../../domain/event/position.ts";
import { runs } from "../profile/facts.ts";

/** Stamps as SQLite gives them, and as FoundationDB does: 8 bytes of a version, 2 of a batch. */
const stamps = fc.tuple(fc.maxSafeNat().map((n) => Math.floor(n / 2)), fc.nat(0xffff)).map((
  [version, batch],
) => version.toString(16).padStart(16, "0") + batch.toString(16).padStart(4, "0"));
const indexes = fc.nat(0xfffe);

Deno.test("positions are in the order of stamps, then of indexes, as text too", () => {
  fc.assert(
    fc.property(stamps, indexes, stamps, indexes, (a, i, b, j) => {
      const [first, second] = [positionOf(a, i), positionOf(b, j)];
      const wanted = a === b ? i - j : a < b ? -1 : 1;
      strictEqual(Math.sign(comparePositions(first, second)), Math.sign(wanted));
      strictEqual(first < second, wanted < 0);
      ok(isPosition(first) && BEGINNING <= first && first < endOf(a) && endOf(a) < END);
    }),
    runs(500),
  );
});

Deno.test("a position has its stamp and index, and survives packing", () => {
  fc.assert(
    fc.property(stamps, indexes, (stamp, index) => {
      const position = positionOf(stamp, index);
      deepStrictEqual([stampOf(position), indexOf(position)], [stamp, index]);
      strictEqual(pack(...unpack(position)), position);
    }),
    runs(500),
  );
});

Deno.test("nothing lies between a position and the one just before it", () => {
  strictEqual(justBefore(pack(1, 0)), "0000000000000000ffffffff");
  strictEqual(justBefore(pack(1, 7)), pack(1, 6));
});

Deno.test("values that are not positions are recognized", () => {
  for (const text of ["", "0", "g".repeat(24), "A".repeat(24), END, " ".repeat(24), 7, null]) {
    ok(!isPosition(text));
  }
  throws(() => unpack(END as Position), RangeError);
});
