/** What must be true when the weather has cleared and everything has come to rest. */
import { LIMITS } from "../../actors/limits.ts";
import { comparePositions, type Position } from "../../domain/event/position.ts";
import { canonicalState } from "../../actors/settling/canonical_state.ts";
import { erasuresOf } from "../../actors/journal/journal_state.ts";
import { ERASING, generationPrefixes, type Key, SEEN } from "../../actors/store/keys.ts";
import { readLog } from "../../actors/settling/actor_log.ts";
import { keysOfRun } from "../../actors/dedup/dedup_index.ts";
import { type ActorHead, load } from "../../actors/settling/snapshot.ts";
import { type Store, storeOf } from "../../actors/store/store.ts";
import type { System } from "../../actors/system.ts";
import type { ErasureRequests } from "../../actors/erasure/requests.ts";
import { anonymousToJson, foldAnonymous } from "../../domain/profile/anonymous.ts";
import { type ActorKind, type ActorName, type Fact, factOf } from "../../domain/profile/fact.ts";
import { emptyGroup, evolveGroup, groupToJson } from "../../domain/profile/group.ts";
import { emptyPerson, evolvePerson, personToJson } from "../../domain/profile/person.ts";
import { openHandle } from "./handle.ts";
import type { Ledger } from "./ledger.ts";
import { beginLife, type Machine, type Outcome, type Site, textOf } from "./machine.ts";
import type { Product } from "./product.ts";
import type { Random } from "./random.ts";
import { allQuestions, ask, type createReadings } from "./readings.ts";
import { scratchStore } from "./tool.ts";
import type { Watch } from "./watch.ts";
import { Violation, type World } from "./world.ts";

/** What is checked. */
export interface RestScene {
  random: Random;
  world: World;
  site: Site;
  machines: Machine[];
  ledger: Ledger;
  watch: Watch;
  readings: ReturnType<typeof createReadings>;
  products: Product[];
}

/** The share of histories in which the tool that verifies is run at the end: it is as long as all other checks. */
const VERIFIED = 0.1;

/** The share of histories in which a process begins anew at the end, settles, and must have left no stray. */
const SWEPT = 0.3;

/** A tick that did not come to the end is followed by so many. */
const MORE_TICKS = 5;

/** Checks everything. */
export async function checkAll(scene: RestScene): Promise<void> {
  const { random, site, machines, ledger, watch, products } = scene;
  // Everything settles by itself in time, in whatever process; a newer version's process may have to.
  for (const machine of machines) {
    let outcome = await machine.ask((system) => system.tick!());
    // A tick settles for a minute at the most; erasures in a row, by a process far away, may take longer.
    for (let n = 0; n < MORE_TICKS && "error" in outcome; n++) {
      outcome = await machine.ask((system) => system.tick!());
    }
    must(outcome, "settling");
  }
  if (watch.settled().position !== watch.head().end) {
    throw new Violation(`invariant 2: settled is ${watch.settled().position}, the end ${watch.head().end}`);
  }
  const requested = (watch.valueOf(ERASING) as ErasureRequests | undefined)?.pushed ?? 0;
  if (erasuresOf(watch.settled()) !== requested) {
    throw new Violation("an erasure was begun and is not finished");
  }
  site.calm = true;
  ledger.check();
  await checkStates(scene);
  // A process that was there all the time, and one that begins anew.
  must(await random.pick(machines).ask((system) => question(scene, system, 0.15)), "reading");
  const life = beginLife(site, random.pick(products));
  const fresh = must(
    await life.ask(() => openFresh(scene, random.pick(products), life)),
    "opening",
  );
  must(await life.ask(() => question(scene, fresh, 0.5)), "reading");
  if (site.windowMs === 0) must(await life.ask(() => repeatAll(scene, fresh)), "sending again");
  if (random.chance(VERIFIED)) must(await life.ask(() => verify(scene, life)), "verifying");
  life.end();
  if (random.chance(SWEPT)) await checkStrays(scene);
}

/** A system that begins anew in a life of its own; in clear weather settling must not fail. */
function openFresh(
  { site }: RestScene,
  product: Product,
  { store, clock, newId }: ReturnType<typeof beginLife>,
): Promise<System> {
  return product.openSystem({
    storage: store,
    clock,
    limits: product.limits,
    foldVersion: product.foldVersion,
    newId,
    randomBytes: () => {},
    dedupMs: site.windowMs,
    onFault: (error) => site.world.fail(new Violation(`settling failed: ${textOf(error)}`)),
  });
}

/** Value of an outcome; in clear weather there is no other. */
function must<T>(outcome: Outcome<T>, what: string): T {
  if ("value" in outcome) return outcome.value;
  throw new Violation(
    `${what} failed in clear weather: ${"error" in outcome ? textOf(outcome.error) : "it died"}`,
  );
}

