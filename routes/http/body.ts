/**
 * Bodies from outside: read within bounds of size and time, inflated within bounds, parsed.
 *
 * A body is always read, or drained, before the answer: an answer that leaves it unread slows the connection down.
 */
import { createDeadlines, DeadlinePassed } from "./deadlines.ts";
import { beginsAsGzip, type Coding, codingOf, inflate, parseJson, UNKNOWN_ENCODING } from "./decode.ts";
import { createLane, type Lane } from "./semaphore.ts";
import { invalid, type Problem } from "./problem.ts";

/** The bounds of a body; tests take smaller ones. */
export interface BodyLimits {
  /** Of one body, as sent and inflated: the contract's 4 MiB. */
  maxBytes: number;
  /** Read and thrown away of a body that is refused, so that its sender gets to read the answer. */
  drainBytes: number;
  /** Of all bodies that are held at once, as sent, and inflated while they are parsed. */
  maxHeldBytes: number;
  /** The share of that for bodies that are not small: single events find room while large ones stall. */
  maxLargeBytes: number;
  /** The share of that for senders who have shown no key yet, so that they can't crowd out those who have. */
  maxUnknownBytes: number;
  /** Of small bodies that are read in one go, from their beginning to their end: memory that a stalled one keeps. */
  maxReadingBytes: number;
  /**
   * Of large bodies, and of small ones, that are parsed and not yet answered; others wait in line. Two bytes of JSON
   * (`{}`) can take 56 of heap, and a body of 4 MiB some 100 MB: this keeps the worst below the heap's 512 MB.
   */
  maxParsedBytes: number;
  maxParsedSmallBytes: number;
  /** Without a byte for so long, a body is given up. */
  idleMs: number;
  /** A whole body may take so long: 4 MiB over a line of 560 kbit/s. */
  totalMs: number;
}

/** See {@link BodyLimits}. */
export const BODY_LIMITS: BodyLimits = {
  maxBytes: 4 * 1024 * 1024,
  drainBytes: 16 * 1024 * 1024,
  maxHeldBytes: 48 * 1024 * 1024,
  maxLargeBytes: 40 * 1024 * 1024,
  maxUnknownBytes: 12 * 1024 * 1024,
  maxReadingBytes: 16 * 1024 * 1024,
  maxParsedBytes: 8 * 1024 * 1024,
  maxParsedSmallBytes: 2 * 1024 * 1024,
  idleMs: 10_000,
  totalMs: 60_000,
};

/** A body whose length is known to be no more is read in one go: nearly every single event. */
const SMALL_BODY_BYTES = 64 * 1024;

/** Bytes of many bodies, and how many they may be. */
interface Share {
  readonly maxBytes: number;
  bytes: number;
}

/** A body as it was sent. `held` is what it counts against its shares until it is released. */
export interface Body {
  bytes: Uint8Array;
  held: number;
  shares: readonly Share[];
  /** Where it takes its turn to be parsed, and what it counts there. */
  turn?: { lane: Lane; weight: number };
  problem?: Problem;
}

/** Reads bodies within {@link BodyLimits}. */
export interface Bodies {
  /**
   * Reads a body as sent, or says in `problem` why not. Release it when the answer is ready. A sender is unknown that
   * has shown no credential in a header.
   */
  read(request: Request, sender?: "known" | "unknown"): Promise<Body>;
  /** Takes a body's turn to be parsed, until it is released: nothing at once where there is room, or why there is none. */
  turn(body: Body, request: Request): undefined | Promise<Problem | undefined>;
  /** Inflates what is gzip, by the request's header or by its first bytes, decodes and parses. */
  parse(body: Body, request: Request): { value: unknown; bytes: number } | { problem: Problem };
  release(body: Body): void;
  /** Reads and forgets a body that nobody has read. */
  drain(request: Request): Promise<void>;
  /** From now on a body that breaks off is the server's doing, which is about to close its connections. */
  stop(): void;
}

