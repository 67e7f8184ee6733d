/**
 * Compares the stored members of the live world with what the journal says: all evidence is made again from the first event
 * on, and everybody is evaluated at the moment at which they were evaluated last.
 */
import { BEGINNING, type Position } from "../../domain/event/position.ts";
import { evaluatePerson } from "../../domain/audience/evaluate.ts";
import { addEvidence, type Evidence } from "../../domain/audience/evidence.ts";
import { joinedGroups, joinEvidence, linkedIds } from "../../domain/audience/person.ts";
import { standingAt } from "../../domain/audience/transitions.ts";
import type { Clock } from "../store/clock.ts";
import { StorageUnavailable } from "../store/errors.ts";
import { audienceMemberKey, AUDIENCES_FOLLOWED, evidencePrefix, type Key } from "../store/keys.ts";
import { type Fence, takeFence } from "../store/lease.ts";
import type { Store } from "../store/store.ts";
import { loadEvidence, readEvidence } from "./actor_evidence.ts";
import { worldOf } from "./apply.ts";
import { type Followed, NOTHING_FOLLOWED, type World } from "./checkpoint.ts";
import type { MemberRow } from "./people.ts";
import { emptyStretch, readStretch, type Stretch } from "./stretch.ts";

/** People compared at once. */
const AT_ONCE = 250;

/** Attempts to take the lease from a process that is at work, and the pause between two (ms). */
const TRIES = 100;
const PAUSE_MS = 100;

/** What verifying needs. */
export interface VerifyAudiencesOptions {
  store: Store;
  clock: Clock;
  newId(): string;
  owner: string;
  foldVersion: number;
}

/** What was compared, and the keys of members that differ. */
export interface AudienceComparison {
  compared: number;
  differences: Key[];
}

/** Compares all members. Whoever differs is looked at again while nothing else moves. */
export async function verifyAudiences(options: VerifyAudiencesOptions): Promise<AudienceComparison> {
  const { store, clock } = options;
  const followed = (await store.get<Followed>(AUDIENCES_FOLLOWED)).value ?? NOTHING_FOLLOWED;
  if (followed.world === 0) return { compared: 0, differences: [] };
  const world = await worldOf({ store, worlds: new Map() }, followed.world);
  const stretch = emptyStretch();
  let end = await readOn(options, world, { stretch, after: BEGINNING, upTo: followed.position });
  const ids = new Set(stretch.users.keys());
  const range = { prefix: evidencePrefix(world.no, "user") };
  for await (const entry of store.list<Uint8Array>(range, { batchSize: AT_ONCE })) {
    ids.add((await readEvidence(store, entry)).value.id);
  }
  const compared = ids.size * world.audiences.length;
  const suspects = await differing(store, world, { stretch, ids: [...ids] });
  if (suspects.size === 0) return { compared, differences: [] };
  const lease = await takeLease(options);
  const now = lease.value();
  if (now.world !== world.no) {
    throw new StorageUnavailable("the audiences were replaced meanwhile: verify again");
  }
  if (now.erasures !== followed.erasures) {
    throw new StorageUnavailable("somebody was erased meanwhile: verify again");
  }
  end = await readOn(options, world, { stretch, after: end, upTo: now.position });
  const differences = await differing(store, world, { stretch, ids: [...suspects.keys()] });
  await lease.write({ change: { until: 0 } });
  await clock.turn();
  return { compared, differences: [...differences.values()].flat() };
}

function readOn(
  { store, clock }: VerifyAudiencesOptions,
  world: World,
  { stretch, after, upTo }: { stretch: Stretch; after: Position; upTo: Position },
): Promise<Position> {
  const bounds = { maxEvents: Infinity, maxBytes: Infinity };
  return readStretch(store, world, { stretch, after, upTo, ...bounds, pause: clock.turn });
}

/** Takes the lease between two stretches, so that members and checkpoint are of one moment. */
async function takeLease(options: VerifyAudiencesOptions): Promise<Fence<Followed>> {
  for (let tries = 0; tries < TRIES; tries++) {
    const lease = await takeFence<Followed>({ ...options, key: AUDIENCES_FOLLOWED, empty: NOTHING_FOLLOWED });
    if (lease !== undefined && await lease.write({}).then(() => true, () => false)) return lease;
    await options.clock.sleep(PAUSE_MS);
  }
  throw new StorageUnavailable("audiences are at work all the time: verify again");
}

/** The people who differ, each with the keys of members that do. */
async function differing(
  store: Store,
  world: World,
  { stretch, ids }: { stretch: Stretch; ids: readonly string[] },
): Promise<Map<string, Key[]>> {
  const found = new Map<string, Key[]>();
  for (let from = 0; from < ids.length; from += AT_ONCE) {
    const some = ids.slice(from, from + AT_ONCE);
    for (const { value } of await loadEvidence(store, world.no, { kind: "user", ids: some })) {
      const { id, seen, standings } = value;
      const keys = world.audiences.map((_, index) => audienceMemberKey(world.no, index, id));
      const rows = await store.getMany<MemberRow>(keys);
      const expected = standingsOf(world, stretch, { id, seen });
      const wrong = keys.filter((_, index) => {
        const { since, next } = expected[index]!;
        const stored = standings.find(([audience]) => audience === index);
        const row = rows[index]!.value;
        const isStored = (stored?.[1] ?? null) === since && (stored?.[2] ?? Infinity) === next;
        const isListed = (row?.since ?? null) === since && (row === null || (row.until ?? Infinity) === next);
        return !isStored || !isListed;
      });
      if (wrong.length > 0) found.set(id, wrong);
    }
  }
  return found;
}

/** A person's standing in each audience at a moment, by evidence that was made again. */
function standingsOf(world: World, stretch: Stretch, { id, seen }: { id: string; seen: number | null }) {
  const own: Evidence[] = [];
  const change = stretch.users.get(id);
  addEvidence(own, change?.evidence ?? []);
  const listOf = (of: ReadonlyMap<string, Evidence[]>, key: string) => {
    const list: Evidence[] = [];
    addEvidence(list, of.get(key) ?? []);
    return list;
  };
  const anonymous = linkedIds(own).map((anonymousId) => {
    return { anonymousId, evidence: listOf(stretch.anonymous, anonymousId) };
  });
  const known = joinEvidence(id, own, anonymous);
  const groups = new Map(joinedGroups(known).map((group) => [group, listOf(stretch.groups, group)]));
  const evaluation = evaluatePerson(world.set, { first: change?.first ?? Infinity, known, groups });
  return world.audiences.map((_, index) => standingAt(evaluation.audience(index), seen ?? -Infinity));
}
