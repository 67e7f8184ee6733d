/**
 * One history: senders, readers and tools at work on several processes, while the weather does what it does; then the
 * weather clears, and everything must come to rest and be right.
 */
import type { System } from "../../actors/system.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import { withoutPerson } from "../actors/erasure/erased.ts";
import { createDatabase } from "./database.ts";
import { createLedger, type Ledger, type Sent } from "./ledger.ts";
import { createMachine, forgetLives, type Machine, type Site } from "./machine.ts";
import type { Product, Products } from "./product.ts";
import { createRandom, type Random } from "./random.ts";
import { ask, createReadings, drawQuestion } from "./readings.ts";
import { checkAll } from "./rest.ts";
import { drawTools, runTool } from "./tool.ts";
import { ANONYMOUS, BEGIN_MS, type Draft, drawRequests, MIN_ACTORS, MIN_EVENTS, USERS } from "./traffic.ts";
import { createWatch, type Watch } from "./watch.ts";
import { CLEAR, type Counts, drawWeather, noCounts, type Theme, type Weather } from "./weather.ts";
import { createWorld, Violation, type World } from "./world.ts";
import type { Person } from "../../actors/erasure/requests.ts";
import { nothingNoted } from "../../actors/erasure/suppression.ts";
import type { Receipt } from "../../actors/appending/commit_group.ts";

/** What a history came to. */
export interface Told {
  seed: number;
  /** A number that everything that happened has made: the same seed gives the same. */
  digest: string;
  counts: Counts;
  processes: number;
  events: number;
  actors: number;
  requests: number;
  reads: number;
  /** Erasures that were answered. */
  erasures: number;
  /** How long it lasted (virtual ms). */
  lastedMs: number;
  /** The longest that a sender waited for an answer (virtual ms). */
  waitedMs: number;
  /** What must not happen, and did. */
  violation?: string;
  /** Line by line, if it was asked for. */
  trace: string[];
}

/** Late writes have landed, and frozen processes gone on, after this time. */
const CLEARED_MS = 90_000;

/** So many reads at the least. */
const READS = { anything: 5, readers: 10, replays: 0, lanes: 10, erasures: 3, copies: 0, stalls: 3 };

/** Where replays are under way one process often stands still: what it has read may be gone when it goes on. */
const FRAILTY = 10;

/** Readers who ask while replays are under way, and how often they do at the most. */
const READERS = 3;
const MAX_READS = 15;

/**
 * Readers who ask at each step of a replay, so that some are at it when it switches, or at some steps of settling, so that
 * some are at it while actors are written; and so many in a history at the most.
 */
const CROWDS: Partial<Record<Theme, { readers: number; share: number; most: number }>> = {
  readers: { readers: 2, share: 0.25, most: 60 },
  replays: { readers: 5, share: 1, most: 90 },
};
const NO_CROWD = { readers: 0, share: 0, most: 0 };

/**
 * The share of requests that are sent to two or three processes at almost one time, and what lies between (ms, at the
 * most).
 */
const DOUBLED = [0.25, 0.25, 0.8];
/** Where commits stall it happens to one that is alone: what its late writes bring is then nobody's copy. */
const DOUBLED_IN: Partial<Record<Theme, number>> = { lanes: 0.8, copies: 1, stalls: 0 };
const DOUBLED_MS = [1, 10, 100];

/** The share of requests that go to one and the same process: the others leave, and come back. */
const FAVOURED = [0, 0, 0.7, 0.9];

/** How long senders go on to begin (ms): where replays are under way, for longer than these take. */
const SPANS_MS = {
  anything: [50, 1_000, 5_000, 20_000],
  readers: [1_000, 1_000, 5_000, 5_000],
  replays: [5_000, 20_000],
  lanes: [1_000, 20_000, 40_000],
  erasures: [5_000, 20_000],
  copies: [5_000, 20_000],
  stalls: [5_000, 20_000],
};

/** Longer than an idle process stays a member, and than others wait to see it. */
const QUIET_MS = 8_000;

