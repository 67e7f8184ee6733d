/** What the tasks work with: a store, and what can be done to all of it while servers run on it. */
import { createJournal } from "./journal.ts";
import { rebuildAll, type RebuildOptions } from "./rebuild.ts";
import { replayOne, type ReplaySummary } from "./replay.ts";
import { createSettler } from "./settler.ts";
import { createSettling } from "./settling.ts";
import { openStore, type Store } from "./store.ts";
import type { ActorKind } from "./system.ts";
import { type Comparison, verifyAll } from "./verify.ts";

/** A task waits so long for what is not settled yet. */
const SETTLE_MS = 600_000;

/** What the tools are given. */
export interface ToolsOptions {
  /** As for a system: a path, a URL, `:memory:`, `undefined` for the platform's own; or an open store. */
  storage: string | undefined | Store;
  now(): number;
  newId(): string;
  /** Called with what made a round of settling fail; it is done again. */
  onFault(error: unknown): void;
}

/** The tools over one store. */
export interface Tools {
  store: Store;
  replayOne(actor: { kind: ActorKind; id: string; verify: boolean }): Promise<ReplaySummary>;
  /** Folds everything again; gives the number of events. */
  replayAll(onProgress: RebuildOptions["onProgress"]): Promise<number>;
  /** Folds everything into another, empty store, at `scratch` or given open, and compares. */
  verifyAll(scratch: string | Store, onProgress: RebuildOptions["onProgress"]): Promise<Comparison>;
  close(): void;
}

/** Opens the tools. What is not settled yet is settled first, by whatever process. */
export async function openTools({ storage, now, newId, onFault }: ToolsOptions): Promise<Tools> {
  const store = await storeAt(storage);
  const journal = createJournal(store);
  await journal.sync();
  const owner = newId();
  const common = { source: store, journal, owner, now, newId };
  const settler = createSettler({
    store,
    owner,
    now,
    newId,
    // A tool does not know the servers' window of dedup: it drops nothing.
    windowMs: 0,
    onFault,
    onSettled: () => {},
  });
  const settling = createSettling(journal, settler);
  await settling.until(journal.head().seq, SETTLE_MS);
  await settling.close();
  return {
    store,
    replayOne: (actor) => replayOne(common, actor),
    replayAll: (onProgress) => rebuildAll({ ...common, target: store, onProgress }),
    async verifyAll(scratch, onProgress) {
      const target = await storeAt(scratch);
      try {
        return await verifyAll({ ...common, target, onProgress });
      } finally {
        target.close();
      }
    },
    close: () => store.close(),
  };
}

/** A store that is given open, or the one at a place. */
async function storeAt(storage: string | undefined | Store): Promise<Store> {
  return typeof storage === "object" ? storage : await openStore(storage);
}
