/**
 * The cost of refused requests, and who pays for it. Without a valid credential in a header it is the network of the
 * request: one in debt is refused before its body is read. A known sender is never refused because of its address; its
 * write key pays for its refused requests.
 */
import { type AccountLimits, createAccounts } from "../body/accounts.ts";
import { CLOSES, type Work } from "../body/body.ts";
import type { Limits } from "../body/limits.ts";
import type { Log } from "../http/logger.ts";
import { networksOf } from "../http/network.ts";
import type { Problem } from "../http/problem.ts";

/** Cost of any request, in ms: a refused one of 200 bytes takes 0.06 ms. */
const REQUEST_MS = 0.1;

/** Cost of reading a byte, in ms: 0.7 to 1.1 ns. */
const MS_PER_BYTE = 1e-6;

/** Time over which refused work is added up for the log: a flood that began within one is named at the end of the next. */
const WATCH_MS = 4_000;

/** The part of that time from which on the log warns: less is not felt. */
const WORTH_A_WARNING = 0.05;

/** Time between two warnings about one sender, and the number of senders in warnings. */
const NAMED_FOR_MS = 60_000;
const MAX_NAMED = 10;

/** Senders that are counted separately for warnings. */
const MAX_WATCHED = 1_000;

/** The sender of a refused request. */
export interface Payer {
  address: string;
  /** Set if a valid credential named it. */
  keyId?: string;
}

/** Accounts of refused work. */
export interface Charges {
  /** Why a sender that no header names is not listened to now (429), or nothing. */
  refuseAddress(address: string): Problem | undefined;
  /** Whether {@link refuseAddress} would refuse it. */
  isInDebt(address: string): boolean;
  /** Whether a write key with a limit may not send a body to be parsed now. */
  isKeyInDebt(keyId: string): boolean;
  /** The refusal (429) of a write key in debt, which is counted. */
  refuseKey(payer: Required<Payer>): Problem;
  /** Charges work that was for nothing. */
  charge(payer: Payer, work: Work): void;
  /** Counts work in vain that nobody pays for, for the log and the figures. */
  note(payer: Payer, work: Work): void;
  /** Seconds of the thread that refused requests took since the start, of senders that are known and of others. */
  seconds(): { known: number; unknown: number };
  /** Requests that were refused before they were read, since the start. */
  refusedUnread(): number;
  /** Networks and keys that are in debt now. */
  inDebt(): number;
}

export interface ChargesOptions {
  limits: Limits;
  log: Pick<Log, "line">;
  now: () => number;
}

/** Creates the charges of a process. */
export function createCharges({ limits, log, now }: ChargesOptions): Charges {
  const { refusedMs, refusedMsPerS, wideFactor } = limits;
  const ofSender: AccountLimits = { most: refusedMs, perSecond: refusedMsPerS };
  const narrow = createAccounts(ofSender, now);
  const keys = createAccounts(ofSender, now);
  const wide = createAccounts(
    { most: refusedMs * wideFactor, perSecond: refusedMsPerS * wideFactor },
    now,
  );
  const watch = createWatch(log, now);
  const totalMs = { known: 0, unknown: 0 };
  let unread = 0;

  /** Adds up for the log and the figures, whether it was charged or not. */
  function add({ address, keyId }: Payer, ms: number): void {
    totalMs[keyId === undefined ? "unknown" : "known"] += ms;
    watch.add({ network: networksOf(address).narrow, ...keyId !== undefined && { writeKeyId: keyId } }, ms);
  }

  function refuse(payer: Payer, { detail, retryAfterS }: { detail: string; retryAfterS: number }): Problem {
    unread++;
    add(payer, REQUEST_MS);
    return { reason: "rate_limited", code: "too_much_refused", detail, retryAfterS };
  }

  /** Seconds until an address is out of debt; `undefined` if it has none. */
  function debtOf(address: string): number | undefined {
    const networks = networksOf(address);
    if (narrow.level(networks.narrow) <= 0) return narrow.secondsUntil(networks.narrow, REQUEST_MS);
    if (networks.wide === undefined || wide.level(networks.wide) > 0) return undefined;
    return wide.secondsUntil(networks.wide, REQUEST_MS);
  }

  return {
    isInDebt: (address) => debtOf(address) !== undefined,
    refuseAddress(address) {
      const retryAfterS = debtOf(address);
      if (retryAfterS === undefined) return undefined;
      return { ...refuse({ address }, { detail: ADDRESS_IN_DEBT, retryAfterS }), headers: CLOSES };
    },
    isKeyInDebt: (keyId) => keys.level(keyId) <= 0,
    refuseKey(payer) {
      const retryAfterS = keys.secondsUntil(payer.keyId, REQUEST_MS);
      return refuse(payer, { detail: KEY_IN_DEBT, retryAfterS });
    },
    note: (payer, work) => add(payer, costOf(work)),
    charge(payer, work) {
      const cost = costOf(work);
      add(payer, cost);
      if (payer.keyId !== undefined) return void keys.charge(payer.keyId, cost);
      const networks = networksOf(payer.address);
      narrow.charge(networks.narrow, cost);
      if (networks.wide !== undefined) wide.charge(networks.wide, cost);
    },
    seconds: () => ({ known: totalMs.known / 1000, unknown: totalMs.unknown / 1000 }),
    refusedUnread: () => unread,
    inDebt: () => narrow.inDebt() + wide.inDebt() + keys.inDebt(),
  };
}

const ADDRESS_IN_DEBT =
  "Rejected requests from this address took too much work. Send the write key in a header, or retry later.";
const KEY_IN_DEBT = "Rejected requests of this write key took too much work. Retry later.";

const costOf = ({ bytes, ms }: Work) => REQUEST_MS + bytes * MS_PER_BYTE + ms;

type Sender = { network: string; writeKeyId?: string };

/** Adds up refused work, and warns of it by the sender that causes most. It uses no timer: nothing has to be stopped. */
function createWatch(log: Pick<Log, "line">, now: () => number) {
  const byName = new Map<string, { sender: Sender; ms: number }>();
  const named = new Set<string>();
  let sinceMs = now();
  let namedSinceMs = now();

  /** Ends a time of watching. */
  function tell(overMs: number): void {
    const totalMs = [...byName.values()].reduce((sum, { ms }) => sum + ms, 0);
    if (totalMs < overMs * WORTH_A_WARNING) return;
    const [name, { sender, ms }] = [...byName].reduce((most, each) => each[1].ms > most[1].ms ? each : most);
    if (now() - namedSinceMs >= NAMED_FOR_MS) {
      named.clear();
      namedSinceMs = now();
    }
    if (named.has(name) || named.size === MAX_NAMED) return;
    named.add(name);
    log.line("warn", "rejected requests take a large part of the thread's time", {
      code: "refused_work",
      percent: Math.round((100 * totalMs) / overMs),
      senders: byName.size,
      ...sender,
      percentOfSender: Math.round((100 * ms) / overMs),
    });
  }

  return {
    add(sender: Sender, ms: number): void {
      const name = sender.writeKeyId ?? sender.network;
      const found = byName.get(name);
      if (found !== undefined) found.ms += ms;
      else if (byName.size < MAX_WATCHED) byName.set(name, { sender, ms });
      const overMs = now() - sinceMs;
      if (overMs >= 0 && overMs < WATCH_MS) return;
      if (overMs > 0) tell(overMs);
      byName.clear();
      sinceMs = now();
    },
  };
}
