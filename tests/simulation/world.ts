/**
 * The world of one history: virtual time, and one queue of what will happen. Everything that product code waits for
 * (a timer, a turn of the event loop, an answer of the store) is an event of this queue. One event happens at a time, and
 * all that follows from it in promises is over before the next: so the order of everything is the queue's, and the same
 * seed gives the same history.
 */
import { setImmediate } from "node:timers";
import type { Clock } from "../../actors/store/clock.ts";
import type { Random } from "./random.ts";

/** Whose an event is: once it is dead its events don't happen, while it is frozen they wait. */
export interface Owner {
  /** A small number that stands for it in the digest. */
  id: number;
  alive: boolean;
  frozenUntilMs: number;
}

/** The world itself, which neither dies nor freezes. */
const NOBODY: Owner = { id: 0, alive: true, frozenUntilMs: 0 };

/** A history that comes to so many events goes round in circles. */
const MAX_EVENTS = 400_000;

interface Happening {
  ms: number;
  order: number;
  owner: Owner;
  act: () => void;
  /** Nothing follows from it in promises: no turn need be waited for. */
  silent: boolean;
  /** It will not happen after all. */
  cancelled: boolean;
}

/** Thrown where what happened must not happen. */
export class Violation extends Error {
  override name = "Violation";
}

/** A world. */
export type World = ReturnType<typeof createWorld>;

/** Makes a world in which nothing has happened. With `trace` it keeps a line of text for all that does. */
export function createWorld(random: Random, { trace }: { trace: boolean }) {
  const queue = createQueue();
  let nowMs = 0;
  let order = 0;
  let happened = 0;
  let digest = 0x811c9dc5 | 0;
  let failure: unknown;
  const lines: string[] = [];

  function add(delayMs: number, owner: Owner, act: () => void, silent = false): Happening {
    const happening = {
      ms: nowMs + Math.max(0, delayMs),
      order: order++,
      owner,
      act,
      silent,
      cancelled: false,
    };
    queue.push(happening);
    return happening;
  }

  function mix(value: number): void {
    digest = Math.imul(digest ^ value, 0x01000193);
  }

  const world = {
    random,
    nowMs: () => nowMs,
    /** How many events have happened, and a number that all of them have made. */
    happened: () => happened,
    digest: () => (digest >>> 0).toString(16).padStart(8, "0"),
    lines,
    /** Lets something happen to an owner after some time. */
    at: (delayMs: number, owner: Owner, act: () => void): void => void add(delayMs, owner, act),
    /** Lets something happen from which nothing follows in promises. */
    silently: (delayMs: number, act: () => void): void => void add(delayMs, NOBODY, act, true),
    /** Resolves after some time, whoever dies meanwhile. */
    pause: (ms: number): Promise<void> => new Promise((resolve) => add(ms, NOBODY, resolve)),
    /** Makes a number part of the digest, and a line part of the trace. */
    note(code: number, line: () => string): void {
      mix(code);
      if (trace) lines.push(`${nowMs.toFixed(3).padStart(10)}  ${line()}`);
    },
    /** Ends the history. */
    fail(error: unknown): void {
      failure ??= error;
    },
    /** Lets things happen, one after the other, until `done` says so or nothing is left. */
    async run(done: () => boolean): Promise<void> {
      for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
        const { owner } = next;
        if (!owner.alive || next.cancelled) continue;
        if (owner.frozenUntilMs > next.ms) {
          next.ms = owner.frozenUntilMs;
          queue.push(next);
          continue;
        }
        nowMs = next.ms;
        if (++happened > MAX_EVENTS) throw new Violation(`no rest after ${MAX_EVENTS} events`);
        mix(owner.id + Math.floor(nowMs * 1024) * 16);
        next.act();
        if (!next.silent) await turn();
        if (failure !== undefined) throw failure;
        if (done()) return;
      }
    },
    /** The clock of an owner, whose time of day is `now`: what it waits for does not happen any more once it is dead. */
    clockOf(owner: Owner, now: () => number): Clock {
      const timer = (ms: number, act: () => void) => {
        const happening = add(Math.max(1, ms), owner, act);
        return () => void (happening.cancelled = true);
      };
      return {
        now,
        monotonic: () => nowMs,
        timer,
        sleep: (ms) => new Promise((resolve) => void timer(ms, resolve)),
        turn: () => new Promise((resolve) => void add(0, owner, resolve)),
        random: random.next,
      };
    },
  };
  return world;
}

/** Resolves when all that follows in promises from what has happened is over. */
function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

/** What will happen, first of all what is first in time, then in order: a binary heap, in which each knows its place. */
function createQueue() {
  const heap: Happening[] = [];
  const before = (a: Happening, b: Happening) => a.ms < b.ms || (a.ms === b.ms && a.order < b.order);

  function pop(): Happening | undefined {
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || first === last) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }

  return {
    push(happening: Happening): void {
      let at = heap.length;
      heap.push(happening);
      while (at > 0) {
        const parent = (at - 1) >> 1;
        if (!before(happening, heap[parent]!)) break;
        heap[at] = heap[parent]!;
        at = parent;
      }
      heap[at] = happening;
    },
    pop,
  };
}
