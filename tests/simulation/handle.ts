/**
 * A process's handle on the database: the calls of Deno KV that signalfold uses, over a network that the weather makes.
 * A request takes its way, is served at one moment, and the answer takes its way back; any of it may go wrong.
 */
import type { Kv } from "../../actors/store/store.ts";
import { COMMIT_STAMP, copyOf, type Database, type Operation, type Stored } from "./database.ts";
import { type Counts, draw, type READ_FAULTS, type Weather, type WRITE_FAULTS } from "./weather.ts";
import { isRepeatable } from "./watch.ts";
import { type Owner, Violation, type World } from "./world.ts";

/** What a handle needs. */
export interface HandleOptions {
  world: World;
  database: Database;
  weather: Weather;
  counts: Counts;
  /** The process. */
  owner: Owner;
  /** Ends the process at once: nothing that it waits for happens any more. */
  die(): void;
  /** Whether nothing goes wrong any more, nor takes any time. */
  isCalm(): boolean;
  /** How much likelier than others it freezes. */
  frailty?: number;
}

/** What SQLite says where another process writes, by a TypeError of Deno KV. */
const LOCKED = "database is locked";

/** A slow answer takes up to so long: longer than a lease, and at times longer than a call may take. */
const SLOW_MS = 12_000;

/** A late or repeated write lands after up to so long; some land after a minute, when all has moved on. */
const LATE_MS = 30_000;
const MINUTE_MS = [60_000, 75_000] as const;

/**
 * A frozen process stands still for longer than a lease, and at times for longer than a request may take; now and then for
 * so long that others take it for dead.
 */
const FREEZE_MS = [5_500, 14_000] as const;
const DEAD_MS = [16_000, 40_000] as const;
const DEAD_SHARE = 0.3;

/** The longest usual way of a process that is far away. */
const FAR_MS = 150;

/** Some processes are far away: much happens between two of their steps. More are where histories are of readers. */
const FARNESS = {
  anything: [1, 1, 1, 10, 50],
  readers: [1, 1, 10, 50, 50],
  replays: [1, 10, 50, 50, 50],
  lanes: [1, 1, 10, 50],
  erasures: [1, 1, 10],
  copies: [1, 10, 50],
  stalls: [1, 10],
};

/** Before a commit leaves a process stands still for less than a sender waits, and longer than others wait. */
const HELD_BACK_MS = [7_000, 9_800] as const;
/** So long others have to commit before it lands, and as long to settle it before its process sees the answer. */
const HELD_UP_MS = [500, 2_400] as const;
const HELD_BACK_STALL_MS = [5_000, 40_000] as const;

/** Commits stall for so long: less or more than a sender waits, and than others wait until they evict. */
const STALL_MS = [4_000, 9_500, 11_000, 16_000, 25_000];
/** Those that have stalled arrive within so long, in any order. */
const STALL_OVER_MS = 1_000;

/** How much likelier a process freezes when it has just renewed a lease, and counts on it. */
const RENEWED = 10;

/** Values in a batch of a list where the caller does not say. */
const BATCH_ROWS = 100;

/** What befalls a switch of generations in some histories: it is done, and who did it is told otherwise, late. */
const SWITCH_FAULTS = ["applied, answered ok:false", "throws after applying"] as const;

/** Whether an operation puts what was folded again in the place of what there was: it is made once in a replay. */
function isSwitch({ checks, sets }: Operation): boolean {
  return sets.some(([key]) => key[0] === "settled") && checks.some(({ key }) => key[0] === "rebuild");
}

