/**
 * Notes: duplicates and rejections for listeners in all processes.
 *
 * A process with listeners writes this to one key (`listening.ts`). The others read that key now and then, after a
 * response; only while it changes do they publish their last notes (`note_windows.ts`), which the listening process reads.
 * All of this is best effort: a note is lost if its process dies, or if there are more notes than a value holds.
 */
import type { Clock } from "../store/clock.ts";
import { withTimeout } from "../store/timeout.ts";
import type { Store } from "../store/store.ts";
import { createListening } from "./listening.ts";
import { createRing, type Ring } from "./note_ring.ts";
import { createWindows, type Note, WINDOW_NOTES } from "./note_windows.ts";

/** Interval at which another process checks, while it answers requests, whether somebody listens. */
export const LOOK_MS = 2_000;

/** Notes are published together, after this time. */
const GATHER_MS = 250;

/** Notes that wait in memory for listeners that are slower than others. */
export const KEPT_NOTES = 500;

/** A process that stops waits this long for the deletion of its notes. */
const CLOSE_MS = 1_000;

/** Notes in a process. */
export type Notes = ReturnType<typeof createNotes>;

export interface NotesOptions {
  store: Store;
  /** This process's name. */
  id: string;
  clock: Clock;
  /** Multiplies the times between two looks: tests run faster. */
  pace: number;
  /** {@link LISTENED_MS} */
  listenedMs: number;
  /** Called when there are notes that no listener here has seen. */
  onNotes(): void;
}

/** The notes of a process, as its functions share them. */
interface State {
  options: NotesOptions;
  listening: ReturnType<typeof createListening>;
  windows: ReturnType<typeof createWindows>;
  /** Notes that listeners here have not all seen, and notes for other processes. */
  kept: Ring<Note>;
  out: Ring<Note>;
  /** Cancels the next publication; `undefined` if none is planned. */
  stopPublishing: (() => void) | undefined;
  lookedMs: number;
  hasSwept: boolean;
  isLooking: boolean;
  /** Whether somebody listens in this process. */
  isHere: boolean;
  closed: boolean;
  working: Promise<void>;
}

/** Creates the notes of a process. */
export function createNotes(options: NotesOptions) {
  const { clock } = options;
  const state: State = {
    options,
    listening: createListening(options),
    windows: createWindows(options),
    kept: createRing<Note>(KEPT_NOTES),
    out: createRing<Note>(WINDOW_NOTES),
    stopPublishing: undefined,
    lookedMs: -Infinity,
    hasSwept: false,
    isLooking: false,
    isHere: false,
    closed: false,
    working: Promise.resolve(),
  };
  const { kept, out, windows, listening } = state;
  return {
    /** Deletes the notes of all processes, whoever they name: listeners see what comes from then on. */
    forget: () =>
      inTurn(state, async () => {
        kept.clear();
        out.clear();
        await windows.removeAll();
      }),
    /** Whether notes may be wanted. Now and then it has the store read. */
    wanted: (atMs: number) => isWanted(state, atMs),
    tell(notes: readonly Note[]): void {
      if (state.closed || notes.length === 0) return;
      if (state.isHere) keep(state, notes);
      // They are held back during a check: if few events come, every note comes with a check.
      if (!state.isLooking && !listening.isElsewhere()) return;
      out.push(notes);
      if (!state.isLooking) publishSoon(state);
    },
    /** The number of the next note, and the notes from a number on, with how many of them are gone. */
    end: kept.end,
    from: kept.from,
    /** Says whether somebody listens here from now on. */
    here(is: boolean): void {
      state.isHere = is;
      kept.clear();
    },
    beat: () => inTurn(state, listening.beat),
    /** Reads the notes of other processes; call it while somebody listens here. Gives how many were gone. */
    async exchange(isFirst = false): Promise<number> {
      let lost = 0;
      await inTurn(state, async () => {
        const taken = await windows.takeIn(isFirst);
        lost = taken.lost;
        if (taken.notes.length > 0) keep(state, taken.notes);
      });
      return lost;
    },
    /** Deletes the published notes of this process, if storage answers. */
    async close(): Promise<void> {
      state.closed = true;
      state.stopPublishing?.();
      await withTimeout(inTurn(state, () => clear(state)), { clock, ms: CLOSE_MS, onTimeout() {} });
    },
  };
}

/** Does one task after the other. Notes are hints: a failed task is done again at its next time. */
function inTurn(state: State, task: () => Promise<void>): Promise<void> {
  return state.working = state.working.then(task).catch(() => {});
}

function keep({ kept, options }: State, notes: readonly Note[]): void {
  kept.push(notes);
  options.onNotes();
}

function isWanted(state: State, atMs: number): boolean {
  if (state.closed) return false;
  // In both directions, since the clock of the requests may be set back.
  if (Math.abs(atMs - state.lookedMs) > LOOK_MS * state.options.pace) {
    state.lookedMs = atMs;
    // A process with listeners checks with each beat.
    if (!state.isHere) {
      state.isLooking = true;
      void inTurn(state, () => look(state));
    }
  }
  return state.isHere || state.isLooking || state.listening.isElsewhere();
}

/** Reads whether another process listens; the first look also deletes the notes of dead processes. */
async function look(state: State): Promise<void> {
  const { listening, out, windows } = state;
  await listening.look().finally(() => state.isLooking = false);
  if (!listening.isElsewhere()) await clear(state);
  else if (out.all().items.length > 0) publishSoon(state);
  if (state.hasSwept) return;
  state.hasSwept = true;
  await windows.sweep();
}

function publishSoon(state: State): void {
  const { clock, pace } = state.options;
  const publish = () => {
    state.stopPublishing = undefined;
    return state.windows.publish(state.out);
  };
  state.stopPublishing ??= clock.timer(GATHER_MS * pace, () => void inTurn(state, publish));
}

async function clear(state: State): Promise<void> {
  state.stopPublishing?.();
  state.stopPublishing = undefined;
  state.out.clear();
  await state.windows.clear();
}
