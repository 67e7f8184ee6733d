/** Applies a stretch of the journal to a world: evidence first, then everybody whom it may concern. */
import type { Followed, World } from "./checkpoint.ts";
import { openWorld, type StoredWorld } from "./checkpoint.ts";
import type { Clock } from "../store/clock.ts";
import { audienceWorldKey, SETTLED } from "../store/keys.ts";
import type { Fence } from "../store/lease.ts";
import type { Store } from "../store/store.ts";
import { type BatchLimits, createOperations, type Writes } from "../store/write_batch.ts";
import type { Settled } from "../journal/journal_state.ts";
import type { Position } from "../../domain/event/position.ts";
import { listMembers } from "../settling/group_members.ts";
import { parseExact } from "../../domain/event/exact_json.ts";
import type { Evidence } from "../../domain/audience/evidence.ts";
import { addToValue, loadEvidence, writesOfEvidence } from "./actor_evidence.ts";
import type { Definitions } from "./definitions.ts";
import { evaluatePeople, type Ledger, type Work } from "./people.ts";
import type { Stretch } from "./stretch.ts";

/** Actors whose values are read at once. */
const ACTORS_AT_ONCE = 250;

/** Members of a changed group that are evaluated at once. */
const MEMBERS_AT_ONCE = 500;

/** What the parts of the follower share. */
export interface FollowerParts {
  store: Store;
  clock: Clock;
  limits: BatchLimits & {
    stretchEvents: number;
    buildEvents: number;
    buildBytes: number;
    buildPeople: number;
    deletedKeys: number;
  };
  definitions: Definitions;
  /** Worlds that were opened, by number. */
  worlds: Map<number, World>;
  /** First events (ms) of people of the live world, as far as this process knows them. */
  known: Map<string, number>;
  /** The world and the number of erasures that `known` is about. */
  knownIn: string;
  /** Evidence of a build that is not written yet. */
  gathering: Gathering | undefined;
  /** Counts evaluations. */
  evaluated(n: number): void;
}

/** Evidence that was gathered and not written yet. It is lost with the process, and gathered again. */
export interface Gathering {
  world: number;
  erasures: number;
  /** What it was gathered behind, up to `position`. */
  from: Position;
  position: Position;
  stretch: Stretch;
}

/** A world, opened once. */
export async function worldOf(
  { store, worlds }: Pick<FollowerParts, "store" | "worlds">,
  no: number,
): Promise<World> {
  const known = worlds.get(no);
  if (known !== undefined) return known;
  const { value } = await store.get<Uint8Array>(audienceWorldKey(no));
  if (value === null) throw new Error(`world ${no} of audiences is missing`);
  const world = openWorld(no, parseExact(new TextDecoder().decode(value)) as StoredWorld);
  worlds.set(no, world);
  return world;
}

/** How a stretch is applied. */
export interface ApplyOptions {
  lease: Fence<Followed>;
  ledger: Ledger;
  stretch: Stretch;
  /** What of the checkpoint moves with each write. */
  change(): Partial<Followed>;
  /** Whether people are evaluated; otherwise their evidence is only stored. */
  evaluates: boolean;
  /** Whether the stretch is all that the world knows: then it has everybody whom it may concern. */
  isFresh?: boolean;
}

/** Applies a stretch. Doing it again changes nothing, so whoever takes over begins at the checkpoint. */
export async function applyStretch(parts: FollowerParts, options: ApplyOptions): Promise<void> {
  const { store, clock, limits } = parts;
  const { lease, ledger, stretch, evaluates, isFresh = false } = options;
  const write = (writes: Writes) => lease.write({ ...writes, change: options.change() });
  const pause = async () => {
    await lease.renew();
    await clock.turn();
  };
  const owners = await addToActors(parts, { ledger, write, pause, kind: "anonymous", of: stretch.anonymous });
  await addToActors(parts, { ledger, write, pause, kind: "group", of: stretch.groups });
  if (!evaluates) return await addToPeople(parts, { ledger, write, pause, stretch });
  const people = peopleOf(ledger.world, stretch, owners);
  const evaluation = { store, ledger, now: clock.now(), limits, write, pause };
  await evaluatePeople({ ...evaluation, isFresh }, people);
  if (isFresh) return;
  for (const groupId of stretch.groups.keys()) {
    for await (const members of membersOf(store, groupId)) {
      const work = { evidence: [], first: Infinity, touched: ledger.world.set.withGroups };
      await evaluatePeople(evaluation, members.map((userId) => [userId, work]));
    }
  }
}

