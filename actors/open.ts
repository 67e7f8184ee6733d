/** Puts the actors together over one store. */
import { createAudiences } from "./audiences/audiences.ts";
import { AUDIENCES_SENDER } from "./audiences/transition_event.ts";
import { createCommitter } from "./appending/appender.ts";
import { createEventContracts } from "./governance/contracts.ts";
import { createAudit } from "./configuration/audit.ts";
import { createCounts } from "./stats/counts.ts";
import type { Clock } from "./store/clock.ts";
import { type ClockGuard, createClockGuard, startNotice } from "./store/clock_guard.ts";
import { createErasure } from "./erasure/requests_api.ts";
import { gaugesOf, oldestUnsettledMs, statsOf } from "./stats/gauges.ts";
import { createForwarding, type ForwardingSettings } from "./forwarding/forwarding.ts";
import { createFeed } from "./journal/feed.ts";
import { createJournal, erasuresOf } from "./journal/journal_state.ts";
import { createLookup } from "./lookup/lookup.ts";
import { createLive } from "./live/live_feed.ts";
import { beginThread, type ThreadSettings } from "./settler_host.ts";
import { LIMITS, type Limits } from "./limits.ts";
import { FOLD_VERSION } from "../domain/profile/fact.ts";
import { leaseTasks } from "./lease_tasks.ts";
import { createProbe } from "./store/write_check.ts";
import { createMembership } from "./lanes/membership.ts";
import { createQuarantine } from "./governance/quarantine.ts";
import { createRateLimits } from "./governance/rate_limits.ts";
import { createReader } from "./reading/profiles.ts";
import { createReplays } from "./replay/requests.ts";
import { openSecret } from "./dedup/digest_secret.ts";
import { createSettler, type Settler, type SettlerOptions } from "./settling/settler.ts";
import { type SettlerThread, startSettler } from "./settling/settler_thread.ts";
import { createSettling } from "./settling/backpressure.ts";
import { isDatabaseFile } from "./store/database_file.ts";
import { openStore, type Store } from "./store/store.ts";
import { createTraces } from "./reading/event_trace.ts";
import { openSuppression } from "./erasure/suppression.ts";
import type { Observer, System } from "./system.ts";
import { requestedErasures } from "./erasure/requests.ts";
import { createTransformations } from "./transformation/transformations.ts";
import { openWriteKeys } from "./governance/write_keys.ts";
import { NotServing } from "./store/errors.ts";

/** Longest settling of one tick; the next continues. */
const TICK_MS = 60_000;

/** Destinations can be defined, and nothing is delivered. */
const NO_FORWARDING: ForwardingSettings = { allow: { networks: [], hosts: new Set() }, delivers: false };

/** What the actors are given: time and randomness come from outside. */
export interface OpenOptions {
  /** A file path, `:memory:`, an `http(s)://` KV Connect URL, `undefined` for the platform's own; or an open store. */
  storage: string | undefined | Store;
  clock: Clock;
  newId(): string;
  randomBytes(bytes: Uint8Array): void;
  /** The window of dedup in ms; 0 is for ever. */
  dedupMs: number;
  /** Called with the error of a failed round of settling, which is retried. */
  onFault(error: unknown): void;
  observer?: Observer;
  /** Tests take smaller bounds. */
  limits?: Partial<Limits>;
  /** The version of the folds: a test has processes of several versions. */
  foldVersion?: number;
  /** Begins the settling thread. By default there is one if a thread can open the same storage. */
  beginThread?(settings: ThreadSettings): SettlerThread;
  /**
   * Called with one line if the time of day was set while the process ran, and when it is right again. Without it
   * nothing guards the clock.
   */
  onClockMoved?(message: string): void;
  /** The traits by which users and groups are looked up; without them there is no index. */
  lookupTraits?: readonly string[];
  /** How events are forwarded. Without it destinations can be defined, and nothing is delivered by this process. */
  forwarding?: ForwardingSettings;
  /** Given by a server: called with one line if another server uses the same database file. */
  onOtherServer?(message: string): void;
}

