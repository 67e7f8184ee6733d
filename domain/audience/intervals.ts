/**
 * Sets of moments, as intervals: the values that conditions of audiences take. A moment is a number of ms since 1970, and
 * an interval contains its start and not its end.
 */

/** Disjoint intervals in order, as `[start, end, start, end, …]`; the first start and the last end may be infinite. */
export type Intervals = readonly number[];

/** No moment. */
export const NEVER: Intervals = [];

/** Every moment. */
export const ALWAYS: Intervals = [-Infinity, Infinity];

/** The moments from `start` on and before `end`. */
export function between(start: number, end: number): Intervals {
  return start < end ? [start, end] : NEVER;
}

/** The moments that are in no interval. */
export function complement(set: Intervals): Intervals {
  const flipped = set[0] === -Infinity ? set.slice(1) : [-Infinity, ...set];
  if (flipped.at(-1) === Infinity) flipped.pop();
  else flipped.push(Infinity);
  return flipped;
}

/** The moments that are in all sets. */
export function intersection(sets: readonly Intervals[]): Intervals {
  return combined(sets, sets.length);
}

/** The moments that are in one of the sets. */
export function union(sets: readonly Intervals[]): Intervals {
  return combined(sets, 1);
}

/** The moments that are in at least `needed` of the sets. */
function combined(sets: readonly Intervals[], needed: number): Intervals {
  if (sets.length === 1) return sets[0]!;
  const edges: [at: number, step: number][] = [];
  for (const set of sets) set.forEach((at, index) => edges.push([at, index % 2 === 0 ? 1 : -1]));
  const sweep = createSweep<number>((depth) => depth >= needed);
  edges.sort((a, b) => a[0] - b[0]);
  let depth = 0;
  for (const [at, step] of edges) sweep.set(at, depth += step);
  return needed === 0 ? ALWAYS : sweep.end();
}

/** The interval that contains a moment; `undefined` if none does. */
export function intervalAt(set: Intervals, at: number): { start: number; end: number } | undefined {
  for (let i = 0; i < set.length; i += 2) {
    if (set[i]! > at) return undefined;
    if (at < set[i + 1]!) return { start: set[i]!, end: set[i + 1]! };
  }
  return undefined;
}

/** The first start or end after a moment; `Infinity` if there is none. */
export function nextEdge(set: Intervals, at: number): number {
  return set.find((edge) => edge > at) ?? Infinity;
}

/** The intervals of a value that changes over time, built change by change. */
export interface Sweep<T> {
  /** The value from a moment on. Moments must come in order; of several at one moment the last one holds. */
  set(at: number, value: T): void;
  end(): Intervals;
}

/** Begins with a value that does not hold. */
export function createSweep<T>(holds: (value: T) => boolean): Sweep<T> {
  const edges: number[] = [];
  let moment = -Infinity;
  let pending = false;
  /** Adds the edge of the moment that has passed, if the value changed there. */
  const settle = () => {
    const isOpen = edges.length % 2 === 1;
    if (pending !== isOpen) edges.push(moment);
  };
  return {
    set(at, value) {
      if (at !== moment) settle();
      moment = at;
      pending = holds(value);
    },
    end() {
      settle();
      if (edges.length % 2 === 1 && moment !== Infinity) edges.push(Infinity);
      else if (edges.length % 2 === 1) edges.pop();
      return edges;
    },
  };
}
