/**
 * Counts of events as a process keeps them: in memory by the minute, and from there into the store every few seconds
 * while events come, each process under keys of its own. What is written is the whole of a minute, so that a write may be
 * repeated.
 */
import {
  addCounts,
  countRejected,
  type Counts,
  countTaken,
  countViolations,
  newCounts,
  PERIOD_MS,
} from "../../domain/stats/counts.ts";
import { type CountsSpan, createCountsStore, type Reading } from "./counts_store.ts";
import type { Clock } from "../store/clock.ts";
import { withTimeout } from "../store/timeout.ts";
import { countsKey, type Key } from "../store/keys.ts";
import type { Store } from "../store/store.ts";
import type { Violations } from "../governance/contracts.ts";
import type { EventType, StoredEvent } from "../../domain/event/event.ts";
import type { Rejection } from "../../domain/event/rejection.ts";
import type { Receipt } from "../journal/appender.ts";

/** Who sent an event, when it came (ms), and the type that its route implies. */
export interface Sending {
  writeKeyId: string;
  receivedAt: number;
  type?: EventType | undefined;
}

/**
 * Counts of events over all processes. They are in memory first: storage has them within some 5 s, and a process that
 * dies at once loses what it had counted meanwhile.
 */
export interface EventCounts {
  /** Counts events that the journal has, with their receipts. Quick, and never throws. */
  taken(events: readonly StoredEvent[], receipts: readonly Receipt[], sending: Sending): void;
  /** Counts an event that is not taken; `item` is what was sent. Likewise. */
  rejected(item: unknown, rejection: Rejection, sending: Sending): void;
  /** Where violations of contracts are counted from now on. */
  watch(violations: () => Iterable<Violations>): void;
  /** Reads the periods of a span. Where another process changed what was being read, `begin` is called again. */
  read<T>(span: CountsSpan, begin: () => Reading<T>): Promise<T>;
  /** What this process alone has counted since it started. */
  sinceStart(): Counts;
}

/** What was counted stands in the store after this time: what a process that is killed may lose. */
const WRITE_MS = 5_000;

/** A minute that has been over for so long is let go once it is written: nothing more is counted in it. */
const LATE_MS = 30_000;

/** A process that stops waits so long for its counts to be written. */
const CLOSE_MS = 1_000;

/** Minutes that are counted at once: requests that came in one are answered in the next. Beyond it a clock was moved. */
const MAX_OPEN = 8;

/** A write that seems not to be done is tried so often. */
const TRIES = 3;

/** A minute under way in this process. */
interface Open {
  minute: number;
  /** Of this process and this time of opening: a minute that was let go may be opened again, after a clock was moved. */
  key: Key;
  counts: Counts;
  /** Of the key in the store; `null` before the first write. */
  stamp: string | null;
  /** Whether something was counted since it was last written. */
  changed: boolean;
}

/** What counting needs. */
export interface CountsOptions {
  store: Store;
  /** This process. */
  owner: string;
  clock: Clock;
  /** The version of the folds that this process has. */
  foldVersion: number;
  newId(): string;
}

/** Makes the counts of a process. */
export function createCounts(options: CountsOptions): EventCounts & { close(): Promise<void> } {
  const { store, owner, clock } = options;
  const kept = createCountsStore(options);
  const open = new Map<number, Open>();
  let current: Open | undefined;
  let opened = 0;
  const past = newCounts();
  let dueMs = Infinity;
  let cancel = () => {};
  let writing: Promise<void> | undefined;
  let closed = false;
  let violations: () => Iterable<Violations> = () => [];
  const violated = new Map<string, number>();

  /** The counts of a moment's minute. */
  function at(receivedAt: number): Counts {
    const minute = Math.floor(receivedAt / PERIOD_MS.minute);
    if (current?.minute !== minute) {
      current = open.get(minute);
      if (current === undefined) {
        if (open.size >= MAX_OPEN) forget(open.values().next().value!);
        const key = countsKey("minute", minute, `${owner}.${opened++}`);
        current = { minute, key, counts: newCounts(), stamp: null, changed: false };
        open.set(minute, current);
      }
    }
    current.changed = true;
    if (receivedAt >= dueMs) {
      // Not again at the next event: this write may have to wait for one that storage does not answer.
      dueMs = receivedAt + WRITE_MS;
      // Not before this event is counted.
      void Promise.resolve().then(written);
    } else if (dueMs === Infinity && !closed) {
      dueMs = receivedAt + WRITE_MS;
      // A hint, for when nothing more comes: where timers don't fire, the next event or the end brings it about.
      cancel = clock.timer(WRITE_MS, written);
    }
    return current.counts;
  }

  /** Lets a minute go that was written for the last time. */
  function forget(minute: Open): void {
    addCounts(past, minute.counts);
    open.delete(minute.minute);
    if (current === minute) current = undefined;
  }

  /** Writes what was counted, and sums up what is due; callers share a write, and see all that was counted before. */
  async function written(): Promise<void> {
    while (writing !== undefined) await writing;
    await (writing = write().finally(() => writing = undefined));
  }

  async function write(): Promise<void> {
    cancel();
    dueMs = Infinity;
    countViolated();
    for (const minute of open.values()) {
      if (minute.changed && !await writeMinute(minute)) dueMs = Math.min(dueMs, clock.now() + WRITE_MS);
      if (!minute.changed && clock.now() >= (minute.minute + 1) * PERIOD_MS.minute + LATE_MS) forget(minute);
    }
    // What fails now is done by the next, in whatever process.
    await kept.upkeep().catch(() => {});
  }

  /** Whether a minute stands in the store, all of it, or comes too late. */
  async function writeMinute(minute: Open): Promise<boolean> {
    const { key } = minute;
    minute.changed = false;
    try {
      for (let tries = 0; tries < TRIES; tries++) {
        const written = await kept.write(minute.minute, { key, stamp: minute.stamp }, minute.counts);
        if (written === "too late") return true;
        if (written !== undefined) {
          minute.stamp = written;
          return true;
        }
        // Nobody else writes this key: an answer was lost, or a write came late. If it is gone, another process has
        // joined it with those of others: written again, it would count twice.
        const there = await store.get(key);
        if (minute.stamp !== null && there.stamp === null) return true;
        minute.stamp = there.stamp;
      }
    } catch {
      // Counts stay in memory: the next write is of all of them.
    }
    minute.changed = true;
    return false;
  }

  /** Asks for what was violated since it was last asked. */
  function countViolated(): void {
    for (const { contract, mode, count } of violations()) {
      const name = `${mode} ${contract}`;
      const times = count - (violated.get(name) ?? 0);
      if (times <= 0) continue;
      violated.set(name, count);
      countViolations(at(clock.now()), { mode, contract }, times);
    }
  }

  return {
    taken: (events, receipts, { writeKeyId, receivedAt }) =>
      countTaken(at(receivedAt), events, { receipts, writeKeyId }),
    rejected: (item, rejection, { writeKeyId, receivedAt, type }) =>
      countRejected(at(receivedAt), item, { rejection, writeKeyId, type }),
    watch: (source) => violations = source,
    async read(span, begin) {
      await written();
      return await kept.read(span, begin);
    },
    sinceStart() {
      const sum = newCounts();
      for (const counts of [past, ...[...open.values()].map(({ counts }) => counts)]) addCounts(sum, counts);
      return sum;
    },
    async close() {
      closed = true;
      if (open.size === 0) return;
      await withTimeout(written(), { clock, ms: CLOSE_MS, onTimeout() {} });
      cancel();
    },
  };
}
