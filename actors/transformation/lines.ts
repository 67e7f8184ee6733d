/** The lines in which events go to the engine, and come back (`prelude.js`). Integers beyond 2^53 keep their digits. */
import { LongInteger, mayHoldLongInteger, parseExact } from "../../domain/event/exact_json.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import type { JsonObject } from "../../domain/event/json.ts";
import { type Outcome, outcomeOf } from "../../domain/transformation/outcome.ts";
import type { OutputLine } from "./engine.ts";

/** An event on its way through a transformation, and the profile just before it, if the code mentions the person. */
export interface Input {
  event: StoredEvent;
  person?: JsonObject | undefined;
}

/** Marks a long integer in a string. Spelt in `prelude.js` as well. */
const LONG = "\u0001long:";
const LONG_IN_JSON = /"\\u0001long:(-?\d+)"/g;

/** Input as lines; whether one has a long integer. */
export function linesOfInput(inputs: readonly Input[]): { lines: string[]; hasLong: boolean } {
  let hasLong = false;
  const lines = inputs.map(({ event, person }) => {
    const parts = [event, person ?? null, event.receivedAt];
    const text = JSON.stringify(parts);
    if (!mayHoldLongInteger(text)) return text;
    hasLong = true;
    return JSON.stringify(parts, withMark);
  });
  return { lines, hasLong };
}

/** Sees the value before its `toJSON`, by its holder. */
function withMark(this: unknown, key: string, value: unknown): unknown {
  const raw = (this as JsonObject)[key];
  return raw instanceof LongInteger ? LONG + raw.digits : value;
}

/** The outcome of an event by its line of output. */
export function outcomeOfLine({ event }: Input, output: OutputLine): Outcome {
  const [line = "", logged] = output.split("\t");
  const logs = logged === undefined ? {} : { logs: parseExact(logged) as string[] };
  const text = line.slice(1).replaceAll(LONG_IN_JSON, "$1");
  if (line.startsWith("!")) return { error: parseExact(text) as { message: string; line?: number }, ...logs };
  return { ...outcomeOf(event, parseExact(text)), ...logs };
}
