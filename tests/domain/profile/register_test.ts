import { comparePositions, type Position } from "../../../domain/event/position.ts";
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { jsonBytes } from "../../../domain/event/json.ts";
import {
  joinRegisters,
  NO_ROOM,
  type Register,
  type Registers,
  setRegister,
  traitsOf,
} from "../../../domain/profile/register.ts";
import { HOSTILE_NAMES, placed, runs, shuffled } from "./facts.ts";

interface Setting {
  name: string;
  value: unknown;
  at: number;
  place: Position;
}

const settings: fc.Arbitrary<Setting[]> = fc.array(
  fc.record({
    name: fc.constantFrom("a", "b", ...HOSTILE_NAMES),
    value: fc.constantFrom<unknown>(null, 1, "x", [null]),
    at: fc.integer({ min: -2, max: 2 }),
  }),
  { maxLength: 12 },
).map((drafts) => drafts.map((draft, n) => ({ ...draft, place: placed(n) })));

const says = (registers: Registers) => [...registers].sort(([a], [b]) => a < b ? -1 : 1);

function setAll(all: Setting[], registers: Registers = new Map()): Registers {
  for (const { name, ...setting } of all) setRegister(registers, name, { ...setting, roomBytes: Infinity });
  return registers;
}

Deno.test("a register holds the value of the latest time, then position, in any order and grouping", () => {
  const cases = settings.chain((all) => fc.tuple(fc.constant(all), shuffled(all), fc.nat(12)));
  fc.assert(
    fc.property(cases, ([all, other, cut]) => {
      const wanted = new Map<string, Setting>();
      for (const setting of [...all].sort((a, b) => a.at - b.at || comparePositions(a.place, b.place))) {
        wanted.set(setting.name, setting);
      }
      const expected = says(
        new Map(
          [...wanted].map(([name, { value, at, place }]): [string, Register] => [name, [value, at, place]]),
        ),
      );
      deepStrictEqual(says(setAll(other)), expected);
      const left = setAll(other.slice(0, cut));
      joinRegisters(left, setAll(other.slice(cut)));
      deepStrictEqual(says(left), expected);
      // Joining what is there already changes nothing.
      joinRegisters(left, setAll(all));
      deepStrictEqual(says(left), expected);
      const shown = Object.entries(traitsOf(left)).sort(([a], [b]) => a < b ? -1 : 1);
      deepStrictEqual(
        shown,
        expected.filter(([, [value]]) => value !== null).map(([name, [value]]) => [name, value]),
      );
    }),
    runs(300),
  );
});

Deno.test("setting gives the added bytes, which sum up to the size", () => {
  fc.assert(
    fc.property(settings, (all) => {
      const registers: Registers = new Map();
      let bytes = 0;
      for (const { name, ...setting } of all) {
        bytes += setRegister(registers, name, { ...setting, roomBytes: Infinity }) as number;
      }
      const expected = [...registers].reduce(
        (sum, [name, [value]]) => sum + jsonBytes(name) + 40 + jsonBytes(value),
        0,
      );
      strictEqual(bytes, expected);
    }),
    runs(100),
  );
});

Deno.test("a value without room changes nothing and is reported", () => {
  const registers: Registers = new Map();
  const bytes = setRegister(registers, "a", { value: "xx", at: 1, place: placed(1), roomBytes: 100 });
  ok(typeof bytes === "number" && bytes <= 100);
  strictEqual(
    setRegister(registers, "a", { value: "x".repeat(30), at: 2, place: placed(2), roomBytes: 10 }),
    NO_ROOM,
  );
  strictEqual(setRegister(registers, "b", { value: 1, at: 2, place: placed(3), roomBytes: 10 }), NO_ROOM);
  deepStrictEqual(says(registers), [["a", ["xx", 1, placed(1)]]]);
});
