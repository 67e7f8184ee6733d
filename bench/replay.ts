/**
 * How fast everything is folded again: `deno task replay --all` on a file, against the same entries folded in memory.
 *
 * deno task bench:replay [--events N] [--users N] [--rounds N]
 *
 * The two take turns, and the median of each counts. What the benches of whole runs share stands here too.
 */
import { stampOf } from "../domain/event/position.ts";
import { parseArgs } from "node:util";
import { systemClock } from "../actors/store/clock.ts";
import { linesOfBody } from "../actors/journal/body.ts";
import { type JournalEntry, positionIn, readJournal } from "../actors/journal/read_journal.ts";
import { parseExact } from "../domain/event/exact_json.ts";
import { bodyKey } from "../actors/store/keys.ts";
import { openSystem } from "../actors/open.ts";
import type { Store } from "../actors/store/store.ts";
import type { System } from "../actors/system.ts";
import { openTools, type Tools } from "../actors/maintenance.ts";
import {
  type Anonymous,
  emptyAnonymous,
  evolveAnonymous,
  foldAnonymous,
} from "../domain/profile/anonymous.ts";
import type { StoredEvent } from "../domain/event/event.ts";
import { actorsOf, type Fact, factOf } from "../domain/profile/fact.ts";
import { emptyGroup, evolveGroup, type Group } from "../domain/profile/group.ts";
import { emptyPerson, evolvePerson, type Person } from "../domain/profile/person.ts";
import { TEMPLATES } from "./load/events.ts";
import { barTable, type Outcome } from "./load/report.ts";
import { StorageUnavailable } from "../actors/store/errors.ts";

const HELP = `deno task bench:replay [--events N] [--users N] [--rounds N]

Folds all events of a database file again, as "deno task replay --all" does, in turn with the ceiling: reading the same
entries, inflating, parsing and folding them in memory.

  --events N   events in the journal (300000)
  --users N    users they are spread over (20000)
  --rounds N   times that each of the two is measured; the median counts (3)
  --help       this text`;

/** What a bench is run with. */
export interface Stage<Sizes> {
  sizes: Sizes;
  /** A folder for this run alone. */
  dir: string;
  /** What is to be stopped at the end of the run, however it comes. */
  atEnd: AsyncDisposableStack;
}

/**
 * Runs a bench and ends the process: sizes from the command line, which are whole numbers from 1; a folder that is
 * taken away at the end; and the bars with what was reached, `met` or `missed`, neither of which is a failure.
 */
export async function runBench<Sizes extends Record<string, number>>(
  { help, sizes }: { help: string; sizes: Sizes },
  bench: (stage: Stage<Sizes>) => Promise<Outcome[]>,
): Promise<never> {
  const asked = readSizes(help, sizes);
  const interrupted = Promise.withResolvers<undefined>();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => interrupted.resolve(undefined));
  }
  const atEnd = new AsyncDisposableStack();
  let reached: Outcome[] | undefined;
  try {
    const dir = await Deno.makeTempDir({ prefix: "signalfold-bench-" });
    atEnd.defer(() => Deno.remove(dir, { recursive: true }));
    console.log(`Deno ${Deno.version.deno}, ${navigator.hardwareConcurrency} cores, data in ${dir}`);
    reached = await Promise.race([bench({ sizes: asked, dir, atEnd }), interrupted.promise]);
  } finally {
    await atEnd.disposeAsync();
  }
  if (reached !== undefined && reached.length > 0) console.log(`\n${barTable(reached)}`);
  Deno.exit(reached === undefined ? 130 : 0);
}

