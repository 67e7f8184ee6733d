/** Refusals of bodies, which are charged to the sender: to its address, or to its write key (docs/decisions/0020). */
import { MAX_EVENT_BYTES } from "../../domain/event/event.ts";
import type { Refusal } from "../../ingest/pipeline.ts";
import type { Caller } from "../auth/authentication.ts";
import { type Body, CLOSES, type Work } from "../body/body.ts";
import type { Parts, RouteContext } from "../handler/handle.ts";
import type { Problem, Reason } from "../http/problem.ts";
import { problemOfRefusal } from "./rate_limit_headers.ts";

/** Refusals because of the server's own state: nobody pays for them, but the log names the largest senders. */
export const NOBODYS_FAULT: ReadonlySet<Reason> = new Set(["unavailable", "internal"]);

/** No work. */
export const NO_WORK: Work = { bytes: 0, ms: 0 };

/** Bytes of a refused body that cost one event of a key's limit: parsing them costs as much as a single event. */
const BYTES_PER_EVENT = 4096;

/** What one paid event covers: the refused bytes of the largest event, in events. */
const COVERED_EVENTS = MAX_EVENT_BYTES / BYTES_PER_EVENT;

/** Why a key with a limit may send nothing now: before anything is read or parsed. */
export function refuseSpent(
  { pipeline, charges, peerOf }: Parts,
  c: RouteContext,
  caller: Caller,
): Problem | undefined | Promise<Problem | undefined> {
  const keyId = caller.writeKeyId;
  if (charges.isKeyInDebt(keyId)) return charges.refuseKey({ address: peerOf(c), keyId });
  const tell = (refusal: Refusal | undefined) => {
    if (refusal === undefined) return undefined;
    charges.note({ address: peerOf(c), keyId }, NO_WORK);
    return problemOfRefusal(refusal);
  };
  const refusal = pipeline.open(caller);
  return refusal instanceof Promise ? refusal.then(tell) : tell(refusal);
}

/** Charges an address for a refusal, and gives the refusal. */
export function refuseUnnamed(
  parts: Parts,
  c: RouteContext,
  { refusal, work }: { refusal: Problem; work: Work },
): Problem {
  const { charges, peerOf } = parts;
  const address = peerOf(c);
  if (NOBODYS_FAULT.has(refusal.reason)) {
    charges.note({ address }, work);
    return refusal;
  }
  charges.charge({ address }, work);
  // Draining the rest of its body would be more work in vain.
  return charges.isInDebt(address) ? { ...refusal, headers: { ...refusal.headers, ...CLOSES } } : refusal;
}

/** A refused body of a known sender. */
interface Refused {
  refusal: Problem;
  body: Body;
  caller: Caller;
  /** Whether only the body names the caller: its address pays too. */
  isUnnamed?: boolean;
  /** See `Sent.paidEvents` in `receive.ts`. */
  paidEvents?: number;
}

/** Charges a write key for a refused request: by its limit in events, and in time if it was parsed in vain. */
export function refuseKnown(
  parts: Parts,
  c: RouteContext,
  { refusal, body, caller, isUnnamed = false, paidEvents = 0 }: Refused,
): Problem {
  const { charges, pipeline } = parts;
  const address = parts.peerOf(c);
  const payer = { address, keyId: caller.writeKeyId };
  if (NOBODYS_FAULT.has(refusal.reason)) {
    charges.note(payer, body.work);
    return refusal;
  }
  charges.charge(payer, body.work);
  if (isUnnamed) charges.charge({ address }, body.work);
  // A sender that has to wait for its turn does not pay for asking: that would only make it wait longer.
  if (refusal.reason === "rate_limited") return refusal;
  const events = Math.max(1, Math.ceil(body.work.bytes / BYTES_PER_EVENT)) - paidEvents * COVERED_EVENTS;
  if (caller.rateLimit !== undefined && events > 0) pipeline.charge(caller, events);
  return refusal;
}
