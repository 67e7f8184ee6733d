/** Bodies: read, and then inflated and parsed when it is their sender's turn, as far as their load is paid for. */
import { mayHoldLongInteger } from "../../domain/event/exact_json.ts";
import { type Accounts, createAccounts } from "./accounts.ts";
import { type Body, type BodyReader, createBodyReader, OVERLOADED, tooLarge } from "./body.ts";
import {
  beginsAsGzip,
  type Coding,
  codingOf,
  inflate,
  parseJson,
  textOf,
  UNKNOWN_ENCODING,
} from "./decode.ts";
import { createFairQueue, type Turn } from "./fair_queue.ts";
import type { Limits } from "./limits.ts";
import {
  BYTES_PER_UNIT,
  freeLoad,
  structureOf,
  UNITS_PER_EVENT,
  UNITS_PER_EXACT_VALUE,
  valuesOf,
} from "./load.ts";
import type { Problem } from "../http/problem.ts";
import { createSemaphore, type Semaphore } from "./semaphore.ts";

/** A plain body of at most this size does not wait: it costs at most 0.4 ms, little more than the request itself. */
const NO_TURN_BYTES = 4096;

/** Price of thread time for unknown senders, relative to known ones. */
const UNKNOWN_PRICE = 3;

/** A body's JSON value and the number of its bytes, or the reason why there is none. */
export type Parsed = { value: unknown; bytes: number; problem?: undefined } | { problem: Problem };

/** How a body is to be parsed. */
export interface Parsing {
  /** The id of the write key that pays. */
  keyId: string;
  /** Most structural bytes, and the refusal of more; default: {@link Limits.maxStructure}. */
  structure?: { most: number; problem: Problem } | undefined;
  /** Called when its turn has come: the reason if it is not parsed after all. */
  refuse?: (() => Problem | undefined) | undefined;
}

/** Reads and parses bodies within {@link Limits}. */
export interface Bodies extends BodyReader {
  /** Inflates gzip, by the request's header or by the first bytes; decodes and parses. */
  parse(body: Body, parsing: Parsing): Parsed | Promise<Parsed>;
  /** Examines the bytes of an unknown sender's body. */
  look<T>(body: Body, look: (bytes: Uint8Array) => T): Looked<T> | Promise<Looked<T>>;
  /** How many bodies wait for their turn. */
  waiting(): number;
}

/** The result of an examination, or the reason why there is none. */
export type Looked<T> = { found: T; problem?: undefined } | { problem: Problem };

export interface BodiesOptions {
  limits: Limits;
  /** Milliseconds since 1970. */
  now: () => number;
  /** Milliseconds of a monotonic clock, to measure work. */
  elapsed: () => number;
}

/** What the functions of the bodies share. */
interface State {
  limits: Limits;
  credit: Accounts;
  reader: BodyReader;
  anyStructure: { most: number; problem: Problem };
  elapsed: () => number;
  tiny: Semaphore;
}

/** Creates the bodies of a process. */
export function createBodies({ limits, now, elapsed }: BodiesOptions): Bodies {
  const reader = createBodyReader(limits, now);
  const tiny = createSemaphore(limits.maxParsedSmallBytes, now);
  const queue = createFairQueue({
    room: limits.maxParsedBytes,
    turnMs: limits.turnMs,
    prices: { unknown: UNKNOWN_PRICE },
    now,
  });
  const credit = createAccounts({ most: limits.loadCredit, perSecond: limits.loadCreditPerS }, now);
  const anyStructure = { most: limits.maxStructure, problem: tooMuchStructure(limits.maxStructure) };
  const state: State = {
    limits,
    credit,
    reader,
    anyStructure,
    elapsed,
    tiny,
  };
  return {
    ...reader,
    waiting: queue.waiting,

    parse(body, parsing) {
      const coding = codingOfBody(body);
      if (coding === "identity" && body.bytes.length <= NO_TURN_BYTES) return parseTiny(state, body, parsing);
      const { keyId } = parsing;
      const weight = coding === "gzip" ? mostInflated(state, body.bytes.length, keyId) : body.bytes.length;
      const entered = queue.enter(["known", keyId, body.sender.network()], weight);
      const begin = (turn: Turn | undefined): Parsed =>
        turn === undefined ? { problem: OVERLOADED } : decodeInTurn(state, body, coding, { parsing, turn });
      return entered instanceof Promise ? entered.then(begin) : begin(entered);
    },

    look(body, look) {
      if (body.bytes.length <= NO_TURN_BYTES) return { found: look(body.bytes) };
      const begin = (turn: Turn | undefined) => {
        if (turn === undefined) return { problem: OVERLOADED };
        const began = elapsed();
        const found = look(body.bytes);
        const ms = elapsed() - began;
        body.work.ms += ms;
        turn.spent(ms);
        turn.leave();
        return { found };
      };
      // It takes no memory.
      const entered = queue.enter(["unknown", body.sender.network()], 0);
      return entered instanceof Promise ? entered.then(begin) : begin(entered);
    },
  };
}

/** The largest size of an inflated body: what its own bytes and its key's credit pay for. */
function mostInflated({ limits, credit }: State, wireBytes: number, keyId: string) {
  return Math.min(
    limits.maxBytes,
    Math.ceil((freeLoad(wireBytes, true) + Math.max(0, credit.level(keyId))) * BYTES_PER_UNIT),
  );
}

