/**
 * The sender of a body, and whether the body is read and parsed: the key is searched for first, and a refused body is
 * charged to its sender (docs/decisions/0020).
 */
import type { Caller } from "../auth/authentication.ts";
import { writtenKeys } from "../auth/written_key.ts";
import type { Outcome, Parts, RouteContext } from "../handler/handle.ts";
import type { Parsing } from "../body/bodies.ts";
import type { Body } from "../body/body.ts";
import { beginsAsGzip, codingOf } from "../body/decode.ts";
import { networksOf } from "../http/network.ts";
import type { Problem } from "../http/problem.ts";
import { NO_WORK, NOBODYS_FAULT, refuseKnown, refuseSpent, refuseUnnamed } from "./refuse.ts";

/** A parsed body of a sender that may send. */
export interface Sent {
  value: unknown;
  bytes: number;
  caller: Caller;
  /** Events that were charged to the write key's limit and not given back; set by whoever accepts them. */
  paidEvents: number;
}

/** How a route takes bodies. */
export interface Receiving {
  /** The write key in the query, if the route allows it. */
  byQuery?: (url: string) => { writeKey: string | undefined; problem?: undefined } | { problem: Problem };
  /** The route's own bound for bodies, if it is lower. */
  structure?: Parsing["structure"];
  /** Takes the events of a body. */
  send(parts: Parts, c: RouteContext, sent: Sent): Promise<Outcome>;
}

/** Of a sender whose credential is valid no failure is counted. */
const NO_ADDRESS = () => "";

/**
 * Receives a body: the sender by its header, else by the query, else by the text of the body, of which nothing is parsed
 * before a valid write key is found in it.
 */
export function receive(parts: Parts, c: RouteContext, receiving: Receiving): Promise<Outcome> {
  const found = parts.authentication.byHeaders(c.req.raw.headers);
  const go = (caller: Caller | null | undefined) =>
    caller ? receiveFrom(parts, c, { caller, receiving }) : receiveOther(parts, c, { caller, receiving });
  return found instanceof Promise ? found.then(go) : go(found);
}

/** A body whose sender no header names. */
async function receiveOther(
  parts: Parts,
  c: RouteContext,
  { caller, receiving }: { caller: null | undefined; receiving: Receiving },
): Promise<Outcome> {
  const { authentication, peerOf } = parts;
  if (caller === undefined) {
    const read = receiving.byQuery?.(c.req.raw.url);
    if (read?.problem !== undefined) return read.problem;
    if (!read?.writeKey) return await receiveUnnamed(parts, c, receiving);
    const named = await authentication.byKey(read.writeKey);
    if (named !== null) return await receiveFrom(parts, c, { caller: named, receiving });
  }
  const refusal = authentication.refuse(null, "send", () => peerOf(c));
  return refuseUnnamed(parts, c, { refusal: refusal!, work: NO_WORK });
}

/** A body whose sender is named by a header or the query: it is not read if the sender has no budget left. */
async function receiveFrom(
  parts: Parts,
  c: RouteContext,
  { caller, receiving }: { caller: Caller; receiving: Receiving },
): Promise<Outcome> {
  const { authentication, bodies } = parts;
  if (!caller.rights.includes("send")) {
    return refuseUnnamed(parts, c, {
      refusal: authentication.refuse(caller, "send", NO_ADDRESS)!,
      work: NO_WORK,
    });
  }
  if (caller.rateLimit !== undefined) {
    const spent = refuseSpent(parts, c, caller);
    const refusal = spent instanceof Promise ? await spent : spent;
    if (refusal !== undefined) return refusal;
  }
  const network = () => networksOf(parts.peerOf(c)).narrow;
  const body = await bodies.read(c.req.raw, { keyId: caller.writeKeyId, network });
  try {
    if (body.problem !== undefined) return refuseKnown(parts, c, { refusal: body.problem, body, caller });
    return await parseAndSend(parts, c, { body, caller, receiving });
  } finally {
    bodies.release(body);
  }
}

