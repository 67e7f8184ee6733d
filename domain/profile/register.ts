/** Last-writer-wins registers, and maps of them: the traits of users and groups. */

import { jsonBytes } from "../event/json.ts";
import type { Position } from "../event/position.ts";

/** A value, the time (ms) that it was set for, and the position in the journal that breaks a tie. */
export type Register = [value: unknown, at: number, place: Position];

/** Whether a time and position are after the register's: later, or as late and arrived later. */
export function isAfter(at: number, place: Position, than: Register): boolean {
  return at > than[1] || (at === than[1] && place > than[2]);
}

/** Registers by name. A removed trait keeps its register, with the value `null`, so that an older one stays removed. */
export type Registers = Map<string, Register>;

/** Bytes of a register in addition to its name and value: brackets, time, position. */
const REGISTER_BYTES = 40;

/** The result of {@link setRegister}: added bytes, or no room for a new name or a larger value. */
export const NO_ROOM = Symbol("no room");

/**
 * Sets a trait if the given time and position are after those of the current value; gives the added bytes, or {@link
 * NO_ROOM} and no change if they exceed `roomBytes`. Mutates `registers`.
 */
export function setRegister(
  registers: Registers,
  name: string,
  { value, at, place, roomBytes }: { value: unknown; at: number; place: Position; roomBytes: number },
): number | typeof NO_ROOM {
  const old = registers.get(name);
  if (old !== undefined && !isAfter(at, place, old)) return 0;
  const gained = jsonBytes(value) -
    (old === undefined ? -jsonBytes(name) - REGISTER_BYTES : jsonBytes(old[0]));
  if (gained > roomBytes) return NO_ROOM;
  registers.set(name, [value, at, place]);
  return gained;
}

/** Joins `from` into `into`: of each name the later register. Mutates `into`. */
export function joinRegisters(into: Registers, from: Registers): void {
  for (const [name, register] of from) {
    const mine = into.get(name);
    if (mine === undefined || isAfter(register[1], register[2], mine)) into.set(name, register);
  }
}

/** The traits of registers, without removed ones. A name such as `__proto__` is data. */
export function traitsOf(registers: Registers): Record<string, unknown> {
  const traits: Record<string, unknown> = Object.create(null);
  for (const [name, [value]] of registers) if (value !== null) traits[name] = value;
  return traits;
}
