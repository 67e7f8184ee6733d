/**
 * How long a start takes after a crash that left much unsettled, against what inflating, parsing and folding it takes.
 *
 * deno task bench:recover [--events N] [--users N] [--rounds N]
 *
 * The events are appended by a committer that has no settler beside it: what a process leaves that is killed before it
 * settles. Each round starts on a copy of that file, in turn with the ceiling, and the median of each counts.
 */
import { LIMITS } from "../actors/limits.ts";
import { createMembership } from "../actors/lanes/membership.ts";
import { createCommitter } from "../actors/appending/appender.ts";
import { createJournal } from "../actors/journal/journal_state.ts";
import { openStore } from "../actors/store/store.ts";
import type { Outcome } from "./load/report.ts";
import {
  COMMON,
  figure,
  foldAlone,
  median,
  mixedEvent,
  openOn,
  outcome,
  readEntries,
  row,
  runBench,
  sendAll,
  type Stage,
  timed,
  untilSettled,
} from "./replay.ts";

const HELP = `deno task bench:recover [--events N] [--users N] [--rounds N]

Starts on a database file of which nothing is settled, in turn with the ceiling: inflating, parsing and folding the same
chunks in memory.

  --events N   events that are not settled (100000)
  --users N    users they are spread over (20000)
  --rounds N   times that each of the two is measured; the median counts (3)
  --help       this text`;

const SIZES = { events: 100_000, users: 20_000, rounds: 3 };

/** Appends events to the journal of a new file, and settles none. Gives the entries. */
async function leaveUnsettled(path: string, { events, users }: { events: number; users: number }) {
  const store = await openStore(path);
  const journal = createJournal(store, LIMITS);
  await journal.sync();
  const membership = createMembership({
    ...COMMON,
    store,
    limits: LIMITS,
    isServer: false,
    readOn: journal.sync,
    requestedErasures: () => Promise.resolve(0),
    learnErasures: () => Promise.resolve(0),
    onFault(error) {
      throw error;
    },
  });
  journal.join(membership);
  const { commit } = createCommitter({
    ...COMMON,
    store,
    limits: LIMITS,
    journal,
    secret: "",
    membership,
    room: () => Promise.resolve(),
  });
  await sendAll({ count: events, make: () => mixedEvent(users), send: (batch) => commit(batch, "bench") });
  const entries = await readEntries(store);
  await membership.close();
  store.close();
  return entries;
}

/** Copies a folder's files to a new one: a database has files beside its own. */
async function copyFolder(from: string, to: string): Promise<void> {
  await Deno.mkdir(to);
  for await (const { name } of Deno.readDir(from)) await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
}

/** Opens the system; times since its start, in ms. */
async function start(path: string): Promise<{ readyMs: number; readMs: number; settledMs: number }> {
  const beganMs = performance.now();
  const system = await openOn(path);
  await system.ready();
  const readyMs = performance.now() - beganMs;
  await system.reader.user("user_0");
  const readMs = performance.now() - beganMs;
  await untilSettled(system);
  const settledMs = performance.now() - beganMs;
  await system.close();
  return { readyMs, readMs, settledMs };
}

async function main({ sizes: { events, users, rounds }, dir }: Stage<typeof SIZES>): Promise<Outcome[]> {
  await Deno.mkdir(`${dir}/crashed`);
  const entries = await leaveUnsettled(`${dir}/crashed/recover.db`, { events, users });
  row(`${figure(events)} events, ${figure(users)} users`, `${figure(entries.length)} commits`);
  const alone: number[] = [];
  const starts: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    alone.push(await timed(() => foldAlone(entries)));
    row(`ceiling ${round}: folded in memory`, `${figure(alone.at(-1)!)} ms`);
    const copy = `${dir}/round-${round}`;
    await copyFolder(`${dir}/crashed`, copy);
    const { readyMs, readMs, settledMs } = await start(`${copy}/recover.db`);
    starts.push(readyMs);
    row(
      `start ${round}: until ready`,
      `${figure(readyMs)} ms`,
      `${figure(readMs)} first read`,
      `${figure(settledMs)} settled`,
    );
    await Deno.remove(copy, { recursive: true });
  }
  console.log(
    "\nA start counts from opening the file until requests are taken, with the reading of the chunks, which the ceiling\n" +
      "has in memory. The first read and settling, which goes on behind, are counted from the same moment.",
  );
  return [outcome("time until ready: the ceiling", median(starts) / median(alone), { atMost: 4 })];
}

if (import.meta.main) await runBench({ help: HELP, sizes: SIZES }, main);
