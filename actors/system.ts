/** What the actors offer to the routes and to the tasks: the whole of signalfold behind one typed value. */
import type { Changes } from "../domain/profile/change.ts";
import type { Contract, Draft, UnknownEvents } from "../domain/contract/contract.ts";
import type { Counts } from "../domain/stats/counts.ts";
import type { EventType, StoredEvent } from "../domain/event/event.ts";
import type { Rejection } from "../domain/event/rejection.ts";
import type { Budget } from "../domain/contract/checker.ts";
import type { RateLimit } from "../domain/limits/token_bucket.ts";

/** Thrown when storage does not answer in time: nothing was acknowledged, and a retry is safe. */
export class StorageUnavailable extends Error {
  override name = "StorageUnavailable";
  constructor(message: string, readonly retryAfterS = 1, options?: ErrorOptions) {
    super(message, options);
  }
}

/**
 * Thrown when storage answers that it can't: the disk is full, the file read-only or damaged. Another try at once helps
 * nothing; nothing was acknowledged, and a later retry is safe.
 */
export class StorageFault extends StorageUnavailable {
  override name = "StorageFault";
  constructor(message: string, options?: ErrorOptions) {
    super(message, FAULT_RETRY_S, options);
  }
}

/** Thrown where this process can't do its work for a reason that it can name: `code` and message are for the answer. */
export class NotServing extends StorageUnavailable {
  override name = "NotServing";
  constructor(message: string, readonly code: "clock_moved" | "settling_fails" | "erasure_under_way") {
    super(message, FAULT_RETRY_S);
  }
}

/** A disk that is full stays so for a while, in s. */
const FAULT_RETRY_S = 5;

/** Thrown for a request whose events compress to more than one atomic operation can hold: the sender must send fewer. */
export class BatchTooLarge extends RangeError {
  override name = "BatchTooLarge";
}

/** What the commit of one event gave. */
export interface Receipt {
  messageId: string;
  duplicate: boolean;
}

/** The kinds of actor. */
export const ACTOR_KINDS = ["user", "anonymous", "group"] as const;

/** One of {@link ACTOR_KINDS}. */
export type ActorKind = typeof ACTOR_KINDS[number];

/** A past that a reader asks for, in ms since 1970: what happened up to `at`, of what was received up to `asOf`. */
export interface Past {
  at?: number;
  asOf?: number;
}

/** A page of an actor's log. */
export interface LogQuery {
  limit: number;
  cursor?: string;
  order: "asc" | "desc";
  type?: EventType;
  event?: string;
}

/** Thrown for a cursor that was not made by the page before. */
export class InvalidCursor extends RangeError {
  override name = "InvalidCursor";
}

/** Thrown where there are as many write keys as there may be. */
export class TooManyWriteKeys extends RangeError {
  override name = "TooManyWriteKeys";
}

/** The id of the write key that the environment gives; it is not stored. */
export const DEFAULT_KEY_ID = "default";

/** A write key as administrators see it; the key itself is kept only as a digest. */
export interface WriteKey {
  id: string;
  name: string;
  /** Types that it may send; absent means all. */
  allowedTypes?: EventType[];
  /** What it may send; absent means no limit. */
  rateLimit?: RateLimit;
  enabled: boolean;
  createdAt: string;
  /** Until when the key before the last rotation is taken too, where it still is. */
  previousValidUntil?: string;
  /** When an event of it was last taken, less at most a minute; absent where none ever was. Only in lists and changes. */
  lastUsedAt?: string;
}

/** What a new write key may be. */
export interface NewWriteKey {
  name: string;
  allowedTypes?: EventType[];
  rateLimit?: RateLimit;
  enabled?: boolean;
}

/** What may be changed of a write key; `null` takes a restriction away. */
export interface WriteKeyPatch {
  name?: string;
  allowedTypes?: EventType[] | null;
  rateLimit?: RateLimit | null;
  enabled?: boolean;
}