/** A process's handle. */
export function openHandle(options: HandleOptions): Kv {
  const { world, database, weather, counts, owner, die, isCalm, frailty = 1 } = options;
  const { random } = world;
  const farness = random.pick(FARNESS[frailty === 1 ? weather.theme : "anything"]);
  let stalledUntilMs = -Infinity;
  const way = () => Math.min(FAR_MS, weather.wayMs * farness) * random.next() * (random.chance(0.1) ? 5 : 1);

  /** Lets what befalls a process with a call befall it; true where it is dead. */
  function befalls(fault: string | undefined, isRenewal = false): boolean {
    if (fault !== undefined) counts[fault as keyof Counts]++;
    if (weather.freezes > 0 && random.chance(weather.freezes * frailty * (isRenewal ? RENEWED : 1))) {
      const isLong = random.chance(DEAD_SHARE);
      counts[isLong ? "process frozen for long" : "process frozen"]++;
      const [fromMs, toMs] = isLong ? DEAD_MS : FREEZE_MS;
      owner.frozenUntilMs = world.nowMs() + random.between(fromMs, toMs);
    }
    if (!fault?.startsWith("killed")) return false;
    die();
    return true;
  }

  function read<T>(what: () => string, serve: () => T): Promise<T> {
    if (!owner.alive) return new Promise(() => {});
    if (isCalm()) return Promise.resolve(serve());
    const fault: typeof READ_FAULTS[number] | undefined = draw(random, weather.reads);
    world.note(1, () => `p${owner.id} reads ${what()}${fault === undefined ? "" : ` [${fault}]`}`);
    if (befalls(fault)) return new Promise(() => {});
    return new Promise((resolve, reject) => {
      if (fault === "read: answer lost") return;
      const there = way();
      const back = there + way() + (fault === "read: slow" ? random.between(500, SLOW_MS) : 0);
      if (fault === "read throws" || fault === "read: database is locked") {
        const error = fault === "read throws" ? new Error("connection reset") : new TypeError(LOCKED);
        return world.at(back, owner, () => reject(error));
      }
      world.silently(there, () => {
        const answer = serve();
        world.at(back - there, owner, () => resolve(answer));
      });
    });
  }

  function write(operation: Operation): Promise<Deno.KvCommitResult | Deno.KvCommitError> {
    if (!owner.alive) return new Promise(() => {});
    const result = (stamp: string | null) =>
      stamp === null ? { ok: false } as const : { ok: true, versionstamp: stamp } as const;
    if (isCalm()) return Promise.resolve().then(() => result(database.apply(operation)));
    if (stalls(operation)) return stalled(operation);
    const isMissed = isSwitch(operation) && random.chance(weather.switches);
    const fault: typeof WRITE_FAULTS[number] | undefined = isMissed
      ? random.pick(SWITCH_FAULTS)
      : drawCommit(operation) ?? draw(random, weather.writes);
    const text = () => describe(operation);
    world.note(2, () => `p${owner.id} writes ${text()}${fault === undefined ? "" : ` [${fault}]`}`);
    const there = heldBackMs(operation) + heldUpMs(operation) + way();
    const back = there + way() + (fault === "slow" || isMissed ? random.between(500, SLOW_MS) : 0);
    const dead = befalls(fault, operation.sets.length === 1);
    return new Promise((resolve, reject) => {
      const answer = (act: () => void) => {
        if (!dead) world.at(back - there, owner, act);
      };
      const refuse = (error: Error) => world.at(back, owner, () => reject(error));
      const late = (fromMs = 1_000, toMs = LATE_MS) => land(operation, random.between(fromMs, toMs));
      switch (fault) {
        case "conflict for nothing":
          return world.at(back, owner, () => resolve(result(null)));
        case "throws before applying":
          return refuse(new Error("connection reset"));
        case "database is locked":
          return refuse(new TypeError(LOCKED));
        case "request lost":
        case "killed before applying":
          return;
        case "killed, lands late":
          return late();
        case "lands late after a throw":
          refuse(new Error("connection reset"));
          return late();
        case "lands late after no answer":
          return late();
        case "lands a minute late":
          refuse(new Error("connection reset"));
          return late(...MINUTE_MS);
      }
      world.silently(there, () => {
        let stamp: string | null;
        try {
          stamp = database.apply(operation);
        } catch (error) {
          if (error instanceof Violation) throw error;
          return answer(() => reject(error));
        }
        world.note(stamp === null ? 4 : 5, () => `  ${stamp === null ? "conflict" : stamp}: ${text()}`);
        if (stamp === null) counts.conflict++;
        if (fault === "delivered twice" && stamp !== null) repeat(operation);
        if (fault === "applied twice in a row" && stamp !== null) stamp = again(operation);
        if (fault === "applied, answer lost") return;
        if (fault === "throws after applying") return answer(() => reject(new Error("connection reset")));
        answer(() => resolve(result(fault === "applied, answered ok:false" ? null : stamp)));
      });
    });
  }

  /** Does an operation late, if its checks still hold. */
  function land(operation: Operation, afterMs: number): void {
    world.silently(afterMs, () => {
      const landed = database.apply(operation) !== null;
      counts[landed ? "late write landed" : "late write refused"]++;
      world.note(
        3,
        () => `p${owner.id}'s late write ${landed ? "lands" : "is refused"}: ${describe(operation)}`,
      );
    });
  }

  function drawCommit({ sets }: Operation) {
    const isCommit = weather.commits.length > 0 && sets.some(([key]) => key[0] === "journal");
    return isCommit ? draw(random, weather.commits) : undefined;
  }

  /** Whether something befalls a write that may befall a share of all commits; where it never does, nothing is drawn. */
  function befallsCommit({ sets }: Operation, share: number): boolean {
    return share > 0 && sets.some(([key]) => key[0] === "journal") && random.chance(share);
  }

  /** Whether a write is a commit, or tells what became of one, and these stall; that may begin with it. */
  function stalls(operation: Operation): boolean {
    const { checks, sets } = operation;
    const isOfRoster = sets.some(([key]) => key[0] === "roster");
    if (isOfRoster || !checks.some(({ key }) => key[0] === "lane")) return false;
    if (stalledUntilMs > world.nowMs()) return true;
    if (!befallsCommit(operation, weather.stalls)) return false;
    counts["commits of a process stall"]++;
    stalledUntilMs = world.nowMs() + random.pick(STALL_MS);
    return true;
  }

  /** How long a process stands still before a commit leaves it (ms). */
  function heldBackMs(operation: Operation): number {
    if (!befallsCommit(operation, weather.heldBack)) return 0;
    counts["process frozen before a commit leaves"]++;
    const ms = random.between(...HELD_BACK_MS);
    owner.frozenUntilMs = world.nowMs() + ms;
    // What it commits then takes longer than an erasure.
    stalledUntilMs = owner.frozenUntilMs + random.between(...HELD_BACK_STALL_MS);
    return ms;
  }

  /** How long a commit is on its way while its process stands still (ms), which it does for twice as long. */
  function heldUpMs(operation: Operation): number {
    if (!befallsCommit(operation, weather.heldUp)) return 0;
    counts["process frozen before a commit is answered"]++;
    const ms = random.between(...HELD_UP_MS);
    owner.frozenUntilMs = world.nowMs() + 2 * ms;
    return ms;
  }

  function stalled(operation: Operation): Promise<never> {
    world.note(2, () => `p${owner.id} writes ${describe(operation)} [stalls]`);
    land(operation, stalledUntilMs - world.nowMs() + random.next() * STALL_OVER_MS);
    return new Promise(() => {});
  }

  function repeat(operation: Operation): void {
    world.silently(random.between(1, LATE_MS), () => void again(operation));
  }

  /** Does an operation that is done once more, and gives the answer. */
  function again(operation: Operation): string | null {
    const stamp = database.apply(operation);
    if (stamp !== null && !isRepeatable(operation)) {
      throw new Violation(`invariant 6: a repeated write was done twice: ${describe(operation)}`);
    }
    if (stamp === null) counts["repeated write refused"]++;
    return stamp;
  }

  const entryOf = <T>(key: Deno.KvKey): Deno.KvEntryMaybe<T> => shown<T>(database.get(key), key);

  return {
    get: <T>(key: Deno.KvKey) => read(() => shownKey(key), () => entryOf<T>(key)),
    getMany: <T extends readonly unknown[]>(keys: readonly Deno.KvKey[]) => {
      if (keys.length > 10) throw new TypeError("Too many keys (max 10)");
      const answer = read(() => keys.map(shownKey).join(" "), () => keys.map((key) => entryOf(key)));
      return answer as Promise<{ [K in keyof T]: Deno.KvEntryMaybe<T[K]> }>;
    },
    list: <T>(selector: Deno.KvListSelector, given: Deno.KvListOptions = {}) =>
      listing<T>(selector, given) as unknown as Deno.KvListIterator<T>,
    atomic: () => operationOf(write),
    commitVersionstamp: () => COMMIT_STAMP as ReturnType<Deno.Kv["commitVersionstamp"]>,
    close() {},
  };

  /** Lists in batches, each of which is read at a moment of its own; one that fails may be asked for again. */
  function listing<T>(
    selector: Deno.KvListSelector,
    { limit = Infinity, reverse = false, batchSize = BATCH_ROWS }: Deno.KvListOptions,
  ) {
    let batch: Deno.KvEntryMaybe<T>[] = [];
    let at = 0;
    let left = limit;
    let isLast = false;
    let after: Deno.KvKey | undefined;
    return {
      async next() {
        if (at === batch.length && !isLast && left > 0) {
          const wanted = Math.min(left, batchSize, isCalm() ? Infinity : weather.batchRows);
          batch = await read(
            () => `list ${JSON.stringify(selector)}`,
            () =>
              database.list(selector, { limit: wanted, reverse, after }).map((row) => shown<T>(row, row.key)),
          );
          at = 0;
          left -= batch.length;
          isLast = batch.length < wanted;
          after = batch.at(-1)?.key;
        }
        return at < batch.length ? { done: false, value: batch[at++]! } : { done: true, value: undefined };
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }
}

/** An atomic operation to be; values are copied when they are handed in. */
function operationOf(
  write: (operation: Operation) => Promise<Deno.KvCommitResult | Deno.KvCommitError>,
): Deno.AtomicOperation {
  const operation: Operation = { checks: [], sets: [], deletes: [] };
  const self = {
    check(...checks: Deno.AtomicCheck[]) {
      operation.checks.push(...checks);
      return self;
    },
    set(key: Deno.KvKey, value: unknown) {
      operation.sets.push([key, copyOf(value)]);
      return self;
    },
    delete(key: Deno.KvKey) {
      operation.deletes.push(key);
      return self;
    },
    commit: () => write(operation),
  };
  return self as unknown as Deno.AtomicOperation;
}

function shown<T>(row: Stored | undefined, key: Deno.KvKey): Deno.KvEntryMaybe<T> {
  if (row === undefined) return { key, value: null, versionstamp: null };
  return { key, value: copyOf(row.value) as T, versionstamp: row.stamp };
}

function shownKey(key: Deno.KvKey): string {
  return key.map(String).join("/");
}

/** An operation in a line. */
function describe({ checks, sets, deletes }: Operation): string {
  const checked = checks.map(({ key, versionstamp }) =>
    `${shownKey(key)}@${versionstamp?.replace(/^0+/, "")}`
  );
  const all = [...sets.map(([key]) => shownKey(key)), ...deletes.map((key) => `-${shownKey(key)}`)];
  return `if ${checked.join(" ")}: ${all.join(" ")}`;
}
