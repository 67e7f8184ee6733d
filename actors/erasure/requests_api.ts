/** Requests for erasure: a request is written, and carried out by a settler, in whatever process (`execute.ts`). */
import { endOfJournal } from "../journal/read_journal.ts";
import { erasuresOf, type Journal } from "../journal/journal_state.ts";
import type { Clock } from "../store/clock.ts";
import { erasedKey, ERASING, erasureRequestKey } from "../store/keys.ts";
import type { Settling } from "../settling/backpressure.ts";
import type { Store } from "../store/store.ts";
import { personDigest, type Suppression } from "./suppression.ts";
import { createSerialQueue } from "../store/serial_queue.ts";
import type { ErasureLimits } from "./erasure_limits.ts";
import { previewErasure, type PreviewOptions, type WouldErase } from "./preview.ts";
import {
  addErased,
  type Erased,
  type ErasureRequest,
  type ErasureRequests,
  NOTHING_ERASED,
  type Person,
  type Receipt,
} from "./requests.ts";
import { NotServing } from "../store/errors.ts";
import { update } from "../store/conditional_update.ts";

/** Deletes what names a person in the memory of one part of the system. Can be repeated. */
export type Eraser = (person: Person) => Promise<void>;

/** Erases people from all stored data. `docs/decisions/0019-erasure.md` says what that is. */
export interface Erasure {
  /**
   * Erases all events of a person that were answered before this call. With `suppress` later events of theirs are not
   * stored: those of the id itself, or of `all` linked anonymous ids too, for as long as the person owned them. Resolves
   * when no process shows them any more. Throws {@link NotServing} if that takes longer than a request may, and continues;
   * throws {@link TooManySuppressed}.
   */
  erase(person: Person, options: { suppress: Suppress }): Promise<EraseOutcome>;
  /** What an erasure would remove. Changes nothing. */
  preview(person: Person): Promise<WouldErase & { known: boolean }>;
  /** The digest that logs show instead of the id. */
  digestOf(person: Person): string;
  /** The digest under which receipts are kept. */
  fullDigestOf(person: Person): string;
  /** Adds an eraser, which is called before the journal is erased. */
  onErase(eraser: Eraser): void;
}

/** Whose later events are not stored. */
export type Suppress = false | "id" | "all";

/** The outcome of an erasure. */
export interface EraseOutcome {
  erased: Erased;
  /** Whether the person is suppressed now. */
  suppressed: boolean;
  at: number;
  /** False if nothing of the id was ever erased: nobody with this id was known. */
  known: boolean;
}

/** A request waits this long for its erasure, which then continues; a repeated request waits for the rest. */
const ERASE_MS = 30_000;

/** Pending requests: each is a value of some hundred bytes, and takes at least one round of settling. */
export const MAX_REQUESTS = 1_000;

/** The latest requests that are searched for one for the same person. */
const SEARCHED = 20;

/** Attempts at a request that other processes overtake. */
const TRIES = 20;

/** Hex digits of a person's digest in logs: enough to tell people apart. */
const LOGGED_DIGITS = 12;

export interface ErasureOptions {
  store: Store;
  journal: Journal;
  settling: Settling;
  suppression: Suppression;
  /** The secret of the digests. */
  secret: string;
  clock: Clock;
  newId(): string;
  limits: ErasureLimits;
  foldVersion: number;
  /** Tells those that carry out erasures what this process knows of suppressions, once a request is written. */
  announce(): Promise<void>;
  /** Number of rejected events that would be erased. */
  countRejected: PreviewOptions["countRejected"];
}

