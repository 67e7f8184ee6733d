/**
 * The committer, one per process: it takes all requests that are waiting and appends their events to the journal by one
 * atomic operation. While that is under way the next group gathers. No actor is read to accept an event.
 *
 * Why it is exact: what the process knows of seen ids is complete up to the head whose stamp the operation checks, and
 * the check fails if anyone appended since. An answer that was lost, or an `ok: false` that may mean "written", is
 * decided by what stands in the journal: its chunks bear the attempt that wrote them.
 */
import { Buffer } from "node:buffer";
import type { StoredEvent } from "../../domain/event/event.ts";
import { namesOf } from "../../domain/profile/fact.ts";
import {
  type Chunk,
  CHUNK_EVENTS,
  DIGEST_WORDS,
  digestOf,
  digestsIn,
  ERASED_EVENT,
  ERASED_LINE,
  makeChunk,
  wordsOfHex,
} from "./chunk.ts";
import { createDigestSet } from "./digest_set.ts";
import type { Journal, KnownHead, NewChunk } from "./journal_state.ts";
import type { Clock } from "../store/clock.ts";
import { withTimeout } from "../store/timeout.ts";
import { HEAD, journalKey, type Key } from "../store/keys.ts";
import { addProbes, lookUp, type Probe } from "./dedup_index.ts";
import type { Store } from "../store/store.ts";
import { BatchTooLarge, NotServing, StorageFault, StorageUnavailable } from "../store/errors.ts";

/** Told of commits, once for each; it must never throw. */
export interface AppendObserver {
  /** A commit is in the journal: how long storage took, how many events, bytes of its chunks once compressed. */
  committed?(commit: { durationMs: number; events: number; bytes: number }): void;
  /** A commit was not done, or storage did not say that it was: it is tried again. */
  retried?(): void;
}

/** What the commit of one event gave. */
export interface Receipt {
  messageId: string;
  duplicate: boolean;
}

/** Bounds of a commit. */
export const COMMIT_LIMITS = {
  /** Some bytes of JSON in a chunk before compression: small, so that reading one event inflates little. */
  chunkBytes: 32 * 1024,
  /** One atomic operation takes 800 KiB: compressed chunks, digests and head must fit with room to spare. */
  commitBytes: 600_000,
  /** A group gathers requests up to so much JSON, so that a commit stays quick; a single request may be larger. */
  groupBytes: 1024 * 1024,
  /** Likewise of events: preparing them holds the thread, 15 to 30 µs each. */
  groupEvents: 2_500,
};
export type CommitLimits = typeof COMMIT_LIMITS;

/** A group gathers for so long at the most. */
const GATHER_MS = 3;

/** A request is answered or refused within this time. */
const DEADLINE_MS = 10_000;

/** Requests that wait hold at most so much JSON: beyond it new ones are refused at once. */
const WAITING_BYTES = 64 * 1024 * 1024;

/** With other processes about, the pause after a won commit, in round trips; after a slow one no longer than this. */
const PAUSE_TRIPS = 3;
const PAUSE_MS = 500;

/** An event of another journal. */
export interface StoredBefore {
  /** `undefined` if it was erased there: then only its digest is appended. */
  event: StoredEvent | undefined;
  /** The digest of its message id, in hex. */
  digest: string;
  writeKeyId: string;
}

interface Request {
  events: StoredEvent[];
  lines: string[];
  /** The digests of its message ids in hex, put together. */
  digests: string;
  /** The sender of all its events, or of each. */
  writeKeyId: string | readonly string[];
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
  /** The secret that digests of message ids are made with: the same for all who use the database. */
  secret: string;
  clock: Clock;
  limits: CommitLimits;
  newId(): string;
  /** Throws where nothing may be committed now; without it nothing keeps the process from it. */
  guard?(): void;
  /** Resolves when the tail has room for so many events: at once, or slower the fuller it is; or at the deadline. */
  room(events: number, deadlineMs: number): Promise<void>;
  /** Whether other processes commit too. */
  others(): boolean;
  observer?: AppendObserver | undefined;
}

