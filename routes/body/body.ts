/**
 * Bodies from outside: read within bounds of size, memory and time, then inflated and parsed when it is their turn.
 *
 * A body is read, or drained, before the answer: an answer that leaves it unread closes the connection.
 */
import { Buffer } from "node:buffer";
import {
  type BodyMemory,
  type BodySender,
  createBodyMemory,
  type Hold,
  SMALL_BODY_BYTES,
} from "./body_memory.ts";
import { createDeadlines, DeadlinePassed, type Deadlines } from "./deadlines.ts";
import type { Limits } from "./limits.ts";
import { invalid, type Problem } from "../http/problem.ts";
import type { Turn } from "./fair_queue.ts";

/** Work that was done for a body. A sender is charged for it if the body is refused. */
export interface Work {
  /** Bytes that were read, or examined after inflating. */
  bytes: number;
  /** Thread time, if it was measured. */
  ms: number;
}

/** A body as it was sent. */
export interface Body {
  readonly request: Request;
  readonly sender: BodySender;
  readonly hold: Hold;
  /** The bytes that were read; the beginning of an unknown sender's body that is too large. */
  bytes: Uint8Array;
  readonly work: Work;
  /** Its turn to be parsed, which it keeps until it is released. */
  turn?: Pick<Turn, "leave">;
  problem?: Problem;
}

/** Reads bodies within {@link Limits}. */
export interface BodyReader {
  /** Reads a body as sent, or sets `problem`. Release it when the answer is ready. */
  read(request: Request, sender: BodySender): Promise<Body>;
  /** Counts bytes that a body became by inflating. */
  addInflated(body: Body, bytes: number): void;
  release(body: Body): void;
  /** Reads and discards an unread body, and gives the number of its bytes. */
  drain(request: Request): Promise<number>;
  /** From now on a body that breaks off is the server's doing, which is about to close its connections. */
  stop(): void;
}

const EMPTY = new Uint8Array();
/** A body that was cut leaves the connection in the middle of a request: it can't be used again. */
export const CLOSES = { connection: "close" };

const STALLED: Problem = {
  ...invalid("stalled_body", "", "The body did not arrive in time."),
  headers: CLOSES,
};
const BROKEN_OFF: Problem = {
  ...invalid("broken_body", "", "The body ended before it was complete."),
  headers: CLOSES,
};
/** A sender must not mistake the end of the server for its own fault: on a 400 it would drop the events. */
export const STOPPING: Problem = {
  reason: "unavailable",
  code: "stopping",
  detail: "The server is stopping.",
  retryAfterS: 1,
  headers: CLOSES,
};
/** There is no room for a body, or no turn. */
export const OVERLOADED: Problem = {
  reason: "unavailable",
  code: "overloaded",
  detail: "Server is overloaded.",
  retryAfterS: 1,
};

/** The refusal of a body of more than `maxBytes`. */
export function tooLarge(maxBytes: number, found: string): Problem {
  return {
    reason: "too_large",
    code: "body_too_large",
    detail:
      `The body must have at most ${maxBytes} bytes, also when decompressed (found ${found}). Send fewer events per request.`,
  };
}

/** The refusal of a body of more than `maxBytes` whose sender gives no credential in a header. */
function tooLargeUnnamed(maxBytes: number): Problem {
  return {
    reason: "too_large",
    code: "body_too_large",
    detail: `Without a write key in a header, the body must have at most ${maxBytes} bytes. ` +
      "Send the key in a header, or send fewer events per request.",
  };
}

/** What the functions of a reader share. */
interface Reader {
  limits: Limits;
  now: () => number;
  deadlines: Deadlines;
  memory: BodyMemory;
  /** Declared bytes of the bodies that are read in one go. */
  readingBytes: number;
  /** The refusal of a body that breaks off. */
  brokenOff: Problem;
}

