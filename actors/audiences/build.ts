/**
 * Builds a world beside the live one: evidence of the whole journal, then all people, then what came meanwhile; and switches
 * to it by the write that moves one number. It works in slices between the live stretches.
 */
import { BEGINNING } from "../../domain/event/position.ts";
import { canonicalJson } from "../../domain/event/json.ts";
import {
  audienceMembersPrefix,
  audienceOutboxKey,
  audienceWorldKey,
  audienceWorldPrefixes,
  evidencePrefix,
  type Key,
  SETTLED,
} from "../store/keys.ts";
import type { Settled } from "../journal/journal_state.ts";
import type { Fence } from "../store/lease.ts";
import { createOperations, type Writes } from "../store/write_batch.ts";
import type { Transition } from "../../domain/audience/transitions.ts";
import { readEvidence } from "./actor_evidence.ts";
import type { Build, Followed, StoredWorld, World, WorldAudience } from "./checkpoint.ts";
import { evaluatePeople, type Ledger, type MemberRow, type OutboxRow, type Work } from "./people.ts";
import { applyStretch, type FollowerParts, worldOf } from "./apply.ts";
import { emptyStretch, readStretch } from "./stretch.ts";
import type { StoredDefinition } from "./definitions.ts";

/** Bounds of a build. */
export const BUILD_LIMITS = {
  /** Events read in a slice, before live events have their turn. */
  buildEvents: 50_000,
  /** Bytes of evidence that are gathered before they are written: more need fewer writes of the same people. */
  buildBytes: 256 * 1024 * 1024,
  /** People evaluated in a slice. */
  buildPeople: 5_000,
  /** Keys of an old world deleted in a slice. */
  deletedKeys: 2_000,
};
export type BuildLimits = typeof BUILD_LIMITS;

/** Takes in changed definitions: begins a build where conditions changed; otherwise changes the newest world in place. */
export async function takeDefinitions(
  parts: FollowerParts,
  lease: Fence<Followed>,
  mark: string,
): Promise<void> {
  // A build that runs is completed first, so that frequent edits cannot keep it from ever being done.
  const { build, world, unused } = lease.value();
  if (build !== null) return;
  await parts.definitions.refresh();
  const audiences = parts.definitions.all().map(audienceOf);
  const live = world === 0 ? undefined : (await worldOf(parts, world)).audiences;
  if (audiences.length === 0) {
    const change = {
      mark,
      world: 0,
      counts: [],
      dueAt: null,
      unused: world === 0 ? unused : [...unused, world],
    };
    return await lease.write({ change });
  }
  if (
    live !== undefined && canonicalJson(live.map(conditionOf)) === canonicalJson(audiences.map(conditionOf))
  ) {
    const before = await worldOf(parts, world);
    const stored: StoredWorld = { audiences, builtAt: before.builtAt };
    await lease.write({ sets: [[audienceWorldKey(world), encode(stored)]], change: { mark } });
    parts.worlds.delete(world);
    return;
  }
  await beginBuild(parts, lease, mark);
}

/** Begins to build a world of the definitions as they are. */
export async function beginBuild(parts: FollowerParts, lease: Fence<Followed>, mark: string): Promise<void> {
  const { world, newest } = lease.value();
  await parts.definitions.refresh();
  const stored: StoredWorld = { audiences: parts.definitions.all().map(audienceOf), builtAt: null };
  const begun: Build = {
    world: newest + 1,
    position: BEGINNING,
    events: 0,
    after: null,
    isFresh: true,
    isEvaluated: false,
    counts: stored.audiences.map(() => 0),
    dueAt: null,
    since: parts.clock.now(),
  };
  const { value: settled } = await parts.store.get<Settled>(SETTLED);
  await lease.write({
    sets: [[audienceWorldKey(begun.world), encode(stored)]],
    change: {
      mark,
      build: begun,
      newest: begun.world,
      generation: settled?.generation ?? 1,
      // Without a live world the position is nobody's: the build has to reach what is settled now.
      ...settled !== null && world === 0 && { position: settled.position, events: settled.events },
    },
  });
}

function audienceOf({ name, version, where, emit }: StoredDefinition): WorldAudience {
  return { name, version, where, emit };
}

function conditionOf({ name, where }: WorldAudience): unknown[] {
  return [name, where];
}

/** The stored form of a world. */
export function encode(world: StoredWorld): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(world));
}

/** One slice of the build that runs. */
export async function buildOn(parts: FollowerParts, lease: Fence<Followed>): Promise<void> {
  const { build, position } = lease.value();
  if (build === null) return;
  const world = await worldOf(parts, build.world);
  if (!build.isEvaluated && build.after === null && build.position < position) {
    return await gatherOn(parts, lease, world);
  }
  parts.gathering = undefined;
  if (!build.isEvaluated) return await evaluateOn(parts, lease, world);
  if (build.position < position) await catchUp(parts, lease, world);
  if (lease.value().build!.position >= lease.value().position) await switchTo(parts, lease, world);
}

