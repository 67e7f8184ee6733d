/** Stores how far a destination is, under its lease: outcomes and records first, then the position that relies on them. */
import type { Position } from "../../domain/event/position.ts";
import {
  FORWARD_ERASED,
  forwardDeadKey,
  forwardDueKey,
  forwardHeldKey,
  forwardKey,
  forwardReplayKey,
  forwardSentKey,
  type Key,
} from "../store/keys.ts";
import { type FenceWrite, LostFence } from "../store/lease.ts";
import { type ForwardState, KEPT_DELIVERED, LIVE, type SentEntry } from "./state.ts";
import type { Running, Work } from "./work.ts";

/** Keys in one operation, of which KV takes 1,000, and bytes, of which it takes 800 KiB. */
const WRITE_KEYS = 300;

/** Delivered events that share a page, and bytes of one, of which a value has 64 KiB. */
const PAGE_EVENTS = 100;
const PAGE_BYTES = 40_000;

/** Writes under the lease, and by the newest erasure: a process that does not know of it writes nothing. */
export async function writeUnder(
  work: Pick<Work, "fence" | "erasedStamp" | "renewedMs" | "parts">,
  write: FenceWrite<ForwardState>,
): Promise<void> {
  const checks = [{ key: FORWARD_ERASED, stamp: work.erasedStamp }, ...write.checks ?? []];
  const beganMs = work.parts.clock.monotonic();
  await work.fence.write({ ...write, checks });
  work.renewedMs = beganMs;
}

/**
 * Stores everything that changed, one call after the other. With `release` the lease is given back, and nothing is stored
 * after that. If it fails, this process no longer knows what is stored: it works on only after it has read it again.
 */
export async function save(work: Work, { release = false } = {}): Promise<void> {
  await work.inTurn(async () => {
    if (!work.isCurrent) throw new LostFence("what is stored is not known");
    try {
      await saveNow(work, release);
    } catch (error) {
      work.isCurrent = false;
      work.wake();
      throw error;
    }
    if (release) work.isCurrent = false;
  });
}

async function saveNow(work: Work, release: boolean): Promise<void> {
  const { parts: { clock, store }, state, destination: { id } } = work;
  work.isDirty = false;
  work.savedMs = clock.monotonic();
  const sets: [Key, unknown][] = work.sets.splice(0);
  const deletes: Key[] = work.deletes.splice(0);
  const live = work.streams[0]!;
  const { position, events } = live.stream.checkpoint();
  [state.position, state.events] = [position, Math.max(0, events)];
  for (const running of work.streams) addRecords(work, running, { sets, deletes });
  // An outcome behind the position might be repeated: it is stored once it is not.
  const isBehind = (at: Position) => at <= position || work.streams.length > 1;
  const deads = work.deads.filter((each) => isBehind(each.position));
  work.deads = work.deads.filter((each) => !isBehind(each.position));
  const known = await store.getMany(deads.map((each) => forwardDeadKey(id, each.position)));
  for (const [n, dead] of deads.entries()) {
    if (known[n]!.value === null) state.dead++;
    sets.push([forwardDeadKey(id, dead.position), dead]);
  }
  addPages(work, { sets, deletes });
  state.held = 0;
  state.retrying = 0;
  for (const { stream } of work.streams) {
    state.held += stream.held();
    state.retrying += stream.retrying();
  }
  if (work.durations.length > 0) state.latency = percentiles(work.durations);
  addDue(work, { sets, deletes });
  const change: Partial<ForwardState> = { ...structuredClone(stateOf(state)), ...release && { until: 0 } };
  while (sets.length + deletes.length > WRITE_KEYS) {
    const some = sets.splice(0, WRITE_KEYS);
    await writeUnder(work, { sets: some, deletes: deletes.splice(0, WRITE_KEYS - some.length) });
  }
  await writeUnder(work, { sets, deletes, change });
  work.savedMs = clock.monotonic();
}

/** The state without the lease, which the fence keeps. */
function stateOf(state: ForwardState): Partial<ForwardState> {
  const { fold: _, owner: __, until: ___, op: ____, ...rest } = state;
  return rest;
}

