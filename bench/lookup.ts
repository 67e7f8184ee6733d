/**
 * Finding a user by e-mail among many, and what the index of traits costs while events settle.
 *
 * deno task bench:lookup [--users N] [--searches N] [--events N] [--pairs N]
 *
 * The pairs settle the same events twice, with three traits to look up and with none, in turn; the time ends when both the
 * profiles and the index have everything. Figures of one machine that does other work too: ratios within a pair count.
 */
import { openSystem } from "../actors/open.ts";
import type { System } from "../actors/system.ts";
import { accept } from "../domain/event/accept.ts";
import type { StoredEvent } from "../domain/event/event.ts";
import type { Outcome } from "./load/report.ts";
import {
  COMMON,
  figure,
  median,
  outcome,
  percentile,
  row,
  runBench,
  sendAll,
  type Stage,
  timed,
  trackEvent,
  untilSettled,
} from "./replay.ts";

const HELP = `deno task bench:lookup [--users N] [--searches N] [--events N] [--pairs N]

Finds users by e-mail, and measures what the index of three traits costs while events settle.

  --users N      users with an e-mail address, a phone number and a user name (200000)
  --searches N   searches by e-mail that are timed (500)
  --events N     events that are settled with the index and without (60000)
  --pairs N      pairs of such runs (5)
  --help         this text`;

const SIZES = { users: 200_000, searches: 500, events: 60_000, pairs: 5 };

const TRAITS = ["email", "phone", "username"];

/** Users of the events that are settled, and how many of the events set their traits: as a shop sends them. */
const SETTLED_USERS = 10_000;
const IDENTIFY_EVERY = 12;

/** A search by e-mail takes at most so long. */
const SEARCH_MS = 5;

const emailOf = (n: number) => `user-${n}@example.com`;

function identify(n: number, now = Date.now()): StoredEvent {
  const sent = {
    type: "identify",
    userId: `user-${n}`,
    traits: { email: emailOf(n), phone: `+49${1e9 + n}`, username: `name${n}`, plan: "free" },
  };
  return accept(sent, { receivedAt: now, newId: COMMON.newId }).event!;
}

const openWith = (path: string, lookupTraits: readonly string[]): Promise<System> =>
  openSystem({ ...COMMON, storage: path, lookupTraits });

/** Searches include every acknowledged event, so the index has everything when one is answered. */
async function untilIndexed({ lookup }: System): Promise<void> {
  if (lookup.traits.length > 0) await lookup.find("user", { limit: 1, traits: { email: emailOf(0) } });
}

/** Milliseconds of searches by e-mail, each of another user. */
async function searchMs({ users, searches }: typeof SIZES, dir: string): Promise<number[]> {
  const system = await openWith(`${dir}/find.db`, TRAITS);
  await sendAll({
    count: users,
    make: (n) => identify(n),
    send: (batch) => system.commit(batch, "bench"),
  });
  await untilSettled(system);
  // The index of so many users may take longer than a search waits for it.
  while (await untilIndexed(system).then(() => false, () => true));
  const times: number[] = [];
  for (let i = 0; i < searches; i++) {
    const n = Math.floor(Math.random() * users);
    times.push(
      await timed(async () => {
        const { found } = await system.lookup.find("user", { limit: 10, traits: { email: emailOf(n) } });
        if (found.length !== 1 || found[0]!.id !== `user-${n}`) throw new Error(`user-${n} is not found`);
      }),
    );
  }
  await system.close();
  return times;
}

/** Milliseconds until the same events are settled, and in the index of these traits. */
async function settleMs(path: string, traits: readonly string[], events: number): Promise<number> {
  const system = await openWith(path, traits);
  const now = Date.now();
  const ms = await timed(async () => {
    await sendAll({
      count: events,
      make: (n) =>
        n % IDENTIFY_EVERY === 0
          ? identify(n % SETTLED_USERS, now)
          : trackEvent(`user-${n % SETTLED_USERS}`, now - events + n, now),
      send: (batch) => system.commit(batch, "bench"),
    });
    await untilSettled(system);
    await untilIndexed(system);
  });
  await system.close();
  return ms;
}

async function main({ sizes, dir }: Stage<typeof SIZES>): Promise<Outcome[]> {
  const ratios: number[] = [];
  row(`settling ${figure(sizes.events)} events`, "with index ms", "without ms", "speed of without");
  for (let pair = 0; pair < sizes.pairs; pair++) {
    const took: Record<string, number> = {};
    // The first of a pair may find a warmer or a colder machine: each is first in turn.
    for (const kind of pair % 2 === 0 ? ["with", "without"] : ["without", "with"]) {
      const path = `${dir}/${kind}-${pair}.db`;
      took[kind] = await settleMs(path, kind === "with" ? TRAITS : [], sizes.events);
    }
    const ratio = took.without! / took.with!;
    ratios.push(ratio);
    row(`pair ${pair + 1}`, figure(took.with!), figure(took.without!), figure(ratio, 2));
  }
  const times = await searchMs(sizes, dir);
  console.log();
  row(`searches among ${figure(sizes.users)} users`, "p50 ms", "p99 ms");
  row("by e-mail", figure(median(times), 2), figure(percentile(times, 0.99), 2));
  return [
    outcome("settling with three lookup traits: without", median(ratios), { atLeast: 0.93 }),
    outcome(`finding by e-mail, p50: ${SEARCH_MS} ms`, median(times) / SEARCH_MS, { atMost: 1 }),
  ];
}

if (import.meta.main) await runBench({ help: HELP, sizes: SIZES }, main);