/** Reads on in the journal; writes what was gathered when it is much, or when the journal's live position is reached. */
async function gatherOn(parts: FollowerParts, lease: Fence<Followed>, world: World): Promise<void> {
  const { build, position, erasures } = lease.value();
  const { limits, store } = parts;
  let gathering = parts.gathering;
  const isCurrent = gathering?.world === world.no && gathering.from === build!.position &&
    gathering.erasures === erasures;
  if (gathering === undefined || !isCurrent) {
    gathering = {
      world: world.no,
      erasures,
      from: build!.position,
      position: build!.position,
      stretch: emptyStretch(),
    };
  }
  parts.gathering = gathering;
  gathering.position = await readStretch(store, world, {
    after: gathering.position,
    upTo: position,
    maxEvents: limits.buildEvents,
    maxBytes: limits.buildBytes,
    pause: () => pauseOf(parts, lease)(),
    stretch: gathering.stretch,
  });
  if (gathering.position < position && gathering.stretch.bytes < limits.buildBytes) {
    return await lease.renew();
  }
  parts.gathering = undefined;
  // All of it is in memory: everybody is evaluated and written once.
  const isWhole = build!.isFresh && gathering.position >= position;
  await lease.write({ change: { build: { ...build!, isFresh: false } } });
  const ledger = buildLedger(lease, world);
  const change = (): Partial<Followed> => ({
    build: { ...lease.value().build!, counts: [...ledger.counts], dueAt: ledger.dueAt },
  });
  const { stretch } = gathering;
  await applyStretch(parts, { lease, ledger, stretch, change, evaluates: isWhole, isFresh: isWhole });
  parts.evaluated(ledger.evaluations);
  await lease.write({
    change: {
      build: {
        ...lease.value().build!,
        ...change().build!,
        position: gathering.position,
        events: lease.value().build!.events + stretch.events,
        isEvaluated: isWhole,
      },
    },
  });
  // At once: the live position moves on, and this would never reach it.
  if (!isWhole && gathering.position >= position) await evaluateOn(parts, lease, world);
}

const pauseOf = ({ clock }: FollowerParts, lease: Fence<Followed>) => async () => {
  await lease.renew();
  await clock.turn();
};

function buildLedger(lease: Fence<Followed>, world: World): Ledger {
  const { counts, dueAt } = lease.value().build!;
  return {
    world,
    counts: [...counts],
    dueAt,
    announced: 0,
    isLive: false,
    reason: "definition",
    evaluations: 0,
  };
}

/** Evaluates the next people, in the order of their keys. */
async function evaluateOn(parts: FollowerParts, lease: Fence<Followed>, world: World): Promise<void> {
  const { store, clock, limits } = parts;
  const { build } = lease.value();
  const prefix = evidencePrefix(world.no, "user");
  const range = build!.after === null ? { prefix } : { prefix, start: [...prefix, build!.after, 0] as Key };
  const people: [string, Work][] = [];
  let last: string | null = null;
  for await (const entry of store.list<Uint8Array>(range, { limit: limits.buildPeople, batchSize: 500 })) {
    const { value } = await readEvidence(store, entry);
    people.push([value.id, { evidence: [], first: Infinity }]);
    last = entry.key.at(-1) as string;
  }
  const ledger = buildLedger(lease, world);
  const change = (): Partial<Followed> => ({
    build: { ...lease.value().build!, counts: [...ledger.counts], dueAt: ledger.dueAt },
  });
  await evaluatePeople({
    store,
    ledger,
    now: clock.now(),
    limits,
    write: (writes: Writes) => lease.write({ ...writes, change: change() }),
    pause: pauseOf(parts, lease),
  }, people);
  parts.evaluated(ledger.evaluations);
  const isEvaluated = people.length < limits.buildPeople;
  await lease.write({
    change: {
      build: { ...lease.value().build!, ...change().build!, after: last ?? build!.after, isEvaluated },
    },
  });
}

/** Takes in what came while people were evaluated, as the live world does. */
async function catchUp(parts: FollowerParts, lease: Fence<Followed>, world: World): Promise<void> {
  const { store, limits } = parts;
  const { build, position } = lease.value();
  const stretch = emptyStretch();
  const end = await readStretch(store, world, {
    after: build!.position,
    upTo: position,
    maxEvents: limits.buildEvents,
    maxBytes: limits.buildBytes,
    pause: pauseOf(parts, lease),
    stretch,
  });
  const ledger = buildLedger(lease, world);
  const change = (): Partial<Followed> => ({
    build: { ...lease.value().build!, counts: [...ledger.counts], dueAt: ledger.dueAt },
  });
  await applyStretch(parts, { lease, ledger, stretch, change, evaluates: true });
  const { build: now } = lease.value();
  await lease.write({ change: { build: { ...now!, position: end, events: now!.events + stretch.events } } });
}

