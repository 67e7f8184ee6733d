/** Evaluates people and writes what follows: their evidence, memberships, next moment and transitions, in one operation each. */
import { evaluatePerson } from "../../domain/audience/evaluate.ts";
import type { Evidence } from "../../domain/audience/evidence.ts";
import { joinedGroups, joinEvidence, linkedIds, type PersonEvidence } from "../../domain/audience/person.ts";
import {
  NO_STANDING,
  type Standing,
  standingAt,
  type Transition,
  transitionsBetween,
} from "../../domain/audience/transitions.ts";
import { audienceDueKey, audienceMemberKey, audienceOutboxKey } from "../store/keys.ts";
import type { Store } from "../store/store.ts";
import { createOperations, type Writes } from "../store/write_batch.ts";
import {
  type ActorEvidenceValue,
  addToValue,
  type LoadedEvidence,
  loadEvidence,
  nothingOf,
  type StoredStanding,
  writesOfEvidence,
} from "./actor_evidence.ts";
import type { World } from "./checkpoint.ts";

/** People whose values are read at once. */
const PEOPLE_AT_ONCE = 250;

/** A member as a list shows them. */
export interface MemberRow {
  id: string;
  since: number;
  until: number | null;
}

/** A transition on its way to the journal. */
export interface OutboxRow {
  userId: string;
  audience: string;
  version: number;
  transition: Transition;
  reason: Reason;
}

/** Why somebody entered or left. */
export type Reason = "event" | "time" | "definition" | "erasure";

/** What a world's writes change besides people, moved with them in one operation. */
export interface Ledger {
  world: World;
  counts: number[];
  dueAt: number | null;
  announced: number;
  /** Whether transitions are announced: not while a world is built. */
  isLive: boolean;
  reason: Reason;
  /** Evaluations of one person for one audience. */
  evaluations: number;
}

/** Why a person is evaluated. */
export interface Work {
  evidence: readonly Evidence[];
  /** `Infinity` if nothing is new of it. */
  first: number;
  /** Audiences by number; absent: all. */
  touched?: Iterable<number>;
}

/** What evaluating people needs. */
export interface PeopleOptions {
  store: Store;
  ledger: Ledger;
  now: number;
  /** Nothing of these people is stored in the world yet: nothing is read of them. */
  isFresh?: boolean;
  limits: Parameters<typeof createOperations>[1];
  /** Writes with the ledger, atomically. */
  write(writes: Writes): Promise<void>;
  /** Called after each slice: keeps the lease, and lets requests through. */
  pause(): Promise<void>;
}

/** Evaluates people, in slices. Doing it again changes nothing. */
export async function evaluatePeople(
  options: PeopleOptions,
  people: Iterable<[string, Work]>,
): Promise<void> {
  const operations = createOperations(options.write, options.limits);
  let slice: [string, Work][] = [];
  const work = async () => {
    if (slice.length > 0) await evaluateSlice(options, slice, operations);
    slice = [];
    await options.pause();
  };
  for (const each of people) {
    slice.push(each);
    if (slice.length === PEOPLE_AT_ONCE) await work();
  }
  await work();
  await operations.flush();
}

async function evaluateSlice(
  { store, ledger, now, isFresh = false }: PeopleOptions,
  slice: readonly [string, Work][],
  operations: ReturnType<typeof createOperations>,
): Promise<void> {
  const no = ledger.world.no;
  const ids = slice.map(([id]) => id);
  const loaded = isFresh ? nothingOf(no, ids) : await loadEvidence(store, no, { kind: "user", ids });
  const kept = loaded.map((own, index) => {
    const [, { evidence, first, touched }] = slice[index]!;
    const before = own.value.first;
    addToValue(own.value, evidence);
    if (first < (before ?? Infinity)) own.value.first = first;
    const needed = new Set<number>(own.isStored && touched !== undefined ? touched : allOf(ledger.world));
    if (own.value.first !== before) { for (const index of ledger.world.vacuous) needed.add(index); }
    for (const [index, , next] of own.value.standings) if (next !== null && next <= now) needed.add(index);
    return { own, needed };
  });
  const persons = await completeMany(store, no, kept.map(({ own }) => own.value));
  for (const [index, { own, needed }] of kept.entries()) {
    const person = persons[index];
    if (person === undefined) continue;
    const { writes, settle } = evaluateOne(ledger, { own, person, needed, now });
    await operations.add(writes);
    // After it was added: an earlier write must not count it.
    settle();
  }
}

function allOf({ audiences }: World): number[] {
  return audiences.map((_, index) => index);
}