/** Creates a reader of bodies; its timer ends soon after the last body is read. */
export function createBodyReader(limits: Limits, now: () => number): BodyReader {
  const deadlines = createDeadlines(now);
  const memory = createBodyMemory(limits);
  const state: Reader = {
    readingBytes: 0,
    deadlines,
    now,
    limits,
    brokenOff: BROKEN_OFF,
    memory,
  };
  return {
    read(request, sender) {
      const declared = Number(request.headers.get("content-length") ?? NaN);
      const hold = memory.open(sender, declared);
      const body: Body = { request, sender, hold, bytes: EMPTY, work: { bytes: 0, ms: 0 } };
      if (hold.isRefused) {
        // It will be drained.
        if (declared > 0) body.work.bytes = Math.min(declared, limits.drainBytes);
        body.problem = OVERLOADED;
        return Promise.resolve(body);
      }
      const inOneGo = declared <= SMALL_BODY_BYTES && state.readingBytes + declared <= limits.maxReadingBytes;
      return inOneGo ? readSmall(state, body, declared) : readStream(state, body, declared);
    },

    addInflated: (body, bytes) => memory.addAnyway(body.hold, bytes),

    release(body) {
      memory.release(body.hold);
      body.turn?.leave();
      delete body.turn;
    },

    stop() {
      state.brokenOff = STOPPING;
    },

    async drain(request) {
      if (request.body === null || request.bodyUsed) return 0;
      let read = 0;
      await eachChunk(state, request.body, (chunk) => (read += chunk.length) <= limits.drainBytes);
      return read;
    },
  };
}

/**
 * Reads in one go, which is fastest. It cannot be cancelled: the bytes of a stalled body stay as long as its sender
 * keeps the connection, so its whole length counts towards {@link Limits.maxReadingBytes} until then.
 */
async function readSmall(state: Reader, body: Body, declared: number): Promise<Body> {
  state.readingBytes += declared;
  const whole = body.request.bytes();
  try {
    body.bytes = await state.deadlines.within(whole, state.now() + state.limits.idleMs);
    state.readingBytes -= declared;
  } catch (error) {
    const isStalled = error instanceof DeadlinePassed;
    const ended = () => void (state.readingBytes -= declared);
    if (isStalled) whole.then(ended, ended);
    else ended();
    body.problem = isStalled ? STALLED : state.brokenOff;
    return body;
  }
  body.work.bytes = body.bytes.length;
  if (!state.memory.add(body.hold, body.bytes.length)) {
    body.bytes = EMPTY;
    body.problem = OVERLOADED;
  }
  return body;
}

async function readStream(state: Reader, body: Body, declared: number): Promise<Body> {
  const { request, hold, sender } = body;
  if (request.body === null) return body;
  const isUnknown = sender.keyId === undefined;
  const most = isUnknown ? state.limits.maxUnknownBytes : state.limits.maxBytes;
  const chunks: Uint8Array[] = [];
  // The key is searched for in the beginning of an unknown sender's body, however long the body is.
  if (!isUnknown && declared > most) body.problem = tooLarge(most, `${declared} bytes`);
  let read = 0;
  const drop = (problem: Problem) => {
    body.problem = problem;
    state.memory.release(hold);
    chunks.length = 0;
  };
  const end = await eachChunk(state, request.body, (chunk) => {
    read += chunk.length;
    if (body.problem !== undefined) return read <= state.limits.drainBytes;
    if (read > most && !isUnknown) {
      drop(tooLarge(most, `more than ${most} bytes`));
      return true;
    }
    const kept = read <= most ? chunk : chunk.subarray(0, chunk.length - (read - most));
    if (state.memory.add(hold, kept.length)) chunks.push(kept);
    else drop(OVERLOADED);
    if (read > most) body.problem ??= tooLargeUnnamed(most);
    return true;
  });
  body.work.bytes = read;
  if (end !== undefined) {
    body.problem = body.problem === undefined ? end : { ...body.problem, headers: CLOSES };
  }
  if (body.problem === undefined || isUnknown) {
    body.bytes = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
  }
  return body;
}

/** Gives `undefined` at the body's end, or why it was not reached. */
async function eachChunk(
  state: Reader,
  stream: ReadableStream<Uint8Array>,
  take: (chunk: Uint8Array) => boolean,
): Promise<Problem | undefined> {
  const reader = stream.getReader();
  const latestMs = state.now() + state.limits.totalMs;
  let dueMs = state.now() + state.limits.idleMs;
  try {
    while (true) {
      const { done, value } = await state.deadlines.within(reader.read(), Math.min(dueMs, latestMs));
      if (done) return undefined;
      if (!take(value)) break;
      const paidMs = (value.length / state.limits.minBytesPerS) * 1000;
      dueMs = Math.min(state.now() + state.limits.idleMs, dueMs + paidMs);
    }
  } catch (error) {
    reader.cancel().catch(() => {}); // The sender is gone, or is about to be: it has nothing more to tell.
    return error instanceof DeadlinePassed ? STALLED : state.brokenOff;
  }
  reader.cancel().catch(() => {});
  return state.brokenOff;
}
