/**
 * The committer, one per process: it takes all requests that are waiting and appends their events to the journal by one
 * atomic operation. While that is under way the next group gathers; where storage is far, several commits are under way
 * at once, each in a lane. No actor is read to accept an event.
 *
 * Why it is exact: a process that is alone knows all ids that are in the journal, and its commit fails if that is no
 * longer so. A process that is not reads, after its commit, all that was committed before, and so knows which of its
 * events were the first with their ids. What became of an attempt, its lane tells.
 */
import type { StoredEvent } from "../../domain/event/event.ts";
import { digestOf } from "../dedup/digest.ts";
import { ERASED_EVENT, ERASED_LINE } from "../journal/body.ts";
import { Evicted, type Lane } from "../lanes/lanes.ts";
import { NotServing, StorageUnavailable } from "../store/errors.ts";
import { withTimeout } from "../store/timeout.ts";
import { type AttemptOptions, createAttempts, type Group } from "./attempt.ts";
import { digestsOf, type Receipt, type Request, type StoredBefore } from "./commit_group.ts";
import { createWaiting, DEADLINE_MS, waitedTooLong } from "./waiting.ts";

/** A group gathers for so long at the most. */
const GATHER_MS = 3;

/** A further commit begins beside others when the last began so long ago: where storage is near, it is done by then. */
const NEXT_MS = 3;

/** What the committer works with. */
export interface CommitterOptions extends AttemptOptions {
  /** The secret that digests of message ids are made with: the same for all who use the database. */
  secret: string;
  /** Resolves when the tail has room for so many events: at once, or slower the fuller it is; or at the deadline. */
  room(events: number, deadlineMs: number): Promise<void>;
}