/** Makes the committer. */
export function createCommitter(options: CommitterOptions) {
  const { store, journal, secret, clock, limits, newId } = options;
  let waiting: Request[] = [];
  let waitingBytes = 0;
  let working: Promise<void> | undefined;
  /** Attempts whose outcome is not known, and the digests that turned out to be theirs. */
  const attempts = new Set<string>();
  let ours = createDigestSet(0);
  journal.onChunk((chunk) => {
    if (!attempts.has(chunk.commit)) return;
    const digests = digestsIn(chunk.digests);
    for (let at = 0; at < chunk.n; at++) ours.add(digests, at);
  });

  /** Waits for a promise until a moment of the monotonic clock, then throws. */
  function withDeadline<T>(promise: Promise<T>, deadlineMs: number, late = notAcknowledged): Promise<T> {
    return withTimeout<T, never>(promise, {
      clock,
      ms: Math.max(0, deadlineMs - clock.monotonic()),
      onTimeout() {
        throw late();
      },
    });
  }

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
      if (ours.size() > 0) ours = createDigestSet(0);
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
    for (let count = 0; waiting.length > count && waitingBytes < limits.groupBytes;) {
      count = waiting.length;
      await clock.turn();
      if (clock.monotonic() > until) return;
    }
  }

  /** Takes the requests that came first, whole, up to `groupBytes` and `groupEvents`. */
  function takeGroup(): Request[] {
    let bytes = 0;
    let events = 0;
    let count = 0;
    for (const request of waiting) {
      const isFull = bytes + request.bytes > limits.groupBytes ||
        events + request.events.length > limits.groupEvents;
      if (count > 0 && isFull) break;
      bytes += request.bytes;
      events += request.events.length;
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
    if (clock.monotonic() > deadlineMs) throw new NotServing(WAITED_TOO_LONG, "overloaded");
    await withDeadline(
      options.room(group.reduce((sum, request) => sum + request.events.length, 0), deadlineMs),
      deadlineMs,
      settlingBehind,
    );
    // It resolves at the deadline too, whether there is room or not.
    if (clock.monotonic() >= deadlineMs) throw settlingBehind();
    let digests = digestsOf(group);
    let late = notAcknowledged;
    for (let tries = 0;; tries++) {
      if (clock.monotonic() > deadlineMs) throw late();
      const base = journal.head();
      const known = await knownIds(digests, deadlineMs);
      // Look-ups waited for a read: what they say holds for the head that was captured before them alone.
      // The stamp, as each reader's look at the head makes the same head another object.
      if (known === undefined || journal.head().stamp !== base.stamp) continue;
      const fresh = freshOf(group, digests, known);
      if (fresh.lines.length === 0) {
        // An attempt that seemed lost has brought them.
        if (ours.size() > 0) journal.advanced();
        return answer(group, digests, { fresh, known });
      }
      options.guard?.();
      const commit = newId();
      const prepared = prepare(fresh, base, { commit, at: Math.max(clock.now(), base.at), limits });
      if (prepared === undefined) {
        if (group.length === 1) {
          throw new BatchTooLarge(
            `The batch exceeds ${limits.commitBytes / 1000} KB after compression.`,
          );
        }
        putBack(group.splice(Math.ceil(group.length / 2)));
        digests = digestsOf(group);
        continue;
      }
      attempts.add(commit);
      const began = clock.monotonic();
      late = lostRaces;
      const write = store.commit({ checks: [{ key: HEAD, stamp: base.stamp }], sets: prepared.sets }).catch(
        (error) => {
          // Of a full disk or a damaged file the sender is told at once: trying until the deadline helps nothing.
          if (!(error instanceof StorageUnavailable) || error instanceof StorageFault) throw error;
          late = notAcknowledged;
          return null;
        },
      );
      const stamp = await withDeadline(write, deadlineMs);
      if (stamp !== null) {
        journal.committed({ ...prepared.head, stamp }, prepared.chunks);
        answer(group, digests, { fresh, known });
        journal.advanced();
        const durationMs = clock.monotonic() - began;
        options.observer?.committed?.({ durationMs, events: fresh.lines.length, bytes: prepared.bytes });
        const pauseMs = durationMs * PAUSE_TRIPS * (0.5 + clock.random());
        if (options.others()) await clock.sleep(Math.min(pauseMs, PAUSE_MS));
        return;
      }
      options.observer?.retried?.();
      // Conflict, or an answer that can't be trusted: what stands in the journal decides.
      await withDeadline(journal.sync().catch(() => {}), deadlineMs, late);
      // By itself, for the journal passes over a chunk that is settled by now: then nobody was told of it.
      const after = await withDeadline(
        store.get<Chunk>(journalKey(base.seq + 1)).catch(() => null),
        deadlineMs,
        late,
      );
      if (after?.value && attempts.has(after.value.commit)) {
        for (const { chunk, digests } of prepared.chunks) {
          for (let at = 0; at < chunk.n; at++) ours.add(digests, at);
        }
      }
      if (tries > 0) await clock.sleep(Math.min(2 ** tries, 200) * clock.random());
    }
  }

  /** Which of a group's digests are in the journal; `undefined` where the runs changed meanwhile. */
  async function knownIds(digests: Uint32Array, deadlineMs: number): Promise<Known | undefined> {
    const tail = journal.tail();
    const view = journal.seen();
    const count = digests.length / DIGEST_WORDS;
    const known = { isKnown: new Uint8Array(count), hits: 0 };
    const probes: Probe[] = [];
    for (let at = 0; at < count; at++) {
      if (tail.has(digests, at)) {
        known.isKnown[at] = 1;
        known.hits++;
      } else addProbes(probes, view, { digests, at });
    }
    if (probes.length === 0) return known;
    const seen = await withDeadline(lookUp(store, digests, probes), deadlineMs);
    if (seen === undefined) {
      await withDeadline(journal.sync(), deadlineMs);
      await withDeadline(journal.adoptNewest(), deadlineMs);
      return undefined;
    }
    for (const at of seen) {
      known.isKnown[at] = 1;
      known.hits++;
    }
    return known;
  }

  /** Receipts: an event is a duplicate if its id was in the journal, unless an attempt of this group brought it. */
  function answer(
    group: Request[],
    digests: Uint32Array,
    { fresh: { isRepeat }, known }: { fresh: Fresh; known: Known },
  ): void {
    let at = 0;
    for (const { events, resolve } of group) {
      resolve(events.map(({ messageId }) => {
        const wasThere = known.hits > 0 && known.isKnown[at] === 1 && !ours.has(digests, at);
        return { messageId, duplicate: isRepeat[at++] === 1 || wasThere };
      }));
    }
  }

  /** Lets a request wait for its commit. */
  function enqueue(
    request: Pick<Request, "events" | "lines" | "digests" | "writeKeyId">,
  ): Promise<Receipt[]> {
    if (waitingBytes > WAITING_BYTES) {
      return Promise.reject(new NotServing(TOO_MANY_WAIT, "overloaded"));
    }
    const bytes = request.lines.reduce((sum, line) => sum + line.length, 0);
    return new Promise((resolve, reject) => {
      waiting.push({ ...request, bytes, cameMs: clock.monotonic(), resolve, reject });
      waitingBytes += bytes;
      working ??= Promise.resolve().then(work);
    });
  }

  return {
    /** Makes a request's events durable, all or none. See `System.commit`. */
    commit(events: StoredEvent[], writeKeyId: string): Promise<Receipt[]> {
      const lines = events.map((event) => JSON.stringify(event));
      let digests = "";
      for (const { messageId } of events) digests += digestOf(messageId, secret);
      return enqueue({ events, lines, digests, writeKeyId });
    },
    /** The same for events of another journal. See `System.commitStored`. */
    async commitStored(stored: readonly StoredBefore[]): Promise<boolean[]> {
      const receipts = await enqueue({
        events: stored.map(({ event }) => event ?? ERASED_EVENT),
        lines: stored.map(({ event }) => event === undefined ? ERASED_LINE : JSON.stringify(event)),
        digests: stored.map(({ digest }) => digest).join(""),
        writeKeyId: stored.map(({ writeKeyId }) => writeKeyId),
      });
      return receipts.map(({ duplicate }) => !duplicate);
    },
    /** Resolves when nothing is waiting. */
    async idle(): Promise<void> {
      while (working !== undefined) await working;
    },
  };
}

