/**
 * A stream of events to one destination: all live ones, or a replay. It reads the journal, leaves out what the destination
 * does not want, keeps each person's events in order, and says which may be attempted. It writes nothing.
 */
import { indexOf, justBefore, type Position, stampOf } from "../../domain/event/position.ts";
import type { FilteredBy } from "../../domain/forwarding/filter.ts";
import { createPersonOrder, type Waiting } from "../../domain/forwarding/person_order.ts";
import { isSealed } from "../destinations/sender.ts";
import type { Clock } from "../store/clock.ts";
import type { Destination } from "./destinations.ts";
import type { Follower, ReadEntry, ReadEvent } from "./follower.ts";
import type { Attempts, HeldRecord, Start } from "./state.ts";

/** Bounds of a stream. */
export const STREAM_LIMITS = {
  /** People whose events wait for another attempt: then no more is read until there are fewer. */
  heldPeople: 10_000,
  /** Events that wait in memory: more of the same people are read from the journal again. */
  heldInMemory: 20_000,
  /** Events that are read ahead of the requests under way. */
  readAhead: 2_000,
  /** An attempt that takes longer is stored, so that the checkpoint goes on. */
  slowMs: 1_000,
};
export type StreamLimits = typeof STREAM_LIMITS;

/** Events that are read again at once for people who are no longer held. */
const REFILLED = 500;

/** The one key of kinds whose batches go one after another. */
const ONE_AT_A_TIME = ["*"];

/** Something on its way: an event, or a batch with stored boundaries. */
export interface Item extends Waiting, Attempts {
  position: Position;
  /** The last position of a batch, or the same. */
  to: Position;
  n: number;
  /** Events of the journal before it. */
  eventsBefore: number;
  /** What was read, as long as nothing was forgotten since; and then. */
  events?: readonly ReadEvent[];
  generation: number;
  bytes: number;
  state: "waiting" | "ready" | "retrying" | "flying" | "settled";
  /** When it was read, and when its attempt began, by the monotonic clock. */
  readMs: number;
  startedMs: number;
  /** After a 413: so many events in one request at most. */
  maxBatch: number;
  /** It was dead, and is sent again: it waits for nothing. */
  again?: true;
  /** It is attempted now, whatever schedule and breaker say. */
  forced?: true;
}

/** What a stream is given. */
export interface StreamOptions {
  follower: Follower;
  clock: Clock;
  limits: StreamLimits;
  destination(): Destination;
  /** The digests of the ids of an event's person. */
  keysOf(event: ReadEvent["event"]): readonly string[];
  onFiltered(by: FilteredBy, times: number): void;
  /** What a replay takes besides. */
  takes?(event: ReadEvent["event"]): boolean;
  onMatched?(times: number): void;
  begin: Start;
  /** The end of a replay. */
  to?: Position;
}

/** A stream. */
export type Stream = ReturnType<typeof createStream>;