/** Makes the committer. */
export function createCommitter(options: CommitterOptions) {
  const { journal, membership, secret, clock, limits } = options;
  const waiting = createWaiting({ journal, clock, limits });
  const { attempt, rejoin } = createAttempts({
    ...options,
    putBack(requests) {
      waiting.putBack(requests);
      wake();
    },
  });
  let working: Promise<void> | undefined;
  let underWay = 0;
  let beganMs = -Infinity;
  /** Resolves when the next group is done. */
  let done = Promise.withResolvers<void>();

  async function work(): Promise<void> {
    while (waiting.count() > 0) {
      await pace();
      await gather();
      const lane = await freeLane();
      if (lane === undefined) continue;
      const requests = waiting.take();
      if (requests.length === 0) {
        membership.release(lane);
        // All that wait have ids that are under way; or nobody waits any more.
        if (waiting.count() > 0) await wait(Infinity);
        continue;
      }
      beganMs = clock.monotonic();
      underWay++;
      void run(requests, lane);
    }
    // In the same step as the last look at who waits: who comes next begins anew.
    working = undefined;
  }

  /**
   * Waits while requests keep coming, turn by turn of the event loop: a commit costs as much as taking in some ten
   * events, and those who were just answered are about to send again. Who sends alone waits for one turn.
   */
  async function gather(): Promise<void> {
    const until = clock.monotonic() + GATHER_MS;
    for (let count = 0; waiting.count() > count && waiting.bytes() < limits.groupBytes;) {
      count = waiting.count();
      await clock.turn();
      if (clock.monotonic() > until) return;
    }
  }

  /** Waits until the commit under way is done, or has taken so long that another is worth while. */
  async function pace(): Promise<void> {
    const leftMs = beganMs + NEXT_MS - clock.monotonic();
    if (underWay > 0 && leftMs > 0) await wait(leftMs);
  }

  /** A free lane; `undefined` where that took long, or nobody waits any more. */
  async function freeLane(): Promise<Lane | undefined> {
    if (waiting.count() === 0) return undefined;
    const lane = membership.take();
    if (lane !== undefined) return lane;
    if (underWay > 0) {
      await wait(Infinity);
      return undefined;
    }
    const joining = membership.join();
    await withTimeout(joining.then(() => true, (error) => waiting.refuseAll(error)), {
      clock,
      ms: waiting.leftMs(),
      onTimeout: () => waiting.expire(notAcknowledged),
    });
    return membership.take();
  }

  /** Waits until a group is done, at most so long; refuses the requests that have waited too long. */
  async function wait(ms: number): Promise<void> {
    const leftMs = Math.min(ms, waiting.leftMs());
    if (leftMs === Infinity) await done.promise;
    else await withTimeout(done.promise, { clock, ms: leftMs, onTimeout() {} });
    waiting.expire();
  }

  async function run(requests: Request[], lane: Lane): Promise<void> {
    const digests = digestsOf(requests);
    const deadlineMs = requests.reduce((first, { cameMs }) => Math.min(first, cameMs), Infinity) +
      DEADLINE_MS;
    const group: Group = {
      requests,
      digests,
      ticket: journal.begin(digests),
      lane,
      deadlineMs,
      unknown: undefined,
      ours: undefined,
      late: notAcknowledged,
    };
    const refuse = (error: unknown) => group.requests.forEach(({ reject }) => reject(error));
    // The commit goes on until its outcome is known, whoever waits: until then its ids are held.
    const cancel = clock.timer(Math.max(0, deadlineMs - clock.monotonic()), () => refuse(group.late()));
    try {
      if (clock.monotonic() > deadlineMs) throw waitedTooLong();
      await commitGroup(group);
    } catch (error) {
      refuse(error);
      journal.drop(group.ticket);
    }
    cancel();
    membership.release(group.lane);
    underWay--;
    done.resolve();
    done = Promise.withResolvers();
  }

  async function commitGroup(group: Group): Promise<void> {
    group.late = settlingBehind;
    await options.room(group.requests.reduce((sum, { events }) => sum + events.length, 0), group.deadlineMs);
    // It resolves at the deadline too, whether there is room or not.
    if (clock.monotonic() >= group.deadlineMs) throw settlingBehind();
    group.late = notAcknowledged;
    for (let tries = 0;; tries++) {
      if (clock.monotonic() > group.deadlineMs) throw group.late();
      try {
        if (await attempt(group)) return;
        options.observer?.retried?.();
        await journal.sync().catch(ignoreUnanswered);
      } catch (error) {
        if (!(error instanceof Evicted)) throw error;
        await rejoin(group);
      }
      if (tries > 0) await clock.sleep(Math.min(2 ** tries, 200) * clock.random());
    }
  }

  /** Lets a request wait for its commit. */
  function enqueue(request: Parameters<typeof waiting.add>[0]): Promise<Receipt[]> {
    const receipts = waiting.add(request);
    wake();
    return receipts;
  }

  function wake(): void {
    working ??= Promise.resolve().then(work);
  }

  return {
    /** Makes a request's events durable, all or none. See `System.commit`. */
    commit(events: StoredEvent[], writeKeyId: string, judged?: number): Promise<Receipt[]> {
      const lines = events.map((event) => JSON.stringify(event));
      let digests = "";
      for (const { messageId } of events) digests += digestOf(messageId, secret);
      return enqueue({
        events,
        lines,
        digests,
        writeKeyId,
        judged: judged ?? options.suppression?.version() ?? 0,
      });
    },
    /** The same for events of another journal. See `System.commitStored`. */
    async commitStored(stored: readonly StoredBefore[]): Promise<boolean[]> {
      const receipts = await enqueue({
        events: stored.map(({ event }) => event ?? ERASED_EVENT),
        lines: stored.map(({ event }) => event === undefined ? ERASED_LINE : JSON.stringify(event)),
        digests: stored.map(({ digest }) => digest).join(""),
        writeKeyId: stored.map(({ writeKeyId }) => writeKeyId),
        judged: undefined,
      });
      return receipts.map(({ duplicate }) => !duplicate);
    },
    /** Resolves when nothing is waiting, and nothing is under way. */
    async idle(): Promise<void> {
      while (working !== undefined || underWay > 0) {
        if (working !== undefined) await working;
        else await wait(Infinity);
      }
    },
  };
}

function notAcknowledged(): StorageUnavailable {
  return new StorageUnavailable("storage did not accept the events in time");
}

function settlingBehind(): NotServing {
  return new NotServing(
    "Settling is too far behind the journal to accept more events.",
    "settling",
  );
}

function ignoreUnanswered(error: unknown): void {
  if (!(error instanceof StorageUnavailable)) throw error;
}
