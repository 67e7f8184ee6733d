/**
 * Random histories of a whole system with audiences, compared with membership by the book after every step: members, since,
 * until, past moments, explanations and transitions. A seed repeats a history.
 */
import { deepStrictEqual, ok } from "node:assert";
import type { System } from "../../../actors/system.ts";
import { linesOfEntry, readJournal } from "../../../actors/journal/read_journal.ts";
import { AUDIENCE_LIMITS } from "../../../actors/audiences/follow.ts";
import type { Write } from "../../../actors/store/store.ts";
import type { StoredEvent } from "../../../domain/event/event.ts";
import { createCalmStore } from "../../simulation/calm_store.ts";
import { type Code, loadCode } from "../../simulation/product.ts";
import { type Clock, systemClock } from "../../../actors/store/clock.ts";
import { FAULTS, withFault } from "../stores.ts";
import { journalOf, ownerOf } from "../../domain/audience/oracle.ts";
import {
  createRandom,
  MINUTE,
  randomAbsence,
  randomCondition,
  randomEvent,
  randomGroup,
  randomSequence,
} from "../../domain/audience/random.ts";
import { compare, compareTransitions, standings, transitionsOf, USERS, type World } from "./judge.ts";
import { punctualEvents } from "./punctual.ts";

type Json = Record<string, unknown>;

/** What can happen in a history, each as often as it stands here. */
const STEPS = [
  ...["events", "events", "late", "punctual", "punctual", "duplicates"],
  ...["time", "time", "define", "edit", "emit", "restart", "crash", "crash", "replay", "erase"],
] as const;

const NAMES = ["one", "two", "three"];
/** A crash between two writes of an announcement waits for so many rounds of events at the most. */
const ANNOUNCING_ROUNDS = 4;
/** A step that takes longer is stuck. */
const STUCK_MS = 60_000;
/** Pauses are so much shorter; a longer timer is a limit, which holds. */
const HASTE = 50;
const PATIENCE_MS = 5_000;
const AUTHOR = { by: "test", address: "127.0.0.1" };

/** The clock of a history: only a step lets time pass, and what waits by the clock of the machine waits little. */
const hastyClock = (clock: { ms: number }): Clock => ({
  ...systemClock,
  now: () => clock.ms,
  sleep: (ms) => systemClock.sleep(ms / HASTE),
  timer: (ms, act) => systemClock.timer(ms > PATIENCE_MS ? ms : ms / HASTE, act),
});

/** Small bounds, so that little data goes over each. */
const LIMITS = {
  ...AUDIENCE_LIMITS,
  buildEvents: 5,
  buildBytes: 2_000,
  buildPeople: 1,
  stretchEvents: 4,
  dueAtOnce: 1,
  appendAtOnce: 2,
  deletedKeys: 7,
  quietMs: 1,
  audienceQuietMs: 1,
};

async function open(world: Pick<World, "code" | "store" | "clock" | "faults">): Promise<System> {
  let ids = 0;
  const prefix = crypto.randomUUID();
  return await world.code.openSystem({
    storage: { ...world.store, close() {} },
    clock: hastyClock(world.clock),
    newId: () => `${prefix}${ids++}`,
    randomBytes: (bytes) => void crypto.getRandomValues(bytes),
    dedupMs: 0,
    onFault: (error) => void world.faults.push(error),
    limits: LIMITS,
  });
}

/** Runs the history of a seed. Throws where the system and the book differ. */
export async function runHistory(seed: number, code: Code): Promise<void> {
  const random = createRandom(seed);
  const store = createCalmStore();
  const clock = { ms: 20 * MINUTE };
  const faults: unknown[] = [];
  const system = await open({ code, store, clock, faults });
  const world: World = {
    code,
    random,
    store,
    system,
    clock,
    events: [],
    definitions: {},
    announced: new Map(),
    seen: new Set(),
    faults,
    n: 0,
  };
  const steps: string[] = [];
  try {
    await send(world, 1 + random.below(5));
    await define(world, "one");
    // Whoever matches when it is built enters silently: the first step finds it built.
    await world.system.audiences.tick(20_000);
    for (let n = 4 + random.below(6); n > 0; n--) {
      const step = random.pick(STEPS);
      steps.push(step);
      const before = standings(world);
      await unlessStuck(async () => {
        const changed = await take(world, step);
        await world.system.audiences.tick(20_000);
        await compare(world);
        // Around a crash people are evaluated at several moments.
        await compareTransitions(world, { before, changed, isOnce: step !== "crash" });
        if (random.chance(0.2)) await verify(world);
        deepStrictEqual(faults, []);
      });
    }
  } catch (error) {
    const { definitions, events } = world;
    const told = JSON.stringify({ seed, steps, now: clock.ms / MINUTE, definitions, events }, null, 1);
    throw new Error(`history ${seed}: ${(error as Error).message}\n${told}`, { cause: error });
  } finally {
    await unlessStuck(() => world.system.close()).finally(() => store.close());
  }
}