/** Of each event of a group, whether its id is in the journal (1), and how many are. */
interface Known {
  isKnown: Uint8Array;
  hits: number;
}

/** The digests of a group's events, as words in a row. */
function digestsOf(group: Request[]): Uint32Array {
  return wordsOfHex(group.map((request) => request.digests).join(""));
}

interface Fresh {
  lines: string[];
  digests: Uint32Array;
  events: StoredEvent[];
  writeKeyIds: string[];
  /** Of each event of the group, whether one before it has the same id (1). */
  isRepeat: Uint8Array;
}

/** The events of a group that are not in the journal yet; of two with one id, the first. */
function freshOf(group: Request[], digests: Uint32Array, { isKnown }: Known): Fresh {
  const count = isKnown.length;
  const fresh: Fresh = { lines: [], digests, events: [], writeKeyIds: [], isRepeat: new Uint8Array(count) };
  const taken = createDigestSet(count);
  const kept: number[] = [];
  let at = 0;
  for (const { lines, events, writeKeyId } of group) {
    for (let index = 0; index < events.length; index++, at++) {
      if (!taken.add(digests, at)) fresh.isRepeat[at] = 1;
      else if (isKnown[at] === 0) {
        kept.push(at);
        fresh.lines.push(lines[index]!);
        fresh.events.push(events[index]!);
        fresh.writeKeyIds.push(typeof writeKeyId === "string" ? writeKeyId : writeKeyId[index]!);
      }
    }
  }
  if (kept.length < count) fresh.digests = pick(digests, kept);
  return fresh;
}

