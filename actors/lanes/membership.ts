/**
 * Which processes commit: each that does has lanes and a heartbeat, and changes the roster when it joins. One that knows
 * that it is alone checks the roster with each commit: while that holds, nobody else has committed anything.
 */
import type { Clock } from "../store/clock.ts";
import { StorageFault, StorageUnavailable } from "../store/errors.ts";
import { heartbeatKey, type Key, laneKey, LANES, ROSTER } from "../store/keys.ts";
import type { Store, Write } from "../store/store.ts";
import { withTimeout } from "../store/timeout.ts";
import { Evicted, type Lane, type LaneOptions, writeInLane } from "./lanes.ts";

/** Bounds of membership. */
export const LANE_LIMITS = {
  /** Commits of one process that may be under way at once. */
  slots: 8,
  /** A process that commits moves its heartbeat this often, in ms. */
  beatMs: 3_000,
  /** A process whose heartbeat has not moved for so long, by the clock of who looks, may be evicted. */
  evictMs: 12_000,
  /** A process that has not committed for so long leaves, so that another may be alone; it joins with its next commit. */
  idleMs: 30_000,
};
export type LaneLimits = typeof LANE_LIMITS;

/** A process that stops waits this long for its lanes to be deleted. */
const CLOSE_MS = 1_000;

/** The value of a heartbeat. */
interface Beat {
  /** Changes with each beat. */
  n: number;
  isServer: boolean;
  /** This process knows the suppressions of so many requests for erasure, and so does all that it commits. */
  erasures: number;
}

export interface MembershipOptions {
  store: Store;
  clock: Clock;
  newId(): string;
  limits: LaneLimits;
  /** Whether this is a server, and no task. */
  isServer: boolean;
  /** Reads the journal on, up to all that was committed before. */
  readOn(): Promise<void>;
  /** How many erasures were requested; and makes this process know their suppressions, and gives their number. */
  requestedErasures(): Promise<number>;
  learnErasures(): Promise<number>;
  /** Called once if another server commits to the same database. */
  onOtherServer?(): void;
  /** Called with what made a heartbeat fail, unless storage did not answer; the next one comes all the same. */
  onFault(error: unknown): void;
}

/** This process as a member, until it leaves or is evicted. */
interface Member {
  id: string;
  lanes: Lane[];
  beatStamp: string | null;
  beat: Beat;
  /** The stamp of the roster while it is alone. */
  alone: string | undefined;
}

/** The membership of a process. */
export type Membership = ReturnType<typeof createMembership>;

