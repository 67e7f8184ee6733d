/** The subscription that keeps audiences: stretches of the journal, moments that have come, transitions, and builds. */
import { FLAGS } from "../journal/header.ts";
import { parseExact } from "../../domain/event/exact_json.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import type { Position } from "../../domain/event/position.ts";
import type { Settled } from "../journal/journal_state.ts";
import { endOfJournal, linesOfEntry, positionIn, readJournal } from "../journal/read_journal.ts";
import { subscribe, type Subscription, type Task } from "../journal/subscription.ts";
import {
  audienceDuePrefix,
  audienceOutboxPrefix,
  AUDIENCES_CHANGED,
  AUDIENCES_FOLLOWED,
  derivedEventKey,
  type Key,
  SETTLED,
} from "../store/keys.ts";
import type { Clock } from "../store/clock.ts";
import type { Fence } from "../store/lease.ts";
import type { Store } from "../store/store.ts";
import { BATCH_LIMITS, createOperations } from "../store/write_batch.ts";
import { applyStretch, type FollowerParts, worldOf } from "./apply.ts";
import { beginBuild, BUILD_LIMITS, buildOn, deleteUnused, takeDefinitions } from "./build.ts";
import { type Followed, NOTHING_FOLLOWED, type World } from "./checkpoint.ts";
import type { Definitions } from "./definitions.ts";
import { evaluatePeople, type Ledger, type OutboxRow } from "./people.ts";
import { loadEvidence } from "./actor_evidence.ts";
import { emptyStretch, readStretch } from "./stretch.ts";
import { transitionEvent } from "./transition_event.ts";

/** Bounds of following the journal. */
export const AUDIENCE_LIMITS = {
  ...BATCH_LIMITS,
  ...BUILD_LIMITS,
  /** Events of a stretch. */
  stretchEvents: 20_000,
  /** A stretch begins when nothing more came for so long. */
  audienceQuietMs: 50,
  /** People whose moment has come that are handled before events have their turn. */
  dueAtOnce: 2_000,
  /** Transitions that are appended at once. */
  appendAtOnce: 500,
};
export type AudienceLimits = typeof AUDIENCE_LIMITS;

/** Bytes of evidence in a stretch. */
const STRETCH_BYTES = 64 * 1024 * 1024;

/** People whose first event is held in memory. */
const MAX_KNOWN = 200_000;

/** A stretch begins after so long at the latest. */
const WAIT_MS = 1_000;

/** While settling is behind, the follower looks again after so long at the most, and begins anew after so many looks. */
const LOOK_MS = 50;
const LOOKS = 50;

/** What following needs. */
export interface FollowOptions {
  store: Store;
  clock: Clock;
  newId(): string;
  owner: string;
  foldVersion: number;
  limits: AudienceLimits;
  definitions: Definitions;
  /** Appends derived events to the journal: those whose message ids are known are duplicates. */
  append(events: StoredEvent[]): Promise<void>;
  onFault(error: unknown): void;
  /** The checkpoint has moved. */
  onMoved(followed: Followed): void;
}

/** The follower: a subscription, and its figures. */
export interface Follower extends Subscription {
  /** Evaluations of a person for an audience since the start of the process. */
  evaluations(): number;
}

/** Follows the journal for the audiences of a store. It reads nothing before it is woken. */
export function followJournal(options: FollowOptions): Follower {
  const { store, clock, limits, definitions } = options;
  const state = { evaluations: 0, closed: false };
  const parts: FollowerParts = {
    store,
    clock,
    limits,
    definitions,
    worlds: new Map(),
    known: new Map(),
    knownIn: "",
    gathering: undefined,
    evaluated: (n) => void (state.evaluations += n),
  };
  const subscription = subscribe<Followed>({
    ...options,
    key: AUDIENCES_FOLLOWED,
    empty: NOTHING_FOLLOWED,
    gather: { quietMs: limits.audienceQuietMs, waitMs: WAIT_MS, events: limits.stretchEvents },
    tasks: [dueTask(parts, limits), announceTask(options), replayedTask(parts), buildTask(parts)],
    handle: (lease, upTo, interruptible) =>
      handle(parts, { lease, upTo, interruptible, isClosed: () => state.closed }),
    hasMoved: (before, after) => before.op !== after.op,
    onCutOff() {
      parts.known.clear();
      parts.worlds.clear();
      parts.gathering = undefined;
    },
  });
  return {
    ...subscription,
    evaluations: () => state.evaluations,
    close() {
      state.closed = true;
      return subscription.close();
    },
  };
}

