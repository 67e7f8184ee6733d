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
 * seldom.
 */
export type Theme = "anything" | "readers" | "replays" | "lanes";

/** The weather of a history. */
export interface Weather {
  theme: Theme;
  writes: Rates<typeof WRITE_FAULTS[number]>;
  reads: Rates<typeof READ_FAULTS[number]>;
  /** The share of switches of generations that are done without their process being told so. */
  switches: number;
  /** The share of calls at which a process freezes. */
  freezes: number;
  /** The longest usual way of a request to the store, or of its answer (ms). */
  wayMs: number;
  /** Values in a batch of a list, at the most. */
  batchRows: number;
}

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
};

/** How much likelier writes of an unknown outcome are where histories are of lanes. */
const UNKNOWN = 6;

/** Draws the weather: some faults don't occur at all, so that others are seen undisturbed. */
export function drawWeather(random: Random): Weather {
  const theme = random.pick<Theme>(
    ["anything", "anything", "anything", "readers", "replays", "replays", "lanes", "lanes"],
  );
  const severity = random.pick(theme === "anything" || theme === "lanes" ? [0, 0.3, 1, 1, 2] : [0, 0.3]);
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
    writes: WRITE_FAULTS.map((fault) => [fault, rate(shareOf(fault))] as const),
    reads: READ_FAULTS.map((fault) =>
      [
        fault,
        rate(shareOf(fault)) * (fault.startsWith("kill") ? 0.2 : 1) + (fault === "read: slow" ? slow : 0),
      ] as const
    ),
    switches: theme === "replays" ? random.pick([0, 0.5, 0.8]) : 0,
    freezes: theme === "replays"
      ? 0.001
      : random.chance(0.5)
      ? 0
      : (theme === "lanes" ? 0.004 : 0.001) * random.next(),
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
