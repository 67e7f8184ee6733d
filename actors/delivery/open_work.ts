/** What a worker begins with: the stored state of a destination, the records of its streams, and the lease that it claims. */
import type { Position } from "../../domain/event/position.ts";
import { createSerialQueue } from "../store/serial_queue.ts";
import { FORWARD_ERASED, forwardHeldPrefix, forwardReplayPrefix, forwardSentPrefix } from "../store/keys.ts";
import { replayStream } from "./replay_stream.ts";
import { writeUnder } from "./saving.ts";
import {
  type ErasedMark,
  type ForwardState,
  type HeldRecord,
  LIVE,
  type ReplayRecord,
  type SentPage,
} from "./state.ts";
import { createStream } from "./stream.ts";
import type { Running, Work } from "./work.ts";

const NO_SENDER = {
  prepare: () => Promise.reject(new Error("there is no sender yet")),
  close: () => Promise.resolve(),
};

/** Loads what is stored of a destination, and claims its lease. */
export async function openWork(
  { parts, fence, destination, wake, orderAgain }: Pick<
    Work,
    "parts" | "fence" | "destination" | "wake" | "orderAgain"
  >,
  skimmed: { from: Position; to: Position; events: number } | undefined,
): Promise<Work> {
  const { store, clock } = parts;
  const mark = await store.get<ErasedMark>(FORWARD_ERASED);
  parts.seeErasures(mark.stamp);
  const state: ForwardState = structuredClone({ ...fence.value(), erased: mark.value?.no ?? 0, underWay: 0 });
  if (skimmed !== undefined && skimmed.from === state.position) {
    state.position = skimmed.to;
    state.events += skimmed.events;
    state.filtered.where += skimmed.events;
  }
  const work: Work = {
    parts,
    destination,
    sender: { version: "", sender: NO_SENDER },
    fence,
    state,
    streams: [],
    erasedStamp: mark.stamp,
    generation: 0,
    isCurrent: true,
    inTurn: createSerialQueue(),
    flying: new Set(),
    isProbing: false,
    bucket: undefined,
    deads: [],
    failureRate: [],
    sent: [],
    sets: [],
    deletes: [],
    isDirty: skimmed !== undefined,
    pages: [],
    lastPage: { sent: [] },
    durations: [],
    savedMs: clock.monotonic(),
    renewedMs: clock.monotonic(),
    wake,
    orderAgain,
  };
  await writeUnder(work, { change: { erased: state.erased, underWay: 0 } });
  await parts.follower.look();
  const live = createStream({
    ...parts,
    destination: () => work.destination,
    onFiltered: (by, times) => state.filtered[by] += times,
    begin: state,
  });
  work.streams.push(await restored(work, { name: LIVE, stream: live, stored: new Map() }, state.held));
  for await (const { value } of store.list<ReplayRecord>({ prefix: forwardReplayPrefix(destination.id) })) {
    if (value!.state !== "running" && value!.state !== "paused") continue;
    work.streams.push(await restored(work, replayStream(work, value!), 0));
  }
  for await (const { key, value } of store.list<SentPage>({ prefix: forwardSentPrefix(destination.id) })) {
    work.pages.push({ n: key.at(-1) as number, count: value!.sent.length });
    work.lastPage = { sent: [...value!.sent] };
  }
  return work;
}

/** Puts back the records of a stream. */
async function restored(work: Work, running: Running, held: number): Promise<Running> {
  const { parts: { store }, destination: { id } } = work;
  const records: HeldRecord[] = [];
  for await (const { value } of store.list<HeldRecord>({ prefix: forwardHeldPrefix(id, running.name) })) {
    records.push(value!);
    running.stored.set(value!.position, JSON.stringify(value));
  }
  running.stream.restore(records, held);
  return running;
}
