/**
 * Deno KV's data in memory, as far as signalfold uses it: ordered keys, atomic operations with checks, limits. It neither
 * waits nor fails; `handle.ts` does. `database_test.ts` holds it against the real one.
 */

/** What stands under a key; who reads it must not change it. */
export interface Stored {
  key: Deno.KvKey;
  value: unknown;
  stamp: string;
}

/** An atomic operation. A key to set may end with {@link COMMIT_STAMP}. */
export interface Operation {
  checks: { key: Deno.KvKey; versionstamp: string | null }[];
  sets: [key: Deno.KvKey, value: unknown][];
  deletes: Deno.KvKey[];
}

/** The part of a key that stands for the stamp of the operation that sets it. */
export const COMMIT_STAMP = Symbol("commit versionstamp");

/** Limits of the strictest kind of store, a self-hosted `denokv` (`proto/limits.rs`). */
const MAX_CHECKS = 10;
const MAX_MUTATIONS = 1000;
const MAX_VALUE_BYTES = 65_536;

/** Data in memory. */
export type Database = ReturnType<typeof createDatabase>;

/**
 * Makes an empty database; `onApply` is called with each operation whose checks hold and with its stamp, before it changes
 * anything.
 */
export function createDatabase(
  { onApply = () => {} }: { onApply?: (operation: Operation, stamp: string) => void } = {},
) {
  const rows: Stored[] = [];
  let version = 0;

  /** Index of the first row at or after a key. */
  function find(key: Deno.KvKey): number {
    let low = 0;
    let high = rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareKeys(rows[middle]!.key, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  function rowAt(key: Deno.KvKey): Stored | undefined {
    const row = rows[find(key)];
    return row !== undefined && compareKeys(row.key, key) === 0 ? row : undefined;
  }

  function bounds(selector: Deno.KvListSelector): [number, number] {
    if (!("prefix" in selector)) return [find(selector.start), find(selector.end)];
    const { prefix } = selector;
    let from = find("start" in selector ? selector.start : prefix);
    // The prefix itself is not within.
    while (from < rows.length && rows[from]!.key.length <= prefix.length && beginsWith(rows[from]!, prefix)) {
      from++;
    }
    let to = from;
    while (to < rows.length && beginsWith(rows[to]!, prefix)) to++;
    return [from, to];
  }

  return {
    /** What stands under a key. */
    get: rowAt,
    /** Some of what stands in a range, in order, as a list reads it at one moment: after a key, so many at the most. */
    list(
      selector: Deno.KvListSelector,
      { limit, reverse, after }: { limit: number; reverse: boolean; after: Deno.KvKey | undefined },
    ): Stored[] {
      const [from, to] = bounds(selector);
      if (reverse) {
        const end = after === undefined ? to : Math.min(to, find(after));
        return rows.slice(Math.max(from, end - limit), Math.max(from, end)).reverse();
      }
      let begin = after === undefined ? from : Math.max(from, find(after));
      if (after !== undefined && begin < to && compareKeys(rows[begin]!.key, after) === 0) begin++;
      return rows.slice(begin, Math.min(to, begin + limit));
    },
    /** Does an operation whole, and gives its stamp; or not at all, and gives `null`. */
    apply(operation: Operation): string | null {
      refuseExcess(operation);
      const { checks, deletes } = operation;
      for (const { key, versionstamp } of checks) {
        if ((rowAt(key)?.stamp ?? null) !== versionstamp) return null;
      }
      // Stamps jump.
      version += 1 + version % 3;
      const stamp = version.toString(16).padStart(20, "0");
      const sets = operation.sets.map(([key, value]): [Deno.KvKey, unknown] => [keyAt(key, stamp), value]);
      onApply({ checks, sets, deletes }, stamp);
      for (const [key, value] of sets) {
        const at = find(key);
        const row = { key, value, stamp };
        const isThere = at < rows.length && compareKeys(rows[at]!.key, key) === 0;
        rows.splice(at, isThere ? 1 : 0, row);
      }
      for (const key of deletes) {
        const at = find(key);
        if (at < rows.length && compareKeys(rows[at]!.key, key) === 0) rows.splice(at, 1);
      }
      return stamp;
    },
  };
}

/** A key as an operation of that stamp sets it. */
function keyAt(key: Deno.KvKey, stamp: string): Deno.KvKey {
  return key.at(-1) as unknown === COMMIT_STAMP ? [...key.slice(0, -1), stamp] : key;
}

function refuseExcess({ checks, sets, deletes }: Operation): void {
  if (checks.length > MAX_CHECKS) throw new TypeError(`Too many checks (max ${MAX_CHECKS})`);
  if (sets.length + deletes.length > MAX_MUTATIONS) {
    throw new TypeError(`Too many mutations (max ${MAX_MUTATIONS})`);
  }
  for (const [, value] of sets) {
    if (value instanceof Uint8Array && value.length > MAX_VALUE_BYTES) {
      throw new TypeError(`Value too large (max ${MAX_VALUE_BYTES} bytes)`);
    }
  }
}

function beginsWith({ key }: Stored, prefix: Deno.KvKey): boolean {
  return key.length >= prefix.length && prefix.every((part, index) => key[index] === part);
}

/** Order of keys: part by part, strings before numbers, a key before those that begin with it. */
export function compareKeys(a: Deno.KvKey, b: Deno.KvKey): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const [x, y] = [a[i]!, b[i]!];
    if (x === y) continue;
    if (typeof x !== typeof y) return typeof x === "string" ? -1 : 1;
    if (typeof x === "string") return compareStrings(x, y as string);
    return Number(x) - Number(y);
  }
  return a.length - b.length;
}

/** Order of strings as UTF-8: that of code points, where JavaScript compares UTF-16 units. */
function compareStrings(a: string, b: string): number {
  let i = 0;
  while (i < a.length && i < b.length && a.charCodeAt(i) === b.charCodeAt(i)) i++;
  if (i === a.length || i === b.length) return a.length - b.length;
  return rank(a.charCodeAt(i)) - rank(b.charCodeAt(i));
}

/** Surrogates stand for code points beyond all other units. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

/** A copy of a value as it is stored: of plain objects, arrays and bytes. */
export function copyOf<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Uint8Array) return value.slice() as T;
  if (Array.isArray(value)) return value.map(copyOf) as T;
  const copy: Record<string, unknown> = {};
  for (const name in value) copy[name] = copyOf((value as Record<string, unknown>)[name]);
  return copy as T;
}
