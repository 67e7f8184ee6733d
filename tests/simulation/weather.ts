/** What befalls the store and the processes of one history, and how often: drawn anew for each history. */
import type { Random } from "./random.ts";

/** What may befall a write. */
export const WRITE_FAULTS = [
  /** It is not done, and the answer is `ok: false`, though nobody was in the way. */
  "conflict for nothing",
  "throws before applying",
  "throws after applying",
  "database is locked",
  /** It is done; no answer ever comes. */
  "applied, answer lost",
  /** It is not done; no answer ever comes. */
  "request lost",
  /** No answer comes; it is done, if its checks still hold, after seconds. */
  "lands late after no answer",
  /** It throws at once; it is done, if its checks still hold, after seconds. */
  "lands late after a throw",
  /** It throws at once; it is done, if its checks still hold, after a minute. */
  "lands a minute late",
  /** It is done, and the answer is `ok: false`, as where a client library has tried again. */
  "applied, answered ok:false",
  /** It is done, and once more after seconds, if its checks let it. */
  "delivered twice",
  /** It is done, and at once once more, if its checks let it; the answer is that of the second time. */
  "applied twice in a row",
  "slow",
  "killed before applying",
  "killed after applying",
  /** The process dies at once; it is done, if its checks still hold, after seconds. */
  "killed, lands late",
] as const;

/** What may befall a read. */
export const READ_FAULTS = [
  "read throws",
  "read: database is locked",
  "read: answer lost",
  "read: slow",
  "killed at a read",
] as const;

/** What may befall a process. */
export const PROCESS_FAULTS = [
  /** It stands still for longer than a lease; its clocks go on. */
  "process frozen",
  /** It stands still for so long that others take it for dead, and then goes on. */
  "process frozen for long",
  /** For many seconds no commit, nor what tells its outcome, arrives; then all do, in any order. All else is answered. */
  "commits of a process stall",
  /** It stands still just before a commit leaves it, so long that others may evict it; the commit leaves when it goes on. */
  "process frozen before a commit leaves",
  /** It stands still when a commit has left it: meanwhile others commit before it, and then settle all of it. */
  "process frozen before a commit is answered",
  "clock of a process jumps",
  "process stopped and started",
] as const;

/** What else is counted: what follows from faults. */
export const OUTCOMES = [
  "killed",
  /** That of the settler, alone: its process settles on without it. */
  "thread died",
  "conflict",
  "late write landed",
  "late write refused",
  "repeated write refused",
  "lease expired under a round",
] as const;

/** Whatever is counted. */
export type Counted =
  | typeof WRITE_FAULTS[number]
  | typeof READ_FAULTS[number]
  | typeof PROCESS_FAULTS[number]
  | typeof OUTCOMES[number];

/** How often each happened. */
export type Counts = Record<Counted, number>;

/** Counts of nothing. */
export function noCounts(): Counts {
  const all = [...WRITE_FAULTS, ...READ_FAULTS, ...PROCESS_FAULTS, ...OUTCOMES];
  return Object.fromEntries(all.map((name) => [name, 0])) as Counts;
}

/** Kinds of fault and the share of calls that each befalls. */
export type Rates<Fault> = readonly (readonly [fault: Fault, share: number])[];

/**
 * What a history is mostly about. Some are of many readers, of replays that get in each other's way, or of processes that
 * don't know what became of their writes, join, leave and are evicted: what goes wrong only there would else be met too
 * seldom. Directed ones are narrower still: people who are erased while others send their events, one id committed by
 * several processes, and one process whose commits stall.
 */
export type Theme = "anything" | "readers" | "replays" | "lanes" | Directed;
const DIRECTED = ["erasures", "copies", "stalls"] as const;
type Directed = typeof DIRECTED[number];

/** Each of so many histories is directed. */
const DIRECTED_EACH = 5;

/** The weather of a history. */
export interface Weather {
  theme: Theme;
  writes: Rates<typeof WRITE_FAULTS[number]>;
  reads: Rates<typeof READ_FAULTS[number]>;
  /** The share of switches of generations that are done without their process being told so. */
  switches: number;
  /** The share of calls at which a process freezes. */
  freezes: number;
  /** The share of commits at which those of their process begin to stall. */
  stalls: number;
  /** The share of commits before which their process stands still. */
  heldBack: number;
  /** What befalls commits besides. */
  commits: Rates<typeof WRITE_FAULTS[number]>;
  /** The share of commits after which their process stands still. */
  heldUp: number;
  /** The longest usual way of a request to the store, or of its answer (ms). */
  wayMs: number;
  /** Values in a batch of a list, at the most. */
  batchRows: number;
}

