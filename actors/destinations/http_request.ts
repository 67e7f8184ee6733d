/** One HTTP request: sent once, without following redirects, and judged by the status of its answer. */
import type { Agent } from "undici";
import { holdsForAll, retryAfterMs, type Verdict, verdictOf } from "../../domain/forwarding/verdict.ts";
import { parseExact } from "../../domain/event/exact_json.ts";
import type { Clock } from "../store/clock.ts";
import { type Connections, ForbiddenAddress } from "./connections.ts";
import type { Answer, Prepared } from "./sender.ts";

/** Bytes of an answer that are kept. */
export const KEPT_RESPONSE_BYTES = 2_048;

/** Bytes of an answer that are read: partial answers list up to 1,000 events. */
const READ_BYTES = 256 * 1024;

/** The name under which requests are sent. */
export const USER_AGENT = "signalfold/0.4.0";

/** A request. */
export interface HttpRequest {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: string | Uint8Array;
  /** The body as people are shown it, if it is not text. */
  shownBody?: string;
}

/** Sends requests of one destination. */
export interface HttpClient {
  prepare(request: HttpRequest, judge?: Judge): Prepared;
  close(): Promise<void>;
}

/** An answer before it is judged. */
export interface HttpAnswer {
  status: number;
  body: string;
  /** The body as JSON; `undefined` if it is none. */
  json(): unknown;
}

/** Says more about an answer than its status does. */
export type Judge = (answer: HttpAnswer) => Partial<Answer> | undefined;

/** Creates a client. It opens no connection before the first request. */
export function createHttpClient(
  { connections, clock, timeoutMs }: { connections: Connections; clock: Clock; timeoutMs: number },
): HttpClient {
  let agent: Promise<Agent> | undefined;
  return {
    prepare(request, judge) {
      const headers = { "user-agent": USER_AGENT, ...request.headers };
      const { method, url, body } = request;
      return {
        shown: { method, url, headers, body: request.shownBody ?? String(body) },
        bytes: typeof body === "string" ? new TextEncoder().encode(body).length : body.length,
        async send() {
          const abort = new AbortController();
          const stop = clock.timer(timeoutMs, () => abort.abort());
          try {
            const answer = await exchange(
              await (agent ??= connections.agent()),
              { ...request, headers },
              abort,
            );
            return judged(answer, { judge, now: clock.now() });
          } catch (error) {
            return failure(error, abort.signal.aborted ? `no answer within ${timeoutMs} ms` : undefined);
          } finally {
            stop();
          }
        },
      };
    },
    async close() {
      await (await agent?.catch(() => undefined))?.destroy();
    },
  };
}

interface RawAnswer extends HttpAnswer {
  retryAfter: string | undefined;
}

async function exchange(agent: Agent, request: HttpRequest, abort: AbortController): Promise<RawAnswer> {
  const { request: send } = await import("undici");
  const { method, url, headers, body } = request;
  const { statusCode: status, headers: answered, body: stream } = await send(url, {
    dispatcher: agent,
    method: method as "POST",
    headers,
    body,
    signal: abort.signal,
  });
  const text = await readText(stream, abort);
  const retryAfter = answered["retry-after"];
  return {
    status,
    body: text,
    retryAfter: typeof retryAfter === "string" ? retryAfter : retryAfter?.[0],
    json() {
      try {
        return parseExact(text);
      } catch {
        return undefined;
      }
    },
  };
}

async function readText(stream: AsyncIterable<Uint8Array>, abort: AbortController): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of stream) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > READ_BYTES) break;
    }
  } catch (error) {
    // The status stands; what came of the body is enough, unless time ran out.
    if (abort.signal.aborted) throw error;
  }
  const all = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return new TextDecoder().decode(all.subarray(0, READ_BYTES));
}

function judged(
  answer: RawAnswer,
  { judge, now }: { judge: Judge | undefined; now: number },
): Answer {
  const { status, body } = answer;
  const verdict: Verdict = verdictOf(status);
  const waitMs = retryAfterMs(answer.retryAfter, now);
  return {
    verdict,
    ...verdict !== "delivered" && { reason: `status ${status}` },
    response: { status, body: keptOf(body) },
    ...waitMs > 0 && { retryAfterMs: waitMs },
    ...holdsForAll(status) && { holdsForAll: true },
    ...judge?.(answer),
  };
}

/** The part of a body that is kept, without a character that is cut. */
export function keptOf(body: string): string {
  const bytes = new TextEncoder().encode(body);
  if (bytes.length <= KEPT_RESPONSE_BYTES) return body;
  return new TextDecoder().decode(bytes.subarray(0, KEPT_RESPONSE_BYTES)).replace(/\ufffd$/, "");
}

/** The answer where there is none. */
export function failure(error: unknown, reason?: string): Answer {
  // Not dead: a name may be mended, and no event is lost by an entry in DNS.
  if (error instanceof ForbiddenAddress) {
    return { verdict: "retry", isRefused: true, reason: `refused: ${error.message}` };
  }
  const message = error instanceof Error ? error.message || error.name : String(error);
  return { verdict: "retry", reason: reason ?? `network: ${message}`.slice(0, 300) };
}