/** Switches to a world that knows as much as the live one. Transitions are announced for what differs. */
async function switchTo(parts: FollowerParts, lease: Fence<Followed>, world: World): Promise<void> {
  const { clock } = parts;
  const { build, world: before, unused, announced, appended } = lease.value();
  // The old outbox is emptied first: nobody reads it after.
  if (appended < announced) return;
  const rows = before === 0
    ? 0
    : await announceDifferences(parts, lease, { old: await worldOf(parts, before), world });
  const builtAt = clock.now();
  const stored: StoredWorld = { audiences: world.audiences, builtAt };
  await lease.write({
    sets: [[audienceWorldKey(world.no), encode(stored)]],
    change: {
      world: world.no,
      counts: build!.counts,
      dueAt: build!.dueAt,
      build: null,
      announced: rows,
      appended: 0,
      unused: before === 0 ? unused : [...unused, before],
    },
  });
  parts.worlds.delete(world.no);
}

/**
 * Writes the transitions between two worlds to the outbox of the new one, which nobody reads before it is live.
 */
async function announceDifferences(
  { store, limits, clock }: FollowerParts,
  lease: Fence<Followed>,
  { old, world }: { old: World; world: World },
): Promise<number> {
  const operations = createOperations((writes) => lease.write(writes), limits);
  let rows = 0;
  const now = clock.now();
  for (const [index, { name, version, emit }] of world.audiences.entries()) {
    const oldIndex = old.audiences.findIndex((audience) => audience.name === name && audience.emit);
    if (!emit || oldIndex === -1) continue;
    const listOf = (no: number, audience: number) =>
      store.list<MemberRow>({ prefix: audienceMembersPrefix(no, audience) }, { batchSize: 500 });
    for await (const { was, is } of pairMembers(listOf(old.no, oldIndex), listOf(world.no, index))) {
      await lease.renew();
      if (was !== undefined && is !== undefined) continue;
      const transition: Transition = is === undefined
        ? { kind: "exited", since: was!.since, until: now }
        : { kind: "entered", since: is.since };
      const userId = (was ?? is)!.id;
      const row: OutboxRow = { userId, audience: name, version, transition, reason: "definition" };
      await operations.add({ sets: [[audienceOutboxKey(world.no, rows++), row]], deletes: [] });
    }
  }
  await operations.flush();
  return rows;
}

type Rows = AsyncIterable<{ key: Key; value: MemberRow | null }>;

/** The rows of two lists in the order of their keys, those of one person together. */
async function* pairMembers(before: Rows, after: Rows): AsyncGenerator<{ was?: MemberRow; is?: MemberRow }> {
  const [old, fresh] = [before[Symbol.asyncIterator](), after[Symbol.asyncIterator]()];
  let [a, b] = [await old.next(), await fresh.next()];
  while (!a.done || !b.done) {
    const order = a.done ? 1 : b.done ? -1 : compareKeys(a.value.key, b.value.key);
    if (order < 0) {
      yield { was: a.value.value! };
      a = await old.next();
    } else if (order > 0) {
      yield { is: b.value.value! };
      b = await fresh.next();
    } else {
      yield { was: a.value.value!, is: b.value.value! };
      [a, b] = [await old.next(), await fresh.next()];
    }
  }
}

const encoder = new TextEncoder();

function compareKeys(a: Key, b: Key): number {
  const [x, y] = [encoder.encode(String(a.at(-1))), encoder.encode(String(b.at(-1)))];
  for (let i = 0; i < x.length && i < y.length; i++) if (x[i] !== y[i]) return x[i]! - y[i]!;
  return x.length - y.length;
}

/** Deletes some keys of a world that is no longer read. */
export async function deleteUnused({ store, limits }: FollowerParts, lease: Fence<Followed>): Promise<void> {
  const [oldest, ...others] = lease.value().unused;
  if (oldest === undefined) return;
  for (const prefix of audienceWorldPrefixes(oldest)) {
    const deletes: Key[] = [];
    for await (const { key } of store.list({ prefix }, { limit: limits.deletedKeys, batchSize: 500 })) {
      deletes.push(key);
    }
    if (deletes.length === 0) continue;
    const operations = createOperations((writes) => lease.write(writes), limits);
    for (const key of deletes) await operations.add({ sets: [], deletes: [key] });
    return await operations.flush();
  }
  await lease.write({ deletes: [audienceWorldKey(oldest)], change: { unused: others } });
}