/** Handles events up to where they are settled: members of groups are known up to there. */
async function handle(
  parts: FollowerParts,
  { lease, upTo, interruptible, isClosed }: {
    lease: Fence<Followed>;
    upTo: Position;
    interruptible: Fence<Followed>;
    isClosed(): boolean;
  },
): Promise<void> {
  const { store, clock } = parts;
  const { position, world: no, events } = lease.value();
  if (upTo <= position) return;
  forgetErased(parts, lease.value());
  const settled = await settledBehind(parts, lease, { position, isClosed });
  if (settled === undefined) return;
  if (no === 0) {
    // Nothing is live: a world that is built follows to here.
    return await lease.write({ change: { position: settled.position, events: settled.events } });
  }
  const world = await worldOf(parts, no);
  const stretch = emptyStretch();
  const end = await readStretch(store, world, {
    after: position,
    upTo: upTo < settled.position ? upTo : settled.position,
    maxEvents: parts.limits.stretchEvents,
    maxBytes: STRETCH_BYTES,
    pause: async () => {
      await lease.renew();
      await clock.turn();
    },
    known: parts.known,
    stretch,
  });
  const ledger = liveLedger(lease, world, "event");
  const change = () => changeOf(ledger);
  await applyStretch(parts, { lease: interruptible, ledger, stretch, change, evaluates: true });
  parts.evaluated(ledger.evaluations);
  await lease.write({ change: { ...change(), position: end, events: events + stretch.events } });
  remember(parts, stretch);
}

/** Forgets who is known where the world is another, or somebody was erased from it: in whatever process. */
function forgetErased(parts: FollowerParts, { world, erasures }: Followed): void {
  const knownIn = `${world}/${erasures}`;
  if (parts.knownIn !== knownIn) parts.known.clear();
  parts.knownIn = knownIn;
}

/** Remembers people who are known, so that an event that says nothing else costs no read. */
function remember({ known }: FollowerParts, { users }: ReturnType<typeof emptyStretch>): void {
  for (const [id, { first }] of users) {
    if (known.size >= MAX_KNOWN) known.clear();
    known.set(id, Math.min(first, known.get(id) ?? Infinity));
  }
}

/** The settled position once it is behind another; `undefined` where settling is behind for long. */
async function settledBehind(
  { store, clock }: FollowerParts,
  lease: Fence<Followed>,
  { position, isClosed }: { position: Position; isClosed(): boolean },
): Promise<Settled | undefined> {
  for (let looks = 0; looks < LOOKS && !isClosed(); looks++) {
    const { value } = await store.get<Settled>(SETTLED);
    if (value !== null && value.position > position) return value;
    await clock.sleep(Math.min(2 ** looks, LOOK_MS));
    await lease.renew();
  }
  return undefined;
}

function liveLedger(lease: Fence<Followed>, world: World, reason: Ledger["reason"]): Ledger {
  const { counts, dueAt, announced } = lease.value();
  return { world, counts: [...counts], dueAt, announced, isLive: true, reason, evaluations: 0 };
}

function changeOf({ counts, dueAt, announced }: Ledger): Partial<Followed> {
  return { counts: [...counts], dueAt, announced };
}

/** People whose next moment has come: exits, and entries, because time passes. */
function dueTask(parts: FollowerParts, { dueAtOnce }: AudienceLimits): Task<Followed> {
  const { store, clock, limits } = parts;
  return {
    key: AUDIENCES_CHANGED,
    isDue: (_, { dueAt }) => dueAt !== null && dueAt <= clock.now(),
    async run(lease) {
      const { world: no } = lease.value();
      if (no === 0) return false;
      const world = await worldOf(parts, no);
      const now = clock.now();
      const prefix = audienceDuePrefix(no);
      const range = { prefix, end: [...prefix, now + 1] };
      const due: string[] = [];
      for await (
        const { value } of store.list<string>({ start: prefix, end: range.end }, {
          limit: dueAtOnce,
          batchSize: 500,
        })
      ) {
        due.push(value!);
      }
      const ledger = liveLedger(lease, world, "time");
      const people = [...new Set(due)].map((id) =>
        [id, { evidence: [], first: Infinity, touched: [] }] as const
      );
      await evaluatePeople({
        store,
        ledger,
        now,
        limits,
        write: (writes) => lease.write({ ...writes, change: changeOf(ledger) }),
        pause: async () => {
          await lease.renew();
          await clock.turn();
        },
      }, people.map(([id, work]) => [id, work]));
      parts.evaluated(ledger.evaluations);
      await lease.write({ change: { ...changeOf(ledger), dueAt: await nextDue(parts, lease, { no, now }) } });
      return false;
    },
  };
}

