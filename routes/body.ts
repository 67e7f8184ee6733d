/**
 * Bodies from outside: read within bounds of size and time, inflated within bounds, parsed.
 *
 * A body is always read, or drained, before the answer: an answer that leaves it unread slows the connection down.
 */
import { createDeadlines, DeadlinePassed } from "./deadlines.ts";
import { inflate, parseJson } from "./decode.ts";
import { invalid, type Problem } from "./problem.ts";

/** The bounds of a body; tests take smaller ones. */
export interface BodyLimits {
  /** Of one body, as sent and inflated: the contract's 4 MiB. */
  maxBytes: number;
  /** Read and thrown away of a body that is refused, so that its sender gets to read the answer. */
  drainBytes: number;
  /** Of all bodies that are held at once; parsed they take several times as much. */
  maxHeldBytes: number;
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
  idleMs: 10_000,
  totalMs: 60_000,
};

/** A body whose length is known to be no more is read in one go: nearly every single event. */
const SMALL_BODY_BYTES = 64 * 1024;

/** A body as it was sent. `held` is what it counts against the bytes of all bodies until it is released. */
export interface Body {
  bytes: Uint8Array;
  held: number;
  problem?: Problem;
}

/** Reads bodies within {@link BodyLimits}. */
export interface Bodies {
  /** Reads a body as sent, or says in `problem` why not. Release it when the answer is ready. */
  read(request: Request): Promise<Body>;
  /** Inflates if the request says gzip, decodes and parses. */
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
  detail: "the server is stopping; nothing was accepted, and a retry with the same messageId is safe",
  retryAfterS: 1,
  headers: CLOSES,
};

/** Makes a reader of bodies; its timer ends by itself soon after the last body is read. */
export function createBodies(limits: BodyLimits, now: () => number): Bodies {
  const { maxBytes, maxHeldBytes } = limits;
  const deadlines = createDeadlines(now);
  let heldBytes = 0;
  let brokenOff = BROKEN_OFF;

  const tooLarge = (found: string): Problem => ({
    reason: "too_large",
    code: "body_too_large",
    detail:
      `the body must be at most ${maxBytes} bytes, also when inflated (found ${found}): send fewer events at a time`,
  });
  const tooManyHeld: Problem = {
    reason: "unavailable",
    code: "overloaded",
    detail: "the server holds as many bytes of bodies as it may; nothing was accepted, and a retry is safe",
    retryAfterS: 1,
  };
  const refused = (problem: Problem): Body => ({ bytes: EMPTY, held: 0, problem });

  function hold(bytes: Uint8Array): Body {
    const held = bytes.length;
    if (heldBytes + held > maxHeldBytes) return refused(tooManyHeld);
    heldBytes += held;
    return { bytes, held };
  }

  function release(body: Body): void {
    heldBytes -= body.held;
    body.held = 0;
  }

  async function readStream(request: Request, declared: number): Promise<Body> {
    const stream = request.body;
    if (stream === null) return { bytes: EMPTY, held: 0 };
    const body: Body = { bytes: EMPTY, held: 0 };
    const chunks: Uint8Array[] = [];
    if (declared > maxBytes) body.problem = tooLarge(`${declared} bytes`);
    let read = 0;
    const end = await eachChunk(stream, (chunk) => {
      read += chunk.length;
      if (body.problem === undefined && read > maxBytes) {
        body.problem = tooLarge(`more than ${maxBytes} bytes`);
      }
      if (body.problem === undefined && heldBytes + chunk.length > maxHeldBytes) body.problem = tooManyHeld;
      if (body.problem !== undefined) {
        release(body);
        chunks.length = 0;
        return read <= limits.drainBytes;
      }
      heldBytes += chunk.length;
      body.held += chunk.length;
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
    async read(request) {
      const declared = Number(request.headers.get("content-length") ?? NaN);
      if (!(declared <= SMALL_BODY_BYTES)) return await readStream(request, declared);
      try {
        return hold(await deadlines.within(request.bytes(), now() + limits.idleMs));
      } catch (error) {
        return refused(error instanceof DeadlinePassed ? STALLED : brokenOff);
      }
    },

    parse(body, request) {
      const encoding = request.headers.get("content-encoding");
      let { bytes } = body;
      if (encoding !== null && encoding !== "" && encoding !== "identity") {
        const inflated = inflate(bytes, encoding.toLowerCase(), maxBytes);
        if (inflated === "too_large") return { problem: tooLarge(`more than ${maxBytes} bytes`) };
        if ("problem" in inflated) return inflated;
        bytes = inflated.bytes;
        heldBytes += bytes.length;
        body.held += bytes.length;
      }
      return parseJson(bytes);
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

function concat(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let place = 0;
  for (const chunk of chunks) {
    whole.set(chunk, place);
    place += chunk.length;
  }
  return whole;
}
