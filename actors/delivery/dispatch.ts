/** Decides what a destination is sent next, and sends it. */
import { isOpen } from "../../domain/forwarding/breaker.ts";
import { refilled } from "../../domain/limits/token_bucket.ts";
import { createSender } from "../destinations/kinds.ts";
import { isSealed, type Sender } from "../destinations/sender.ts";
import { LostFence } from "../store/lease.ts";
import type { Destination } from "./destinations.ts";
import { prepareAttempt, readItems } from "./attempt.ts";
import type { Ended } from "./settlement.ts";
import { settleAttempt } from "./settlement.ts";
import type { Item } from "./stream.ts";
import { isHeld, type Running, type Work } from "./work.ts";

/** Whether a destination is to be sent anything. */
export function isRunning({ definition, off }: Destination): boolean {
  return definition.enabled && off === undefined;
}

/** Begins as many attempts as there may be now. Gives the time (ms, monotonic) at which it should be called again. */
export function dispatch(work: Work): number {
  if (!isRunning(work.destination)) return Infinity;
  const { clock } = work.parts;
  const inMs = (at: number) => clock.monotonic() + Math.max(0, at - clock.now());
  let again = Infinity;
  for (const running of work.streams) {
    if (running.replay !== undefined && running.replay.state !== "running") continue;
    running.stream.takeDue(clock.now());
    running.stream.seal();
    for (;;) {
      const next = tryOne(work, running);
      if (next === true) continue;
      again = Math.min(again, next);
      break;
    }
    again = Math.min(again, inMs(running.stream.nextDueMs()), running.stream.nextSealMs());
  }
  return again;
}

/** Begins one attempt: true if it did, otherwise when to try again. */
function tryOne(work: Work, running: Running): true | number {
  const { parts: { clock, slots }, state, destination: { id, definition } } = work;
  const { stream } = running;
  const first = stream.firstReady();
  if (first === undefined) return Infinity;
  const now = clock.now();
  const inMs = (at: number) => clock.monotonic() + Math.max(0, at - now);
  const isForced = first.forced === true;
  const open = isOpen(state.breaker);
  if (!isForced) {
    if (now < state.blockedUntil) return inMs(state.blockedUntil);
    if (open && (work.isProbing || now < state.breaker.probeAt!)) {
      return work.isProbing ? Infinity : inMs(state.breaker.probeAt!);
    }
  }
  // Its boundaries must be stored before it is sent.
  if (isSealed(definition) && !running.stored.has(first.position)) {
    work.isDirty = true;
    work.savedMs = -Infinity;
    return clock.monotonic();
  }
  const { maxEvents, maxBytes, maxWaitMs } = definition.batch;
  const most = isSealed(definition) ? 1 : Math.min(maxEvents, senderOf(work).maxEvents ?? Infinity);
  const waitsFor = maxWaitMs - stream.readyFor();
  const gathers = !isSealed(definition) && !isForced && stream.readyCount() < most && waitsFor > 0;
  if (gathers) return clock.monotonic() + waitsFor;
  const waitMs = Math.max(budgetOf(work, now), replayBudgetOf(running, now));
  if (waitMs > 0 && !isForced) return clock.monotonic() + waitMs;
  if (!slots.take(id, work.wake)) return Infinity;
  const items = stream.batch({ maxEvents: most, maxBytes });
  const events = items.reduce((sum, { n }) => sum + n, 0);
  if (work.bucket !== undefined) work.bucket.level -= events;
  if (running.bucket !== undefined) running.bucket.level -= events;
  const isProbe = open && !isForced;
  if (isProbe) work.isProbing = true;
  void fly(work, running, { items, wasOpen: open }).catch(work.parts.onFault).finally(() => {
    if (isProbe) work.isProbing = false;
    work.wake();
  });
  return true;
}

/** Ms until the rate limit lets another event through. */
function budgetOf(work: Work, now: number): number {
  const { rateLimit } = work.destination.definition;
  if (rateLimit === undefined) {
    work.bucket = undefined;
    return 0;
  }
  const most = Math.max(1, rateLimit.perSecond);
  work.bucket = refilled(work.bucket ?? { level: most, at: now }, { ...rateLimit, most, now });
  return work.bucket.level >= 1 ? 0 : (1 - work.bucket.level) / rateLimit.perSecond * 1000;
}

function replayBudgetOf(running: Running, now: number): number {
  const perSecond = running.replay?.perSecond;
  if (perSecond === undefined) return 0;
  // Nothing is saved up: a replay is limited so that it does not disturb.
  running.bucket = refilled(running.bucket ?? { level: 1, at: now }, { perSecond, most: 1, now });
  return running.bucket.level >= 1 ? 0 : (1 - running.bucket.level) / perSecond * 1000;
}

/** The sender by the definition of now; the one before is closed once it is no longer used. */
export function senderOf(work: Work): Sender {
  const { destination, parts } = work;
  const secrets = destination.secretsAt(parts.clock.now());
  const version = `${destination.version} ${secrets.length}`;
  if (work.sender.version !== version) {
    void work.sender.sender.close();
    const { name, id, definition } = destination;
    const { connections, clock, limits: { timeoutMs } } = parts;
    work.sender = {
      version,
      sender: createSender({ name, id, definition, secrets, connections, clock, timeoutMs }, {
        replaced: (characters) => parts.onReplaced(name, characters),
      }),
    };
  }
  return work.sender.sender;
}

interface Flight {
  items: Item[];
  wasOpen: boolean;
}

/** One attempt, from the reading of its events to the settling of their outcomes. */
async function fly(work: Work, running: Running, { items, wasOpen }: Flight): Promise<void> {
  const { parts: { clock, slots, onFault } } = work;
  const { id } = work.destination;
  const flight: Parameters<Work["flying"]["add"]>[0] = {
    running,
    positions: items.map(({ position }) => position),
    keys: items.flatMap(({ keys }) => keys),
    hasBegun: false,
  };
  work.flying.add(flight);
  let ended: Ended | undefined;
  try {
    const ready = await prepare(work, items);
    const beganMs = clock.monotonic();
    flight.hasBegun = true;
    const answer = await ready.send?.();
    ended = { running, items, ...ready, answer, durationMs: clock.monotonic() - beganMs, wasOpen };
  } catch (error) {
    // Storage does not answer, or the lease is lost: nothing was attempted.
    if (!(error instanceof LostFence)) onFault(error);
    if (work.isCurrent) running.stream.putBack(items);
    await clock.sleep(FAULT_MS);
  } finally {
    work.flying.delete(flight);
    slots.give(id, ended?.answer?.verdict === "retry");
  }
  if (ended !== undefined && work.isCurrent) await settleAttempt(work, ended);
}

/** After a fault of storage the next attempt comes after so long. */
const FAULT_MS = 500;

/** Everything of an attempt before the request itself. Once it is there, nobody who was erased is in it. */
async function prepare(work: Work, items: readonly Item[]) {
  const { parts, destination } = work;
  for (;;) {
    const { generation } = work;
    const events = await readItems(parts, items, destination);
    const span = { from: items[0]!.position, to: items.at(-1)!.to };
    const ready = await prepareAttempt(parts, events, { destination, sender: senderOf(work), span });
    if (!work.isCurrent || !isHeld(work)) throw new LostFence("the lease has ended");
    // An erasure came in between: what was read may name somebody who is gone.
    if (generation === work.generation) return { events, ...ready };
  }
}