/** Holds a share of all that a system can be asked against the oracle. */
async function question(
  { readings, random }: RestScene,
  system: Parameters<typeof ask>[0],
  share: number,
): Promise<void> {
  const head = readings.now();
  for (const question of allQuestions()) {
    if (!random.chance(share)) continue;
    readings.check(question, await ask(system, question), { from: head, to: head });
  }
}

/** Every event, sent again, is a duplicate. */
async function repeatAll({ watch }: RestScene, system: Parameters<typeof ask>[0]): Promise<void> {
  const { events } = watch.head();
  const receipts = await system.commit(watch.journal.map(({ event }) => event), "key");
  for (const { messageId, duplicate } of receipts) {
    if (!duplicate) throw new Violation(`invariant 1: ${messageId} was forgotten`);
  }
  if (watch.head().events !== events) {
    throw new Violation("invariant 1: what was sent again is in the journal again");
  }
}

/** After the first round of a process that begins anew, nothing is left of runs of the dedup index but those that are listed. */
async function checkStrays(scene: RestScene): Promise<void> {
  const { site, watch } = scene;
  const product = scene.products[0]!;
  const life = beginLife(site, product);
  const settled = await life.ask(async () => {
    const system = await openFresh(scene, product, life);
    const at = new Date(site.wallMs()).toISOString();
    await system.commit([
      { type: "track", event: "last", messageId: "last", userId: "last", timestamp: at, receivedAt: at },
    ], "key");
    await system.tick!();
  });
  must(settled, "settling at last");
  life.end();
  const named = new Set(watch.settled().runs.flatMap(keysOfRun).map((key) => key.join("/")));
  for await (const { key } of plainStore(site).list({ prefix: SEEN })) {
    if (!named.has(key.join("/"))) throw new Violation(`a stray of the dedup index: ${key.join("/")}`);
  }
}

async function verify(
  { site, products, random }: RestScene,
  { clock, newId }: ReturnType<typeof beginLife>,
): Promise<void> {
  const product = random.pick(products);
  const tools = await product.openTools({
    storage: plainStore(site),
    clock,
    limits: product.limits,
    foldVersion: product.foldVersion,
    newId,
    onFault: (error) => site.world.fail(error),
  });
  const { differences } = await tools.verifyAll(scratchStore(site, product), () => {});
  if (differences.length > 0) throw new Violation(`invariant 3: verify found ${differences.join(" ")}`);
}

/** The store as it is, by the product as it is. */
function plainStore(site: Site): Store {
  const owner = { id: 0, alive: true, frozenUntilMs: 0 };
  return storeOf(openHandle({ ...site, owner, die() {}, isCalm: () => true }), {
    clock: site.world.clockOf(owner, site.wallMs),
    limits: LIMITS,
  });
}

/** Each actor that the journal names is there; its log is its events, and its state what they fold to. */
async function checkStates({ site, watch }: RestScene): Promise<void> {
  const store = plainStore(site);
  const { generation } = watch.settled();
  const [prefix] = generationPrefixes(generation);
  const keys: Key[] = [];
  for await (const { key } of store.list({ prefix: prefix! })) keys.push(key);
  const facts = new Map(watch.journal.map(({ event, place }) => [place, factOf(event, place)]));
  const actors = await load<ActorHead>(store, keys);
  for (const [index, { head, state }] of actors.entries()) {
    const kind = keys[index]![2] as ActorKind;
    const name: ActorName = `${kind}/${head!.id}`;
    const mine = (watch.places.get(name) ?? []).map((place) => facts.get(place)!);
    const log: Position[] = [];
    for await (
      const { place } of readLog(store, { generation, kind, id: head!.id }, { log: head!, order: "asc" })
    ) {
      log.push(place);
    }
    const inTime = mine.toSorted((a, b) => a.at - b.at || comparePositions(a.place, b.place)).map((
      { place },
    ) => place);
    if (log.join() !== inTime.join()) {
      throw new Violation(`invariant 3: log of ${name} is ${log}, not ${inTime}`);
    }
    const kept = canonicalState(kind, state);
    const folded = canonicalState(kind, fold(kind, head!.id, mine));
    if (kept !== folded) throw new Violation(`invariant 3: ${name} is\n${kept}\nand not\n${folded}`);
  }
  if (actors.length !== watch.places.size) {
    throw new Violation(
      `invariant 3: there are ${actors.length} actors, where the journal names ${watch.places.size}`,
    );
  }
}

function fold(kind: ActorKind, id: string, facts: Fact[]): unknown {
  if (kind === "anonymous") return anonymousToJson(foldAnonymous(facts, id));
  if (kind === "group") {
    const group = emptyGroup();
    for (const fact of facts) evolveGroup(group, fact);
    return groupToJson(group);
  }
  const person = emptyPerson();
  for (const fact of facts) evolvePerson(person, fact);
  return personToJson(person);
}