/** How many people are erased in a history: in most nobody. */
const ERASURES = [0, 0, 0, 1, 1, 2];
const DIRECTED_ERASURES = [1, 2, 2, 3];

/** Events of a person that others send while the person is erased: how many, and how long before and after (ms). */
const SENT_AROUND = 12;
const AROUND_MS = [3_000, 1_500] as const;

/** How likely an erasure suppresses the person too. */
const SUPPRESSED = 0.3;
const DIRECTED_SUPPRESSED = 0.9;

/** Who is told that an erasure goes on asks again so often. */
const ERASE_TRIES = 4;

/** A sender is answered or refused within 10 s; then a pause may lie before it that it did not see coming. */
const ANSWERED_MS = 11_000;

/** An hour and more, so that runs of the dedup index grow old. */
const HOUR_MS = 3_600_000;

/** The window of dedup where it is not for ever. */
const WINDOW_MS = 8 * HOUR_MS;

/** What happens in a history, besides what the product does. */
interface Scene {
  random: Random;
  world: World;
  site: Site;
  machines: Machine[];
  ledger: Ledger;
  watch: Watch;
  readings: ReturnType<typeof createReadings>;
  products: Product[];
  told: Told;
  /** How long senders go on to begin (ms). */
  spanMs: number;
  /** How long senders wait before the first (ms): by then those to which nobody sends have left. */
  quietMs: number;
  /** The share of requests that are sent to several processes at once. */
  doubled: number;
  /** The share of requests that are sent to one and the same process, which is alone then for some time. */
  favoured: number;
  /**
   * Told of each step that a replay of everything writes down, the last of them just before its switch; in histories of
   * readers, of each write of settling.
   */
  working: { onStep(): void };
}

/** Lives through the history of a seed. */
export async function live(seed: number, products: Products, { trace = false } = {}): Promise<Told> {
  forgetLives();
  const random = createRandom(seed);
  const world = createWorld(random, { trace });
  const scene = createScene(world, { seed, random, products });
  const { told } = scene;
  const rejected = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    world.fail(event.reason);
  };
  globalThis.addEventListener("unhandledrejection", rejected);
  try {
    let isOver = false;
    play(scene).then(() => isOver = true, world.fail);
    await world.run(() => isOver);
    if (!isOver) throw new Error("nothing is left to happen, and somebody still waits");
  } catch (error) {
    told.violation = error instanceof Error ? error.stack ?? error.message : String(error);
  } finally {
    globalThis.removeEventListener("unhandledrejection", rejected);
  }
  told.digest = world.digest();
  told.lastedMs = world.nowMs();
  told.events = scene.watch.journal.length;
  told.actors = scene.watch.named.size;
  told.trace = world.lines;
  return told;
}