/** A body whose sender can be named only by its own text. */
async function receiveUnnamed(parts: Parts, c: RouteContext, receiving: Receiving): Promise<Outcome> {
  const { authentication, bodies, charges } = parts;
  const address = parts.peerOf(c);
  const inDebt = charges.refuseAddress(address);
  if (inDebt !== undefined) return inDebt;
  if (codingOf(c.req.raw.headers.get("content-encoding")) !== "identity") {
    return refuseUnnamed(parts, c, { refusal: COMPRESSED, work: NO_WORK });
  }
  const body = await bodies.read(c.req.raw, { network: () => networksOf(address).narrow });
  try {
    // A body that was not read to its end closes the connection, whatever the reason.
    const refuse = (refusal: Problem) =>
      refuseUnnamed(parts, c, {
        refusal: { ...refusal, headers: { ...refusal.headers, ...body.problem?.headers } },
        work: body.work,
      });
    if (body.problem !== undefined && NOBODYS_FAULT.has(body.problem.reason)) return refuse(body.problem);
    // Without a key in the part that was read the answer is 401, whatever else is wrong.
    if (beginsAsGzip(body.bytes)) return refuse(COMPRESSED);
    const looking = bodies.look(body, writtenKeys);
    const looked = looking instanceof Promise ? await looking : looking;
    if (looked.problem !== undefined) return refuse(looked.problem);
    const named = await callerNamed(parts, looked.found);
    const refusal = authentication.refuse(named.caller, "send", () => address) ?? body.problem;
    if (refusal !== undefined) return refuse(refusal);
    const caller = named.caller!;
    if (caller.rateLimit !== undefined) {
      const spent = await refuseSpent(parts, c, caller);
      if (spent !== undefined) return spent;
    }
    return await parseAndSend(parts, c, { body, caller, receiving, writtenKey: named.writeKey! });
  } finally {
    bodies.release(body);
  }
}

/** The caller of the first valid key; `null` if none is valid, `undefined` if there are no keys. */
async function callerNamed(
  { authentication }: Parts,
  writeKeys: readonly string[],
): Promise<{ caller: Caller | null | undefined; writeKey?: string }> {
  for (const writeKey of writeKeys) {
    const found = authentication.byKey(writeKey);
    const caller = found instanceof Promise ? await found : found;
    if (caller !== null) return { caller, writeKey };
  }
  return { caller: writeKeys.length === 0 ? undefined : null };
}

interface Received {
  body: Body;
  caller: Caller;
  receiving: Receiving;
  /** The key in the text of the body, if no header or query names the caller. */
  writtenKey?: string;
}

async function parseAndSend(
  parts: Parts,
  c: RouteContext,
  { body, caller, receiving, writtenKey }: Received,
): Promise<Outcome> {
  const { structure } = receiving;
  const refuse = caller.rateLimit && (() => {
    // Requests at the same time may have used the rest.
    const refusal = refuseSpent(parts, c, caller);
    return refusal instanceof Promise ? undefined : refusal;
  });
  const parsing = parts.bodies.parse(body, { keyId: caller.writeKeyId, structure, refuse });
  const parsed = parsing instanceof Promise ? await parsing : parsing;
  const isUnnamed = writtenKey !== undefined;
  if (parsed.problem !== undefined) {
    return refuseKnown(parts, c, { refusal: parsed.problem, body, caller, isUnnamed });
  }
  const { value, bytes } = parsed;
  let sender = caller;
  if (isUnnamed && !isWrittenIn(value, writtenKey)) {
    // The key that was found may be in an event or in a text: the body's own member names the sender.
    const named = await parts.authentication.byBody(value);
    const refusal = parts.authentication.refuse(named, "send", () => parts.peerOf(c));
    if (refusal !== undefined) return refuseUnnamed(parts, c, { refusal, work: body.work });
    sender = named!;
  }
  const sent: Sent = { value, bytes, caller: sender, paidEvents: 0 };
  const outcome = await receiving.send(parts, c, sent);
  if (outcome instanceof Response) return outcome;
  const { paidEvents } = sent;
  return refuseKnown(parts, c, { refusal: outcome, body, caller: sender, isUnnamed, paidEvents });
}

function isWrittenIn(value: unknown, writeKey: string): boolean {
  return typeof value === "object" && value !== null && Object.hasOwn(value, "writeKey") &&
    (value as { writeKey?: unknown }).writeKey === writeKey;
}

/** Like {@link Authentication.refuse}, except for the reason, which everybody may know. */
const COMPRESSED: Problem = {
  reason: "unauthorized",
  code: "unauthorized",
  detail:
    "A compressed body needs a write key in a header: as HTTP Basic user name with an empty password, " +
    "as Bearer token, or in X-Write-Key.",
  headers: { "www-authenticate": 'Basic realm="signalfold", charset="UTF-8"' },
};
