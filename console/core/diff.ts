/** Differences of values and of texts. Pure. */

/** A member that differs: `before` or `after` is `undefined` where it is missing. */
export interface Difference {
  path: readonly string[];
  before: unknown;
  after: unknown;
}

/** The members in which two values of JSON differ, in the order of their names. */
export function differences(before: unknown, after: unknown, path: readonly string[] = []): Difference[] {
  if (isPlain(before) && isPlain(after)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
    return names.flatMap((name) => differences(own(before, name), own(after, name), [...path, name]));
  }
  return JSON.stringify(before) === JSON.stringify(after) ? [] : [{ path, before, after }];
}

function own(value: Record<string, unknown>, name: string): unknown {
  return Object.hasOwn(value, name) ? value[name] : undefined;
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    (Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null);
}

/** A line of two texts side by side. */
export interface LineChange {
  sign: " " | "-" | "+";
  text: string;
}

/** The shortest way from one text to another, line by line (Myers). */
export function lineChanges(before: string, after: string): LineChange[] {
  const [a, b] = [before.split("\n"), after.split("\n")];
  const max = a.length + b.length;
  const reach = new Int32Array(2 * max + 2).fill(-1);
  reach[max + 1] = 0;
  const trace: Int32Array[] = [];
  for (let d = 0; d <= max; d++) {
    trace.push(reach.slice());
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && reach[max + k - 1]! < reach[max + k + 1]!);
      let x = down ? reach[max + k + 1]! : reach[max + k - 1]! + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      reach[max + k] = x;
      if (x >= a.length && x - k >= b.length) return backwards(trace, { a, b, max, d });
    }
  }
  return [];
}

function backwards(
  trace: readonly Int32Array[],
  { a, b, max, d: last }: { a: string[]; b: string[]; max: number; d: number },
): LineChange[] {
  const changes: LineChange[] = [];
  let [x, y] = [a.length, b.length];
  for (let d = last; d >= 0; d--) {
    const reach = trace[d]!;
    const k = x - y;
    const down = k === -d || (k !== d && reach[max + k - 1]! < reach[max + k + 1]!);
    const fromK = down ? k + 1 : k - 1;
    const fromX = d === 0 ? 0 : reach[max + fromK]!;
    const fromY = d === 0 ? 0 : fromX - fromK;
    while (x > fromX && y > fromY && a[x - 1] === b[y - 1]) {
      changes.push({ sign: " ", text: a[--x]! });
      y--;
    }
    if (d === 0) break;
    changes.push(down ? { sign: "+", text: b[--y]! } : { sign: "-", text: a[--x]! });
  }
  return changes.reverse();
}

/** A row of two texts beside each other; a side that has no line there is `undefined`. */
export interface Row {
  before: string | undefined;
  after: string | undefined;
  isSame: boolean;
}

/** Two texts beside each other: lines that took the place of others stand in their rows. */
export function rowsOf(changes: readonly LineChange[]): Row[] {
  const rows: Row[] = [];
  for (let at = 0; at < changes.length;) {
    const { sign, text } = changes[at]!;
    if (sign === " ") {
      rows.push({ before: text, after: text, isSame: true });
      at++;
      continue;
    }
    const end = changes.findIndex((change, n) => n >= at && change.sign === " ");
    const run = changes.slice(at, end === -1 ? changes.length : end);
    const [before, after] = ["-", "+"].map((each) => run.filter((change) => change.sign === each));
    for (let n = 0; n < Math.max(before!.length, after!.length); n++) {
      rows.push({ before: before![n]?.text, after: after![n]?.text, isSame: false });
    }
    at += run.length;
  }
  return rows;
}
