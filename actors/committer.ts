/**
 * The committer, one per process: it takes all requests that are waiting and appends their events to the journal by one
 * atomic operation. While that is under way the next group gathers. No actor is read to accept an event.
 *
 * Why it is exact: what the process knows of seen ids is complete up to the head whose stamp the operation checks, and
 * the check fails if anyone appended since. An answer that was lost, or an `ok: false` that may mean "written", is
 * decided by what stands in the journal: its chunks bear the attempt that wrote them.
 */
import { Buffer } from "node:buffer";
import { setImmediate } from "node:timers";
import type { StoredEvent } from "../domain/event.ts";
import { factOf } from "../domain/fact.ts";
import { type Chunk, CHUNK_BYTES, CHUNK_EVENTS, digestOf, digestsIn, makeChunk, placeOf } from "./chunk.ts";
import type { Journal, KnownHead, NewChunk } from "./journal.ts";
import { HEAD, journalKey, type Key } from "./keys.ts";
import { lookUp, probesFor } from "./seen.ts";
import { sleep, type Store } from "./store.ts";
import { BatchTooLarge, type Receipt, StorageUnavailable } from "./system.ts";

/** One atomic operation takes 800 KiB: compressed chunks, digests and head must fit with room to spare. */
const COMMIT_BYTES = 600_000;

/** A group gathers requests up to so much JSON, so that a commit stays quick; a single request may be larger. */
const GROUP_BYTES = 1024 * 1024;

/** A group gathers for so long at the most. */
const GATHER_MS = 3;

/** A request is answered or refused within this time. */
const DEADLINE_MS = 10_000;

/** Requests that wait hold at most so much JSON: beyond it new ones are refused at once. */
const WAITING_BYTES = 64 * 1024 * 1024;

/** With other processes about, the pause after a won commit, in round trips; after a slow one no longer than this. */
const PAUSE_TRIPS = 3;
const PAUSE_MS = 500;

interface Request {
  events: StoredEvent[];
  lines: string[];
  digests: string[];
  writeKeyId: string;
  bytes: number;
  /** When it came, by the monotonic clock. */
  cameMs: number;
  resolve(receipts: Receipt[]): void;
  reject(error: unknown): void;
}

/** What the committer is given. */
export interface CommitterOptions {
  store: Store;
  journal: Journal;
  now(): number;
  newId(): string;
  /** Resolves when the tail has room for so many events: at once, or slower the fuller it is. */
  room(events: number): Promise<void>;
  /** Whether other processes commit too. */
  others(): boolean;
  /** Called after each commit. */
  afterCommit(): void;
}