/** Reads: each sees everything that was answered before it began, in whatever process. `null` where never seen. */
export interface Reader {
  user(userId: string, past?: Past): Promise<Record<string, unknown> | null>;
  anonymous(anonymousId: string, past?: Past): Promise<Record<string, unknown> | null>;
  group(groupId: string, past?: Past): Promise<Record<string, unknown> | null>;
  log(
    kind: ActorKind,
    id: string,
    query: LogQuery,
  ): Promise<{ events: StoredEvent[]; cursor: string | null } | null>;
  members(
    groupId: string,
    query: { limit: number; cursor?: string },
  ): Promise<{ members: Record<string, string>[]; cursor: string | null } | null>;
  /** Why a user's trait is what it is; `"no trait"` where no event set it, `null` where there is no such user. */
  trait(userId: string, name: string): Promise<TraitStory | "no trait" | null>;
}

/** Write keys: changes hold at once in this process, elsewhere within 5 s. */
export interface WriteKeys {
  /** The key with this SHA-256 digest (hex), enabled or not; never stale by more than 5 s. */
  find(digestHex: string): Promise<WriteKey | undefined> | WriteKey | undefined;
  list(): Promise<WriteKey[]>;
  /** Those of some ids that no stored key has. */
  missing(ids: readonly string[]): Promise<string[]>;
  /** Makes a key; the secret is shown this once. Throws {@link TooManyWriteKeys}. */
  create(input: NewWriteKey): Promise<{ key: string; writeKey: WriteKey }>;
  change(id: string, patch: WriteKeyPatch): Promise<WriteKey | undefined>;
  /**
   * Gives a key another secret, shown this once. The one before is taken for so long, and is then refused; the one before
   * that is refused from now on.
   */
  rotate(id: string, graceMs: number): Promise<{ key: string; writeKey: WriteKey } | undefined>;
  remove(id: string): Promise<boolean>;
  /** Notes that an event of a key was taken, ms since 1970; written down behind, once in a while. Also for a key not stored. */
  used(id: string, at: number): void;
  /** When a key was last used, also one that is not stored. */
  lastUsedAt(id: string): Promise<string | undefined>;
}

/** Whether so many events may come. */
export interface RateDecision {
  admitted: boolean;
  /** How many more may come now. */
  remaining: number;
  /** Whole seconds until the whole burst is there again, and until there is enough for what was refused; at least 1. */
  fullInS: number;
  enoughInS: number;
}

/** Rate limits of write keys, shared between processes: exact in the long run, approximate within a second. */
export interface RateLimits {
  /** Takes events from what a key may send, all or none. Answers at once, but for the first time in a process. */
  take(
    writeKeyId: string,
    limit: RateLimit,
    taking: { events: number; now: number },
  ): RateDecision | Promise<RateDecision>;
  /** Gives back what was taken for events that were not taken after all, and says what is left then. */
  giveBack(writeKeyId: string, limit: RateLimit, events: number): RateDecision;
  /** How many keys are remembered. */
  size(): number;
  close(): Promise<void>;
}

/** The lengths of time that events are counted by. */
export const PERIODS = ["minute", "hour", "day"] as const;

/** One of {@link PERIODS}. */
export type Period = typeof PERIODS[number];

/** The same in ms. Days are those of UTC. */
export const PERIOD_MS: Record<Period, number> = { minute: 60_000, hour: 3_600_000, day: 86_400_000 };

/** How long counts are shown, of minutes too, in ms. */
export const COUNTS_KEPT_MS = 30 * PERIOD_MS.day;

/** A stretch of time in ms since 1970, in periods that begin in it. */
export interface CountsSpan {
  per: Period;
  from: number;
  to: number;
}

/** Counts of one period, which begins at `at` (ms). */
export interface PeriodCounts {
  at: number;
  counts: Counts;
}

/** What is made of counts while they are read: one period after the other, those in which something was counted. */
export interface Reading<T> {
  take(period: PeriodCounts): void;
  result(): T;
}

/** How often a contract was violated in this process since it started. */
export interface Violations {
  /** Its name; `UNKNOWN_EVENTS` for events that no contract names. */
  contract: string;
  mode: "enforce" | "monitor";
  count: number;
}

/** Who sent an event, when it came (ms), and the type that its route implies. */
export interface Sending {
  writeKeyId: string;
  receivedAt: number;
  type?: EventType | undefined;
}

/**
 * Counts of events over all processes. They are in memory first: storage has them within some 5 s, and a process that
 * dies at once loses what it had counted meanwhile.
 */
