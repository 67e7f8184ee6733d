/**
 * Notes: duplicates and rejections, for whoever listens to what comes, in whatever process.
 *
 * A process with listeners says so under one key every {@link BEAT_MS}. The others read that key now and then, behind an
 * answer; only while it moves do they keep their last notes under a key of their own, which the listening process reads.
 * All of it is best effort: a note is lost where its process dies, or where more come than a value holds.
 */
import { Buffer } from "node:buffer";
import type { Clock } from "../store/clock.ts";
import { withTimeout } from "../store/timeout.ts";
import { LISTENING, NOTES, notesKey } from "../store/keys.ts";
import type { Entry, Store } from "../store/store.ts";

/** What became of an event that did not go into the journal: told to whoever listens just then, and kept nowhere. */
export interface Note {
  status: "duplicate" | "rejected";
  /** `null` where the sender gave none that can be one. */
  messageId: string | null;
  type: string | null;
  event?: string;
  userId?: string;
  anonymousId?: string;
  groupId?: string;
  writeKeyId: string;
  receivedAt: string;
  /** Of what was rejected: as a batch's answer says it. */
  error?: { status: number; code: string; message: string; path?: string };
}

/** A process with listeners says so this often. */
export const BEAT_MS = 2_000;

/** Who is overtaken while it says so tries again so often. */
const BEAT_TRIES = 5;

/** Others look this often, where they answer requests, whether somebody listens. */
export const LOOK_MS = 2_000;

/** Somebody listens as long as the key has moved within this time: a beat and a look may each be late once. */
export const LISTENED_MS = 6_000;

/** Notes go to the store together, after this time. */
const GATHER_MS = 250;

/** Notes under a process's key: they cover what a listener, who reads it twice a second, has not read; a value has 64 KiB. */
export const WINDOW_NOTES = 200;
const WINDOW_BYTES = 48_000;

/** Notes that wait in memory for listeners that are slower than others. */
export const KEPT_NOTES = 500;

/** Processes whose notes are read. */
const MAX_PROCESSES = 64;

/** Notes of a process that has written none for so long, and did not clear up, are deleted by any other. */
const STALE_MS = 60_000;

/** A process that stops waits so long for its notes to be taken back. */
const CLOSE_MS = 1_000;

/** What stands under the key of the process that listens. */
interface Beat {
  by: string;
}