/** Makes the committer. */
export function createCommitter(options: CommitterOptions) {
  const { store, journal, now, newId } = options;
  let waiting: Request[] = [];
  let waitingBytes = 0;
  let working: Promise<void> | undefined;
  /** Attempts whose outcome is not known, and the digests that turned out to be theirs. */
  const attempts = new Set<string>();
  const ours = new Set<string>();
  journal.onChunk((chunk) => {
    if (attempts.has(chunk.commit)) { for (const digest of digestsIn(chunk.digests)) ours.add(digest); }
  });

  async function work(): Promise<void> {
    while (waiting.length > 0) {
      await gather();
      const group = takeGroup();
      try {
        await commitGroup(group);
      } catch (error) {
        for (const request of group) request.reject(error);
      }
      attempts.clear();
      ours.clear();
    }
    // In the same step as the last look at who waits: who comes next begins anew.
    working = undefined;
  }

  /**
   * Waits while requests keep coming, turn by turn of the event loop: a commit costs as much as taking in some ten
   * events, and those who were just answered are about to send again. Who sends alone waits for one turn.
   */
  async function gather(): Promise<void> {
    const until = performance.now() + GATHER_MS;
    for (let count = 0; waiting.length > count && waitingBytes < GROUP_BYTES;) {
      count = waiting.length;
      await new Promise((resolve) => setImmediate(resolve));
      if (performance.now() > until) return;
    }
  }

  /** Takes the requests that came first, whole, up to {@link GROUP_BYTES}. */
  function takeGroup(): Request[] {
    let bytes = 0;
    let count = 0;
    for (const request of waiting) {
      if (count > 0 && bytes + request.bytes > GROUP_BYTES) break;
      bytes += request.bytes;
      count++;
    }
    const group = waiting.slice(0, count);
    waiting = waiting.slice(count);
    waitingBytes -= bytes;
    return group;
  }

  /** Puts requests back in front, to be taken with the next group. */
  function putBack(requests: Request[]): void {
    waiting = [...requests, ...waiting];
    waitingBytes += requests.reduce((sum, request) => sum + request.bytes, 0);
  }

  async function commitGroup(group: Request[]): Promise<void> {
    const deadlineMs = Math.min(...group.map((request) => request.cameMs)) + DEADLINE_MS;
    await withDeadline(
      options.room(group.reduce((sum, request) => sum + request.events.length, 0)),
      deadlineMs,
    );
    for (let tries = 0;; tries++) {
      if (performance.now() > deadlineMs) throw notAcknowledged();
      const base = journal.head();
      const known = await knownIds(group, deadlineMs);
      // Look-ups waited for a read: what they say holds for the head that was captured before them alone.
      // The stamp, as each reader's look at the head makes the same head another object.
      if (known === undefined || journal.head().stamp !== base.stamp) continue;
      const fresh = freshOf(group, known);
      if (fresh.lines.length === 0) {
        // An attempt that seemed lost has brought them.
        if (ours.size > 0) options.afterCommit();
        return answer(group, fresh, known);
      }
      const commit = newId();
      const prepared = prepare(fresh, base, { commit, at: Math.max(now(), base.at) });
      if (prepared === undefined) {
        if (group.length === 1) {
          throw new BatchTooLarge(
            `the batch compresses to more than ${COMMIT_BYTES / 1000} KB`,
          );
        }
        putBack(group.splice(Math.ceil(group.length / 2)));
        continue;
      }
      attempts.add(commit);
      const began = performance.now();
      const write = store.commit({ checks: [{ key: HEAD, stamp: base.stamp }], sets: prepared.sets }).catch(
        (error) => {
          if (error instanceof StorageUnavailable) return null;
          throw error;
        },
      );
      const stamp = await withDeadline(write, deadlineMs);
      if (stamp !== null) {
        journal.committed({ ...prepared.head, stamp }, prepared.chunks);
        answer(group, fresh, known);
        options.afterCommit();
        const pauseMs = (performance.now() - began) * PAUSE_TRIPS * (0.5 + Math.random());
        if (options.others()) await sleep(Math.min(pauseMs, PAUSE_MS));
        return;
      }
      // Conflict, or an answer that can't be trusted: what stands in the journal decides.
      await withDeadline(journal.sync().catch(() => {}), deadlineMs);
      if (tries > 0) await sleep(Math.min(2 ** tries, 200) * Math.random());
    }
  }

  /** The digests of a group that are in the journal; `undefined` where the runs changed meanwhile. */
  async function knownIds(group: Request[], deadlineMs: number): Promise<Set<string> | undefined> {
    const tail = journal.tail();
    const view = journal.seen();
    const known = new Set<string>();
    const probes = [];
    for (const { digests } of group) {
      for (const digest of digests) {
        if (tail.has(digest)) known.add(digest);
        else if (view.runs.length > 0) probes.push(...probesFor(view, digest));
      }
    }
    if (probes.length === 0) return known;
    const seen = await withDeadline(lookUp(store, probes), deadlineMs);
    if (seen === undefined) {
      await withDeadline(journal.sync(), deadlineMs);
      await withDeadline(journal.adoptNewest(), deadlineMs);
      return undefined;
    }
    for (const digest of seen) known.add(digest);
    return known;
  }

  /** Receipts: an event is a duplicate if its id was in the journal, unless an attempt of this group brought it. */
  function answer(group: Request[], { isRepeat }: Fresh, known: Set<string>): void {
    let at = 0;
    for (const { events, digests, resolve } of group) {
      resolve(events.map(({ messageId }, index) => {
        const digest = digests[index]!;
        const wasThere = known.size > 0 && known.has(digest) && !ours.has(digest);
        return { messageId, duplicate: isRepeat[at++]! || wasThere };
      }));
    }
  }

  return {
    /** Makes a request's events durable, all or none. See `System.commit`. */
    commit(events: StoredEvent[], writeKeyId: string): Promise<Receipt[]> {
      if (waitingBytes > WAITING_BYTES) {
        return Promise.reject(new StorageUnavailable("too many requests are waiting"));
      }
      const lines = events.map((event) => JSON.stringify(event));
      const digests = events.map((event) => digestOf(event.messageId));
      const bytes = lines.reduce((sum, line) => sum + line.length, 0);
      return new Promise((resolve, reject) => {
        waiting.push({
          events,
          lines,
          digests,
          writeKeyId,
          bytes,
          cameMs: performance.now(),
          resolve,
          reject,
        });
        waitingBytes += bytes;
        working ??= Promise.resolve().then(work);
      });
    },
    /** Resolves when nothing is waiting. */
    async idle(): Promise<void> {
      while (working !== undefined) await working;
    },
  };
}

