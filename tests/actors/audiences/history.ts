/**
 * Random histories of a whole system with audiences, compared with membership by the book after every step: members, since,
 * until, past moments, explanations and transitions. A seed repeats a history.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import type { System } from "../../../actors/system.ts";
import { linesOfEntry, readJournal } from "../../../actors/journal/read_journal.ts";
import { AUDIENCE_LIMITS } from "../../../actors/audiences/follow.ts";
import { openStore, type Store } from "../../../actors/store/store.ts";
import type { StoredEvent } from "../../../domain/event/event.ts";
import { type Code, loadCode } from "../../simulation/product.ts";
import { type Clock, systemClock } from "../../../actors/store/clock.ts";
import { FAULTS, withFault } from "../stores.ts";
import {
  type Definitions,
  journalOf,
  membershipAt,
  ownerOf,
  type Question,
} from "../../domain/audience/oracle.ts";
import {
  createRandom,
  MINUTE,
  type Random,
  randomCondition,
  randomEvent,
} from "../../domain/audience/random.ts";

type Json = Record<string, unknown>;

/** What can happen in a history, each as often as it stands here. */
const STEPS = [
  ...["events", "events", "events", "late", "duplicates"],
  ...["time", "time", "define", "edit", "emit", "restart", "crash", "crash", "replay", "erase"],
] as const;

const USERS = ["u1", "u2"];
const NAMES = ["one", "two", "three"];
/** Pauses are so much shorter; a longer timer is a limit, which holds. */
const HASTE = 50;
const PATIENCE_MS = 5_000;
const AUTHOR = { by: "test", address: "127.0.0.1" };

/** The state of a history: what the book says, and the system that is compared with it. */
interface World {
  code: Code;
  random: Random;
  store: Store;
  system: System;
  clock: { ms: number };
  events: StoredEvent[];
  definitions: Record<string, { where: Json; emit: boolean }>;
  /** Who is known to be a member, by transitions and silent builds: `audience/user`. */
  announced: Map<string, boolean>;
  seen: Set<string>;
  faults: unknown[];
  n: number;
}

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
  const store = await openStore(":memory:");
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
    for (let n = 4 + random.below(6); n > 0; n--) {
      const step = random.pick(STEPS);
      steps.push(step);
      const before = standings(world);
      const changed = await take(world, step);
      await world.system.audiences.tick(20_000);
      await compare(world);
      // Around a crash people are evaluated at several moments.
      await compareTransitions(world, { before, changed, isOnce: step !== "crash" });
      if (random.chance(0.2)) await verify(world);
      deepStrictEqual(faults, []);
    }
  } catch (error) {
    const { definitions, events } = world;
    const told = JSON.stringify({ seed, steps, now: clock.ms / MINUTE, definitions, events }, null, 1);
    throw new Error(`history ${seed}: ${(error as Error).message}\n${told}`, { cause: error });
  } finally {
    await world.system.close();
    store.close();
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
  const scratch = await openStore(":memory:");
  const { differences } = await tools.verifyAll(scratch, () => {});
  deepStrictEqual(differences, [], "stored members are what the journal says");
  tools.close();
}