export interface EventCounts {
  /** Counts events that the journal has, with their receipts. Quick, and never throws. */
  taken(events: readonly StoredEvent[], receipts: readonly Receipt[], sending: Sending): void;
  /** Counts an event that is not taken; `item` is what was sent. Likewise. */
  rejected(item: unknown, rejection: Rejection, sending: Sending): void;
  /** Where violations of contracts are counted from now on. */
  watch(violations: () => Iterable<Violations>): void;
  /** Reads the periods of a span. Where another process changed what was being read, `begin` is called again. */
  read<T>(span: CountsSpan, begin: () => Reading<T>): Promise<T>;
  /** What this process alone has counted since it started. */
  sinceStart(): Counts;
}

/** Thrown where as many people are suppressed as there may be. */
export class TooManySuppressed extends RangeError {
  override name = "TooManySuppressed";
}

/** Who can be erased: a user, or an anonymous id. */
export interface Person {
  kind: "user" | "anonymous";
  id: string;
}

/** What an erasure came to: how many events are gone, from how many logs of people and groups, and rejected ones. */
export interface Erased {
  events: number;
  logs: number;
  groups: number;
  rejected: number;
}

/** Deletes what names a person where only one part of the system knows of it. Can be repeated. */
export type Eraser = (person: Person) => Promise<void>;

/** Takes people out of everything that is kept. `docs/decisions/0019-erasure.md` says what that is. */
export interface Erasure {
  /**
   * Erases a person: all that was answered before this was called. With `suppress` later events of theirs are refused.
   * Nothing is counted where nothing was there. Resolves when no process shows them any more; throws
   * {@link NotServing} where that takes longer than a request may, and goes on; {@link TooManySuppressed}.
   */
  erase(
    person: Person,
    options: { suppress: boolean },
  ): Promise<{ erased: Erased; suppressed: boolean; at: number }>;
  /** Lets something else be erased too, before the journal is. */
  onErase(eraser: Eraser): void;
}

/** Whose events are refused, as this process knows it: never older than 5 s once `fresh` has resolved. */
export interface Suppression {
  /** Whether the person whose event it is (by user id, else by anonymous id) is suppressed. Reads nothing. */
  isSuppressed(names: { userId?: string; anonymousId?: string }): boolean;
  /** Call it before each request is judged: a promise where what is known is too old, which seldom is. */
  fresh(): Promise<void> | undefined;
  refresh(): Promise<void>;
  /** Suppresses a person: at once in this process, elsewhere within 5 s. Throws {@link TooManySuppressed}. */
  add(person: Person): Promise<void>;
}

/** Thrown where there are as many contracts as there may be. */
export class TooManyContracts extends RangeError {
  override name = "TooManyContracts";
}

/** A contract as it stands. */
export interface StoredContract extends Contract {
  /** Counts its changes, from 1. */
  version: number;
  updatedAt: string;
}

/** Who changed a contract, from where. */
export interface Author {
  by: string;
  address: string;
}

/** One change of a contract. */
export interface ContractVersion extends Author {
  version: number;
  at: string;
  /** What it then was; `null` for one that was deleted. */
  contract: Contract | null;
  /** The version that was gone back to. */
  restored?: number;
}

/** Event contracts: changes hold at once in this process, elsewhere within 5 s. */
export interface EventContracts {
  /** Resolves when what is known is fresh enough to judge by; nothing where it is already. */
  fresh(): Promise<void> | undefined;
  /** Why an event is not taken, or nothing. Reads no storage. */
  judge(
    event: StoredEvent,
    options: { writeKeyId: string; unknown: UnknownEvents; turn: Budget },
  ): Rejection | undefined;
  /** The names of the contracts that mean an event. */
  namesFor(event: StoredEvent, writeKeyId: string): string[];
  violations(): Violations[];
  list(): Promise<StoredContract[]>;
  get(name: string): Promise<StoredContract | undefined>;
  /** Makes or changes contracts, all or none. What is so already makes no version. Throws {@link TooManyContracts}. */
  put(contracts: readonly Contract[], author: Author): Promise<StoredContract[]>;
  remove(name: string, author: Author): Promise<boolean>;
  /** Changes, newest first, at most `limit` of them before a version; `undefined` where there never was such a contract. */
  versions(name: string, query: { limit: number; before?: number }): Promise<ContractVersion[] | undefined>;
  /** Goes back to what a contract was in a version; `undefined` where there is none, or it was deleted then. */
  restore(name: string, version: number, author: Author): Promise<StoredContract | undefined>;
  /** Holds a draft against the last events of the journal. */
  check(draft: Draft & { name: string }, last: number): Promise<DraftCheck>;
}