interface Fresh {
  lines: string[];
  digests: string[];
  events: StoredEvent[];
  writeKeyIds: string[];
  /** Of each event of the group, whether one before it has the same id. */
  isRepeat: boolean[];
}

/** The events of a group that are not in the journal yet; of two with one id, the first. */
function freshOf(group: Request[], known: Set<string>): Fresh {
  const fresh: Fresh = { lines: [], digests: [], events: [], writeKeyIds: [], isRepeat: [] };
  const taken = new Set<string>();
  for (const { lines, digests, events, writeKeyId } of group) {
    for (let index = 0; index < digests.length; index++) {
      const digest = digests[index]!;
      const isRepeat = taken.size === taken.add(digest).size;
      fresh.isRepeat.push(isRepeat);
      if (isRepeat || (known.size > 0 && known.has(digest))) continue;
      fresh.lines.push(lines[index]!);
      fresh.digests.push(digest);
      fresh.events.push(events[index]!);
      fresh.writeKeyIds.push(writeKeyId);
    }
  }
  return fresh;
}

interface Prepared {
  sets: [Key, unknown][];
  head: Head;
  chunks: NewChunk[];
}

type Head = Omit<KnownHead, "stamp">;

/** The chunks and the head of a commit; `undefined` where they don't fit one atomic operation. */
function prepare(
  { lines, digests, events, writeKeyIds }: Fresh,
  base: KnownHead,
  { commit, at }: { commit: string; at: number },
): Prepared | undefined {
  const chunks: Prepared["chunks"] = [];
  let bytes = 0;
  for (let from = 0; from < lines.length;) {
    let end = from;
    for (let raw = 0; end < lines.length && end - from < CHUNK_EVENTS; end++) {
      raw += Buffer.byteLength(lines[end]!);
      if (end > from && raw > CHUNK_BYTES) break;
    }
    const seq = base.seq + chunks.length + 1;
    const ids = digests.slice(from, end);
    const senders: [string, number][] = [];
    for (const writeKeyId of writeKeyIds.slice(from, end)) {
      const last = senders.at(-1);
      if (last?.[0] === writeKeyId) last[1]++;
      else senders.push([writeKeyId, 1]);
    }
    const chunk = makeChunk({ commit, at, senders, lines: lines.slice(from, end), digests: ids });
    bytes += chunk.body.length + chunk.digests.length + 200;
    if (bytes > COMMIT_BYTES) return undefined;
    const facts = events.slice(from, end).map((event, index) => factOf(event, placeOf(seq, index)));
    chunks.push({ seq, chunk, lines: lines.slice(from, end), facts, ids });
    from = end;
  }
  const head = { seq: base.seq + chunks.length, events: base.events + lines.length, commit, at };
  return {
    head,
    chunks,
    sets: [[HEAD, head], ...chunks.map(({ seq, chunk }): [Key, Chunk] => [journalKey(seq), chunk])],
  };
}

function notAcknowledged(): StorageUnavailable {
  return new StorageUnavailable(
    "storage did not take the events in time: nothing was acknowledged, send them again",
  );
}

/** Waits for a promise until a moment of the monotonic clock, then throws. */
async function withDeadline<T>(promise: Promise<T>, deadlineMs: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(notAcknowledged()), Math.max(0, deadlineMs - performance.now()));
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