function createScene(
  world: World,
  { seed, random, products }: { seed: number; random: Random; products: Products },
): Scene & { weather: Weather } {
  const counts = noCounts();
  const weather = drawWeather(random, seed);
  const { theme } = weather;
  const windowMs = random.chance(theme === "copies" ? 0.6 : 0.25) ? WINDOW_MS : 0;
  const watch: Watch = createWatch({ get: (key) => database.get(key as Deno.KvKey), counts, windowMs });
  const working = { onStep() {} };
  const stepKey = weather.theme === "readers" ? "settled" : "rebuild";
  const database = createDatabase({
    onApply(operation, stamp) {
      try {
        watch.check(operation, stamp);
        if (operation.sets.some(([key]) => key[0] === stepKey)) working.onStep();
      } catch (error) {
        world.fail(error);
        throw error;
      }
    },
  });
  const begin = { ms: BEGIN_MS + 60_000 };
  const site: Site = {
    world,
    database,
    weather,
    counts,
    windowMs,
    wallMs: () => begin.ms + world.nowMs(),
    calm: false,
    isCalm: () => site.calm,
  };
  const isSmall = seed % 4 !== 0;
  // Of an older version readers read more: not the parts of users that the newer one wrote, but what these are made of.
  const isMixed = seed % 4 === 1 || weather.theme === "readers";
  const kinds = Array.from({ length: 3 + random.below(2) }, () => {
    return !isSmall ? products.plain : isMixed && random.chance(0.4) ? products.newer : products.small;
  });
  // An older version leaves settling to a newer one, which is woken by its own commits and ticks: it is asked first.
  kinds.sort((a, b) => Number(b === products.newer) - Number(a === products.newer));
  const told: Told = {
    seed,
    digest: "",
    counts,
    processes: kinds.length,
    events: 0,
    actors: 0,
    requests: 0,
    reads: 0,
    erasures: 0,
    lastedMs: 0,
    waitedMs: 0,
    trace: [],
  };
  const spanMs = random.pick(SPANS_MS[weather.theme]);
  if (windowMs > 0) {
    // Time goes in leaps, so that ids grow old: hours pass between some requests and the next.
    const hours = theme === "copies" ? 12 : 5;
    for (let i = 0; i < 4; i++) {
      world.silently(
        random.between(0, spanMs + 20_000),
        () => begin.ms += random.between(0, hours) * HOUR_MS,
      );
    }
  }
  return {
    random,
    world,
    site,
    machines: kinds.map((product, index) =>
      createMachine(site, product, { frailty: weather.theme === "replays" && index === 0 ? FRAILTY : 1 })
    ),
    ledger: createLedger(watch, {
      isTroubled: () => Object.values(counts).some((count) => count > 0),
      hasWindow: windowMs > 0,
    }),
    watch,
    readings: createReadings(watch),
    products: [...new Set(kinds)],
    told,
    spanMs,
    quietMs: theme === "stalls" ? QUIET_MS : 0,
    doubled: DOUBLED_IN[theme] ?? random.pick(DOUBLED),
    favoured: theme === "stalls" ? 1 : random.pick(FAVOURED),
    weather,
    working,
  };
}

/** From the first request to the last check. */
async function play(scene: Scene & { weather: Weather }): Promise<void> {
  const { random, world, site, machines, spanMs, weather } = scene;
  const works = drawRequests(random).map((drafts) => send(scene, scene.ledger.request(drafts)));
  for (let i = READS[weather.theme] + random.below(8); i > 0; i--) {
    // Mostly while much is under way.
    works.push(read(scene, random.between(0, spanMs + random.pick([100, 1_000, 1_000, 8_000]))));
  }
  const tools = drawTools(random, weather.theme).map((tool) =>
    runTool(scene, tool, random.between(0, spanMs + 3_000))
  );
  works.push(...tools);
  const crowd: Promise<void>[] = [];
  if (weather.theme === "replays") works.push(...readMeanwhile(scene, Promise.all(tools)));
  scene.working.onStep = () => {
    const { readers, share, most } = CROWDS[weather.theme] ?? NO_CROWD;
    if (!random.chance(share)) return;
    for (let n = 0; n < readers && crowd.length < most; n++) crowd.push(read(scene, 0));
  };
  if (random.chance(0.3)) works.push(stop(scene));
  if (weather.theme !== "erasures") {
    for (let i = random.pick(ERASURES); i > 0; i--) works.push(erase(scene));
  } else {
    for (let i = random.pick(DIRECTED_ERASURES); i > 0; i--) {
      const afterMs = random.between(0, spanMs);
      const person: Person = { kind: "user", id: random.pick(USERS) };
      works.push(erase(scene, { afterMs, person, suppressed: DIRECTED_SUPPRESSED }));
      works.push(...sendAround(scene, person, afterMs));
    }
  }
  for (let i = random.pick([0, 0, 1, 3]); i > 0; i--) {
    world.silently(random.between(0, spanMs + 10_000), () => {
      site.counts["clock of a process jumps"]++;
      random.pick(machines).skew(random.between(-15_000, 15_000));
    });
  }
  await Promise.all(works);
  await Promise.all(crowd);
  // The weather clears.
  Object.assign(weather, CLEAR);
  await world.pause(CLEARED_MS);
  await sendRest(scene);
  await checkAll(scene);
}

/** Thrown where a request has an event of somebody whose events are not stored. */
class Suppressed extends Error {
  override name = "Suppressed";
}