interface AddOptions {
  ledger: Ledger;
  write(writes: Writes): Promise<void>;
  pause(): Promise<void>;
}

/** Adds evidence to anonymous ids or groups; gives the users whom it may concern, with what was added. */
async function addToActors(
  { store, limits }: FollowerParts,
  { ledger, write, pause, kind, of }: AddOptions & {
    kind: "anonymous" | "group";
    of: ReadonlyMap<string, readonly Evidence[]>;
  },
): Promise<Map<string, Evidence[]>> {
  const owners = new Map<string, Evidence[]>();
  const operations = createOperations(write, limits);
  const ids = [...of.keys()];
  for (let from = 0; from < ids.length; from += ACTORS_AT_ONCE) {
    const some = ids.slice(from, from + ACTORS_AT_ONCE);
    const loaded = await loadEvidence(store, ledger.world.no, { kind, ids: some });
    for (const [index, each] of loaded.entries()) {
      const added = of.get(some[index]!)!;
      addToValue(each.value, added);
      await operations.add(writesOfEvidence(each));
      const users = new Set(each.value.evidence.flatMap(({ l }) => l === undefined ? [] : [l]));
      for (const user of users) owners.set(user, [...owners.get(user) ?? [], ...added]);
    }
    await pause();
  }
  await operations.flush();
  return owners;
}

/** Adds evidence to users without evaluating them. */
async function addToPeople(
  { store, limits }: FollowerParts,
  { ledger, write, pause, stretch }: AddOptions & { stretch: Stretch },
): Promise<void> {
  const operations = createOperations(write, limits);
  const ids = [...stretch.users.keys()];
  for (let from = 0; from < ids.length; from += ACTORS_AT_ONCE) {
    const some = ids.slice(from, from + ACTORS_AT_ONCE);
    const loaded = await loadEvidence(store, ledger.world.no, { kind: "user", ids: some });
    for (const [index, each] of loaded.entries()) {
      const { evidence, first } = stretch.users.get(some[index]!)!;
      addToValue(each.value, evidence);
      each.value.first = Math.min(each.value.first ?? Infinity, first);
      await operations.add(writesOfEvidence(each));
    }
    await pause();
  }
  await operations.flush();
}

/** Everybody whom a stretch concerns directly, or through an anonymous id, and which audiences it touches for them. */
function peopleOf(
  { set }: World,
  { users }: Stretch,
  owners: ReadonlyMap<string, readonly Evidence[]>,
): Map<string, Work> {
  const people = new Map<string, Work>();
  const touchedBy = (evidence: readonly Evidence[]) => evidence.flatMap((each) => [...set.touchedBy(each)]);
  for (const [userId, { evidence, first }] of users) {
    people.set(userId, { evidence, first, touched: new Set(touchedBy(evidence)) });
  }
  for (const [userId, evidence] of owners) {
    const { touched = [], ...work } = people.get(userId) ?? { evidence: [], first: Infinity };
    people.set(userId, { ...work, touched: new Set([...touched, ...touchedBy(evidence)]) });
  }
  return people;
}

/** The users in a group, by settled data, in pages; again from the start if the generation was replaced meanwhile. */
export async function* membersOf(store: Store, groupId: string): AsyncGenerator<string[]> {
  const generationNow = async () => (await store.get<Settled>(SETTLED)).value?.generation ?? 1;
  for (let generation = await generationNow();;) {
    let after: Parameters<typeof listMembers>[2]["after"];
    for (;;) {
      const page = await listMembers(store, generation, { groupId, limit: MEMBERS_AT_ONCE, after });
      const users = page.members.flatMap(({ who: [kind, id] }) => kind === "user" ? [id] : []);
      if (users.length > 0) yield users;
      after = page.members.at(-1)?.who;
      if (!page.more) break;
    }
    const now = await generationNow();
    if (now === generation) return;
    generation = now;
  }
}
