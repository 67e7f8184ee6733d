/** Erases a person from all audiences: evidence, memberships, moments and transitions, announced or not. */
import { type Position, stampOf } from "../../domain/event/position.ts";
import type { Evidence } from "../../domain/audience/evidence.ts";
import { linkedIds } from "../../domain/audience/person.ts";
import type { ActorKind } from "../../domain/profile/fact.ts";
import type { ErasedNames, EraseParticipant } from "../erasure/execute.ts";
import { FLAGS } from "../journal/header.ts";
import { entriesAt, positionIn, rewriteEntry } from "../journal/read_journal.ts";
import type { LeaseTaskOptions } from "../settling/settler.ts";
import {
  audienceDueKey,
  audienceMemberKey,
  audienceOutboxPrefix,
  AUDIENCES_FOLLOWED,
  derivedEventPrefix,
  journalKey,
  type Key,
} from "../store/keys.ts";
import { type Fence, LostFence, takeFence } from "../store/lease.ts";
import type { Store } from "../store/store.ts";
import { BATCH_LIMITS } from "../store/write_batch.ts";
import { type LoadedEvidence, loadEvidence, writesOfEvidence } from "./actor_evidence.ts";
import { membersOf, worldOf } from "./apply.ts";
import { type Followed, NOTHING_FOLLOWED, type World } from "./checkpoint.ts";
import { evaluatePeople, type Ledger, type OutboxRow, type Work } from "./people.ts";

/** Attempts to take the lease from a process that is at work. */
const TRIES = 100;

/** An append that is under way is over after so long: it was answered, refused, or its process is dead. */
const APPEND_MS = 12_000;

/** Keys of derived events, and rows of the outbox, that are handled at once. */
const AT_ONCE = 200;

type Options = LeaseTaskOptions & { renew(): Promise<void> };

/** The participant of erasures. Repeating it changes nothing more. */
export const erasedFromAudiences: EraseParticipant = {
  async erase(names, _no, options) {
    const { value } = await options.store.get<Followed>(AUDIENCES_FOLLOWED);
    if (value === null || value.newest === 0) return 0;
    await untilAppended(options);
    const lease = await takeLease(options);
    const { world, build, unused } = lease.value();
    for (const no of [world, build?.world ?? 0, ...unused]) {
      if (no > 0) await eraseInWorld({ options, lease, names, no });
    }
    if (names.userId !== undefined) await eraseDerived(options, lease, names.userId);
    // What others have read of the journal and not written yet is out of date.
    await lease.write({ change: { erasures: lease.value().erasures + 1, until: 0 } });
    return 0;
  },
};

/** Waits for an append under way: what it appends is in the index of its people once it is over. */
async function untilAppended({ store, clock, renew }: Options): Promise<void> {
  const deadline = clock.monotonic() + APPEND_MS;
  while (clock.monotonic() < deadline) {
    const { value } = await store.get<Followed>(AUDIENCES_FOLLOWED);
    if ((value?.appendFrom ?? null) === null) return;
    await clock.sleep(20);
    await renew();
  }
}

/** Takes the lease from whoever holds it: their next write fails, and they begin again. */
async function takeLease(options: Options): Promise<Fence<Followed>> {
  for (let tries = 1;; tries++) {
    const lease = await takeFence<Followed>({
      ...options,
      key: AUDIENCES_FOLLOWED,
      empty: NOTHING_FOLLOWED,
      owner: `${options.owner} erases`,
      force: true,
    });
    if (lease === undefined) throw new Error("audiences were written by a newer version");
    try {
      await lease.write({});
      return lease;
    } catch (error) {
      if (!(error instanceof LostFence) || tries === TRIES) throw error;
      await options.clock.sleep(5 * options.clock.random());
    }
  }
}

interface InWorld {
  options: Options;
  lease: Fence<Followed>;
  names: ErasedNames;
  no: number;
}

async function eraseInWorld({ options, lease, names, no }: InWorld): Promise<void> {
  const { store } = options;
  const world = await worldOf({ store, worlds: new Map() }, no);
  const ledger = ledgerOf(lease, world);
  const anonymousIds = new Set(names.anonymousIds ?? []);
  const groups = new Set<string>();
  const others = new Map<string, Work>();
  const note = (evidence: readonly Evidence[]) =>
    evidence.forEach(({ g }) => g !== undefined && groups.add(g));
  if (names.userId !== undefined) {
    const [own] = await loadEvidence(store, no, { kind: "user", ids: [names.userId] });
    linkedIds(own!.value.evidence).forEach((id) => anonymousIds.add(id));
    note(own!.value.evidence);
    await eraseUser(lease, ledger, own!);
  }
  for (const id of anonymousIds) {
    const before = await readAgain(options, lease, { world, kind: "anonymous", id });
    note(before);
    for (const { l } of before) {
      if (l !== undefined && l !== names.userId) others.set(l, { evidence: [], first: Infinity });
    }
  }
  // A link that an erased anonymous id had is in the evidence of its user.
  for (const id of others.keys()) await readAgain(options, lease, { world, kind: "user", id });
  for (const id of groups) await readAgain(options, lease, { world, kind: "group", id });
  await evaluateOthers(options, lease, { ledger, others, groups, except: names.userId });
  await eraseOutbox(options, lease, { no, userId: names.userId });
}

