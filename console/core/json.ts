/** JSON as it was sent: values whose integers keep their digits, and where the members of a text stand. Pure. */

/** As `JSON.parse` gives it: answers are as the API documents them, and screens name the members that they read. */
export type Json = ReturnType<JSON["parse"]>;

/** An integer that a number would round; JSON has its own digits. */
export class LongInteger {
  readonly digits: string;

  constructor(digits: string) {
    this.digits = digits;
  }

  toJSON(): unknown {
    return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(this.digits);
  }

  toString(): string {
    return this.digits;
  }
}

/** Like `JSON.parse`; integers beyond 2^53 become {@link LongInteger}s where the browser shows their text. */
export function parseJson(text: string): Json {
  const revive = (_: string, value: unknown, context?: { source?: string }) =>
    typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? "")
      ? new LongInteger(context!.source!)
      : value;
  return JSON.parse(text, revive as (key: string, value: unknown) => unknown);
}

/** A value as JSON with two blanks a level. */
export const pretty = (value: unknown): string => JSON.stringify(value, null, 2) ?? "null";

/** A line and a column of a text, from 1. */
export interface Spot {
  line: number;
  column: number;
}

/** What a text is: where its members stand, by their dotted paths, or what is wrong and where. */
export type Outline =
  | { spots: ReadonlyMap<string, Spot>; problem?: undefined }
  | { problem: Spot & { message: string } };

/** Reads the outline of a text. Of repeated members the last counts, as `JSON.parse` has it. */
export function outline(text: string): Outline {
  const reader = new Reader(text);
  try {
    reader.value("");
    reader.end();
    return { spots: reader.spots };
  } catch (error) {
    if (error instanceof Fault) return { problem: { ...spotAt(text, error.at), message: error.message } };
    throw error;
  }
}

/** The spot of a path, or of the nearest member around it that the text has. */
export function spotOf(spots: ReadonlyMap<string, Spot>, path: string): Spot {
  for (let at = path; at !== ""; at = at.slice(0, Math.max(0, at.lastIndexOf(".")))) {
    const spot = spots.get(at);
    if (spot !== undefined) return spot;
  }
  return { line: 1, column: 1 };
}

function spotAt(text: string, at: number): Spot {
  const before = text.slice(0, at);
  const line = before.split("\n").length;
  return { line, column: at - before.lastIndexOf("\n") };
}

class Fault extends Error {
  readonly at: number;

  constructor(at: number, message: string) {
    super(message);
    this.at = at;
  }
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?/y;
// deno-lint-ignore no-control-regex -- these are the characters that it looks for.
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"/y;
const BLANK = /[ \t\r\n]*/y;

/** Levels that are read: far more than an event may have. */
const MAX_DEPTH = 200;

class Reader {
  readonly spots = new Map<string, Spot>();
  readonly text: string;
  at = 0;
  depth = 0;
  /** The line and where it begins, up to `at`. */
  line = 1;
  lineStart = 0;
  counted = 0;

  constructor(text: string) {
    this.text = text;
  }

  value(path: string): void {
    this.blank();
    this.spots.set(path, this.spot());
    this.inner(path);
    this.blank();
  }

  inner(path: string): void {
    const first = this.text[this.at];
    if (first === "{") return this.list("}", (n) => this.member(path, n));
    if (first === "[") return this.list("]", (n) => this.value(joined(path, String(n))));
    if (first === '"') return void this.string();
    for (const word of ["true", "false", "null"]) {
      if (this.text.startsWith(word, this.at)) return void (this.at += word.length);
    }
    if (this.match(NUMBER) === undefined) this.fail("a value is expected here");
  }

  list(close: string, item: (n: number) => void): void {
    if (++this.depth > MAX_DEPTH) this.fail("too many levels");
    this.at++;
    this.blank();
    if (this.text[this.at] === close) return void (this.at++, this.depth--);
    for (let n = 0;; n++) {
      item(n);
      const next = this.text[this.at];
      if (next === close) return void (this.at++, this.depth--);
      if (next !== ",") this.fail(`"," or "${close}" is expected here`);
      this.at++;
      this.blank();
      if (this.text[this.at] === close) this.fail(`a comma before "${close}" is too many`);
    }
  }

  member(path: string, _: number): void {
    this.blank();
    const spot = this.spot();
    if (this.text[this.at] !== '"') this.fail("a name in double quotes is expected here");
    const name: string = JSON.parse(this.string());
    this.blank();
    if (this.text[this.at] !== ":") this.fail('":" is expected here');
    this.at++;
    const own = joined(path, name);
    this.value(own);
    this.spots.set(own, spot);
  }

  string(): string {
    const found = this.match(STRING);
    if (found !== undefined) return found;
    this.fail("this string does not end, or has an invalid escape");
  }

  end(): void {
    if (this.at < this.text.length) this.fail("nothing is expected after the value");
  }

  blank(): void {
    this.match(BLANK);
  }

  match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0];
    if (found !== undefined) this.at += found.length;
    return found;
  }

  spot(): Spot {
    for (let next; (next = this.text.indexOf("\n", this.counted)) !== -1 && next < this.at;) {
      this.line++;
      this.lineStart = this.counted = next + 1;
    }
    return { line: this.line, column: this.at - this.lineStart + 1 };
  }

  fail(message: string): never {
    throw new Fault(this.at, message);
  }
}

function joined(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}