/** Those digests of a row, in their order. */
function pick(digests: Uint32Array, kept: readonly number[]): Uint32Array {
  const picked = new Uint32Array(kept.length * DIGEST_WORDS);
  for (const [to, at] of kept.entries()) {
    picked.set(digests.subarray(at * DIGEST_WORDS, (at + 1) * DIGEST_WORDS), to * DIGEST_WORDS);
  }
  return picked;
}

interface Prepared {
  /** Of its chunks, once compressed. */
  bytes: number;
  sets: [Key, unknown][];
  head: Head;
  chunks: NewChunk[];
}

type Head = Omit<KnownHead, "stamp">;

/** The chunks and the head of a commit; `undefined` where they don't fit one atomic operation. */
function prepare(
  { lines, digests, events, writeKeyIds }: Fresh,
  base: KnownHead,
  { commit, at, limits }: { commit: string; at: number; limits: CommitLimits },
): Prepared | undefined {
  const chunks: Prepared["chunks"] = [];
  let bytes = 0;
  for (let from = 0; from < lines.length;) {
    let end = from;
    for (let raw = 0; end < lines.length && end - from < CHUNK_EVENTS; end++) {
      raw += Buffer.byteLength(lines[end]!);
      if (end > from && raw > limits.chunkBytes) break;
    }
    const seq = base.seq + chunks.length + 1;
    const ids = digests.subarray(from * DIGEST_WORDS, end * DIGEST_WORDS);
    const senders: [string, number][] = [];
    for (const writeKeyId of writeKeyIds.slice(from, end)) {
      const last = senders.at(-1);
      if (last?.[0] === writeKeyId) last[1]++;
      else senders.push([writeKeyId, 1]);
    }
    const text = Buffer.from(lines.slice(from, end).join("\n"));
    const chunk = makeChunk({ commit, at, senders, n: end - from, raw: text, digests: ids });
    bytes += chunk.body.length + chunk.digests.length + 200;
    if (bytes > limits.commitBytes) return undefined;
    chunks.push({ seq, chunk, raw: text, names: events.slice(from, end).map(namesOf), digests: ids });
    from = end;
  }
  const head = { seq: base.seq + chunks.length, events: base.events + lines.length, commit, at };
  return {
    bytes,
    head,
    chunks,
    sets: [[HEAD, head], ...chunks.map(({ seq, chunk }): [Key, Chunk] => [journalKey(seq), chunk])],
  };
}

const TOO_MANY_WAIT = "Too many requests are waiting for storage.";
const WAITED_TOO_LONG = `The request waited longer than ${DEADLINE_MS / 1000} s for storage.`;

function notAcknowledged(): StorageUnavailable {
  return new StorageUnavailable("storage did not accept the events in time");
}

function settlingBehind(): NotServing {
  return new NotServing(
    "Settling is too far behind the journal to accept more events.",
    "settling",
  );
}

function lostRaces(): NotServing {
  return new NotServing(
    "Other processes kept winning the race to append to the journal.",
    "contention",
  );
}
