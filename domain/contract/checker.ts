/**
 * What a contract asks of whatever holds a value against its schema. Apart from the engine that does (`schema_engine.ts`),
 * which only those load who have a contract: loading Ajv alone makes the collecting of garbage cost more.
 */

/** What may be spent, in units of 5 to 30 ns; 70 were seen at the worst. Goes down. */
export interface Budget {
  units: number;
}

/** One thing that is wrong with a value. */
export interface Violation {
  /** Dotted from the value's root. */
  path: string;
  /** What must be, to stand after the path. */
  rule: string;
  /** The keyword of the schema that says so. */
  keyword: string;
  /** What is instead, in short. */
  found: string;
}

/** Why a value can't be told right or wrong: it would take too long. */
export const TOO_COSTLY = Symbol("too costly");

/** Tells what is wrong with a value, or that this would cost more than there is to spend. */
export type Checker = (value: unknown, budget: Budget) => readonly Violation[] | typeof TOO_COSTLY;