/** What stands under the key of a process's notes: the last of them, of which `first` is the number of the first. */
interface Window {
  id: string;
  at: number;
  first: number;
  /** JSON, UTF-8. */
  notes: Uint8Array;
}

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
  /** What listeners here have not all seen: `end` is the number of the next. */
  let kept: Note[] = [];
  let end = 0;
  /** What goes to others: `outEnd` is the number of the next. */
  let out: string[] = [];
  let outEnd = 0;
  /** Takes back that its notes are published soon; `undefined` while none are to be. */
  let stopPublishing: (() => void) | undefined;
  let mine: Pick<Entry, "stamp"> | undefined;
  let beatStamp: string | null = null;
  let elsewhereMs = -Infinity;
  let lookedMs = -Infinity;
  let working: Promise<void> = Promise.resolve();
  let hasLooked = false;
  let isLooking = false;
  let isHere = false;
  let closed = false;
  /** Of each other process, the number of the next note. */
  let nextOf = new Map<string, number>();

  /** Where nobody was ever heard of it reads no clock, which would be most of the cost of asking. */
  const isElsewhere = () => elsewhereMs > -Infinity && clock.monotonic() - elsewhereMs < listenedMs;

  /** One after the other, and a hint each: what fails is done again at its next time. */
  function work(task: () => Promise<void>): Promise<void> {
    return working = working.then(task).catch(() => {});
  }

  function keep(notes: readonly Note[]): void {
    kept.push(...notes);
    end += notes.length;
    if (kept.length > KEPT_NOTES) kept = kept.slice(-KEPT_NOTES);
    onNotes();
  }

  /** Whether another process listens: one key, and at the first look what dead processes have left. */
  async function look(): Promise<void> {
    try {
      notice(await store.get<Beat>(LISTENING));
    } finally {
      isLooking = false;
    }
    if (!isElsewhere()) {
      elsewhereMs = -Infinity;
      await clear();
    } else if (out.length > 0) publishSoon();
    if (hasLooked) return;
    hasLooked = true;
    for await (const entry of windows()) await deleteStale(entry);
  }

  function notice({ value, stamp }: Entry<Beat>): void {
    if (stamp === beatStamp) return;
    beatStamp = stamp;
    if (value !== null && value.by !== id) elsewhereMs = clock.monotonic();
  }

  /** Says that this process listens. Of two that say so at once the second says it again, or the first never knew of it. */
  async function beat(): Promise<void> {
    for (let tries = 0; tries < BEAT_TRIES; tries++) {
      const entry = await store.get<Beat>(LISTENING);
      notice(entry);
      const stamp = await store.commit({
        checks: [{ key: LISTENING, stamp: entry.stamp }],
        sets: [[LISTENING, { by: id } satisfies Beat]],
      });
      if (stamp === null) continue;
      beatStamp = stamp;
      return;
    }
  }

  function windows(): AsyncIterable<Entry<Window>> {
    return store.list<Window>({ prefix: NOTES }, { limit: MAX_PROCESSES });
  }

  async function deleteStale({ key, value, stamp }: Entry<Window>): Promise<void> {
    if (value!.id === id || Math.abs(clock.now() - value!.at) < STALE_MS) return;
    await store.commit({ checks: [{ key, stamp }], sets: [], deletes: [key] });
  }

  /** Takes in what others have noted; gives how many of it were gone before they could be read. */
  async function takeIn(isFirst: boolean): Promise<number> {
    const next = new Map<string, number>();
    const taken: Note[] = [];
    let lost = 0;
    for await (const entry of windows()) {
      const { id: of, first, notes } = entry.value!;
      if (of === id) continue;
      await deleteStale(entry);
      const known = nextOf.get(of);
      const all = JSON.parse(new TextDecoder().decode(notes)) as Note[];
      const endOf = first + all.length;
      next.set(of, endOf);
      // What was there when this process began to listen is of before.
      if (isFirst || (known !== undefined && known >= endOf)) continue;
      lost += known === undefined ? 0 : Math.max(0, first - known);
      taken.push(...all.slice(Math.max(0, (known ?? first) - first)));
    }
    nextOf = next;
    if (taken.length > 0) keep(taken);
    return lost;
  }

  function publishSoon(): void {
    stopPublishing ??= clock.timer(GATHER_MS * pace, () => void work(publish));
  }

  async function publish(): Promise<void> {
    stopPublishing = undefined;
    let bytes = 0;
    let from = out.length;
    while (from > 0 && out.length - from < WINDOW_NOTES) {
      bytes += Buffer.byteLength(out[from - 1]!) + 1;
      if (bytes > WINDOW_BYTES && from < out.length) break;
      from--;
    }
    out = out.slice(from);
    const notes = new TextEncoder().encode(`[${out.join(",")}]`);
    const key = notesKey(id);
    const value: Window = { id, at: clock.now(), first: outEnd - out.length, notes };
    mine ??= await store.get(key);
    const stamp = await store.commit({ checks: [{ key, stamp: mine.stamp }], sets: [[key, value]] });
    mine = stamp === null ? undefined : { stamp };
  }

  /** Takes back what this process has for others. */
  async function clear(): Promise<void> {
    stopPublishing?.();
    stopPublishing = undefined;
    out = [];
    if (mine === undefined) return;
    const { key, stamp } = await store.get(notesKey(id));
    if (stamp !== null) await store.commit({ checks: [{ key, stamp }], sets: [], deletes: [key] });
    mine = undefined;
  }

  /** Deletes the notes of all processes, whoever they are about: each tells what comes from then on. */
  async function forgetAll(): Promise<void> {
    kept = [];
    out = [];
    for await (const { key, stamp } of windows()) {
      await store.commit({ checks: [{ key, stamp }], sets: [], deletes: [key] });
    }
    mine = undefined;
  }

  return {
    /** See {@link forgetAll}. */
    forget: () => work(forgetAll),
    /** Whether notes are wanted, or may be. Has the store looked at where it is time. */
    wanted(atMs: number): boolean {
      if (closed) return false;
      // Either way, as the clock of the requests may be set back.
      if (Math.abs(atMs - lookedMs) > LOOK_MS * pace) {
        lookedMs = atMs;
        // Who listens here looks with each beat.
        if (!isHere) {
          isLooking = true;
          work(look);
        }
      }
      return isHere || isLooking || isElsewhere();
    },
    tell(notes: readonly Note[]): void {
      if (closed || notes.length === 0) return;
      if (isHere) keep(notes);
      // Until it is known they are held: where little comes, each note comes with a look.
      if (!isLooking && !isElsewhere()) return;
      for (const note of notes.slice(-WINDOW_NOTES)) out.push(JSON.stringify(note));
      outEnd += notes.length;
      if (out.length > 2 * WINDOW_NOTES) out = out.slice(-WINDOW_NOTES);
      if (!isLooking) publishSoon();
    },
    /** The number of the next note, and those from a number on, with how many of them are gone. */
    end: () => end,
    from(number: number): { notes: Note[]; lost: number } {
      const notes = kept.slice(Math.max(0, kept.length - (end - number)));
      return { notes, lost: end - number - notes.length };
    },
    /** Somebody listens here, from now on or no more. */
    here(is: boolean): void {
      isHere = is;
      kept = [];
    },
    beat: () => work(beat),
    /** Reads what others have noted; call it while somebody listens here. Gives how many were gone. */
    async exchange(isFirst = false): Promise<number> {
      let lost = 0;
      await work(async () => void (lost = await takeIn(isFirst)));
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