/** What a draft would do to events that there are. */
export interface DraftCheck {
  /** Of the last events, those that the draft names and that were looked at. */
  checked: number;
  failed: number;
  /** Whether all of the last events were looked at: not where that would have taken longer than 10 s. */
  complete: boolean;
  examples: { messageId: string; path: string; message: string }[];
}

/** An event that was not taken, as it is kept. */
export interface RejectedEvent {
  id: string;
  receivedAt: string;
  writeKeyId: string;
  status: number;
  code: string;
  message: string;
  path?: string;
  /** As it was sent, with what its route and its batch said for it. */
  event: Record<string, unknown>;
  /** The event was too large: only its ids and its name are kept. */
  cut?: true;
}

/** Events that were not taken, for a week. */
export interface Quarantine {
  /** Whether this process keeps another event of a write key in this minute; counts one as dropped if not. */
  hasRoom(writeKeyId: string): boolean;
  /** Keeps an event, behind the answer. Ask {@link Quarantine.hasRoom} first. Never throws. */
  keep(rejected: Omit<RejectedEvent, "id">): void;
  /** Events that found no room since this process started, or came while somebody was erased whose they may be. */
  dropped(): number;
  /** Newest first, without those whose bytes are damaged. */
  list(
    query: { limit: number; cursor?: string },
  ): Promise<{ rejected: RejectedEvent[]; cursor: string | null }>;
  /** Throws {@link StorageFault} where its bytes are damaged. */
  get(id: string): Promise<RejectedEvent | undefined>;
  remove(id: string): Promise<boolean>;
  /** Removes what is older than a week. */
  sweep(): Promise<void>;
}

/** Journal positions as numbers of events, and how many of them are not settled yet. */
export interface Stats {
  head: number;
  settled: number;
  unsettled: number;
}

/** Told of what the actors do, so that somebody may count it. Called once for each commit or round; must never throw. */
export interface Observer {
  /** A commit is in the journal: how long storage took, how many events, bytes of its chunks once compressed. */
  committed?(commit: { durationMs: number; events: number; bytes: number }): void;
  /** A commit was not done, or storage did not say that it was: it is tried again. */
  retried?(): void;
  /** This process settled a round. */
  settled?(round: { durationMs: number; events: number }): void;
  /** A round failed. */
  settlingFailed?(): void;
}

/** How things stand in this process. */
export interface Gauges extends Stats {
  /** Whether storage answered just now: if not, head, settled and unsettled are as last known. */
  storageAnswers: boolean;
  /** What is not settled, as this process holds it. */
  tail: { events: number; bytes: number };
  /** The seen index: its runs, the message ids in them, and the bytes of memory of its filters. */
  seen: { runs: number; ids: number; filterBytes: number };
}

/** What became of an event that did not go into the journal: told to whoever listens just then, and kept nowhere. */
export interface Note {
  status: "duplicate" | "rejected";
  /** `null` where the sender gave none that can be one. */
  messageId: string | null;
  type: string | null;
  event?: string;
  userId?: string;
  anonymousId?: string;
  groupId?: string;
  writeKeyId: string;
  receivedAt: string;
  /** Of what was rejected: as a batch's answer says it. */
  error?: { status: number; code: string; message: string; path?: string };
}

/** A place in the journal, and how many events are in it up to there. */
export interface LivePosition {
  place: number;
  count: number;
}

/** What came since a listener last asked: what was passed over first, then events in their order, then notes. */
export interface News {
  /** Events and notes that were passed over, as the listener had fallen behind too far. */
  skipped: number;
  events: { event: StoredEvent; writeKeyId: string; position: LivePosition }[];
  notes: Note[];
  /** Up to here everything was looked at. */
  position: LivePosition;
}

