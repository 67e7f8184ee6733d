/**
 * What a contract asks of whatever holds a value against its schema. Apart from the engine that does (`schema_engine.ts`),
 * which only those load who have a contract: loading Ajv alone makes the collecting of garbage cost more.
 */

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

/** Tells what is wrong with a value: nothing where it is right. */
export type Checker = (value: unknown) => readonly Violation[];