/** Does something. Throws where it does not end. */
async function unlessStuck(act: () => Promise<void>): Promise<void> {
  const stuck = Promise.withResolvers<never>();
  const timer = setTimeout(() => stuck.reject(new Error(`stuck for ${STUCK_MS / 1_000} s`)), STUCK_MS);
  try {
    await Promise.race([act(), stuck.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Histories that run at once: each waits most of the time. */
const AT_ONCE = 8;

/** Runs the histories of some seeds in a row. */
export async function runHistories(first: number, count: number, code?: Code): Promise<void> {
  const tested = code ?? await loadCode();
  let next = first;
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (next < first + count) await runHistory(next++, tested);
  }));
}

/** What is stored is what the journal says. */
async function verify({ code, store, clock, faults }: World): Promise<void> {
  const tools = await code.openTools({
    storage: { ...store, close() {} },
    clock: hastyClock(clock),
    newId: () => crypto.randomUUID(),
    onFault: (error) => void faults.push(error),
  });
  const scratch = createCalmStore();
  const { differences } = await tools.verifyAll(scratch, () => {});
  deepStrictEqual(differences, [], "stored members are what the journal says");
  tools.close();
}

/** Does a step; gives the names of audiences whose definition changed. */
async function take(world: World, step: typeof STEPS[number]): Promise<Set<string>> {
  const { random, clock } = world;
  if (step === "events") await send(world, 1 + random.below(3));
  if (step === "late") await send(world, 1 + random.below(3), 15);
  if (step === "punctual") await sendPunctually(world);
  if (step === "duplicates" && world.events.length > 0) {
    const again = { ...random.pick(world.events), timestamp: new Date(clock.ms).toISOString() };
    const [receipt] = await world.system.commit([again], "key");
    ok(receipt!.duplicate);
  }
  if (step === "time") clock.ms += (1 + random.below(6)) * MINUTE - random.pick([0, 0, 1]);
  if (step === "define") return await define(world, random.pick(NAMES));
  if (step === "edit") return await define(world, random.pick(Object.keys(world.definitions)));
  if (step === "emit") {
    const name = random.pick(Object.keys(world.definitions));
    const definition = world.definitions[name]!;
    definition.emit = !definition.emit;
    await world.system.audiences.put({ name, ...definition }, AUTHOR);
    for (const userId of USERS) world.announced.delete(`${name}/${userId}`);
  }
  if (step === "erase") await erase(world, random.pick(USERS));
  if (step === "replay") {
    await world.system.replays.request({ scope: null, verify: false });
    await world.system.replays.tick(20_000);
  }
  if (step === "crash") await crash(world);
  if (step === "restart") {
    await world.system.close();
    // Whatever was due, and whatever was sent, while nobody served.
    clock.ms += random.below(4) * MINUTE;
    world.system = await open(world);
  }
  return new Set();
}

/** Tells which writes bring transitions into the journal, from the first one on that puts some into the outbox. */
function ofAnnouncements(): (write: Write) => boolean {
  let isBegun = false;
  return ({ sets, stamped = [] }) => {
    const isOne = isBegun && (stamped.length > 0 || sets.some(([[name]]) => name === "audiencesFollowed"));
    isBegun ||= sets.some(([[name]]) => name === "audienceOutbox");
    return isOne;
  };
}

/** Sends events to a process that something befalls at one of its next writes, and goes on with another process. */
async function crash(world: World): Promise<void> {
  const { random, store, code, clock } = world;
  await world.system.close();
  // Either at any write, or between a transition's way into the outbox and its way into the journal.
  const announces = random.chance(0.5);
  const faulty = withFault(store, {
    nth: announces ? 1 + random.below(6) : 2 + random.below(14),
    ...announces && { counts: ofAnnouncements() },
    fault: random.pick(FAULTS),
    unavailable: (message) => new code.StorageUnavailable(message),
  });
  world.system = await open({ code, store: faulty, clock, faults: [] });
  const known = world.events.length;
  const work = async () => {
    for (let rounds = announces ? ANNOUNCING_ROUNDS : 1; rounds > 0 && faulty.writes() === 0; rounds--) {
      if (announces) await sendPunctually(world);
      await send(world, 1 + random.below(3), 10);
      clock.ms += random.below(3) * MINUTE;
      await world.system.audiences.tick(20_000);
    }
  };
  const worked = work().catch((error) => {
    if (!faulty.isDead()) throw error;
  });
  await Promise.race([faulty.died, worked]);
  await world.system.close().catch(() => {});
  // The lease of the dead process ends.
  clock.ms += MINUTE;
  world.system = await open(world);
  // What was not answered may be in the journal or not.
  const stored = new Set<string>();
  for await (const entry of readJournal(store, {})) {
    for (const line of await linesOfEntry(store, entry)) stored.add(JSON.parse(line).messageId);
  }
  const sent = world.events.splice(known).filter(({ messageId }) => stored.has(messageId));
  world.events.push(...sent);
}

/** Erases a user: their events, those that they own of anonymous ids, and their transitions. */
async function erase(world: World, userId: string): Promise<void> {
  const journal = journalOf(world.events);
  const isTheirs = (one: typeof journal[number]) =>
    one.event.userId === undefined ? ownerOf(journal, one, Infinity) === userId : one.event.userId === userId;
  const left = journal.filter((one) => !isTheirs(one)).map(({ event }) => event);
  await world.system.erasure.erase({ kind: "user", id: userId }, { suppress: false });
  world.events.splice(0, Infinity, ...left);
  const announced = await transitionsOf(world.store);
  ok(announced.every((event) => event.userId !== userId), `no transition of ${userId} is left`);
  for (const name of Object.keys(world.definitions)) world.announced.set(`${name}/${userId}`, false);
  // Somebody who comes back with an event that no condition names is a new person.
  if (world.random.chance(0.5)) await commit(world, [eventOfNoInterest(world, userId)]);
}

function eventOfNoInterest(world: World, userId: string): StoredEvent {
  const timestamp = new Date(world.clock.ms).toISOString();
  return {
    type: "track",
    event: "Z",
    userId,
    messageId: `m${world.n++}`,
    timestamp,
    receivedAt: timestamp,
  };
}

async function send(world: World, count: number, lateMinutes = 0): Promise<void> {
  const { random, clock } = world;
  const sent: StoredEvent[] = [];
  for (let i = 0; i < count; i++) {
    const at = clock.ms - random.below(lateMinutes + 1) * MINUTE;
    const event = { ...randomEvent(random, world.n++, at), receivedAt: new Date(clock.ms).toISOString() };
    sent.push(event);
    // Moments of several people come at once too.
    if (event.userId !== undefined && random.chance(0.2)) {
      const userId = USERS.find((id) => id !== event.userId)!;
      sent.push({ ...event, messageId: `m${world.n++}`, userId });
    }
  }
  await commit(world, sent);
}

async function commit({ events, system }: World, sent: readonly StoredEvent[]): Promise<void> {
  events.push(...sent);
  await system.commit(sent.map((event) => ({ ...event })), "key");
}

/** Sends what completes a sequence of an audience at the last moment. */
async function sendPunctually(world: World): Promise<void> {
  const { random, clock, definitions } = world;
  const where = Object.values(definitions).map(({ where }) => where);
  const newId = () => `m${world.n++}`;
  const sent = punctualEvents(random, { all: where }, { now: clock.ms, newId });
  if (sent.length === 0) return await send(world, 1);
  await commit(world, sent);
}

/** Saves a random definition that refers to no later name, so that there is no cycle. */
async function define(world: World, name: string): Promise<Set<string>> {
  const { random, definitions, system } = world;
  const known = NAMES.slice(0, NAMES.indexOf(name)).filter((other) => definitions[other] !== undefined);
  const whereOf = random.pick([
    randomSequence,
    randomGroup,
    randomAbsence,
    randomCondition,
    randomCondition,
    randomCondition,
  ]);
  const where = whereOf(random, known);
  const definition = { where, emit: random.chance(0.7) };
  if (definitions[name]?.emit !== definition.emit) {
    for (const userId of USERS) world.announced.delete(`${name}/${userId}`);
  }
  const outcome = await system.audiences.put({ name, ...definition }, AUTHOR);
  ok(!("refused" in outcome), JSON.stringify(outcome));
  definitions[name] = definition;
  return new Set([name]);
}