/** The notice of a second server on one file. */
const OTHER_SERVER =
  "Another server uses this database file. To run several, start a local denokv and set KV_URL " +
  "to its address.";

/**
 * Opens signalfold: reads the unsettled events, and continues where the last process stopped. This function is long
 * because it joins all rooms: one statement per part, without branches.
 */
export async function openSystem(options: OpenOptions): Promise<System> {
  const { clock, newId, observer, foldVersion = FOLD_VERSION } = options;
  const limits = { ...LIMITS, ...options.limits };
  const store = typeof options.storage === "object"
    ? options.storage
    : await openStore(options.storage, { clock, limits });
  const owner = newId();
  const secret = await openSecret(store, options.randomBytes);
  const journal = createJournal(store, limits);
  await journal.sync();
  const settling = createSettling({ clock, journal, limits }, ({ failed, moved }) =>
    settlerOf(options, {
      store,
      owner,
      clock,
      newId,
      windowMs: options.dedupMs,
      limits,
      foldVersion,
      betweenRounds: leaseTasks(limits),
      onFault(error) {
        failed();
        observer?.settlingFailed?.();
        options.onFault(error);
      },
      onSettled: moved,
      onRound: (round) => observer?.settled?.(round),
    }));
  const clockGuard = guardOf(options, journal.head().at);
  function guard(): void {
    const fault = clockGuard?.fault();
    if (fault === undefined) return;
    throw new NotServing(fault, "clock_moved");
  }
  const probe = createProbe(store, { clock, newId });
  const membership = createMembership({
    store,
    clock,
    newId,
    limits,
    isServer: options.onOtherServer !== undefined,
    readOn: journal.sync,
    requestedErasures: () => requestedErasures(store),
    async learnErasures() {
      const requested = await requestedErasures(store);
      await suppression.refresh();
      return requested;
    },
    onFault: options.onFault,
    onOtherServer() {
      if (typeof options.storage === "string" && isDatabaseFile(options.storage)) {
        options.onOtherServer?.(OTHER_SERVER);
      }
    },
  });
  journal.join(membership);
  const feed = createLive({
    store,
    journal,
    id: owner,
    clock,
    limits,
  });
  const committer = createCommitter({
    store,
    journal,
    membership,
    secret,
    clock,
    limits,
    newId,
    guard,
    room: settling.room,
    suppression: {
      version: () => suppression.version(),
      isAny: (events) => suppression.isAny(events),
    },
    observer,
  });
  for (const follower of [settling.wake, feed.moved]) journal.onAdvance(follower);
  const writeKeys = await openWriteKeys({ store, clock, newId, randomBytes: options.randomBytes });
  const counts = createCounts({ store, owner, clock, newId, foldVersion });
  const reader = createReader({ store, clock, journal, settling, limits, foldVersion });
  const { linkedSince } = reader;
  const suppression = await openSuppression(store, { clock, secret, limits, linkedSince });
  const contracts = createEventContracts({ store, clock, newId });
  const quarantine = createQuarantine({
    store,
    clock,
    newId,
    erasures: () => erasuresOf(journal.settledNow()),
  });
  counts.watch(contracts.violations);
  const erasure = createErasure({
    store,
    clock,
    journal,
    settling,
    suppression,
    secret,
    newId,
    limits,
    foldVersion,
    announce: membership.learn,
    countRejected: quarantine.count,
  });
  // So that waiting events are found too.
  erasure.onErase(quarantine.flush);
  erasure.onErase(feed.forget);
  const rateLimits = createRateLimits({ store, owner, now: clock.now });
  const replays = createReplays({
    store,
    journal,
    settling,
    clock,
    newId,
    limits,
    foldVersion,
    onFault: options.onFault,
  });
  const transformations = createTransformations({
    store,
    clock,
    newId,
    createRolling: reader.rolling,
    usersOf: (name) => forwarding.usersOf(name),
    onFault: options.onFault,
  });
  erasure.onErase(() => Promise.resolve(transformations.forgetPeople()));
  const audiences = createAudiences({
    store,
    clock,
    newId,
    owner,
    foldVersion,
    limits,
    journal,
    settling,
    reader,
    append: async (events) => void await committer.commit(events, AUDIENCES_SENDER),
    onFault: options.onFault,
  });
  journal.onAdvance(audiences.wake);
  const { lookup, follower } = createLookup({
    store,
    clock,
    newId,
    owner,
    journal,
    settling,
    reader,
    traits: options.lookupTraits ?? [],
    onFault: options.onFault,
  });
  if (lookup.traits.length > 0) {
    journal.onAdvance(follower.wake);
    follower.wake();
  }
  const forwarding = createForwarding({
    ...options,
    store,
    journal,
    owner,
    secret,
    reader,
    transformations,
    settings: options.forwarding ?? NO_FORWARDING,
  });
  if (options.forwarding !== undefined && options.forwarding.delivers !== false) {
    journal.onAdvance(forwarding.wake);
    forwarding.start();
  }
  settling.wake();
  // A server joins before its first request comes; where storage does not answer, that request joins.
  if (options.onOtherServer !== undefined) membership.join().catch(() => {});
  return {
    commit: committer.commit,
    commitStored: committer.commitStored,
    reader,
    traces: createTraces({ store, clock, journal, secret, limits, foldVersion }),
    live: feed.live,
    writeKeys,
    counts,
    suppression,
    erasure,
    contracts,
    feed: createFeed({ store, clock, journal }),
    lookup,
    audit: createAudit({ store, clock, newId }),
    quarantine,
    rateLimits,
    replays,
    transformations,
    audiences,
    forwarding,
    async stats() {
      await journal.sync();
      const stats = statsOf(journal);
      Object.assign(stats.subscriptions, await audiences.lag());
      return { ...stats, oldestUnsettledMs: await oldestUnsettledMs(store, journal, clock.now()) };
    },
    async gauges() {
      const gauges = await gaugesOf(journal, clock);
      if (gauges.storageAnswers) Object.assign(gauges.subscriptions, await audiences.lag().catch(() => ({})));
      return gauges;
    },
    async ready() {
      guard();
      settling.check();
      await probe();
    },
    async tick() {
      await journal.sync();
      await settling.until(journal.end(), TICK_MS);
      await settling.untilErased(await requestedErasures(store), TICK_MS);
      await quarantine.sweep();
      await replays.tick(TICK_MS);
      await audiences.tick(TICK_MS);
      await forwarding.tick(TICK_MS);
    },
    async close() {
      clockGuard?.close();
      feed.live.end();
      transformations.close();
      await forwarding.close();
      await follower.close();
      await replays.close();
      await audiences.close();
      // First: requests that wait for room in the tail get it, or are refused.
      const closing = settling.close();
      await committer.idle();
      await counts.close();
      await closing;
      const parts = [membership, feed, quarantine, rateLimits, writeKeys];
      await Promise.all(parts.map((part) => part.close()));
      store.close();
    },
  };
}

/**
 * The running guard of the clock, if there is one. It first reports what a start must say; `at` is the time of the
 * newest commit.
 */
function guardOf({ clock, onClockMoved }: OpenOptions, at: number): ClockGuard | undefined {
  if (onClockMoved === undefined) return undefined;
  const notice = startNotice(clock.now(), at);
  if (notice !== undefined) onClockMoved(notice);
  const guard = createClockGuard({ clock, onMoved: onClockMoved });
  guard.start();
  return guard;
}

/**
 * A settler in its own thread if that can open the same storage; otherwise in this one: for memory, for an open store,
 * and for the platform's storage, where threads are not certain.
 */
function settlerOf(
  { storage, beginThread: begin }: OpenOptions,
  options: SettlerOptions & { limits: Limits },
): Settler {
  const shared = typeof storage === "string" && storage !== ":memory:" ? storage : undefined;
  if (shared === undefined && begin === undefined) return createSettler(options);
  const { owner, windowMs, limits, foldVersion } = options;
  const settings = { storage: shared, owner, windowMs, limits, foldVersion };
  return startSettler(options, () => (begin ?? beginThread)(settings));
}