/** Evaluates everybody who shared an anonymous id or a group with the erased person. */
async function evaluateOthers(
  { store, clock, limits, renew }: Options,
  lease: Fence<Followed>,
  { ledger, others, groups, except }: {
    ledger: Ledger;
    others: ReadonlyMap<string, Work>;
    groups: ReadonlySet<string>;
    except: string | undefined;
  },
): Promise<void> {
  const evaluation = {
    store,
    ledger,
    now: clock.now(),
    limits: { ...BATCH_LIMITS, ...limits },
    write: (writes: { sets: [Key, unknown][]; deletes: Key[] }) =>
      lease.write({ ...writes, change: changeOf(lease, ledger) }),
    pause: async () => {
      await renew();
      await lease.renew();
    },
  };
  await evaluatePeople(evaluation, others);
  const work: Work = { evidence: [], first: Infinity, touched: ledger.world.set.withGroups };
  for (const id of groups) {
    for await (const members of membersOf(store, id)) {
      await evaluatePeople(evaluation, members.filter((each) => each !== except).map((each) => [each, work]));
    }
  }
}

/** The ledger of a world: the live one, one that is built, or one that nobody reads. */
function ledgerOf(lease: Fence<Followed>, world: World): Ledger {
  const followed = lease.value();
  const isLive = followed.world === world.no;
  const { counts, dueAt } = isLive
    ? followed
    : followed.build?.world === world.no
    ? followed.build
    : { counts: [], dueAt: null };
  const { announced } = followed;
  return { world, counts: [...counts], dueAt, announced, isLive, reason: "erasure", evaluations: 0 };
}

function changeOf(lease: Fence<Followed>, { world, counts, dueAt, announced }: Ledger): Partial<Followed> {
  const { world: live, build } = lease.value();
  if (world.no === live) return { counts: [...counts], dueAt, announced };
  return build?.world === world.no ? { build: { ...build, counts: [...counts], dueAt } } : {};
}

async function eraseUser(
  lease: Fence<Followed>,
  ledger: Ledger,
  { key, value, pieces, isStored }: LoadedEvidence,
): Promise<void> {
  if (!isStored) return;
  const deletes: Key[] = [key, ...pieces];
  if (value.due !== null) deletes.push(audienceDueKey(ledger.world.no, value.due, value.id));
  for (const [index, since] of value.standings) {
    if (since === null) continue;
    deletes.push(audienceMemberKey(ledger.world.no, index, value.id));
    ledger.counts[index] = (ledger.counts[index] ?? 0) - 1;
  }
  await lease.write({ deletes, change: changeOf(lease, ledger) });
}

/** Makes an actor's evidence again from its events as they are now; gives what it was. */
async function readAgain(
  { store, events }: Options,
  lease: Fence<Followed>,
  { world, kind, id }: { world: World; kind: ActorKind; id: string },
): Promise<Evidence[]> {
  const [loaded] = await loadEvidence(store, world.no, { kind, ids: [id] });
  if (!loaded!.isStored) return [];
  const before = loaded!.value.evidence;
  const found = await events.at(before.map(({ place }) => place));
  const evidence = found.flatMap((sent, index) => {
    if (sent === undefined) return [];
    const all = world.set.evidenceOf(sent.event, before[index]!.place);
    return all.filter((each) => each.kind === kind && each.id === id).map((each) => each.evidence);
  });
  const { key, pieces } = loaded!;
  if (evidence.length === 0 && kind !== "user") await lease.write({ deletes: [key, ...pieces] });
  else await lease.write(writesOfEvidence({ ...loaded!, value: { ...loaded!.value, evidence } }));
  return before;
}

/** Deletes transitions of a person that are not in the journal yet. */
async function eraseOutbox(
  { store, renew }: Options,
  lease: Fence<Followed>,
  { no, userId }: { no: number; userId: string | undefined },
): Promise<void> {
  if (userId === undefined) return;
  let deletes: Key[] = [];
  const rows = store.list<OutboxRow>({ prefix: audienceOutboxPrefix(no) }, { batchSize: AT_ONCE });
  for await (const { key, value } of rows) {
    if (value!.userId === userId) deletes.push(key);
    if (deletes.length < AT_ONCE) continue;
    await renew();
    await lease.write({ deletes });
    deletes = [];
  }
  if (deletes.length > 0) await lease.write({ deletes });
}

/** Blanks the derived events of a person in the journal, and deletes their index. */
async function eraseDerived(options: Options, lease: Fence<Followed>, userId: string): Promise<void> {
  const { store, events, renew } = options;
  for (;;) {
    const keys: Key[] = [];
    for await (const { key } of store.list({ prefix: derivedEventPrefix(userId) }, { limit: AT_ONCE })) {
      keys.push(key);
    }
    if (keys.length === 0) return;
    await renew();
    const erased = new Set(keys.map((key) => key.at(-1) as Position));
    for (const stamp of new Set([...erased].map(stampOf))) {
      const ofEntry = [...erased].filter((position) => stampOf(position) === stamp);
      await blankInEntry(store, lease, { key: journalKey(stamp), erased: new Set(ofEntry) });
    }
    events.forget();
    await lease.write({ deletes: keys });
  }
}

/**
 * Blanks events of one entry. Settling and other erasures rewrite entries under another lease: a rewriting that came
 * between is never written over, since each sets the first part of the header.
 */
async function blankInEntry(
  store: Store,
  lease: Fence<Followed>,
  { key, erased }: { key: Key; erased: ReadonlySet<Position> },
): Promise<void> {
  const { stamp } = await store.get(key);
  for (const entry of await entriesAt(store, erased)) {
    const changeOf = (index: number) =>
      erased.has(positionIn(entry, index)) ? { gone: FLAGS.erased } : undefined;
    const writes = await rewriteEntry(store, entry, { changeOf, lineWithout: (line) => line });
    await lease.write({ checks: [{ key, stamp }], ...writes });
  }
}
