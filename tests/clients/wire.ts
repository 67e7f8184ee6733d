/**
 * What stands between a client and a server: it passes on what it gets, keeps what it saw, and does to a request what
 * a test asks for: refuses it, or takes it to the server and loses the answer.
 */
import { Buffer } from "node:buffer";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";
import { CORS_HEADERS } from "../../routes/cors.ts";

/** What may befall a request that sends events. */
export type Mishap = 429 | 503 | "lost answer";

/** A request as it was on the wire, with its body inflated, and what became of it. */
export interface Exchange {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string;
  outcome: number | "lost answer";
  answer: string;
  atMs: number;
}

/** The seconds that a refusal asks to wait. */
export const RETRY_AFTER_S = 1;

/** See the file. */
export interface Wire extends AsyncDisposable {
  url: string;
  /** The server behind it. */
  target: string;
  exchanges: Exchange[];
  /** What befalls the next requests that send events, one each; the others pass. */
  mishaps: Mishap[];
  /** Says by its body whether a request that sends events is refused with 503, where no mishap befalls it. */
  refuses: (body: string) => boolean;
}

/** Opens a wire on a free port; its target is set before the first request comes. */
export async function openWire(): Promise<Wire> {
  const exchanges: Exchange[] = [];
  const mishaps: Mishap[] = [];
  const server = createServer((request, response) => void pass(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const wire: Wire = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    target: "",
    exchanges,
    mishaps,
    refuses: () => false,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };

  async function pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "", url = "" } = request;
    const chunks: Uint8Array[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const raw = Buffer.concat(chunks);
    const headers = Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
    );
    const body = headers["content-encoding"] === "gzip" ? gunzipSync(raw).toString() : raw.toString();
    const keep = (outcome: Exchange["outcome"], answer: string) =>
      exchanges.push({ method, path: url, headers, body, outcome, answer, atMs: performance.now() });

    const mishap = method !== "POST" ? undefined : mishaps.shift() ?? (wire.refuses(body) ? 503 : undefined);
    if (typeof mishap === "number") {
      keep(mishap, "");
      response.writeHead(mishap, { ...CORS_HEADERS, "retry-after": String(RETRY_AFTER_S) }).end();
      return;
    }
    const { "connection": _, "content-length": __, host: ___, ...passed } = headers;
    const answer = await fetch(wire.target + url, {
      method,
      headers: passed,
      ...method === "POST" && { body: raw },
    });
    const text = await answer.text();
    keep(mishap ?? answer.status, text);
    if (mishap === "lost answer") {
      request.socket.destroy();
      return;
    }
    const { "content-encoding": ____, "transfer-encoding": _____, ...answered } = Object.fromEntries(
      answer.headers,
    );
    response.writeHead(answer.status, answered).end(text);
  }

  return wire;
}