/** Creates the membership of a process; it joins with its first commit. */
export function createMembership(options: MembershipOptions) {
  const { store, clock, newId, limits } = options;
  let member: Member | undefined;
  let joining: Promise<Member> | undefined;
  let looking: Promise<void> | undefined;
  let learning: Promise<void> | undefined;
  let usedMs = -Infinity;
  let closed = false;
  let isTold = false;
  let stopBeat = () => {};
  /** Heartbeats of others: their stamps, and since when they have not moved. */
  const heard = new Map<string, { stamp: string | null; sinceMs: number }>();
  const laneOptions: LaneOptions = { store, clock, newId, isClosed: () => closed };

  async function join(): Promise<Member> {
    const id = newId();
    const keys = Array.from({ length: limits.slots }, (_, slot) => laneKey(id, slot));
    const erasures = await options.learnErasures();
    const beat: Beat = { n: 0, isServer: options.isServer, erasures };
    const mark = newId();
    for (let tries = 0;; tries++) {
      const sets: [Key, unknown][] = [
        [ROSTER, mark],
        [heartbeatKey(id), beat],
        ...keys.map((key): [Key, unknown] => [key, mark]),
      ];
      // Repeating it changes nothing: what is there tells whether it was done.
      await store.commit({ checks: [], sets }).catch(ignoreUnlessFault);
      const there = await store.getMany<string>([heartbeatKey(id), ...keys]);
      if (there.every(({ stamp }) => stamp !== null)) {
        const lanes = keys.map((key, slot): Lane => ({
          key,
          stamp: there[slot + 1]!.stamp!,
          busy: undefined,
        }));
        const me: Member = { id, lanes, beatStamp: there[0]!.stamp, beat, alone: undefined };
        member = me;
        await options.readOn();
        plan();
        // Meanwhile this process may have closed.
        if (member === me) await look(me).catch(ignoreUnanswered);
        return me;
      }
      await clock.sleep(Math.min(2 ** tries, 200) * clock.random());
    }
  }

  function report(error: unknown): void {
    if (!(error instanceof StorageUnavailable)) options.onFault(error);
  }

  function plan(): void {
    stopBeat();
    if (!closed) {
      stopBeat = clock.timer(limits.beatMs, () => void beat().catch(report).finally(plan));
    }
  }

  async function beat(): Promise<void> {
    const me = member;
    if (me === undefined || joining !== undefined) return;
    if (clock.monotonic() - usedMs > limits.idleMs && me.lanes.every(({ busy }) => busy === undefined)) {
      return await leave(me);
    }
    await writeBeat(me);
    if (member !== me) return;
    if (await options.requestedErasures() > me.beat.erasures) void learn();
    if (me.alone === undefined) await look(me);
  }

  async function writeBeat(me: Member): Promise<void> {
    const key = heartbeatKey(me.id);
    me.beat = { ...me.beat, n: me.beat.n + 1 };
    const stamp = await store.commit({ checks: [{ key, stamp: me.beatStamp }], sets: [[key, me.beat]] });
    if (stamp !== null) return void (me.beatStamp = stamp);
    me.beatStamp = (await store.get(key)).stamp;
    if (me.beatStamp === null) evicted(me);
  }

  /** Makes this process know all erasures, and says so once nothing is under way that was judged before. */
  function learn(): Promise<void> {
    return learning ??= (async () => {
      const me = member;
      const erasures = await options.learnErasures();
      if (me === undefined || erasures <= me.beat.erasures) return;
      await Promise.all(me.lanes.map(({ busy }) => busy?.promise));
      me.beat = { ...me.beat, erasures };
      await writeBeat(me);
    })().catch(report).finally(() => learning = undefined);
  }

  /** Looks who else is there: evicts those that are dead, and finds whether this process is alone. */
  function look(me: Member): Promise<void> {
    return looking ??= lookAround(me).finally(() => looking = undefined);
  }

  async function lookAround(me: Member): Promise<void> {
    const lane = take(me);
    if (lane === undefined) return;
    try {
      // The roster before the lanes: who joins between the two changes it.
      const roster = await store.get(ROSTER);
      const { others, stale } = await membersBeside(options, { me: me.id, heard });
      if (options.isServer && !isTold && others.some(({ beat, isStale }) => beat?.isServer && !isStale)) {
        isTold = true;
        options.onOtherServer?.();
      }
      const dead = stale.slice(0, EVICTED_AT_ONCE);
      const isAlone = others.length === dead.length;
      if (!isAlone && dead.length === 0) return;
      const attempt = newId();
      const write = evictionOf(dead, { roster: roster.stamp, mark: attempt });
      const stamp = await writeInLane(laneOptions, lane, { attempt, write });
      if (stamp === undefined || !isAlone) return;
      await options.readOn();
      if (member === me) me.alone = stamp;
    } catch (error) {
      if (error instanceof Evicted) evicted(me);
      else throw error;
    } finally {
      release(lane);
    }
  }

  function evicted(me: Member): void {
    me.alone = undefined;
    if (member === me) member = undefined;
  }

  async function leave(me: Member): Promise<void> {
    evicted(me);
    // No process has this id again: a repeated or late deletion changes nothing.
    const deletes = [heartbeatKey(me.id), ...me.lanes.map(({ key }) => key)];
    await store.commit({ checks: [], sets: [], deletes });
  }

  function take(me: Member): Lane | undefined {
    const lane = me.lanes.find(({ busy }) => busy === undefined);
    if (lane !== undefined) lane.busy = Promise.withResolvers();
    return lane;
  }

  function release(lane: Lane): void {
    lane.busy?.resolve();
    lane.busy = undefined;
  }

  return {
    /** Joins, unless this process is a member. */
    async join(): Promise<void> {
      if (member !== undefined && joining === undefined) return;
      usedMs = Math.max(usedMs, clock.monotonic());
      await (joining ??= join().finally(() => joining = undefined));
    },
    /** Takes a free lane, if there is one; `release` gives it back. */
    take(): Lane | undefined {
      usedMs = clock.monotonic();
      return member === undefined || joining !== undefined ? undefined : take(member);
    },
    release,
    /** The stamp of the roster while this process is alone, as far as it knows. */
    alone: () => member?.alone,
    /** Tells the stamp that the roster has: with another one this process is not alone. */
    rosterIs(stamp: string | null): void {
      if (member !== undefined && member.alone !== stamp) member.alone = undefined;
    },
    /**
     * Writes once, in a lane, as {@link writeInLane}; with `alone` only while the roster has that stamp. Throws {@link
     * Evicted}: then join again.
     */
    async write(
      lane: Lane,
      { attempt, alone, stamped }: { attempt: string; alone: string | undefined; stamped: [Key, unknown][] },
    ): Promise<string | undefined> {
      const me = member;
      const checks = alone === undefined ? [] : [{ key: ROSTER, stamp: alone }];
      try {
        const stamp = await writeInLane(laneOptions, lane, { attempt, write: { checks, sets: [], stamped } });
        // Perhaps somebody has joined: the next attempt reads before it answers.
        if (stamp === undefined && me !== undefined) me.alone = undefined;
        return stamp;
      } catch (error) {
        if (error instanceof Evicted && me?.lanes.includes(lane)) evicted(me);
        throw error;
      }
    },
    /** Says at once that this process knows all erasures that were requested. */
    learn,
    async close(): Promise<void> {
      closed = true;
      stopBeat();
      const me = member;
      if (me === undefined) return;
      await withTimeout(leave(me).catch(() => {}), { clock, ms: CLOSE_MS, onTimeout() {} });
    },
  };
}