interface Changes {
  sets: [Key, unknown][];
  deletes: Key[];
}

function addRecords({ destination: { id } }: Work, running: Running, { sets, deletes }: Changes): void {
  const records = running.stream.records();
  for (const [position, record] of records) {
    const text = JSON.stringify(record);
    if (running.stored.get(position) === text) continue;
    running.stored.set(position, text);
    sets.push([forwardHeldKey(id, running.name, position), record]);
  }
  for (const position of running.stored.keys()) {
    if (records.has(position)) continue;
    running.stored.delete(position);
    deletes.push(forwardHeldKey(id, running.name, position));
  }
  if (running.replay === undefined || running.name === LIVE) return;
  const { position } = running.stream.checkpoint();
  running.replay.position = position;
  sets.push([forwardReplayKey(id, running.name), { ...running.replay }]);
}

/** Adds what was delivered to the newest page, or to new ones, and deletes pages that are no longer kept. */
function addPages(work: Work, { sets, deletes }: Changes): void {
  const { state, pages, destination: { id } } = work;
  const entries = work.sent.splice(0).slice(-KEPT_DELIVERED);
  if (entries.length === 0) return;
  let bytes = sizeOf(work.lastPage.sent);
  for (const entry of entries) {
    const size = sizeOf([entry]);
    if (pages.length === 0 || work.lastPage.sent.length >= PAGE_EVENTS || bytes + size > PAGE_BYTES) {
      flush();
      work.lastPage = { sent: [] };
      pages.push({ n: ++state.page, count: 0 });
      bytes = 0;
    }
    work.lastPage.sent.push(entry);
    pages.at(-1)!.count++;
    bytes += size;
  }
  flush();
  let kept = pages.reduce((sum, { count }) => sum + count, 0);
  while (pages.length > 1 && kept - pages[0]!.count >= KEPT_DELIVERED) {
    const { n, count } = pages.shift()!;
    kept -= count;
    deletes.push(forwardSentKey(id, n));
  }

  function flush(): void {
    const page = pages.at(-1);
    if (page !== undefined) sets.push([forwardSentKey(id, page.n), { sent: [...work.lastPage.sent] }]);
  }
}

function sizeOf(entries: readonly SentEntry[]): number {
  return entries.reduce((sum, { response, by = [] }) => {
    const bytesOfBy = by.reduce((bytes, [name]) => bytes + 20 + 3 * name.length, 0);
    return sum + 120 + 3 * (response?.body.length ?? 0) + bytesOfBy;
  }, 0);
}

/** Keeps the key by which a destination is found when it is due, whatever process runs then. */
function addDue({ state, streams, destination: { id } }: Work, { sets, deletes }: Changes): void {
  let due = Infinity;
  for (const { stream } of streams) due = Math.min(due, stream.nextDueMs());
  const isWaiting = streams.some(({ stream }) => !stream.isEmpty());
  if (isWaiting && state.breaker.probeAt !== undefined) due = Math.min(due, state.breaker.probeAt);
  if (isWaiting && state.blockedUntil > 0) due = Math.max(Math.min(due, state.blockedUntil), 0);
  const dueAt = Number.isFinite(due) ? Math.floor(due) : null;
  if (dueAt === state.dueAt) return;
  if (state.dueAt !== null) deletes.push(forwardDueKey(state.dueAt, id));
  if (dueAt !== null) sets.push([forwardDueKey(dueAt, id), id]);
  state.dueAt = dueAt;
}

function percentiles(durations: readonly number[]): ForwardState["latency"] {
  const sorted = durations.toSorted((a, b) => a - b);
  const at = (share: number) =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!);
  return { p50Ms: at(0.5), p99Ms: at(0.99) };
}

/** What is stored of a destination's checkpoint. */
export async function storedState(
  { store }: Pick<Work["parts"], "store">,
  id: string,
): Promise<ForwardState | null> {
  return (await store.get<ForwardState>(forwardKey(id))).value;
}
