/** Erasure as it is asked for: a wish is written, and fulfilled by a settler, in whatever process (`execute.ts`). */
import { endOfHead, type Head } from "../journal/read_journal.ts";
import { erasuresOf, type Journal } from "../journal/journal_state.ts";
import type { Clock } from "../store/clock.ts";
import { erasedKey, ERASING, HEAD, wishKey } from "../store/keys.ts";
import type { Settling } from "../settling/backpressure.ts";
import type { Store } from "../store/store.ts";
import { personDigest, type Suppression } from "./suppression.ts";
import { createTurns } from "../store/serial_queue.ts";
import type { ErasureLimits } from "./erasure_limits.ts";
import { previewErasure, type PreviewOptions, type WouldErase } from "./preview.ts";
import {
  addErased,
  type Erased,
  NOTHING_ERASED,
  type Person,
  type Receipt,
  type Wish,
  type Wishes,
} from "./requests.ts";
import { NotServing } from "../store/errors.ts";
import { update } from "../store/conditional_update.ts";

/** Deletes what names a person where only one part of the system knows of it. Can be repeated. */
export type Eraser = (person: Person) => Promise<void>;

/** Takes people out of everything that is kept. `docs/decisions/0019-erasure.md` says what that is. */
export interface Erasure {
  /**
   * Erases a person: all that was answered before this was called. With `suppress` later events of theirs are not stored:
   * those of the id itself, or of `all` linked anonymous ids too, for as long as the person owned them. Resolves when no
   * process shows them any more; throws {@link NotServing} where that takes longer than a request may, and goes on;
   * {@link TooManySuppressed}.
   */
  erase(person: Person, options: { suppress: Suppress }): Promise<EraseOutcome>;
  /** What an erasure would take out. Changes nothing. */
  preview(person: Person): Promise<WouldErase & { known: boolean }>;
  /** What a log may say of a person in the place of the id. */
  digestOf(person: Person): string;
  /** Lets something else be erased too, before the journal is. */
  onErase(eraser: Eraser): void;
}

/** Whose later events are not stored. */
export type Suppress = false | "id" | "all";

/** What an erasure came to. */
export interface EraseOutcome {
  erased: Erased;
  /** Whether the person is suppressed by now. */
  suppressed: boolean;
  at: number;
  /** False where nothing of the id was ever erased: nobody of this id was known. */
  known: boolean;
}

/** A request waits so long for its erasure; then it goes on by itself, and who asks again waits for the rest. */
const ERASE_MS = 30_000;

/** Wishes that wait: each is a value of some hundred bytes, and one takes a round of settling at the least. */
export const MAX_WISHES = 1_000;

/** So many of the latest wishes are looked at, to see whether one is for the same person. */
const LOOKED_AT = 20;

/** A wish that another process overtakes is tried again so often. */
const TRIES = 20;

/** Hex digits of a person's digest that a log says: enough to tell people apart. */
const LOGGED_DIGITS = 12;

/** What erasure needs. */
export interface ErasureOptions {
  store: Store;
  journal: Journal;
  settling: Settling;
  suppression: Suppression;
  /** The secret that digests are made with. */
  secret: string;
  clock: Clock;
  newId(): string;
  limits: ErasureLimits;
  foldVersion: number;
  /** How many rejected events would go. */
  countRejected: PreviewOptions["countRejected"];
}

/** Makes what erases people. */
export function createErasure(options: ErasureOptions): Erasure {
  const { store, journal, settling, suppression, secret, clock } = options;
  const erasers: Eraser[] = [];
  const isSuppressed = ({ kind, id }: Person) =>
    suppression.isSuppressed(kind === "user" ? { userId: id } : { anonymousId: id });

  /** Writes a wish, and gives its number. */
  async function push(wish: Omit<Wish, "upTo" | "op">): Promise<number> {
    const op = options.newId();
    let last: number | undefined;
    const how = { named: "the list of erasures", tries: TRIES, clock, retriesUnanswered: true };
    return await update(store, how, async () => {
      const [mark, head] = await store.getMany([ERASING, HEAD]);
      const { pushed } = (mark!.value ?? { pushed: 0 }) as Wishes;
      // A write that was denied may have been done all the same.
      if (last !== undefined && pushed >= last && await isMine(last, wish.digest, op)) {
        return { result: last };
      }
      if (pushed - erasuresOf(journal.settledNow()) >= MAX_WISHES) {
        throw new NotServing(
          `The erasure queue is full (${MAX_WISHES} pending). Retry later.`,
          "erasure_under_way",
        );
      }
      const upTo = endOfHead(head!.value as Head | null).end;
      const waiting = await waitingOf(wish.digest, pushed);
      if (waiting !== undefined) {
        if (waiting.wish.op === op) return { result: waiting.no };
        // Who asks again does not make the others wait longer.
        const { wish: before, key, stamp, no } = waiting;
        const suppress = stronger(before.suppress, wish.suppress);
        const joined: Wish = { ...before, ...wish, op, upTo, suppress };
        return { result: no, write: { checks: [{ key, stamp }], sets: [[key, joined]] } };
      }
      last = pushed + 1;
      const request: Wish = { ...wish, op, upTo };
      return {
        result: last,
        write: {
          checks: [{ key: ERASING, stamp: mark!.stamp }],
          sets: [[ERASING, { pushed: last } satisfies Wishes], [wishKey(last), request]],
        },
      };
    });
  }

  /** A wish for the same person that waits and has no plan yet, if there is one among the latest. */
  async function waitingOf(digest: string, pushed: number) {
    const first = Math.max(erasuresOf(journal.settledNow()) + 1, pushed - LOOKED_AT + 1);
    const keys = Array.from({ length: Math.max(0, pushed - first + 1) }, (_, n) => wishKey(first + n));
    for (const [n, { key, value, stamp }] of (await store.getMany<Wish>(keys)).entries()) {
      if (value?.digest === digest && value.plan === undefined) {
        return { no: first + n, wish: value, key, stamp };
      }
    }
    return undefined;
  }

  async function isMine(no: number, digest: string, op: string): Promise<boolean> {
    const [wish, receipt] = await store.getMany([wishKey(no), erasedKey(digest)]);
    if ((wish!.value as Wish | null)?.op === op) return true;
    return (receipt!.value as Receipt | null)?.wishes.some((each) => each.op === op) ?? false;
  }

  /** Those who ask at once would only get in each other's way. */
  const inTurn = createTurns();

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
      const no = await inTurn(() => push({ ...person, digest, suppress, at }));
      await settling.untilErased(no, endMs - clock.monotonic());
      await suppression.refresh();
      const { value: receipt } = await store.get<Receipt>(erasedKey(digest));
      // Of one who asks again, what was done for them before too.
      const wishes = receipt?.wishes.filter((each) => each.no > before) ?? [];
      return {
        erased: wishes.reduce((sum, { erased }) => addErased(sum, erased), NOTHING_ERASED),
        suppressed: isSuppressed(person),
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
    digestOf: (person) => personDigest(person, secret).slice(0, LOGGED_DIGITS),
  };
}

/** Whether anything was ever erased of somebody. */
function isKnown(receipt: Receipt | null): boolean {
  return receipt !== null && Object.values(receipt.erased).some((count) => count > 0);
}

/** The one of two that suppresses more. */
function stronger(a: Wish["suppress"], b: Wish["suppress"]): Wish["suppress"] {
  return a === "all" || b === "all" ? "all" : a || b;
}