/** Creates the erasure. */
export function createErasure(options: ErasureOptions): Erasure {
  const { store, journal, settling, suppression, secret, clock } = options;
  const erasers: Eraser[] = [];
  /** Requests that come at once would only get in each other's way. */
  const inTurn = createSerialQueue();
  return {
    onErase: (eraser) => void erasers.push(eraser),
    async erase(person: Person, { suppress }) {
      const endMs = clock.monotonic() + ERASE_MS;
      const digest = personDigest(person, secret);
      await journal.sync();
      const before = erasuresOf(journal.settledNow());
      if (suppress) await inTurn(() => suppression.add(person));
      for (const eraser of erasers) await eraser(person);
      const at = clock.now();
      const no = await inTurn(() => push(options, { ...person, digest, suppress, at }));
      await options.announce();
      await settling.untilErased(no, endMs - clock.monotonic());
      await suppression.refresh();
      const { value: receipt } = await store.get<Receipt>(erasedKey(digest));
      // A repeated request reports the earlier one too.
      const requests = receipt?.wishes.filter((each) => each.no > before) ?? [];
      return {
        erased: requests.reduce((sum, { erased }) => addErased(sum, erased), NOTHING_ERASED),
        suppressed: isSuppressed(suppression, person),
        at: receipt?.at ?? at,
        known: isKnown(receipt),
      };
    },
    async preview(person: Person) {
      const would = await previewErasure(person, options);
      const { value: receipt } = await store.get<Receipt>(erasedKey(personDigest(person, secret)));
      const found = would.events + would.logs + would.rejected > 0;
      return { ...would, known: found || isKnown(receipt) };
    },
    fullDigestOf: (person) => personDigest(person, secret),
    digestOf: (person) => personDigest(person, secret).slice(0, LOGGED_DIGITS),
  };
}

function isSuppressed(suppression: Suppression, { kind, id }: Person): boolean {
  return suppression.isSuppressed(kind === "user" ? { userId: id } : { anonymousId: id });
}

/** Writes a request and gives its number. */
async function push(options: ErasureOptions, request: Omit<ErasureRequest, "upTo" | "op">): Promise<number> {
  const op = options.newId();
  let last: number | undefined;
  const how = { named: "the list of erasures", tries: TRIES, clock: options.clock, retriesUnanswered: true };
  return await update(options.store, how, async () => {
    const mark = await options.store.get<ErasureRequests>(ERASING);
    const { pushed } = mark.value ?? { pushed: 0 };
    // A write that was denied may have been done all the same.
    if (last !== undefined && pushed >= last && await isMine(options, last, request.digest, op)) {
      return { result: last };
    }
    if (pushed - erasuresOf(options.journal.settledNow()) >= MAX_REQUESTS) {
      throw new NotServing(
        `The erasure queue is full (${MAX_REQUESTS} pending). Retry later.`,
        "erasure_under_way",
      );
    }
    const upTo = (await endOfJournal(options.store)).end;
    const waiting = await waitingOf(options, request.digest, pushed);
    if (waiting !== undefined) {
      if (waiting.request.op === op) return { result: waiting.no };
      // A repeated request does not make others wait longer.
      const { request: before, key, stamp, no } = waiting;
      const suppress = stronger(before.suppress, request.suppress);
      const joined: ErasureRequest = { ...before, ...request, op, upTo, suppress };
      return { result: no, write: { checks: [{ key, stamp }], sets: [[key, joined]] } };
    }
    last = pushed + 1;
    const written: ErasureRequest = { ...request, op, upTo };
    return {
      result: last,
      write: {
        checks: [{ key: ERASING, stamp: mark.stamp }],
        sets: [[ERASING, { pushed: last } satisfies ErasureRequests], [erasureRequestKey(last), written]],
      },
    };
  });
}

/** A pending request for the same person without a plan, if there is one among the latest. */
async function waitingOf(options: ErasureOptions, digest: string, pushed: number) {
  const first = Math.max(erasuresOf(options.journal.settledNow()) + 1, pushed - SEARCHED + 1);
  const keys = Array.from(
    { length: Math.max(0, pushed - first + 1) },
    (_, n) => erasureRequestKey(first + n),
  );
  for (const [n, { key, value, stamp }] of (await options.store.getMany<ErasureRequest>(keys)).entries()) {
    if (value?.digest === digest && value.plan === undefined) {
      return { no: first + n, request: value, key, stamp };
    }
  }
  return undefined;
}

async function isMine(options: ErasureOptions, no: number, digest: string, op: string): Promise<boolean> {
  const [request, receipt] = await options.store.getMany([erasureRequestKey(no), erasedKey(digest)]);
  if ((request!.value as ErasureRequest | null)?.op === op) return true;
  return (receipt!.value as Receipt | null)?.wishes.some((each) => each.op === op) ?? false;
}

/** Whether anything was ever erased of somebody. */
function isKnown(receipt: Receipt | null): boolean {
  return receipt !== null && Object.values(receipt.erased).some((count) => count > 0);
}

/** The one of two that suppresses more. */
function stronger(a: ErasureRequest["suppress"], b: ErasureRequest["suppress"]): ErasureRequest["suppress"] {
  return a === "all" || b === "all" ? "all" : a || b;
}