/** The earliest moment after those that were handled; `null` if there is none. What is left of these is of nobody. */
async function nextDue(
  { store }: FollowerParts,
  lease: Fence<Followed>,
  { no, now }: { no: number; now: number },
): Promise<number | null> {
  const prefix = audienceDuePrefix(no);
  for await (const { key, value } of store.list<string>({ prefix }, { batchSize: 10 })) {
    const at = key[2] as number;
    const isLeft = at <= now &&
      (await loadEvidence(store, no, { kind: "user", ids: [value!] }))[0]!.value.due !== at;
    if (!isLeft) return at;
    await lease.write({ deletes: [key] });
  }
  return null;
}

/** Transitions that wait for the journal. A crash repeats an append, and the copies are duplicates. */
function announceTask({ store, clock, limits, append }: FollowOptions): Task<Followed> {
  return {
    key: AUDIENCES_CHANGED,
    isDue: (_, { announced, appended }) => appended < announced,
    async run(lease) {
      const { world, announced } = lease.value();
      const keys: Key[] = [];
      const events: StoredEvent[] = [];
      const range = { prefix: audienceOutboxPrefix(world) };
      for await (const { key, value } of store.list<OutboxRow>(range, { limit: limits.appendAtOnce })) {
        keys.push(key);
        events.push(transitionEvent(value!, { world, n: key.at(-1) as number, now: clock.now() }));
      }
      const isEmpty = events.length < limits.appendAtOnce;
      const change = isEmpty ? { appended: announced, appendFrom: null } : { appendFrom: null };
      if (events.length === 0) {
        await lease.write({ change });
        return false;
      }
      // Written first: an erasure waits until the events have their place in the index of their people.
      const from = lease.value().appendFrom ?? (await endOfJournal(store)).end;
      await lease.write({ change: { appendFrom: from } });
      await append(events);
      const operations = createOperations((writes) => lease.write(writes), limits);
      for (const key of await placesOf(store, events, from)) {
        await operations.add({ sets: [[key, true]], deletes: [] });
      }
      await operations.flush();
      for (const key of keys) await operations.add({ sets: [], deletes: [key] });
      await operations.flush();
      await lease.write({ change });
      return false;
    },
  };
}

/** The keys of derived events in the index of their people, looked for behind a position of the journal. */
async function placesOf(store: Store, events: readonly StoredEvent[], after: Position): Promise<Key[]> {
  const wanted = new Set(events.map(({ messageId }) => messageId));
  const keys: Key[] = [];
  for await (const entry of readJournal(store, { after })) {
    if (!entry.header.flags.some((flag) => (flag & FLAGS.derived) !== 0)) continue;
    for (const [index, line] of (await linesOfEntry(store, entry)).entries()) {
      const { derived, messageId, userId, timestamp } = parseExact(line) as StoredEvent;
      if (derived !== true || !wanted.has(messageId)) continue;
      keys.push(derivedEventKey(userId!, Date.parse(timestamp), positionIn(entry, index)));
    }
  }
  return keys;
}

/** A replay made a new generation of actors: the world is built again too. */
function replayedTask(parts: FollowerParts): Task<Followed> {
  return {
    key: SETTLED,
    isDue: (settled, { world, build, generation }) =>
      world > 0 && build === null && ((settled as Settled | null)?.generation ?? 1) > generation,
    async run(lease) {
      await beginBuild(parts, lease, lease.value().mark);
      return false;
    },
  };
}

/** Definitions that changed, a build that runs, and worlds that nobody reads any more. */
function buildTask(parts: FollowerParts): Task<Followed> {
  return {
    key: AUDIENCES_CHANGED,
    isDue: (mark, { mark: taken, build, unused }) =>
      build !== null || unused.length > 0 || ((mark as string | null) ?? "") !== taken,
    async run(lease) {
      const { value: mark } = await parts.store.get<string>(AUDIENCES_CHANGED);
      if ((mark ?? "") !== lease.value().mark) await takeDefinitions(parts, lease, mark ?? "");
      await buildOn(parts, lease);
      await deleteUnused(parts, lease);
      return false;
    },
  };
}
