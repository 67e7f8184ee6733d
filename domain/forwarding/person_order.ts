/**
 * The order of one destination: what waits for what. An event waits while an earlier one with one of its keys (its user, its
 * anonymous ids) is not settled. Each key has a queue; an event that is first in the queues of all its keys may be attempted.
 *
 * Memory is bounded: behind the first event of a key, events may be left out, and are read from the journal again once it is
 * their turn (`unread`). Pure.
 */
import type { Position } from "../event/position.ts";

/** What waits: one event, or a batch that is sent as a whole. */
export interface Waiting {
  readonly position: Position;
  /** Without keys it waits for nothing. */
  readonly keys: readonly string[];
}

interface Queue<T extends Waiting> {
  /** In order of the journal. */
  items: T[];
  /** Behind this position there may be events of this key that are not in `items`. */
  unread: Position | undefined;
}

/** The order of a destination's unsettled events. */
export type PersonOrder<T extends Waiting> = ReturnType<typeof createPersonOrder<T>>;

/** Creates an order. At most `maxItems` are held in memory, and those that are first for one of their keys besides. */
export function createPersonOrder<T extends Waiting>({ maxItems }: { maxItems: number }) {
  const items = new Map<Position, T>();
  const queues = new Map<string, Queue<T>>();
  /** Keys whose first events must be read again. */
  const starved = new Set<string>();

  const isFirstIn = (item: T, queue: Queue<T>) =>
    queue.items[0] === item && (queue.unread === undefined || queue.unread >= item.position);

  const isFirst = (item: T) => item.keys.every((key) => isFirstIn(item, queues.get(key)!));

  function insert(item: T, queue: Queue<T>): void {
    // Nearly always it is the last.
    let at = queue.items.length;
    while (at > 0 && queue.items[at - 1]!.position > item.position) at--;
    queue.items.splice(at, 0, item);
  }

  return {
    get: (position: Position) => items.get(position),
    all: () => items.values(),
    size: () => items.size,
    /** Keys for which something waits. */
    keys: () => queues.size,
    hasKey: (key: string) => queues.has(key),
    isFirst,
    /** Whether something stands first for one of its keys: then it must be stored. */
    isFirstOfOne: (item: T) => item.keys.some((key) => isFirstIn(item, queues.get(key)!)),
    /** Whether more waits behind an item for one of its keys. */
    hasMore: (item: T, key: string) => {
      const queue = queues.get(key);
      return queue !== undefined && (queue.items.at(-1) !== item || queue.unread !== undefined);
    },
    /** What stands before an item for one of its keys. */
    before: (item: T): T | undefined => {
      for (const key of item.keys) {
        const first = queues.get(key)?.items[0];
        if (first !== undefined && first !== item) return first;
      }
      return undefined;
    },
    /** What may go into one batch with others: all that stands before it is in the batch. */
    followers(item: T, batch: ReadonlySet<T>): T[] {
      const next = new Set<T>();
      for (const key of item.keys) {
        const following = queues.get(key)?.items.find((each) => !batch.has(each));
        if (following !== undefined) next.add(following);
      }
      const isNext = (each: T) =>
        each.keys.every((key) => {
          const { items: queued, unread } = queues.get(key)!;
          const first = queued.find((other) => !batch.has(other));
          return first === each && (unread === undefined || unread >= each.position);
        });
      return [...next].filter(isNext);
    },
    /**
     * Adds the next event, whose position is behind all that were added. False if it is left out, since memory is full and
     * it is first for none of its keys.
     */
    add(item: T): boolean {
      const isExposed = item.keys.length === 0 || item.keys.some((key) => !queues.has(key));
      const isLeftOut = !isExposed &&
        (items.size >= maxItems || item.keys.every((key) => queues.get(key)!.unread !== undefined));
      for (const key of item.keys) {
        let queue = queues.get(key);
        if (queue === undefined) queues.set(key, queue = { items: [], unread: undefined });
        if (isLeftOut) queue.unread ??= queue.items.at(-1)!.position;
        else insert(item, queue);
      }
      if (!isLeftOut) items.set(item.position, item);
      return !isLeftOut;
    },
    /** Puts back what was stored: `unread` are the keys of which more may follow. */
    restore(item: T, unread: ReadonlySet<string>): void {
      items.set(item.position, item);
      for (const key of item.keys) {
        let queue = queues.get(key);
        if (queue === undefined) queues.set(key, queue = { items: [], unread: undefined });
        insert(item, queue);
        if (unread.has(key)) queue.unread = minOf(queue.unread, item.position);
      }
    },
    /** Puts back keys whose events behind a position are in no memory: they are read again before anything of theirs goes on. */
    restoreUnread(keys: readonly string[], position: Position): void {
      for (const key of keys) {
        let queue = queues.get(key);
        if (queue === undefined) queues.set(key, queue = { items: [], unread: undefined });
        queue.unread = minOf(queue.unread, position);
        const first = queue.items[0];
        if (first === undefined || queue.unread! < first.position) starved.add(key);
      }
    },
    /** Removes what is settled, and gives what may be attempted now. */
    remove(item: T): T[] {
      items.delete(item.position);
      const next = new Set<T>();
      for (const key of item.keys) {
        const queue = queues.get(key);
        if (queue === undefined) continue;
        const at = queue.items.indexOf(item);
        if (at >= 0) queue.items.splice(at, 1);
        const first = queue.items[0];
        if (queue.unread !== undefined && (first === undefined || queue.unread < first.position)) {
          starved.add(key);
        } else if (first === undefined) queues.delete(key);
        else next.add(first);
      }
      return [...next].filter(isFirst);
    },
    /** Keys whose next events must be read from the journal before anything of theirs goes on, and behind what. */
    starved: (): { keys: ReadonlySet<string>; from: Position } | undefined => {
      let from: Position | undefined;
      for (const key of starved) from = minOf(from, queues.get(key)?.unread);
      return from === undefined ? undefined : { keys: new Set(starved), from };
    },
    /** The same, by the position behind which each key is unread: nothing else remembers these. */
    starvedBehind(): Map<Position, string[]> {
      const behind = new Map<Position, string[]>();
      for (const key of starved) {
        const unread = queues.get(key)?.unread;
        if (unread === undefined) continue;
        const keys = behind.get(unread);
        if (keys === undefined) behind.set(unread, [key]);
        else keys.push(key);
      }
      return behind;
    },
    /** Whether anything is left out. */
    hasUnread: () => queues.values().some(({ unread }) => unread !== undefined),
    /** Whether a key may have unread events at a position. */
    isUnread: (key: string, position: Position) => {
      const unread = queues.get(key)?.unread;
      return unread !== undefined && unread < position;
    },
    /**
     * Takes events that were read again for starved keys, in order, and `readTo`: all of these keys was read up to there (`undefined`: everything).
     * Gives what may be attempted now.
     */
    refill(keys: ReadonlySet<string>, found: readonly T[], readTo: Position | undefined): T[] {
      for (const item of found) {
        if (items.has(item.position)) continue;
        items.set(item.position, item);
        for (const key of item.keys) {
          let queue = queues.get(key);
          if (queue === undefined) queues.set(key, queue = { items: [], unread: undefined });
          insert(item, queue);
        }
      }
      const next = new Set<T>();
      for (const key of keys) {
        starved.delete(key);
        const queue = queues.get(key);
        if (queue === undefined) continue;
        // Nothing of this key is left out before what was known.
        queue.unread = readTo !== undefined && queue.unread !== undefined && queue.unread > readTo
          ? queue.unread
          : readTo;
        if (queue.items.length === 0) {
          if (queue.unread === undefined) queues.delete(key);
          else starved.add(key);
        } else if (queue.unread !== undefined && queue.unread < queue.items[0]!.position) starved.add(key);
        else next.add(queue.items[0]!);
      }
      return [...next].filter(isFirst);
    },
  };
}

function minOf(a: Position | undefined, b: Position | undefined): Position | undefined {
  return a === undefined ? b : b === undefined ? a : a < b ? a : b;
}