/** Commits events as a route does: once they are judged by all that is known of suppressions; then `onJudged` is called. */
async function commit(system: System, events: StoredEvent[], onJudged = () => {}): Promise<Receipt[]> {
  const { suppression } = system;
  await suppression.fresh();
  const judged = suppression.version();
  const noted = nothingNoted();
  for (const event of events) if (await suppression.judge(event, noted)) throw new Suppressed();
  onJudged();
  return await system.commit(events, "key", judged);
}

/** Sends a request, again and again until it is answered or the sender gives up; and perhaps once more afterwards. */
async function send(
  scene: Scene,
  request: Sent,
  afterMs = scene.quietMs + scene.random.between(0, scene.spanMs),
): Promise<void> {
  const { random, world, machines, ledger, told } = scene;
  await world.pause(afterMs);
  const tries = 1 + random.below(5);
  const favourite = () => random.chance(scene.favoured) ? machines[0]! : random.pick(machines);
  const once = async (machine = favourite()): Promise<boolean> => {
    const receivedAt = new Date(machine.now()).toISOString();
    const events = request.drafts.map((draft) => ({ ...draft, receivedAt }) as StoredEvent);
    let began = Infinity;
    told.requests++;
    const outcome = await machine.ask((system: System): Promise<Receipt[]> => {
      ledger.sending(request);
      return commit(system, events, () => began = world.nowMs());
    });
    if (!("died" in outcome) && !machine.stoodStill(began)) checkWait(told, world.nowMs() - began);
    if ("value" in outcome) {
      world.note(10, () => `answered: ${request.drafts.map(({ messageId }) => messageId)}`);
      ledger.answered(request, outcome.value);
      return true;
    }
    if ("error" in outcome && outcome.error instanceof Suppressed) return true;
    if ("error" in outcome && (outcome.error as Error).name === "BatchTooLarge") {
      ledger.tooLarge(request);
      return true;
    }
    return false;
  };
  if (random.chance(scene.doubled)) await sendTwice(scene, once);
  for (let i = 0; i < tries; i++) {
    if (await once()) break;
    await world.pause(random.between(10, 3_000));
  }
  while (random.chance(0.25)) {
    // A proxy, or an impatient client, sends it again: at once, later, or much later.
    await world.pause(random.pick([1, 1_000, 10_000]) * random.next());
    await once();
  }
}

/**
 * Sends the same at almost one time to two or three processes, and asks one of them something meanwhile: so it may read the
 * journal, and find what another has committed, while it looks up whether it knows the ids.
 */
async function sendTwice(scene: Scene, once: (machine: Machine) => Promise<boolean>): Promise<void> {
  const { random, world, machines } = scene;
  const first = random.pick(machines);
  const second = random.pick(machines);
  const meanwhile = () => random.between(0, random.pick(DOUBLED_MS));
  await Promise.all([
    once(first),
    world.pause(meanwhile()).then(() => once(second)),
    ...random.chance(0.5) ? [world.pause(meanwhile()).then(() => once(random.pick(machines)))] : [],
    ...Array.from({ length: 2 }, () => read(scene, meanwhile(), second)),
  ]);
}

/**
 * Some senders who gave up have kept what they had to send, so that a history has what it must have: at least one of them
 * sends it, by a process that may leave settling to a newer version.
 */
async function sendRest({ machines, ledger, watch, site }: Scene): Promise<void> {
  for (const request of ledger.requests) {
    if (request.answered > 0 || request.tooLarge) continue;
    const receivedAt = new Date(site.wallMs()).toISOString();
    ledger.sending(request);
    const outcome = await machines.at(-1)!.ask((system) =>
      commit(system, request.drafts.map((draft) => ({ ...draft, receivedAt }) as StoredEvent))
    );
    if ("value" in outcome) ledger.answered(request, outcome.value);
    if (watch.journal.length >= MIN_EVENTS && watch.named.size >= MIN_ACTORS) return;
  }
}