/** Does a step; gives the names of audiences whose definition changed. */
async function take(world: World, step: typeof STEPS[number]): Promise<Set<string>> {
  const { random, clock } = world;
  if (step === "events") await send(world, 1 + random.below(3));
  if (step === "late") await send(world, 1 + random.below(3), 15);
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

/** Sends events to a process that something befalls at one of its next writes, and goes on with another process. */
async function crash(world: World): Promise<void> {
  const { random, store, code, clock } = world;
  await world.system.close();
  const faulty = withFault(store, {
    nth: 2 + random.below(14),
    fault: random.pick(FAULTS),
    unavailable: (message) => new code.StorageUnavailable(message),
  });
  world.system = await open({ code, store: faulty, clock, faults: [] });
  const known = world.events.length;
  const work = async () => {
    await send(world, 1 + random.below(3), 10);
    clock.ms += random.below(3) * MINUTE;
    await world.system.audiences.tick(20_000);
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
}

async function send(world: World, count: number, lateMinutes = 0): Promise<void> {
  const { random, clock, events } = world;
  const sent: StoredEvent[] = [];
  for (let i = 0; i < count; i++) {
    const at = clock.ms - random.below(lateMinutes + 1) * MINUTE;
    const event = randomEvent(random, world.n++, at);
    sent.push({ ...event, receivedAt: new Date(clock.ms).toISOString() });
  }
  events.push(...sent);
  await world.system.commit(sent.map((event) => ({ ...event })), "key");
}

/** Saves a random definition that refers to no later name, so that there is no cycle. */
async function define(world: World, name: string): Promise<Set<string>> {
  const { random, definitions, system } = world;
  const known = NAMES.slice(0, NAMES.indexOf(name)).filter((other) => definitions[other] !== undefined);
  const definition = { where: randomCondition(random, known), emit: random.chance(0.7) };
  if (definitions[name]?.emit !== definition.emit) {
    for (const userId of USERS) world.announced.delete(`${name}/${userId}`);
  }
  const outcome = await system.audiences.put({ name, ...definition }, AUTHOR);
  ok(!("refused" in outcome), JSON.stringify(outcome));
  definitions[name] = definition;
  return new Set([name]);
}

function questionOf({ events, definitions }: World, userId: string): Question {
  const wheres: Definitions = Object.fromEntries(
    Object.entries(definitions).map(([name, { where }]) => [name, where]),
  );
  return { journal: journalOf(events), definitions: wheres, userId };
}

/** Who is a member of what, by the book. */
function standings(world: World): Map<string, boolean> {
  const found = new Map<string, boolean>();
  for (const userId of USERS) {
    const question = questionOf(world, userId);
    for (const name of Object.keys(world.definitions)) {
      found.set(`${name}/${userId}`, membershipAt(question, name, world.clock.ms)?.member ?? false);
    }
  }
  return found;
}

/** Compares everything that can be read. */
async function compare(world: World): Promise<void> {
  const { system: { audiences }, random, clock } = world;
  const iso = (ms: number) => new Date(ms).toISOString();
  for (const name of Object.keys(world.definitions)) {
    const expected: Json[] = [];
    for (const userId of USERS) {
      const question = questionOf(world, userId);
      const membership = membershipAt(question, name, clock.ms);
      const shown = membership?.member && {
        since: iso(membership.since!),
        ...membership.next !== undefined && { until: iso(membership.next) },
      };
      if (shown) expected.push({ userId, ...shown });
      const found = await audiences.member(name, userId);
      strictEqual(found === null, membership === undefined, `${name} of ${userId} is there`);
      if (found !== null) {
        const { explain, ...stay } = found;
        deepStrictEqual(stay, { member: membership!.member, ...shown }, `${name} of ${userId}`);
        strictEqual(explain.holds, membership!.member);
      }
      const past = clock.ms - random.below(20 * MINUTE);
      const then = await audiences.member(name, userId, past);
      const thenExpected = membershipAt(question, name, past);
      strictEqual(then?.member, thenExpected?.member, `${name} of ${userId} at ${past / MINUTE}`);
    }
    const { members } = await audiences.list(name, { limit: 500 });
    deepStrictEqual(members, expected, `members of ${name}`);
    strictEqual((await audiences.get(name))!.members, expected.length, `number of members of ${name}`);
  }
}

/** The transitions in the journal, in order. */
async function transitionsOf(store: Store): Promise<StoredEvent[]> {
  const found: StoredEvent[] = [];
  for await (const entry of readJournal(store, {})) {
    const events: StoredEvent[] = (await linesOfEntry(store, entry)).map((line) => JSON.parse(line));
    found.push(...events.filter(({ derived }) => derived === true));
  }
  return found;
}

/** Each change of a membership is announced once, and nothing else is. */
async function compareTransitions(
  world: World,
  { before, changed, isOnce }: {
    before: ReadonlyMap<string, boolean>;
    changed: ReadonlySet<string>;
    /** Whether everything happened at one moment. */
    isOnce: boolean;
  },
): Promise<void> {
  const fresh = (await transitionsOf(world.store)).filter(({ messageId }) => !world.seen.has(messageId));
  const byPerson = new Map<string, StoredEvent[]>();
  for (const event of fresh) {
    world.seen.add(event.messageId);
    const key = `${event.properties!.audience}/${event.userId}`;
    byPerson.set(key, [...byPerson.get(key) ?? [], event]);
  }
  for (const [key, isMember] of standings(world)) {
    const [name] = key.split("/") as [string];
    const events = byPerson.get(key) ?? [];
    if (!world.definitions[name]!.emit) {
      deepStrictEqual(events, [], `${key} is not announced`);
      continue;
    }
    // A new audience, or one that begins to be announced, is entered silently.
    let state = world.announced.get(key);
    if (state === undefined && !before.has(key)) deepStrictEqual(events, [], `${key} is entered silently`);
    state ??= events[0] === undefined ? isMember : events[0].event === "Audience Exited";
    for (const { event } of events) {
      strictEqual(event, state ? "Audience Exited" : "Audience Entered", `${key} alternates`);
      state = !state;
    }
    strictEqual(state, isMember, `${key} is announced as it is`);
    world.announced.set(key, state);
    if (isOnce && events.length > 1 && !changed.has(name)) {
      ok(events.length === 2 && isMember, `${key} left and came back at the most`);
    }
  }
}
