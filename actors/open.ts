/** Puts the actors together over one store. */
import { createCommitter } from "./committer.ts";
import { createJournal } from "./journal.ts";
import { HEAD } from "./keys.ts";
import { createProcesses } from "./processes.ts";
import { createReader } from "./reader.ts";
import { openSecret } from "./secret.ts";
import { createSettler, type Settler, type SettlerOptions } from "./settler.ts";
import { startSettler } from "./settler_thread.ts";
import { createSettling } from "./settling.ts";
import { openStore, type Store } from "./store.ts";
import type { System } from "./system.ts";
import { openWriteKeys } from "./write_keys.ts";

/** A tick settles for so long at the most; the next goes on. */
const TICK_MS = 60_000;

/** What the actors are given: the clock and randomness come from outside. */
export interface OpenOptions {
  /** A file path, `:memory:`, an `http(s)://` KV Connect URL, `undefined` for the platform's own; or an open store. */
  storage: string | undefined | Store;
  now(): number;
  newId(): string;
  randomBytes(bytes: Uint8Array): void;
  /** The window of dedup in ms; 0 is for ever. */
  dedupMs: number;
  /** Called with what made a round of settling fail; it is done again. */
  onFault(error: unknown): void;
}

/** Opens signalfold: reads what is not settled yet, and goes on where it was left. */
export async function openSystem(options: OpenOptions): Promise<System> {
  const { now, newId } = options;
  const store = typeof options.storage === "object" ? options.storage : await openStore(options.storage);
  const owner = newId();
  const secret = await openSecret(store, options.randomBytes);
  const journal = createJournal(store);
  await journal.sync();
  const settler = settlerOf(options.storage, {
    store,
    owner,
    now,
    newId,
    windowMs: options.dedupMs,
    onFault: options.onFault,
    onSettled: () => settling.moved(),
  });
  const settling = createSettling(journal, settler);
  const processes = createProcesses(store, { id: owner, now });
  const committer = createCommitter({
    store,
    journal,
    secret,
    now,
    newId,
    room: settling.room,
    others: processes.others,
    afterCommit() {
      processes.announce();
      settling.wake();
    },
  });
  const writeKeys = await openWriteKeys({ store, now, newId, randomBytes: options.randomBytes });
  settling.wake();
  return {
    commit: committer.commit,
    reader: createReader({ store, journal, settling }),
    writeKeys,
    async stats() {
      await journal.sync();
      const head = journal.head().events;
      const settled = journal.settledNow().events;
      return { head, settled, unsettled: head - settled };
    },
    async ready() {
      await store.get(HEAD);
    },
    async tick() {
      await journal.sync();
      await settling.until(journal.head().seq, TICK_MS);
    },
    async close() {
      // First of all: who waits for room in the tail gets it, or is told that there is none.
      const closing = settling.close();
      await committer.idle();
      await closing;
      await processes.close();
      store.close();
    },
  };
}

/**
 * A settler in a thread of its own where it can open the same storage; in this one for what is in memory, for a store
 * that is given open, and for the platform's own, where threads can't be counted on.
 */
function settlerOf(storage: OpenOptions["storage"], options: SettlerOptions): Settler {
  const isShared = typeof storage === "string" && storage !== ":memory:";
  return isShared ? startSettler({ ...options, storage }) : createSettler(options);
}