/** The whole evidence of users: with that of their anonymous ids and groups; `undefined` for one without events. */
export async function completeMany(
  store: Store,
  world: number,
  values: readonly ActorEvidenceValue[],
): Promise<(PersonEvidence | undefined)[]> {
  const ids = [...new Set(values.flatMap(({ evidence }) => linkedIds(evidence)))];
  const anonymous = await byId(store, world, "anonymous", ids);
  const known = values.map(({ id, evidence }) =>
    joinEvidence(
      id,
      evidence,
      linkedIds(evidence).map((anonymousId) => ({ anonymousId, evidence: anonymous.get(anonymousId)! })),
    )
  );
  const groups = await byId(store, world, "group", [...new Set(known.flatMap(joinedGroups))]);
  return values.map(({ first }, index) => {
    if (first === null) return undefined;
    const mine = joinedGroups(known[index]!).map((id) => [id, groups.get(id)!] as const);
    return { first, known: known[index]!, groups: new Map(mine) };
  });
}

async function byId(store: Store, world: number, kind: "anonymous" | "group", ids: readonly string[]) {
  if (ids.length === 0) return new Map<string, Evidence[]>();
  const loaded = await loadEvidence(store, world, { kind, ids });
  return new Map(loaded.map(({ value }) => [value.id, value.evidence]));
}

/** One person: what is written, and what then changes in the ledger. */
function evaluateOne(
  ledger: Ledger,
  { own, person, needed, now: clockNow }: {
    own: LoadedEvidence;
    person: PersonEvidence;
    needed: ReadonlySet<number>;
    now: number;
  },
): { writes: Writes; settle(): void } {
  const { world } = ledger;
  const { value } = own;
  // A clock that was set back takes nothing back.
  const now = Math.max(clockNow, value.seen ?? clockNow);
  const evaluation = evaluatePerson(world.set, person);
  const sets: Writes["sets"] = [];
  const deletes: Writes["deletes"] = [];
  const joined: [audience: number, step: number][] = [];
  const standings = new Map(value.standings.map((each) => [each[0], each]));
  for (const index of needed) {
    ledger.evaluations++;
    const stored = standings.get(index);
    const before = stored === undefined ? NO_STANDING : standingOf(stored);
    const holds = evaluation.audience(index);
    const after = standingAt(holds, now);
    const { emit, name, version } = world.audiences[index]!;
    if (ledger.isLive && emit) {
      for (const transition of transitionsBetween(before, holds, { seen: value.seen ?? -Infinity, now })) {
        const row: OutboxRow = {
          userId: value.id,
          audience: name,
          version,
          transition,
          reason: ledger.reason,
        };
        sets.push([audienceOutboxKey(world.no, ledger.announced++), row]);
      }
    }
    putMember(world, { index, id: value.id, before, after, sets, deletes });
    joined.push([index, Number(after.since !== null) - Number(before.since !== null)]);
    if (after.since === null && after.next === Infinity) standings.delete(index);
    else standings.set(index, storedOf(index, after));
  }
  value.standings = [...standings.values()].sort((a, b) => a[0] - b[0]);
  value.seen = now;
  const due = Math.min(...value.standings.map(([, , next]) => next ?? Infinity));
  const dueAt = due === Infinity ? null : due;
  if (dueAt !== value.due) {
    if (value.due !== null) deletes.push(audienceDueKey(world.no, value.due, value.id));
    if (dueAt !== null) sets.push([audienceDueKey(world.no, dueAt, value.id), value.id]);
    value.due = dueAt;
  }
  const mine = writesOfEvidence(own);
  // The moment may be earlier than the ledger's only once it is written; one that is too early costs a look.
  if (dueAt !== null) ledger.dueAt = Math.min(ledger.dueAt ?? Infinity, dueAt);
  return {
    writes: { sets: [...sets, ...mine.sets], deletes: [...deletes, ...mine.deletes] },
    settle() {
      for (const [index, step] of joined) ledger.counts[index] = (ledger.counts[index] ?? 0) + step;
    },
  };
}

function standingOf([, since, next]: StoredStanding): Standing {
  return { since, next: next ?? Infinity };
}

function storedOf(index: number, { since, next }: Standing): StoredStanding {
  return [index, since, next === Infinity ? null : next];
}

function putMember(
  world: World,
  { index, id, before, after, sets, deletes }: {
    index: number;
    id: string;
    before: Standing;
    after: Standing;
    sets: Writes["sets"];
    deletes: Writes["deletes"];
  },
): void {
  if (after.since === before.since && after.next === before.next) return;
  const key = audienceMemberKey(world.no, index, id);
  if (after.since !== null) {
    const until = after.next === Infinity ? null : after.next;
    sets.push([key, { id, since: after.since, until } satisfies MemberRow]);
  } else if (before.since !== null) deletes.push(key);
}
