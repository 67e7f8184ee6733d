/** Checks of transformations: one at a time, with progress for those who want it. */
import type { Check, CheckProgress } from "../../actors/transformation/check.ts";
import type { CheckQuery, Transformations } from "../../actors/transformation/transformations.ts";
import type { CodeProblem } from "../../domain/transformation/program.ts";
import { createSemaphore } from "../body/semaphore.ts";
import { jsonResponse } from "../http/problem.ts";
import { SECURITY_HEADERS } from "../http/security_headers.ts";

/** Checks at once: each reads a stretch of the journal and runs code. Others wait. */
const CHECKS_AT_ONCE = 1;

const HEADERS = {
  ...SECURITY_HEADERS,
  "content-type": "text/event-stream",
  // nginx would else hold the stream back until a buffer is full.
  "x-accel-buffering": "no",
};

/** What a check needs. */
export interface CheckRequest {
  name: string;
  query: Omit<CheckQuery, "onProgress" | "isCancelled">;
  /** Whether the client has left. */
  isCancelled(): boolean;
}

/** The outcome of a check that cannot run. */
export type NoCheck = "unknown" | "too many" | CodeProblem;

/** Checks of transformations. */
export type Checks = ReturnType<typeof createChecks>;

/** Runs checks, one at a time, and answers with their results. */
export function createChecks(transformations: Transformations, now: () => number) {
  const checks = createSemaphore(CHECKS_AT_ONCE, now);

  async function run(
    { name, query, isCancelled }: CheckRequest,
    onProgress: (progress: CheckProgress) => void,
  ): Promise<Check | { refused: NoCheck }> {
    const entered = checks.enter(1);
    if (entered !== true && !await entered) return { refused: "too many" };
    try {
      const result = await transformations.check(name, { ...query, onProgress, isCancelled });
      if (result === undefined) return { refused: "unknown" };
      return "problem" in result ? { refused: result.problem } : result;
    } finally {
      checks.leave(1);
    }
  }

  return {
    /** Answers with the result. */
    async whole(request: CheckRequest): Promise<Response | NoCheck> {
      const result = await run(request, () => {});
      return "refused" in result ? result.refused : jsonResponse(result);
    },
    /** Answers with a stream of `progress` events and a last one, `result`; what is refused is no stream. */
    async streamed(request: CheckRequest): Promise<Response | NoCheck> {
      const begun = Promise.withResolvers<void>();
      const stream = eventStream();
      const isCancelled = () => stream.isCancelled() || request.isCancelled();
      const finished = run({ ...request, isCancelled }, (progress) => {
        stream.write("progress", progress);
        begun.resolve();
      });
      const first = await Promise.race([finished, begun.promise]);
      if (first !== undefined && "refused" in first) return first.refused;
      finished.then((result) => stream.write("result", result), () => {
        // Storage does not answer any more: the client sees a stream without a result.
      }).finally(stream.close);
      return new Response(stream.body, { headers: HEADERS });
    },
  };
}

/** A stream of events (HTML, section 9.2). */
function eventStream() {
  const encoder = new TextEncoder();
  let cancelled = false;
  let controller: ReadableStreamDefaultController<Uint8Array>;
  const body = new ReadableStream<Uint8Array>({
    start(given) {
      controller = given;
    },
    cancel() {
      cancelled = true;
    },
  });
  return {
    body,
    isCancelled: () => cancelled,
    write(event: string, data: unknown): void {
      if (!cancelled) {
        controller.enqueue(encoder.encode(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`));
      }
    },
    close(): void {
      if (!cancelled) controller.close();
    },
  };
}
