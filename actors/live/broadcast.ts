/**
 * Notes: duplicates and rejections, for whoever listens to what comes, in whatever process.
 *
 * A process with listeners says so under one key (`listening.ts`). The others read that key now and then, behind an answer;
 * only while it moves do they publish their last notes (`note_windows.ts`), which the listening process reads.
 * All of it is best effort: a note is lost where its process dies, or where more come than a value holds.
 */
import type { Clock } from "../store/clock.ts";
import { withTimeout } from "../store/timeout.ts";
import type { Store } from "../store/store.ts";
import { createListening } from "./listening.ts";
import { createRing } from "./note_ring.ts";
import { createWindows, type Note, WINDOW_NOTES } from "./note_windows.ts";

/** Others look this often, where they answer requests, whether somebody listens. */
export const LOOK_MS = 2_000;

/** Notes go to the store together, after this time. */
const GATHER_MS = 250;

/** Notes that wait in memory for listeners that are slower than others. */
export const KEPT_NOTES = 500;

/** A process that stops waits so long for its notes to be taken back. */
const CLOSE_MS = 1_000;

/** Notes in a process. */
export type Notes = ReturnType<typeof createNotes>;

/** What notes need. */
export interface NotesOptions {
  store: Store;
  /** This process's name. */
  id: string;
  clock: Clock;
  /** What the times between two looks are multiplied by: tests live faster. */
  pace: number;
  /** {@link LISTENED_MS} */
  listenedMs: number;
  /** Called when there are notes that a listener here has not seen. */
  onNotes(): void;
}

/** Makes the notes of a process. */
export function createNotes({ store, id, clock, pace, listenedMs, onNotes }: NotesOptions) {
  const listening = createListening({ store, id, clock, listenedMs });
  const windows = createWindows({ store, id, clock });
  /** What listeners here have not all seen, and what goes to others. */
  const kept = createRing<Note>(KEPT_NOTES);
  const out = createRing<Note>(WINDOW_NOTES);
  /** Takes back that its notes are published soon; `undefined` while none are to be. */
  let stopPublishing: (() => void) | undefined;
  let lookedMs = -Infinity;
  let hasSwept = false;
  let isLooking = false;
  let isHere = false;
  let closed = false;
  let working: Promise<void> = Promise.resolve();

  /** One after the other, and a hint each: what fails is done again at its next time. */
  function work(task: () => Promise<void>): Promise<void> {
    return working = working.then(task).catch(() => {});
  }

  function keep(notes: readonly Note[]): void {
    kept.push(notes);
    onNotes();
  }

  /** Whether another process listens: one key, and at the first look what dead processes have left. */
  async function look(): Promise<void> {
    await listening.look().finally(() => isLooking = false);
    if (!listening.isElsewhere()) await clear();
    else if (out.all().items.length > 0) publishSoon();
    if (hasSwept) return;
    hasSwept = true;
    await windows.sweep();
  }

  async function publish(): Promise<void> {
    stopPublishing = undefined;
    await windows.publish(out);
  }

  function publishSoon(): void {
    stopPublishing ??= clock.timer(GATHER_MS * pace, () => void work(publish));
  }

  async function clear(): Promise<void> {
    stopPublishing?.();
    stopPublishing = undefined;
    out.clear();
    await windows.clear();
  }

  return {
    /** Deletes the notes of all processes, whoever they are about: each tells what comes from then on. */
    forget: () =>
      work(async () => {
        kept.clear();
        out.clear();
        await windows.removeAll();
      }),
    /** Whether notes are wanted, or may be. Has the store looked at where it is time. */
    wanted(atMs: number): boolean {
      if (closed) return false;
      // Either way, as the clock of the requests may be set back.
      if (Math.abs(atMs - lookedMs) > LOOK_MS * pace) {
        lookedMs = atMs;
        // A process with listeners looks with each beat.
        if (!isHere) {
          isLooking = true;
          void work(look);
        }
      }
      return isHere || isLooking || listening.isElsewhere();
    },
    tell(notes: readonly Note[]): void {
      if (closed || notes.length === 0) return;
      if (isHere) keep(notes);
      // Until it is known they are held: where little comes, each note comes with a look.
      if (!isLooking && !listening.isElsewhere()) return;
      out.push(notes);
      if (!isLooking) publishSoon();
    },
    /** The number of the next note, and those from a number on, with how many of them are gone. */
    end: kept.end,
    from: kept.from,
    /** Somebody listens here, from now on or no more. */
    here(is: boolean): void {
      isHere = is;
      kept.clear();
    },
    beat: () => work(listening.beat),
    /** Reads what others have noted; call it while somebody listens here. Gives how many were gone. */
    async exchange(isFirst = false): Promise<number> {
      let lost = 0;
      await work(async () => {
        const taken = await windows.takeIn(isFirst);
        lost = taken.lost;
        if (taken.notes.length > 0) keep(taken.notes);
      });
      return lost;
    },
    /** Takes its notes back, as far as storage answers. */
    async close(): Promise<void> {
      closed = true;
      stopPublishing?.();
      await withTimeout(work(clear), { clock, ms: CLOSE_MS, onTimeout() {} });
    },
  };
}