const EMPTY = new Uint8Array();
/** A body that was cut leaves the connection in the middle of a request: it can't be used again. */
const CLOSES = { connection: "close" };

const STALLED: Problem = {
  ...invalid("stalled_body", "", "the body did not arrive in time"),
  headers: CLOSES,
};
const BROKEN_OFF: Problem = { ...invalid("broken_body", "", "the body broke off"), headers: CLOSES };
/** A sender must not take the end of the server for a fault of its own: on a 400 it would drop what it has. */
export const STOPPING: Problem = {
  reason: "unavailable",
  code: "stopping",
  detail: "The server is stopping.",
  retryAfterS: 1,
  headers: CLOSES,
};
const OVERLOADED: Problem = {
  reason: "unavailable",
  code: "overloaded",
  detail: "The server holds as many bytes of bodies as it can.",
  retryAfterS: 1,
};

/** Makes a reader of bodies; its timer ends by itself soon after the last body is read. */
export function createBodies(limits: BodyLimits, now: () => number): Bodies {
  const { maxBytes } = limits;
  const deadlines = createDeadlines(now);
  const all: Share = { maxBytes: limits.maxHeldBytes, bytes: 0 };
  const large: Share = { maxBytes: limits.maxLargeBytes, bytes: 0 };
  const unknown: Share = { maxBytes: limits.maxUnknownBytes, bytes: 0 };
  const ofKnown = { small: [all], large: [all, large] };
  const ofUnknown = { small: [all, unknown], large: [all, large, unknown] };
  const parsed = createLane(limits.maxParsedBytes, now);
  const parsedSmall = createLane(limits.maxParsedSmallBytes, now);
  let readingBytes = 0;
  let brokenOff = BROKEN_OFF;

  const tooLarge = (found: string): Problem => ({
    reason: "too_large",
    code: "body_too_large",
    detail:
      `the body must be at most ${maxBytes} bytes, also when inflated (found ${found}): send fewer events at a time`,
  });

  /** Counts more bytes of a body, or says that there is no room for them. */
  function hold(body: Body, bytes: number): boolean {
    for (const share of body.shares) if (share.bytes + bytes > share.maxBytes) return false;
    count(body, bytes);
    return true;
  }

  function count(body: Body, bytes: number): void {
    for (const share of body.shares) share.bytes += bytes;
    body.held += bytes;
  }

  function release(body: Body): void {
    count(body, -body.held);
    body.turn?.lane.leave(body.turn.weight);
    delete body.turn;
  }

  /**
   * In one go, the fastest way. It can't be called off: what a stalled body has sent is kept for as long as its sender
   * keeps the connection, so its whole length counts among {@link BodyLimits.maxReadingBytes} until then.
   */
  async function readSmall(request: Request, { body, declared }: { body: Body; declared: number }) {
    readingBytes += declared;
    const whole = request.bytes();
    try {
      body.bytes = await deadlines.within(whole, now() + limits.idleMs);
      readingBytes -= declared;
    } catch (error) {
      const isStalled = error instanceof DeadlinePassed;
      const ended = () => void (readingBytes -= declared);
      if (isStalled) whole.then(ended, ended);
      else ended();
      body.problem = isStalled ? STALLED : brokenOff;
      return body;
    }
    if (!hold(body, body.bytes.length)) {
      body.bytes = EMPTY;
      body.problem = OVERLOADED;
    }
    return body;
  }

  async function readStream(request: Request, { body, declared }: { body: Body; declared: number }) {
    const stream = request.body;
    if (stream === null) return body;
    const chunks: Uint8Array[] = [];
    if (declared > maxBytes) body.problem = tooLarge(`${declared} bytes`);
    let read = 0;
    const end = await eachChunk(stream, (chunk) => {
      read += chunk.length;
      if (body.problem === undefined && read > maxBytes) {
        body.problem = tooLarge(`more than ${maxBytes} bytes`);
      }
      if (body.problem === undefined && !hold(body, chunk.length)) body.problem = OVERLOADED;
      if (body.problem !== undefined) {
        release(body);
        chunks.length = 0;
        return read <= limits.drainBytes;
      }
      chunks.push(chunk);
      return true;
    });
    if (end !== undefined) {
      body.problem = body.problem === undefined ? end : { ...body.problem, headers: CLOSES };
    }
    if (body.problem === undefined) body.bytes = chunks.length === 1 ? chunks[0]! : concat(chunks, read);
    return body;
  }

  /** Gives `undefined` at the body's end, or why it was not reached. */
  async function eachChunk(
    stream: ReadableStream<Uint8Array>,
    take: (chunk: Uint8Array) => boolean,
  ): Promise<Problem | undefined> {
    const reader = stream.getReader();
    const latestMs = now() + limits.totalMs;
    try {
      while (true) {
        const { done, value } = await deadlines.within(
          reader.read(),
          Math.min(now() + limits.idleMs, latestMs),
        );
        if (done) return undefined;
        if (!take(value)) break;
      }
    } catch (error) {
      reader.cancel().catch(() => {}); // The sender is gone, or is about to be: it has nothing more to tell.
      return error instanceof DeadlinePassed ? STALLED : brokenOff;
    }
    reader.cancel().catch(() => {});
    return brokenOff;
  }

  return {
    read(request, sender = "known") {
      const declared = Number(request.headers.get("content-length") ?? NaN);
      const isSmall = declared <= SMALL_BODY_BYTES;
      const shares = (sender === "known" ? ofKnown : ofUnknown)[isSmall ? "small" : "large"];
      const body: Body = { bytes: EMPTY, held: 0, shares };
      const inOneGo = isSmall && readingBytes + declared <= limits.maxReadingBytes;
      return inOneGo ? readSmall(request, { body, declared }) : readStream(request, { body, declared });
    },

    turn(body, request) {
      const isGzip = codingOfBody(body, request) === "gzip";
      const lane = isGzip || body.bytes.length > SMALL_BODY_BYTES ? parsed : parsedSmall;
      const weight = isGzip ? maxBytes : body.bytes.length;
      const entered = lane.enter(weight);
      if (entered === true) {
        body.turn = { lane, weight };
        return undefined;
      }
      return entered.then((hasRoom) => {
        if (!hasRoom) return OVERLOADED;
        body.turn = { lane, weight };
        return undefined;
      });
    },

    parse(body, request) {
      const coding = codingOfBody(body, request);
      if (coding === "unknown") return { problem: UNKNOWN_ENCODING };
      if (coding === "identity") return parseJson(body.bytes);
      const inflated = inflate(body.bytes, maxBytes);
      if (inflated === "too_large") return { problem: tooLarge(`more than ${maxBytes} bytes`) };
      if ("problem" in inflated) return inflated;
      count(body, inflated.bytes.length);
      const { turn } = body;
      // Its turn was for all that it might have been.
      if (turn !== undefined) {
        turn.lane.leave(turn.weight - inflated.bytes.length);
        turn.weight = inflated.bytes.length;
      }
      return parseJson(inflated.bytes);
    },

    release,

    stop() {
      brokenOff = STOPPING;
    },

    async drain(request) {
      if (request.body === null || request.bodyUsed) return;
      let read = 0;
      await eachChunk(request.body, (chunk) => (read += chunk.length) <= limits.drainBytes);
    },
  };
}

/** Some proxies inflate nothing and drop the header all the same. */
function codingOfBody({ bytes }: Body, request: Request): Coding {
  const coding = codingOf(request.headers.get("content-encoding"));
  return coding === "identity" && beginsAsGzip(bytes) ? "gzip" : coding;
}

function concat(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let place = 0;
  for (const chunk of chunks) {
    whole.set(chunk, place);
    place += chunk.length;
  }
  return whole;
}
