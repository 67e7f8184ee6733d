/** Orders of administrators, carried out by the process that holds the destination's lease. */
import {
  forwardCommandPrefix,
  forwardDeadKey,
  forwardDeadPrefix,
  forwardHeldKey,
  forwardReplayKey,
  forwardReplayPrefix,
} from "../store/keys.ts";
import { replayStream } from "./replay_stream.ts";
import { save } from "./saving.ts";
import type { DeadRecord, Order, ReplayRecord } from "./state.ts";
import type { Work } from "./work.ts";

/** Dead events that are sent again at once; the order stays until all are. */
const AGAIN_AT_ONCE = 500;

/** Carries out what was ordered. */
export async function obeyOrders(work: Work): Promise<void> {
  const { parts: { store }, destination: { id } } = work;
  await adoptReplays(work);
  for await (const { key, value } of store.list<Order>({ prefix: forwardCommandPrefix(id) })) {
    const order = value!;
    const isDone = order.type === "retry"
      ? await retry(work, order)
      : order.type === "skip"
      ? skip(work, order)
      : changeReplay(work, order);
    if (isDone) work.deletes.push(key);
    work.isDirty = true;
  }
  if (work.isDirty) await save(work);
}

/** Takes up replays that were requested. */
async function adoptReplays(work: Work): Promise<void> {
  const { parts: { store }, destination: { id } } = work;
  for await (const { value } of store.list<ReplayRecord>({ prefix: forwardReplayPrefix(id) })) {
    const isKnown = work.streams.some(({ name }) => name === value!.id);
    if (!isKnown && value!.state === "running") work.streams.push(replayStream(work, value!));
  }
}

function changeReplay(work: Work, { id, state }: Order & { type: "replay" }): boolean {
  const running = work.streams.find(({ name }) => name === id);
  if (running?.replay === undefined || running.replay.state === "done") return true;
  running.replay.state = state;
  if (state !== "cancelled") return true;
  work.streams = work.streams.filter((each) => each !== running);
  work.sets.push([forwardReplayKey(work.destination.id, id), { ...running.replay }]);
  for (const position of running.stored.keys()) {
    work.deletes.push(forwardHeldKey(work.destination.id, id, position));
  }
  return true;
}

function skip({ streams: [live], state }: Work, { to, events }: Order & { type: "skip" }): boolean {
  const { stream } = live!;
  const from = stream.readTo();
  if (from < to) state.skipped = [...state.skipped, [from, to] as [typeof from, typeof to]].slice(-20);
  stream.skipTo(to, events);
  return true;
}

/** Attempts at once what has a status; false if there is more. */
async function retry(work: Work, order: Order & { type: "retry" }): Promise<boolean> {
  const wanted = order.positions && new Set(order.positions);
  if (order.status === "dead") return await sendAgain(work, order, wanted);
  for (const { stream } of work.streams) {
    for (const item of [...stream.order.all()]) {
      const isWanted = (wanted?.has(item.position) ?? true) &&
        (order.reason === undefined || item.reason === order.reason);
      if (order.status === "retrying" ? item.state === "retrying" && isWanted : item.state === "retrying") {
        stream.force(item);
      }
    }
  }
  return true;
}

async function sendAgain(
  work: Work,
  { reason, at }: Order & { type: "retry" },
  wanted: ReadonlySet<string> | undefined,
): Promise<boolean> {
  const { parts: { store }, destination: { id }, state } = work;
  const [live] = work.streams;
  let room = AGAIN_AT_ONCE;
  for await (const { value } of store.list<DeadRecord>({ prefix: forwardDeadPrefix(id) })) {
    const dead = value!;
    const isWanted = (wanted?.has(dead.position) ?? true) && (dead.lastAt ?? 0) <= at &&
      (reason === undefined || dead.reason === reason);
    if (!isWanted) continue;
    if (room-- === 0) {
      // The rest follows once these are through.
      work.parts.clock.timer(100, work.orderAgain);
      return false;
    }
    live!.stream.addAgain(dead.position);
    work.deletes.push(forwardDeadKey(id, dead.position));
    state.dead = Math.max(0, state.dead - 1);
  }
  return true;
}