/** Another member. */
interface Other {
  id: string;
  beat: Beat | null;
  beatStamp: string | null;
  isStale: boolean;
  lanes: Key[];
}

/** The members beside one (or all), and those of them whose heartbeat has not moved for long. */
export async function membersBeside(
  { store, clock, limits }: { store: Store; clock: Clock; limits: LaneLimits },
  { me, heard }: { me?: string; heard: Map<string, { stamp: string | null; sinceMs: number }> },
): Promise<{ others: Other[]; stale: Other[] }> {
  const lanes = new Map<string, Key[]>();
  for await (const { key } of store.list({ prefix: LANES })) {
    const id = key[1] as string;
    if (id === me) continue;
    const mine = lanes.get(id);
    if (mine === undefined) lanes.set(id, [key]);
    else mine.push(key);
  }
  for (const id of heard.keys()) if (!lanes.has(id)) heard.delete(id);
  const ids = [...lanes.keys()];
  const beats = await store.getMany<Beat>(ids.map(heartbeatKey));
  const nowMs = clock.monotonic();
  const others = ids.map((id, index): Other => {
    const { value: beat, stamp } = beats[index]!;
    const before = heard.get(id);
    if (before === undefined || before.stamp !== stamp) heard.set(id, { stamp, sinceMs: nowMs });
    return {
      id,
      beat,
      beatStamp: stamp,
      isStale: nowMs - heard.get(id)!.sinceMs >= limits.evictMs,
      lanes: lanes.get(id)!,
    };
  });
  return { others, stale: others.filter(({ isStale }) => isStale) };
}

/** Members that one operation evicts, which has at most 1,000 mutations: the next evicts more. */
export const EVICTED_AT_ONCE = 50;

/** The write that evicts members, and changes the roster. */
export function evictionOf(
  stale: readonly Other[],
  { roster, mark }: { roster: string | null; mark: string },
): Write {
  const deletes = stale.flatMap(({ id, lanes }) => [...lanes, heartbeatKey(id)]);
  return { checks: [{ key: ROSTER, stamp: roster }], sets: [[ROSTER, mark]], deletes };
}

/** Of a full disk or a damaged file whoever waits is told at once. */
function ignoreUnlessFault(error: unknown): void {
  if (error instanceof StorageFault) throw error;
  ignoreUnanswered(error);
}

function ignoreUnanswered(error: unknown): void {
  if (!(error instanceof StorageUnavailable)) throw error;
}
