/** Last-writer-wins registers, and maps of them: the traits of users and groups. */

import { jsonBytes } from "../event/json.ts";
import type { Position } from "../event/position.ts";

/** A value, the time (ms) that it was set for, and the place in the journal that breaks a tie. */
export type Register = [value: unknown, at: number, place: Position];

/** Whether something at this time and place comes after the register's: later, or as late and arrived later. */
export function isAfter(at: number, place: Position, than: Register): boolean {
  return at > than[1] || (at === than[1] && place > than[2]);
}

/** Registers by name. A removed trait keeps its register, with the value `null`, so that an older one stays removed. */
export type Registers = Map<string, Register>;

/** Bytes that a register takes besides its name and value: brackets, time, place. */
const REGISTER_BYTES = 40;

/** What {@link setRegister} did: bytes gained, or that there was no room for a new name or a larger value. */
export const NO_ROOM = Symbol("no room");

/**
 * Sets a trait if the given time and place are after those of the one there, and gives the bytes gained, or
 * {@link NO_ROOM} and no change where they are more than `roomBytes`. Mutates `registers`.
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

/** The traits that registers hold, without those that were removed. A name such as `__proto__` is data. */
export function traitsOf(registers: Registers): Record<string, unknown> {
  const traits: Record<string, unknown> = Object.create(null);
  for (const [name, [value]] of registers) if (value !== null) traits[name] = value;
  return traits;
}