/** Creates a stream that begins behind a position. */
export function createStream(options: StreamOptions) {
  const { follower, clock, limits } = options;
  const order = createPersonOrder<Item>({ maxItems: limits.heldInMemory });
  /** Read, and neither settled nor stored. */
  const fresh = new Map<Position, Item>();
  const retrying = new Set<Item>();
  /** What was counted of events that are read again if the process dies now: told once the checkpoint has passed them. */
  let counts: [at: Position, tell: () => void][] = [];
  /** Attempts that were restored at events behind the checkpoint, which are read again in their order. */
  const ahead = new Map<Position, HeldRecord>();
  let ready: Item[] = [];
  let readTo = options.begin.position;
  let eventsRead = options.begin.events;
  /** Held events that are not in memory. */
  let leftOut = 0;
  let nextDue = Infinity;
  let gathered: ReadEvent[] = [];
  let gatheredBytes = 0;
  let gatheredBefore = 0;
  let gatheredMs = 0;

  function itemOf(events: readonly ReadEvent[], more: Partial<Item> = {}): Item {
    return {
      position: events[0]!.position,
      to: events.at(-1)!.position,
      n: events.length,
      keys: [],
      eventsBefore: eventsRead,
      events,
      generation: follower.generation(),
      bytes: events.reduce((sum, { json }) => sum + json.length, 0),
      state: "waiting",
      readMs: clock.monotonic(),
      startedMs: 0,
      maxBatch: Infinity,
      attempts: 0,
      ...more,
    };
  }

  function makeReady(items: readonly Item[]): void {
    for (const item of items) {
      if (item.state !== "waiting") continue;
      item.state = "ready";
      ready.push(item);
    }
  }

  function addEvent(read: ReadEvent): void {
    const { definition } = options.destination();
    if (isSealed(definition)) {
      if (gathered.length === 0) [gatheredMs, gatheredBefore] = [clock.monotonic(), eventsRead];
      gathered.push(read);
      gatheredBytes += read.json.length;
      return;
    }
    const { position: _, to: __, keys: ___, n: ____, ...attempts } = ahead.get(read.position) ??
      {} as HeldRecord;
    const keys = definition.order === "none" ? [] : options.keysOf(read.event);
    const item = itemOf([read], { keys, ...attempts });
    const isKept = order.add(item);
    if (!isKept) {
      leftOut++;
      return;
    }
    if (item.nextAt !== undefined) return waitUntil(item, item.nextAt);
    const before = order.before(item);
    if (before === undefined || fresh.has(before.position)) fresh.set(item.position, item);
    // What waits for another attempt may wait for long: it is read again then.
    else delete item.events;
    if (order.isFirst(item)) makeReady([item]);
  }

  /** It waits for another attempt. */
  function waitUntil(item: Item, nextAt: number): void {
    item.state = "retrying";
    item.nextAt = nextAt;
    delete item.events;
    fresh.delete(item.position);
    retrying.add(item);
    nextDue = Math.min(nextDue, nextAt);
  }

  function forgetAhead(): void {
    for (const position of ahead.keys()) if (position <= readTo) ahead.delete(position);
  }

  /** Handles an entry, and stops at the end of a replay. */
  function take(entry: ReadEntry): void {
    const { filter } = options.destination();
    const unwanted: number[] = [];
    const wanted: number[] = [];
    // Events of this entry that were handled before.
    const handled = stampOf(readTo) === stampOf(entry.end) ? indexOf(readTo) + 1 : 0;
    for (const [kind, indices] of entry.kinds) {
      if (filter.mayWant(kind)) wanted.push(...indices);
      else unwanted.push(...indices);
    }
    if (entry.kinds.size > 1) wanted.sort((a, b) => a - b);
    const begun = eventsRead - handled;
    for (const index of wanted) {
      const read = entry.events[index]!;
      if (read.position <= readTo) continue;
      if (options.to !== undefined && read.position > options.to) continue;
      if (options.takes?.(read.event) === false) continue;
      const by = filter.refuses(read.event, read.writeKeyId);
      if (by !== undefined) counts.push([read.position, () => options.onFiltered(by, 1)]);
      else if (order.get(read.position) === undefined) {
        eventsRead = begun + index;
        addEvent(read);
        const { onMatched } = options;
        if (onMatched !== undefined) counts.push([read.position, () => onMatched(1)]);
      }
    }
    countUnwanted(entry, unwanted, { handled, isAlone: wanted.length === 0 });
    eventsRead = begun + entry.n;
    readTo = options.to !== undefined && entry.end > options.to ? options.to : entry.end;
    forgetAhead();
  }

  /** Counts events that the destination does not want. Between others of their entry each is counted where it stands. */
  function countUnwanted(
    { end, events }: ReadEntry,
    unwanted: readonly number[],
    { handled, isAlone }: { handled: number; isAlone: boolean },
  ): void {
    const times = handled === 0 ? unwanted.length : unwanted.filter((index) => index >= handled).length;
    if (times === 0 || (options.to !== undefined && end > options.to)) return;
    if (isAlone) return void counts.push([end, () => options.onFiltered("where", times)]);
    for (const index of unwanted) {
      if (index >= handled) counts.push([events[index]!.position, () => options.onFiltered("where", 1)]);
    }
  }

  function tellCounts(upTo: Position): void {
    const left = counts.filter(([at]) => at > upTo);
    for (const [at, tell] of counts) if (at <= upTo) tell();
    counts = left;
  }

  function reached(): Start {
    const [first] = fresh.values();
    if (first !== undefined) return { position: justBefore(first.position), events: first.eventsBefore };
    if (gathered.length === 0) return { position: readTo, events: eventsRead };
    return { position: justBefore(gathered[0]!.position), events: gatheredBefore };
  }

  const people = () => retrying.size;
  const isFull = () => {
    const { definition } = options.destination();
    if (isSealed(definition)) {
      return gathered.length >= definition.batch.maxEvents || gatheredBytes >= definition.batch.maxBytes;
    }
    return fresh.size >= limits.readAhead || people() >= limits.heldPeople;
  };

  /** Before everything that is not forced, in the order of the journal. */
  function putFirst(item: Item): void {
    item.forced = true;
    item.state = "ready";
    const isBefore = (each: Item) => each.forced && each.position < item.position;
    const at = ready.findIndex((each) => !isBefore(each));
    ready.splice(at < 0 ? ready.length : at, 0, item);
  }

  /** Makes a batch of what has gathered, once the one before is settled. */
  function seal(): void {
    const { batch } = options.destination().definition;
    if (gathered.length === 0 || order.size() > 0) return;
    const isDue = isFull() || clock.monotonic() - gatheredMs >= batch.maxWaitMs;
    if (!isDue) return;
    let bytes = 0;
    let n = 0;
    while (n < gathered.length && n < batch.maxEvents && (n === 0 || bytes < batch.maxBytes)) {
      bytes += gathered[n++]!.json.length;
    }
    const item = itemOf(gathered.slice(0, n), { keys: ONE_AT_A_TIME, eventsBefore: gatheredBefore });
    gathered = gathered.slice(n);
    gatheredBytes -= bytes;
    order.add(item);
    makeReady([item]);
  }

  return {
    order,
    /** How far the journal was read. */
    readTo: () => readTo,
    eventsRead: () => eventsRead,
    people,
    retrying: () => retrying.size,
    /** Events that wait behind others, those that are not in memory too. */
    held(): number {
      let held = leftOut;
      for (const item of order.all()) {
        if (item.state === "waiting" && !fresh.has(item.position)) held += item.n;
      }
      return held;
    },
    hasReady: () => ready.length > 0,
    isIdle: () => ready.length === 0 && gathered.length === 0 && fresh.size === 0,
    isAtEnd: (end: Position) => readTo >= (options.to ?? end),
    isEmpty: () => order.size() === 0 && !order.hasUnread() && gathered.length === 0,
    /** Puts back what was stored. Of `held` events only those that stand first are in memory. */
    restore(records: readonly HeldRecord[], held: number): void {
      const { definition } = options.destination();
      for (const record of records) {
        const { keys, to, n, position, ...attempts } = record;
        if (position > readTo && to === undefined && !attempts.again) {
          // It is read again, after those of its person that stand before it.
          if (attempts.attempts > 0 || attempts.nextAt !== undefined) ahead.set(position, record);
          continue;
        }
        if (to !== undefined && !isSealed(definition)) {
          // The kind was changed: what was a batch is read again, event by event.
          readTo = justBefore(position) < readTo ? justBefore(position) : readTo;
          continue;
        }
        if (n === 0) {
          order.restoreUnread(keys.map(([digest]) => digest), position);
          continue;
        }
        const item: Item = {
          ...attempts,
          position,
          to: to ?? position,
          n,
          keys: keys.map(([digest]) => digest),
          eventsBefore: 0,
          generation: -1,
          bytes: 0,
          state: "waiting",
          readMs: 0,
          startedMs: 0,
          maxBatch: Infinity,
        };
        order.restore(item, new Set(keys.flatMap(([digest, more]) => more ? [digest] : [])));
      }
      let waiting = 0;
      for (const item of order.all()) {
        if (item.again || order.isFirst(item)) {
          if (item.nextAt !== undefined) {
            item.state = "retrying";
            retrying.add(item);
            nextDue = Math.min(nextDue, item.nextAt);
          } else makeReady([item]);
        } else waiting += item.n;
      }
      leftOut = order.hasUnread() ? Math.max(0, held - waiting) : 0;
    },
    /** Reads some more, up to a position; false if there is nothing, or no room. */
    async readMore(end: Position): Promise<boolean> {
      const upTo = options.to !== undefined && options.to < end ? options.to : end;
      // Not event by event: each reading waits for storage.
      const isLow = fresh.size <= limits.readAhead / 2 || isSealed(options.destination().definition);
      if (readTo >= upTo || isFull() || !isLow) return false;
      for (const entry of await follower.read(readTo, upTo)) {
        take(entry);
        if (isFull() || readTo >= upTo) break;
      }
      return true;
    },
    /** Reads the next events of people who are no longer held. */
    async refill(): Promise<void> {
      for (let due = order.starved(); due !== undefined; due = order.starved()) {
        const { keys, from } = due;
        const found: Item[] = [];
        let at = from;
        let isAll = true;
        scan: while (at < readTo) {
          const entries = await follower.read(at, readTo);
          if (entries.length === 0) break;
          for (const entry of entries) {
            for (const read of entry.events) {
              if (read === undefined || read.position <= at || read.position > readTo) continue;
              if (found.length >= REFILLED) {
                isAll = false;
                break scan;
              }
              const item = again(read, keys);
              if (item !== undefined) found.push(item);
              at = read.position;
            }
            at = entry.end;
          }
        }
        leftOut = Math.max(0, leftOut - found.length);
        makeReady(order.refill(keys, found, isAll ? undefined : at));
        // Some may have been erased, or are no longer wanted.
        if (!order.hasUnread()) leftOut = 0;
      }
    },
    seal,
    /** Takes what is due for another attempt. */
    takeDue(now: number): void {
      if (now < nextDue) return;
      nextDue = Infinity;
      for (const item of retrying) {
        if (item.nextAt! <= now) {
          retrying.delete(item);
          item.state = "waiting";
          // One that was attempted in a batch behind others of its person waits for those.
          if (item.again || order.isFirst(item)) makeReady([item]);
        } else nextDue = Math.min(nextDue, item.nextAt!);
      }
    },
    /** When something is due next: another attempt, or a batch that has gathered for long enough. */
    nextDueMs: (): number => nextDue,
    nextSealMs: (): number =>
      gathered.length === 0 || order.size() > 0
        ? Infinity
        : gatheredMs + options.destination().definition.batch.maxWaitMs,
    /** What would be attempted next; nothing that is not ready. */
    firstReady: () => ready[0],
    /** How long the first has waited, in ms, and how many are ready. */
    readyFor: () => ready.length === 0 ? 0 : clock.monotonic() - ready[0]!.readMs,
    readyCount: () => ready.length,
    /** Takes a batch of what is ready; those that follow for the same people may be in it. */
    batch({ maxEvents, maxBytes }: { maxEvents: number; maxBytes: number }): Item[] {
      const batch = new Set<Item>();
      let bytes = 0;
      let most = maxEvents;
      const room = (item: Item) => batch.size === 0 || (batch.size < most && bytes + item.bytes <= maxBytes);
      const put = (item: Item) => {
        batch.add(item);
        bytes += item.bytes;
        most = Math.min(most, item.maxBatch);
        item.state = "flying";
        item.startedMs = clock.monotonic();
      };
      let taken = 0;
      for (const item of ready) {
        if (!room(item) || item.maxBatch < batch.size) break;
        put(item);
        taken++;
        if (most <= 1) break;
        for (let next: Item | undefined = item; next !== undefined && batch.size < most;) {
          next = order.followers(next, batch).find((each) => each.state === "waiting" && each.attempts === 0);
          if (next === undefined || !room(next)) break;
          put(next);
        }
      }
      ready = ready.slice(taken);
      return [...batch];
    },
    /** Puts back what was not attempted, in its order. */
    putBack(items: readonly Item[]): void {
      for (const item of items) item.state = "waiting";
      const first = items.filter((item) => item.keys.length === 0 || order.isFirst(item));
      for (const item of first) item.state = "ready";
      ready = [...first, ...ready];
    },
    /** It is settled: what waited for it goes on. */
    settle(item: Item): void {
      item.state = "settled";
      fresh.delete(item.position);
      retrying.delete(item);
      makeReady(order.remove(item));
    },
    /** It waits for another attempt, and its person with it. */
    retryLater: waitUntil,
    /** Attempts something as soon as possible. */
    force(item: Item): void {
      if (item.state !== "retrying" || !(item.again || order.isFirst(item))) return;
      retrying.delete(item);
      putFirst(item);
    },
    /** Sends something again that was dead. */
    addAgain(position: Position, n = 1): void {
      if (order.get(position) !== undefined) return;
      const item: Item = {
        position,
        to: position,
        n,
        keys: [],
        eventsBefore: 0,
        generation: -1,
        bytes: 0,
        state: "waiting",
        readMs: 0,
        startedMs: 0,
        maxBatch: Infinity,
        attempts: 0,
        again: true,
      };
      order.add(item);
      putFirst(item);
    },
    /** Cuts a batch of stored boundaries in two, or gives its events one by one. */
    split(item: Item, events: readonly ReadEvent[]): void {
      order.remove(item);
      const half = Math.ceil(events.length / 2);
      for (const part of [events.slice(0, half), events.slice(half)]) {
        if (part.length === 0) continue;
        const made = itemOf(part, { keys: ONE_AT_A_TIME, eventsBefore: item.eventsBefore });
        order.add(made);
        if (order.isFirst(made)) makeReady([made]);
      }
    },
    /** Everything up to a position is skipped. */
    skipTo(position: Position, events: number): void {
      if (position <= readTo) return;
      [readTo, eventsRead] = [position, events];
      forgetAhead();
      gathered = [];
      gatheredBytes = 0;
    },
    /** Forgets what was read of the journal: it may name somebody who is gone. */
    forget(): void {
      for (const item of order.all()) delete item.events;
      if (gathered.length === 0) return;
      [readTo, eventsRead] = [justBefore(gathered[0]!.position), gatheredBefore];
      gathered = [];
      gatheredBytes = 0;
    },
    /**
     * How far everything is settled, or stands in a record. Attempts that take long get a record, and so does what waits
     * behind such.
     */
    checkpoint(): Start {
      for (const item of fresh.values()) {
        const before = order.before(item);
        const isSlow = item.state === "flying" && clock.monotonic() - item.startedMs > limits.slowMs;
        const isHeld = item.state === "waiting" && before !== undefined && !fresh.has(before.position);
        if (!isSlow && !isHeld) break;
        fresh.delete(item.position);
      }
      const start = reached();
      tellCounts(start.position);
      return start;
    },
    /** The records of what waits and stands first for one of its keys. */
    records(): Map<Position, HeldRecord> {
      const records = new Map(ahead);
      for (const item of order.all()) {
        if (fresh.has(item.position)) continue;
        if (item.keys.length > 0 && !order.isFirstOfOne(item)) continue;
        records.set(item.position, recordOf(item));
      }
      // Their first event is settled, and the next is in the journal alone: without a record nobody would look for it.
      for (const [position, keys] of order.starvedBehind()) {
        const unread = keys.map((key): [string, boolean] => [key, true]);
        const { keys: own = [], ...rest } = records.get(position) ?? { position, n: 0, attempts: 0 };
        const others = own.filter(([key]) => !keys.includes(key));
        records.set(position, { ...rest, keys: [...others, ...unread] });
      }
      return records;
    },
    retryingItems: () => retrying,
    leftOut: () => leftOut,
  };

  function again(read: ReadEvent, starved: ReadonlySet<string>): Item | undefined {
    const { definition, filter } = options.destination();
    const keys = definition.order === "none" ? [] : options.keysOf(read.event);
    const isOf = keys.some((key) => starved.has(key) && order.isUnread(key, read.position));
    if (!isOf || options.takes?.(read.event) === false) return undefined;
    return filter.refuses(read.event, read.writeKeyId) === undefined ? itemOf([read], { keys }) : undefined;
  }

  function recordOf(item: Item): HeldRecord {
    const { position, to, n, attempts, firstAt, lastAt, nextAt, reason, response, again } = item;
    return {
      position,
      ...to !== position && { to },
      n,
      keys: item.keys.map((key) => [key, order.hasMore(item, key)]),
      attempts,
      ...firstAt !== undefined && { firstAt },
      ...lastAt !== undefined && { lastAt },
      ...nextAt !== undefined && item.state === "retrying" && { nextAt },
      ...reason !== undefined && { reason },
      ...response !== undefined && { response },
      ...again && { again },
    };
  }
}