function readSizes<Sizes extends Record<string, number>>(help: string, sizes: Sizes): Sizes {
  const options = Object.fromEntries(Object.keys(sizes).map((name) => [name, { type: "string" as const }]));
  try {
    const { values } = parseArgs({ args: Deno.args, options: { ...options, help: { type: "boolean" } } });
    if (values.help) {
      console.log(help);
      Deno.exit(0);
    }
    const asked: Record<string, number> = { ...sizes };
    for (const [name, text] of Object.entries(values)) {
      asked[name] = Number(text);
      if (!Number.isSafeInteger(asked[name]) || asked[name] < 1) {
        throw new RangeError(`--${name} takes a whole number from 1, not ${text}`);
      }
    }
    return asked as Sizes;
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${help}`);
    Deno.exit(1);
  }
}

/** A bar and the ratio that was reached. */
export function outcome(says: string, ratio: number, bar: { atLeast: number } | { atMost: number }): Outcome {
  return "atLeast" in bar
    ? { says, ratio, bar: `>= ${bar.atLeast}`, met: ratio >= bar.atLeast }
    : { says, ratio, bar: `<= ${bar.atMost}`, met: ratio <= bar.atMost };
}

/** Prints a row of a table: the first cell is text, figures with units follow. */
export function row(what: string, ...figures: string[]): void {
  console.log(what.padEnd(36) + figures.map((figure) => figure.padStart(16)).join(""));
}

/** A number for people. */
export function figure(value: number, digits = 0): string {
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** The value below which a share of all is. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;
}

/** The middle value, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
}

/** How long something took, in ms. */
export async function timed(act: () => unknown): Promise<number> {
  const beganMs = performance.now();
  await act();
  return performance.now() - beganMs;
}

/** What every system of a bench is opened with. */
export const COMMON = {
  clock: systemClock,
  newId: () => crypto.randomUUID(),
  randomBytes: (bytes: Uint8Array) => void crypto.getRandomValues(bytes),
  dedupMs: 30 * 86_400_000,
  onFault: (error: unknown) => console.error("settling:", error),
};

/** Opens signalfold over a file or a store. */
export function openOn(storage: string | Store): Promise<System> {
  return openSystem({ ...COMMON, storage });
}

/** A track call as a client sends it, as JSON, with a message id of its own. */
export function trackJson(userId: string, atMs: number): string {
  const [start, afterUser, afterId, end] = TEMPLATES[Math.floor(Math.random() * TEMPLATES.length)]!;
  const at = new Date(atMs).toISOString();
  return `${start}${userId}${afterUser}${crypto.randomUUID()}${afterId}${at}${end}`;
}

/** The same as it is stored; it was received at `receivedMs`. */
export function trackEvent(userId: string, atMs: number, receivedMs = atMs): StoredEvent {
  return { ...JSON.parse(trackJson(userId, atMs)), receivedAt: new Date(receivedMs).toISOString() };
}

/**
 * An event of one of so many users as a shop sends them: 62 % track calls, 15 % pages, 8 % identify (half of them
 * link the visitor's anonymous id), 3 % group, and 12 % of visitors who are not logged in.
 */
export function mixedEvent(users: number): StoredEvent {
  const user = Math.floor(Math.random() * users);
  const anonymousId = `visitor_${user}`;
  const track = trackEvent(`user_${user}`, Date.now() - Math.floor(Math.random() * 60_000));
  const { event: _, properties: __, ...bare } = track;
  const kind = Math.random();
  if (kind < 0.62) return track;
  if (kind < 0.77) {
    return { ...bare, type: "page", name: "Product", properties: { path: "/p/789", title: "T-Shirt" } };
  }
  if (kind < 0.85) {
    const traits = { name: `User ${user}`, email: `user_${user}@example.com`, plan: "premium", logins: user };
    return { ...bare, type: "identify", traits, ...(kind < 0.81 ? { anonymousId } : {}) };
  }
  if (kind < 0.88) {
    const groupId = `company_${user % Math.ceil(users / 50)}`;
    return { ...bare, type: "group", groupId, traits: { name: groupId, plan: "team", employees: user } };
  }
  const { userId: ___, ...nobody } = track;
  return { ...nobody, anonymousId };
}

/** Events of a request, and how many requests are under way at once. */
const BATCH = 500;
const SENDERS = 8;

/** Makes so many events and sends them in batches; one that storage refuses, busy settling, is sent again. */
export async function sendAll<T>(
  { count, make, send }: {
    count: number;
    make: (index: number) => T;
    send: (batch: T[]) => Promise<unknown>;
  },
): Promise<void> {
  let made = 0;
  async function sender(): Promise<void> {
    while (made < count) {
      const batch = Array.from({ length: Math.min(BATCH, count - made) }, () => make(made++));
      for (let isSent = false; !isSent;) {
        isSent = await send(batch).then(() => true, async (error) => {
          if (!(error instanceof StorageUnavailable)) throw error;
          await systemClock.sleep(1000);
          return false;
        });
      }
    }
  }
  await Promise.all(Array.from({ length: SENDERS }, sender));
}

/** Resolves when nothing is unsettled. */
export async function untilSettled({ stats }: { stats(): Promise<{ unsettled: number }> }): Promise<void> {
  while ((await stats()).unsettled > 0) await systemClock.sleep(20);
}

/** An entry of the journal, and its bodies as they are stored. */
export interface StoredEntry {
  entry: JournalEntry;
  bodies: Uint8Array[];
}

/** All entries of the journal. */
export async function readEntries(store: Store): Promise<StoredEntry[]> {
  const entries: StoredEntry[] = [];
  for await (const entry of readJournal(store, {})) {
    const keys = entry.header.bodies.map((_, n) => bodyKey(n, stampOf(entry.end)));
    const bodies = await store.getMany<Uint8Array>(keys);
    entries.push({ entry, bodies: bodies.map(({ value }) => value!) });
  }
  return entries;
}

/** Inflates, parses and folds entries into actors in memory, and no more: what no replay can beat. Gives their number. */
export function foldAlone(entries: readonly StoredEntry[]): number {
  const people = new Map<string, Person>();
  const groups = new Map<string, Group>();
  const visitors = new Map<string, { state: Anonymous; facts: Fact[] }>();
  for (const { entry, bodies } of entries) {
    for (const [at, line] of bodies.flatMap(linesOfBody).entries()) {
      const fact = factOf(parseExact(line) as StoredEvent, positionIn(entry, at));
      for (const name of actorsOf(fact)) {
        if (name.startsWith("user/")) evolvePerson(getOrMake(people, name, emptyPerson), fact);
        else if (name.startsWith("group/")) evolveGroup(getOrMake(groups, name, emptyGroup), fact);
        else {
          const visitor = getOrMake(visitors, name, () => ({ state: emptyAnonymous(), facts: [] }));
          visitor.facts.push(fact);
          const id = name.slice("anonymous/".length);
          if (!evolveAnonymous(visitor.state, fact, id)) visitor.state = foldAnonymous(visitor.facts, id);
        }
      }
    }
  }
  return people.size + groups.size + visitors.size;
}

function getOrMake<T>(all: Map<string, T>, name: string, make: () => T): T {
  let one = all.get(name);
  if (one === undefined) all.set(name, one = make());
  return one;
}

/** Replays everything; gives the time of folding, and that of the whole with switching, grace and cleaning up. */
async function replay({ replayAll }: Tools): Promise<{ foldMs: number; wholeMs: number }> {
  const beganMs = performance.now();
  let foldMs = 0;
  await replayAll((done, total) => {
    if (done === total) foldMs = performance.now() - beganMs;
  });
  return { foldMs, wholeMs: performance.now() - beganMs };
}

/** Reads the entries and folds them in memory; the time of both. */
async function ceiling(store: Store): Promise<{ readMs: number; inMemoryMs: number; actors: number }> {
  let [entries, actors]: [StoredEntry[], number] = [[], 0];
  const readMs = await timed(async () => entries = await readEntries(store));
  const inMemoryMs = await timed(() => actors = foldAlone(entries));
  return { readMs, inMemoryMs, actors };
}

/** Makes a database of settled events. */
async function fill(path: string, { events, users }: { events: number; users: number }): Promise<void> {
  const system = await openOn(path);
  await sendAll({
    count: events,
    make: () => mixedEvent(users),
    send: (batch) => system.commit(batch, "bench"),
  });
  await untilSettled(system);
  await system.close();
}

async function main({ sizes: { events, users, rounds }, dir }: Stage<typeof SIZES>): Promise<Outcome[]> {
  const path = `${dir}/replay.db`;
  const fillMs = await timed(() => fill(path, { events, users }));
  row(`${figure(events)} events, ${figure(users)} users`, `made ${figure(fillMs / 1000, 1)} s`);
  const alone: number[] = [];
  const again: number[] = [];
  const tools = await openTools({ ...COMMON, storage: path });
  for (let round = 1; round <= rounds; round++) {
    const { readMs, inMemoryMs, actors } = await ceiling(tools.store);
    alone.push(readMs + inMemoryMs);
    row(
      `ceiling ${round}: folded in memory`,
      `${figure(readMs + inMemoryMs)} ms`,
      `${figure(readMs)} reading`,
      `${figure(actors)} actors`,
    );
    const { foldMs, wholeMs } = await replay(tools);
    again.push(foldMs);
    row(`replay ${round}: folded and written`, `${figure(foldMs)} ms`, `${figure(wholeMs)} in all`);
  }
  tools.close();
  const perSecond = (ms: number) => `${figure((events / ms) * 1000)}/s`;
  row("median, events", `ceiling ${perSecond(median(alone))}`, `replay ${perSecond(median(again))}`);
  console.log(
    "\nThe ceiling counts reading, inflating, parsing and folding. Replay counts from its start until all actors are\n" +
      'written in the new generation; "in all" has the switch, 3 s of grace and deleting the old generation too.',
  );
  return [outcome("events replayed a second: the ceiling", median(alone) / median(again), { atLeast: 0.5 })];
}

const SIZES = { events: 300_000, users: 20_000, rounds: 3 };

if (import.meta.main) await runBench({ help: HELP, sizes: SIZES }, main);