/** Somebody who listens; it takes room until it is closed. */
export interface Listener {
  position(): LivePosition;
  /** What came, as soon as something did, or nothing after `waitMs`; `undefined` once it is closed. */
  next(waitMs: number): Promise<News | undefined>;
  close(): void;
}

/** Thrown where as many listen as may. */
export class TooManyListeners extends RangeError {
  override name = "TooManyListeners";
}

/** What comes, as it comes, in all processes. */
export interface Live {
  /**
   * Whether notes are wanted, here or in another process, or may be. Cheap enough to ask for each request: now and then it
   * has storage looked at, behind the answer. `atMs` says when the request came: another look at a clock would be most of
   * the cost.
   */
  wanted(atMs: number): boolean;
  /** Tells of what did not go into the journal; passed over where nobody listens. */
  tell(notes: readonly Note[]): void;
  /**
   * Begins after a position that was given before, or with what comes from now on. `mayWant` is asked of each event's line
   * of JSON before that is parsed; without it no events are wanted, only notes. Throws {@link TooManyListeners}.
   */
  listen(
    options: { after?: LivePosition | undefined; mayWant?: ((line: string) => boolean) | undefined },
  ): Promise<Listener>;
  /** Closes all listeners, and lets nobody listen any more. */
  end(): void;
}

/** What an event changed: whose profile, and what of it; and of a `group` event, which traits of the group. */
export interface StoryChanges extends Changes {
  profile: string;
  context?: { from: Record<string, unknown> | null; to: Record<string, unknown> | null };
  group?: Pick<Changes, "traits">;
}

/** The whole story of one event. */
export interface Story {
  event: StoredEvent;
  writeKeyId: string;
  /** Its place in the journal: the chunk times 1,024, and its number in it. */
  position: number;
  /** The attempt that committed it, and when. */
  commit: string;
  committedAt: string;
  /** Whether actors, logs and the seen index have it. */
  settled: boolean;
  logs: string[];
  /** What it changed in the profile of whom it belongs to; `null` where that has too many events to be folded for it. */
  changed: StoryChanges | null;
}

/** Where the search for an event begins, towards the beginning of the journal. */
export type StoryBefore = { position: number } | { ms: number };

/** Stories of events, found by their message ids. */
export interface Stories {
  /**
   * The newest event with a message id, or the newest before a position or a moment (ms); `null` where there is none. Where
   * the search had to end before it was through, the position before which it is to go on.
   */
  find(messageId: string, before?: StoryBefore): Promise<Story | null | { goOnBefore: number }>;
}

/** Which event set a trait, and those that had set it before, newest first. */
export interface TraitStory {
  name: string;
  /** `null` where that event removed it. */
  value: unknown;
  timestamp: string;
  messageId: string;
  writeKeyId: string;
  receivedAt: string;
  replaced: { value: unknown; timestamp: string; messageId: string }[];
  /** There may be more, from before this moment; `null` where all are there. */
  moreBefore: string | null;
}

/** signalfold behind the routes. */
export interface System {
  /**
   * Makes a request's events durable, all or none, and gives a receipt for each in order. Throws
   * {@link StorageUnavailable} where nothing was acknowledged.
   */
  commit(events: StoredEvent[], writeKeyId: string): Promise<Receipt[]>;
  reader: Reader;
  stories: Stories;
  live: Live;
  writeKeys: WriteKeys;
  erasure: Erasure;
  suppression: Suppression;
  contracts: EventContracts;
  quarantine: Quarantine;
  rateLimits: RateLimits;
  stats(): Promise<Stats>;
  /** Never throws, and takes a second at the most. */
  gauges(): Promise<Gauges>;
  counts: EventCounts;
  /**
   * Resolves where this process can take events and settle them: storage takes a write, the clock was not moved, and
   * settling does not fail. Throws {@link StorageUnavailable} otherwise, {@link NotServing} where the reason is known.
   */
  ready(): Promise<void>;
  /** Settles what is left, for a schedule outside the process: idempotent, by any process at any time. */
  tick?(): Promise<void>;
  /** Takes nothing more, finishes what it took, closes storage. */
  close(): Promise<void>;
}