/** Charges a key for load, or tells when it can pay. */
function pay({ credit }: State, keyId: string, load: number): Problem | undefined {
  return load <= 0 || credit.take(keyId, load) ? undefined : tooDense(credit.secondsUntil(keyId, load));
}

function inflateWithin(
  state: State,
  body: Body,
  keyId: string,
): { bytes: Uint8Array } | { problem: Problem } {
  const most = mostInflated(state, body.bytes.length, keyId);
  const inflated = inflate(body.bytes, most);
  if (inflated === "too_large") {
    body.work.bytes += most;
    if (most === state.limits.maxBytes) return { problem: tooLarge(most, `more than ${most} bytes`) };
    return { problem: tooDense(state.credit.secondsUntil(keyId, state.limits.maxBytes / BYTES_PER_UNIT)) };
  }
  if ("problem" in inflated) return inflated;
  body.work.bytes += inflated.bytes.length;
  state.reader.addInflated(body, inflated.bytes.length);
  return inflated;
}

function decode(
  state: State,
  body: Body,
  coding: Coding,
  { keyId, structure = state.anyStructure }: Parsing,
): Parsed {
  if (coding === "unknown") return { problem: UNKNOWN_ENCODING };
  const isCompressed = coding === "gzip";
  const unpacked = isCompressed ? inflateWithin(state, body, keyId) : { bytes: body.bytes };
  if ("problem" in unpacked) return unpacked;
  const { bytes } = unpacked;
  const free = freeLoad(body.bytes.length, isCompressed);
  const found = structureOf(bytes, { enough: Math.min(free, structure.most), most: structure.most });
  if (found > structure.most) return { problem: structure.problem };
  const decoded = textOf(bytes);
  if ("problem" in decoded) return decoded;
  const { text } = decoded;
  const mostValues = Math.min(structure.most, state.limits.maxExactValues);
  const values = bytes.length > NO_TURN_BYTES && mayHoldLongInteger(text) ? valuesOf(bytes, mostValues) : 0;
  if (values > mostValues) return { problem: structure.problem };
  const load = Math.max(
    found,
    isCompressed ? bytes.length / BYTES_PER_UNIT : 0,
    values * UNITS_PER_EXACT_VALUE,
  );
  const unpaid = pay(state, keyId, load - free);
  if (unpaid !== undefined) return { problem: unpaid };
  const parsed = parseJson(text);
  if ("problem" in parsed) return parsed;
  const tooMany = pay(state, keyId, loadOfEvents(parsed.value) - Math.max(free, load));
  return tooMany === undefined ? { value: parsed.value, bytes: bytes.length } : { problem: tooMany };
}

function decodeInTurn(
  state: State,
  body: Body,
  coding: Coding,
  { parsing, turn }: { parsing: Parsing; turn: Turn },
): Parsed {
  body.turn = turn;
  const refusal = parsing.refuse?.();
  if (refusal !== undefined) return { problem: refusal };
  const began = state.elapsed();
  const parsed = decode(state, body, coding, parsing);
  const ms = state.elapsed() - began;
  body.work.ms += ms;
  if (parsed.problem === undefined) {
    turn.reweigh(Math.max(parsed.bytes, eventsOf(parsed.value) * state.limits.eventWeight));
  }
  turn.spent(ms);
  return parsed;
}

function parseTiny(state: State, body: Body, parsing: Parsing): Parsed | Promise<Parsed> {
  const entered = state.tiny.enter(body.bytes.length);
  if (entered !== true) {
    return entered.then((hasRoom) => hasRoom ? decodeTiny(state, body, parsing) : { problem: OVERLOADED });
  }
  return decodeTiny(state, body, parsing);
}

function decodeTiny(state: State, body: Body, parsing: Parsing): Parsed {
  const weight = body.bytes.length;
  body.turn = { leave: () => state.tiny.leave(weight) };
  return decode(state, body, "identity", parsing);
}

/** Some proxies drop the header without inflating the body. */
function codingOfBody({ bytes, request }: Body): Coding {
  const coding = codingOf(request.headers.get("content-encoding"));
  return coding === "identity" && beginsAsGzip(bytes) ? "gzip" : coding;
}

function loadOfEvents(value: unknown): number {
  return eventsOf(value) * UNITS_PER_EVENT;
}

/** The number of events in a batch. */
function eventsOf(value: unknown): number {
  const batch = (value as { batch?: unknown } | null)?.batch;
  return Array.isArray(batch) ? batch.length : 0;
}

function tooMuchStructure(most: number): Problem {
  return {
    reason: "too_large",
    code: "too_much_structure",
    detail: `The body must have at most ${most} objects, arrays and members. Send fewer events per request.`,
  };
}

/** Not 413: clients drop a body that is too large, and this one can be accepted later. */
function tooDense(retryAfterS: number): Problem {
  return {
    reason: "rate_limited",
    code: "too_dense",
    detail: "The body has too much structure for its size, and the credit of its write key is used up. " +
      "Send fewer events per request, or send them uncompressed.",
    retryAfterS,
  };
}
