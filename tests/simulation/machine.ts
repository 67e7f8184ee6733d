/** A process of the product in a world: it starts, is killed at any call of the store, and starts again. */
import type { Store } from "../../actors/store/store.ts";
import type { System } from "../../actors/system.ts";
import type { Database } from "./database.ts";
import { openHandle } from "./handle.ts";
import type { Product } from "./product.ts";
import { beginThread } from "./thread.ts";
import type { Counts, Weather } from "./weather.ts";
import { type Owner, Violation, type World } from "./world.ts";

/** What all processes of a history share. */
export interface Site {
  world: World;
  database: Database;
  weather: Weather;
  counts: Counts;
  /** The window of dedup (ms); 0 is for ever. */
  windowMs: number;
  /** The right time of day (ms). */
  wallMs(): number;
  /** Nothing goes wrong any more, nor takes any time. */
  isCalm(): boolean;
  calm: boolean;
}

/** What came of asking a process for something. */
export type Outcome<T> = { value: T } | { error: unknown } | { died: true };

/** Within this time all processes have begun. */
const LATER_MS = 1_000;

/** Between a death and the next start. */
const DOWN_MS = 3_000;

/** Errors that say that storage did not answer, or that another process was first: whoever asked may ask again. */
const EXPECTED = [
  "Suppressed",
  "StorageUnavailable",
  "NotServing",
  "BatchTooLarge",
  "ReplayRefused",
  "LostFence",
  "Evicted",
];

/** Whether an error is one that callers are told to expect; any other is a bug. */
export function isExpected(error: unknown): boolean {
  return EXPECTED.includes(nameOf(error));
}

/** The name of an error, or of one that a thread told as a text. */
function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : String(error).split(/[:\n]/, 1)[0]!;
}

let lives = 0;

/** Begins to count processes anew: their numbers are part of a history. */
export function forgetLives(): void {
  lives = 0;
}

/** A life of a process: something that owns events, and a store over a handle of its own. */
export function beginLife(
  site: Site,
  product: Product,
  { frailty = 1, now = () => Math.floor(site.wallMs()) } = {},
) {
  const owner: Owner = { id: ++lives, alive: true, frozenUntilMs: 0 };
  const deaths: (() => void)[] = [];
  const end = () => {
    owner.alive = false;
    for (const tell of deaths.splice(0)) tell();
  };
  const die = () => {
    site.counts.killed++;
    site.world.note(6, () => `p${owner.id} dies`);
    end();
  };
  const clock = site.world.clockOf(owner, now);
  const store: Store = product.storeOf(openHandle({ ...site, owner, die, frailty }), {
    clock,
    limits: product.limits,
  });
  let ids = 0;
  return {
    owner,
    clock,
    store,
    die,
    /** Ends it as a process ends that is done. */
    end,
    /** Calls back at its end. */
    onDeath: (tell: () => void) => void deaths.push(tell),
    newId: () => `${owner.id}-${++ids}`,
    /** Asks for something, in the process: what it awaits is lost if it dies. */
    ask<T>(act: () => Promise<T>): Promise<Outcome<T>> {
      if (!owner.alive) return Promise.resolve({ died: true });
      return new Promise((resolve) => {
        deaths.push(() => resolve({ died: true }));
        site.world.at(0, owner, () => {
          act().then((value) => resolve({ value }), (error) => {
            if (!isExpected(error)) site.world.fail(new Violation(`unexpected error: ${textOf(error)}`));
            resolve({ error });
          });
        });
      });
    },
  };
}

/** A server process. */
export type Machine = ReturnType<typeof createMachine>;

/** Makes a server process and starts it. `skewMs` is what its clock is wrong by. */
export function createMachine(site: Site, product: Product, { frailty = 1 } = {}) {
  const { world } = site;
  const now = () => Math.floor(site.wallMs() + skewMs);
  let skewMs = 0;
  let life = beginLife(site, product, { frailty, now });
  let system: System | undefined;
  /**
   * Whether its settler has a thread of its own, as where storage is a file or a server. Not where histories are of
   * replays: a process that stands still as a whole is what these are about.
   */
  const isThreaded = site.weather.theme !== "replays" && world.random.chance(0.5);
  const waiting: (() => void)[] = [];

  function start(): void {
    life = beginLife(site, product, { frailty, now });
    system = undefined;
    const mine = life;
    world.note(7, () => `p${mine.owner.id} starts`);
    mine.onDeath(restart);
    mine.ask(() =>
      product.openSystem({
        storage: mine.store,
        limits: product.limits,
        foldVersion: product.foldVersion,
        ...isThreaded && {
          beginThread: (settings) => beginThread(site, product, { settings, process: mine, frailty, now }),
        },
        clock: mine.clock,
        newId: mine.newId,
        randomBytes: (bytes) => bytes.fill(7),
        dedupMs: site.windowMs,
        // It is a server.
        onOtherServer() {},
        onFault(error) {
          if (String(error).startsWith("worker failed; settling continues")) return;
          if (isExpected(error) || nameOf(error) === "NewerFold") return;
          world.fail(new Violation(`settling failed: ${textOf(error)}`));
        },
      })
    ).then((outcome) => {
      if ("value" in outcome) {
        system = outcome.value;
        for (const tell of waiting.splice(0)) tell();
      } else if ("error" in outcome) mine.end();
    });
  }

  function restart(): void {
    system = undefined;
    world.pause(world.random.between(1, DOWN_MS)).then(start);
  }

  // Some begin while others are at work, so that they join among them.
  if (world.random.chance(0.5)) start();
  else world.pause(world.random.between(0, LATER_MS)).then(start);
  return {
    now: () => site.wallMs() + skewMs,
    /** Asks its system for something, once it is up. */
    async ask<T>(act: (system: System) => Promise<T>): Promise<Outcome<T>> {
      while (system === undefined) await new Promise<void>((resolve) => waiting.push(resolve));
      const mine = system;
      return await life.ask(() => act(mine));
    },
    /** Moves its clock. */
    skew(ms: number): void {
      skewMs = ms;
    },
    /** Stops it as a server is stopped, and starts it again. */
    async stop(): Promise<void> {
      const mine = system;
      if (mine === undefined) return;
      const stopping = life;
      await stopping.ask(() => mine.close());
      if (stopping.owner.alive) stopping.end();
    },
    /** Whether it has stood still since a moment (virtual ms), its settler's thread apart. */
    stoodStill: (sinceMs: number) => life.owner.frozenUntilMs > sinceMs,
    /** Whether it is up. */
    isUp: () => system !== undefined,
  };
}

/** An error with its causes. */
export function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return `${error.stack}${error.cause === undefined ? "" : `\ncaused by ${textOf(error.cause)}`}`;
}
