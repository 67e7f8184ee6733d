/** The last notes of each process, under a key of its own, for the processes that have listeners. */
import type { Clock } from "../store/clock.ts";
import { NOTES, notesKey } from "../store/keys.ts";
import type { Entry, Store } from "../store/store.ts";
import type { Ring } from "./note_ring.ts";

/** The outcome of an event that did not go into the journal. Current listeners see it; it is not stored. */
export interface Note {
  status: "duplicate" | "rejected";
  /** `null` if the sender gave none or an invalid one. */
  messageId: string | null;
  type: string | null;
  event?: string;
  userId?: string;
  anonymousId?: string;
  groupId?: string;
  writeKeyId: string;
  receivedAt: string;
  /** The error of a rejected event, as in a batch's answer. */
  error?: { status: number; code: string; message: string; path?: string };
}

/** Notes under a process's key: more than come between two reads of a listener; a value has 64 KiB. */
export const WINDOW_NOTES = 200;
const WINDOW_BYTES = 48_000;

/** Processes whose notes are read. */
const MAX_PROCESSES = 64;

/** Age at which the notes of a process that did not delete them are deleted by any other. */
const STALE_MS = 60_000;

/** The value of a key: the last notes of a process; `first` is the number of the first. */
interface Window {
  id: string;
  at: number;
  first: number;
  /** JSON, UTF-8. */
  notes: Uint8Array;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The windows of all processes, as one of them reads and writes them. */
export function createWindows({ store, id, clock }: { store: Store; id: string; clock: Clock }) {
  let own: Pick<Entry, "stamp"> | undefined;
  /** Of each other process, the number of the next note. */
  let nextOf = new Map<string, number>();

  const windows = () => store.list<Window>({ prefix: NOTES }, { limit: MAX_PROCESSES });

  async function remove({ key, stamp }: Pick<Entry, "key" | "stamp">): Promise<void> {
    await store.commit({ checks: [{ key, stamp }], sets: [], deletes: [key] });
  }

  async function removeStale(entry: Entry<Window>): Promise<void> {
    const { id: by, at } = entry.value!;
    if (by !== id && Math.abs(clock.now() - at) >= STALE_MS) await remove(entry);
  }

  return {
    /** Writes the last notes of this process, as many as one value holds. */
    async publish(ring: Ring<Note>): Promise<void> {
      const { items, first } = ring.all();
      const lines = items.map((note) => JSON.stringify(note));
      const from = firstThatFits(lines);
      const notes = encoder.encode(`[${lines.slice(from).join(",")}]`);
      const value: Window = { id, at: clock.now(), first: first + from, notes };
      const key = notesKey(id);
      own ??= await store.get(key);
      const stamp = await store.commit({ checks: [{ key, stamp: own.stamp }], sets: [[key, value]] });
      own = stamp === null ? undefined : { stamp };
    },
    /** Deletes the published notes of this process. */
    async clear(): Promise<void> {
      if (own === undefined) return;
      const entry = await store.get(notesKey(id));
      if (entry.stamp !== null) await remove(entry);
      own = undefined;
    },
    /** The notes of others since the last call, and how many were gone; the first call only begins. */
    async takeIn(isFirst: boolean): Promise<{ notes: Note[]; lost: number }> {
      const next = new Map<string, number>();
      const taken: Note[] = [];
      let lost = 0;
      for await (const entry of windows()) {
        const { id: by, first, notes } = entry.value!;
        if (by === id) continue;
        await removeStale(entry);
        const all = JSON.parse(decoder.decode(notes)) as Note[];
        const end = first + all.length;
        const known = nextOf.get(by) ?? first;
        next.set(by, end);
        // Notes that existed when this process began to listen are old.
        if (isFirst || known >= end) continue;
        lost += Math.max(0, first - known);
        taken.push(...all.slice(Math.max(0, known - first)));
      }
      nextOf = next;
      return { notes: taken, lost };
    },
    /** Deletes the notes of dead processes. */
    async sweep(): Promise<void> {
      for await (const entry of windows()) await removeStale(entry);
    },
    /** Deletes the notes of all processes. */
    async removeAll(): Promise<void> {
      for await (const entry of windows()) await remove(entry);
      own = undefined;
    },
  };
}

/** Of notes as JSON, the first of the last that one value holds. */
function firstThatFits(notes: readonly string[]): number {
  let from = notes.length;
  let bytes = 0;
  while (from > 0) {
    bytes += encoder.encode(notes[from - 1]!).length + 1;
    if (bytes > WINDOW_BYTES && from < notes.length) break;
    from--;
  }
  return from;
}
