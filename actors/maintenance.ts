/** The tools of the tasks: a store, and work on all of it while servers run. */
import type { Position } from "../domain/event/position.ts";
import type { Clock } from "./store/clock.ts";
import { verifyAudiences } from "./audiences/verify.ts";
import { refuseOld } from "./dedup/digest_secret.ts";
import { createJournal, type Journal } from "./journal/journal_state.ts";
import { rebuildAll, type RebuildOptions } from "./replay/replay_all.ts";
import { replayOne, type ReplaySummary } from "./replay/replay_actor.ts";
import { LIMITS, type Limits } from "./limits.ts";
import { FOLD_VERSION } from "../domain/profile/fact.ts";
import { leaseTasks } from "./lease_tasks.ts";
import { createSettler } from "./settling/settler.ts";
import { createSettling, type Settling } from "./settling/backpressure.ts";
import { openStore, type Store, type StoreOptions } from "./store/store.ts";
import { requestedErasures } from "./erasure/requests.ts";
import { type Comparison, verifyAll } from "./replay/verify.ts";
import { verifyLookup } from "./lookup/verify.ts";
import type { ActorKind } from "../domain/profile/fact.ts";
import { StorageUnavailable } from "./store/errors.ts";

/** A task waits for settling as long as it makes progress, and this long without progress. */
const STANDSTILL_MS = 30_000;

/** Longest wait of a task for a running erasure. */
const ERASED_MS = 600_000;

export interface ToolsOptions {
  /** As for a system: a path, a URL, `:memory:`, `undefined` for the platform's own; or an open store. */
  storage: string | undefined | Store;
  clock: Clock;
  newId(): string;
  /** Tests take smaller bounds. */
  limits?: Partial<Limits>;
  /** The version of the folds: a test has processes of several versions. */
  foldVersion?: number;
  /** Called with the error of a failed round of settling, which is retried. */
  onFault(error: unknown): void;
}

/** Failed rounds without progress after which a task gives up: a temporary fault ends earlier. */
const MAX_FAULTS = 20;

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

/**
 * Opens the tools. Unsettled events are settled first, by any process; throws {@link StorageUnavailable} if that fails, and
 * {@link OldDatabase} for a database of an older version.
 */
export async function openTools(options: ToolsOptions): Promise<Tools> {
  const { storage, clock, newId, onFault, foldVersion = FOLD_VERSION } = options;
  const limits = { ...LIMITS, ...options.limits };
  const store = await storeAt(storage, { clock, limits });
  await refuseOld(store);
  const journal = createJournal(store, limits);
  await journal.sync();
  const owner = newId();
  let faults = 0;
  const failing = Promise.withResolvers<never>();
  failing.promise.catch(() => {});
  const common = { source: store, store, journal, owner, clock, newId, limits, foldVersion };
  const settler = createSettler({
    store,
    owner,
    clock,
    newId,
    // A tool does not know the servers' window of dedup: it drops nothing.
    windowMs: 0,
    limits,
    foldVersion,
    betweenRounds: leaseTasks(limits),
    onFault(error) {
      if (++faults === 1) onFault(error);
      const why = error instanceof Error ? error.message : error;
      if (faults >= MAX_FAULTS) failing.reject(new StorageUnavailable(`settling fails: ${why}`));
    },
    onSettled: () => void (faults = 0),
  });
  const settling = createSettling({ clock, journal, limits }, () => settler);
  try {
    await Promise.race([untilSettled(store, journal, settling), failing.promise]);
  } finally {
    await settling.close();
  }
  return {
    store,
    replayOne: (actor) => replayOne(common, actor),
    replayAll: (onProgress) => rebuildAll({ ...common, target: store, onProgress }),
    async verifyAll(scratch, onProgress) {
      const target = await storeAt(scratch, { clock, limits });
      try {
        const comparison = await verifyAll({ ...common, target, onProgress });
        const others = [await verifyLookup(store), await verifyAudiences(common)];
        return {
          ...comparison,
          compared: others.reduce((sum, { compared }) => sum + compared, comparison.compared),
          differences: [...comparison.differences, ...others.flatMap(({ differences }) => differences)],
        };
      } finally {
        target.close();
      }
    },
    close: () => store.close(),
  };
}

/**
 * Resolves when all events of the journal are settled and all requested erasures are done; throws {@link
 * StorageUnavailable} if there is no progress.
 */
async function untilSettled(store: Store, journal: Journal, settling: Settling): Promise<void> {
  await settling.untilErased(await requestedErasures(store), ERASED_MS);
  const end = journal.end();
  let before: Position | undefined;
  while (journal.settledNow().position < end) {
    if (journal.settledNow().position === before) {
      throw new StorageUnavailable(
        `nothing was settled for ${
          STANDSTILL_MS / 1000
        } s: the log of the servers on this database may say why`,
      );
    }
    before = journal.settledNow().position;
    await settling.until(end, STANDSTILL_MS).catch((error) => {
      if (!(error instanceof StorageUnavailable)) throw error;
    });
  }
}

/** An open store, or the one of a storage setting. */
async function storeAt(storage: string | undefined | Store, options: StoreOptions): Promise<Store> {
  return typeof storage === "object" ? storage : await openStore(storage, options);
}