/** A sender is answered or refused in time, unless its process stood still. */
function checkWait(told: Told, waitedMs: number): void {
  told.waitedMs = Math.max(told.waitedMs, waitedMs);
  if (waitedMs > ANSWERED_MS) throw new Violation(`a sender has waited for ${Math.round(waitedMs)} ms`);
}

/** Asks a process something, and holds the answer against the oracle. */
async function read(
  { random, world, machines, readings, told }: Scene,
  afterMs: number,
  machine = random.pick(machines),
): Promise<void> {
  await world.pause(afterMs);
  const question = drawQuestion(random);
  const outcome = await machine.ask(async (system) => {
    const from = readings.now();
    const answer = await ask(system, question);
    return { from, answer };
  });
  if (!("value" in outcome)) return;
  told.reads++;
  const { from, answer } = outcome.value;
  world.note(11, () => `reads ${JSON.stringify(question)}`);
  readings.check(question, answer, { from, to: readings.now() });
}

/** Readers who ask on and on until something is over. */
function readMeanwhile(scene: Scene, until: Promise<unknown>): Promise<void>[] {
  let isOver = false;
  until.then(() => isOver = true);
  return Array.from({ length: READERS }, async () => {
    for (let n = 0; n < MAX_READS && !isOver; n++) await read(scene, scene.random.between(0, 400));
  });
}

/** Who is erased. */
function drawPerson(random: Random): Person {
  return random.chance(0.7)
    ? { kind: "user", id: random.pick(USERS) }
    : { kind: "anonymous", id: random.pick(ANONYMOUS) };
}

/** Events of a person that others send while the person is erased. */
function sendAround(scene: Scene, { kind, id }: Person, afterMs: number): Promise<void>[] {
  const { random, ledger } = scene;
  const names = kind === "user" ? { userId: id } : { anonymousId: id };
  return Array.from({ length: SENT_AROUND }, () => {
    const draft: Draft = {
      type: "track",
      event: "meanwhile",
      messageId: `w${ledger.requests.length}`,
      ...names,
      timestamp: new Date(BEGIN_MS).toISOString(),
    };
    const [beforeMs, laterMs] = AROUND_MS;
    return send(scene, ledger.request([draft]), afterMs + random.between(-beforeMs, laterMs));
  });
}

/** Erases somebody: once that is answered, nothing is left of what had been answered before it was asked for. */
async function erase(
  { random, world, machines, watch, told, spanMs }: Scene,
  given?: { afterMs: number; person: Person; suppressed: number },
): Promise<void> {
  await world.pause(given?.afterMs ?? random.between(0, spanMs + random.pick([1_000, 10_000])));
  const person = given?.person ?? drawPerson(random);
  const suppress = random.chance(given?.suppressed ?? SUPPRESSED) && random.pick(["id", "all"] as const);
  for (let tries = 0; tries < ERASE_TRIES; tries++) {
    const outcome = await random.pick(machines).ask(async (system) => {
      const { events } = watch.head();
      await system.erasure.erase(person, { suppress });
      const there = watch.journal.slice(0, events).map(({ event, erased, copy }) =>
        erased || copy ? undefined : event
      );
      if (withoutPerson(there, person).some((event, index) => event !== there[index])) {
        throw new Violation(`${person.kind}/${person.id} is erased, and events are left`);
      }
      const names = person.kind === "user" ? { userId: person.id } : { anonymousId: person.id };
      if (suppress && person.kind === "user") watch.suppressed.add(person.id);
      if (suppress && !system.suppression.isSuppressed(names)) {
        throw new Violation(`${person.kind}/${person.id} is not suppressed`);
      }
    });
    world.note(12, () => `erases ${person.kind}/${person.id}: ${Object.keys(outcome)}`);
    if (!("value" in outcome)) continue;
    told.erasures++;
    return;
  }
}

/** Stops a process and starts it again, as an upgrade does. */
async function stop({ random, world, site, machines, spanMs }: Scene): Promise<void> {
  await world.pause(random.between(0, spanMs + 5_000));
  site.counts["process stopped and started"]++;
  await random.pick(machines).stop();
}