/** What changes of a weather that clears. */
export const CLEAR = {
  writes: [],
  reads: [],
  switches: 0,
  freezes: 0,
  stalls: 0,
  heldBack: 0,
  heldUp: 0,
  commits: [],
} satisfies Partial<Weather>;

/** Kills are rarer than other faults: a process that only dies does nothing. */
const KILL_SHARE = 0.004;
/** What costs a deadline of 10 s is rare too. */
const SILENCE_SHARE = 0.01;
const WRITE_SHARE = 0.05;
const READ_SHARE = 0.01;
/** The share of reads that are slow besides: much happens between what a process reads and what it does next. */
const SLOW_SHARES = {
  anything: [0, 0, 0.1],
  readers: [0, 0.03],
  replays: [0, 0, 0.03],
  lanes: [0, 0.03, 0.1],
  erasures: [0, 0.03],
  copies: [0, 0.03],
  stalls: [0],
};

/** How bad the weather may be. */
const SEVERITIES = {
  anything: [0, 0.3, 1, 1, 2],
  readers: [0, 0.3],
  replays: [0, 0.3],
  lanes: [0, 0.3, 1, 1, 2],
  erasures: [0, 0.3, 1],
  copies: [0, 0.3],
  stalls: [0],
};

/** What befalls commits, and nothing else, in directed histories: the settler goes on undisturbed. */
const COMMIT_FAULTS: Partial<Record<Theme, Rates<typeof WRITE_FAULTS[number]>>> = {
  erasures: [["killed, lands late", 0.05]],
  copies: [["slow", 0.15], ["lands late after no answer", 0.1]],
};

/** The share of commits at which those of their process begin to stall. */
const STALLS = { anything: 0, readers: 0, replays: 0, lanes: 0, erasures: 0.02, copies: 0, stalls: 0.15 };

/** The share of commits before which their process stands still, where somebody is erased. */
const HELD_BACK = 0.03;

/** The share of commits after which their process stands still, where one id is committed by several processes. */
const HELD_UP = 0.2;

/** How much likelier writes of an unknown outcome are where histories are of lanes. */
const UNKNOWN = 6;

/** Draws the weather: some faults don't occur at all, so that others are seen undisturbed. */
export function drawWeather(random: Random, seed: number): Weather {
  const theme = seed % DIRECTED_EACH === 0
    ? DIRECTED[Math.floor(seed / DIRECTED_EACH) % DIRECTED.length]!
    : random.pick<Theme>(
      ["anything", "anything", "anything", "readers", "replays", "replays", "lanes", "lanes"],
    );
  const severity = random.pick(SEVERITIES[theme]);
  const rate = (share: number) => random.chance(0.4) ? 0 : severity * share * random.next();
  const shareOf = (fault: Counted) =>
    fault.startsWith("killed")
      ? KILL_SHARE
      : /lost|no answer/.test(fault)
      ? SILENCE_SHARE * (theme === "lanes" && !fault.startsWith("read") ? UNKNOWN : 1)
      : fault.startsWith("read")
      ? READ_SHARE
      : WRITE_SHARE;
  const slow = random.pick(SLOW_SHARES[theme]);
  return {
    theme,
    writes: WRITE_FAULTS.map((fault) =>
      [fault, fault === "killed, lands late" ? 0 : rate(shareOf(fault))] as const
    ),
    reads: READ_FAULTS.map((fault) =>
      [
        fault,
        rate(shareOf(fault)) * (fault.startsWith("kill") ? 0.2 : 1) + (fault === "read: slow" ? slow : 0),
      ] as const
    ),
    switches: theme === "replays" ? random.pick([0, 0.5, 0.8]) : 0,
    freezes: theme === "replays"
      ? 0.001
      : theme === "stalls"
      ? 0
      : random.chance(0.5)
      ? 0
      : (theme === "lanes" ? 0.004 : 0.001) * random.next(),
    stalls: STALLS[theme],
    heldBack: theme === "erasures" ? HELD_BACK : 0,
    commits: COMMIT_FAULTS[theme] ?? [],
    heldUp: theme === "copies" ? HELD_UP : 0,
    wayMs: random.pick([0.2, 1, 1, 5, 30]),
    batchRows: random.pick([1, 2, 3, 1000]),
  };
}

/** Draws what befalls one call; `undefined` is nothing. */
export function draw<Fault>(random: Random, rates: Rates<Fault>): Fault | undefined {
  let left = random.next();
  for (const [fault, share] of rates) if ((left -= share) < 0) return fault;
  return undefined;
}
