/**
 * What stands between a client and a server: it passes on what it gets, keeps what it saw, and does to a request what
 * a test asks for: refuses it, takes it to the server and loses the answer, keeps the answer back, or breaks the
 * connection, as that to a server breaks which is gone.
 */
import { Buffer } from "node:buffer";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";
import { CORS_HEADERS } from "../../routes/http/cors.ts";

/** What may befall a request that sends events. */
export type Mishap = 429 | 503 | "lost answer";

/** What became of a request: its status; or the server took it and the client was not told; or the server did not. */
export type Outcome = number | "lost answer" | "broken";

/** A request as it was on the wire, with its body inflated, and what became of it. */
export interface Exchange {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string;
  outcome: Outcome;
  answer: string;
  atMs: number;
}

/** The seconds that a refusal asks to wait. */
export const RETRY_AFTER_S = 1;

/**
 * So many tries of an event break while the server is down; the next one waits until it is up. So no client runs out of
 * its tries because this machine starts a server slowly; those who try the fewest times would take five.
 */
export const TRIES_THAT_BREAK = 2;

/**
 * An answer ends its connection. Where one breaks that it had used before, Chromium sends the request again by itself,
 * and it is the client whose tries are looked at.
 */
const ENDS = { connection: "close" };

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
  /** Says by its body whether the answer to a request that sends events is kept back, until the server goes down. */
  keepsBack: (body: string) => boolean;
  /** The bodies of the requests that send events and that no client has an answer to yet. */
  unanswered: Set<string>;
  /** The server goes down: answers that were kept back are lost, and see {@link TRIES_THAT_BREAK}. */
  down(): void;
  /** The server is there again, at the target. */
  up(): void;
}

/** An event as a body has it. */
export interface Sent {
  messageId: string;
  event?: string;
  properties?: { n?: number };
}

/** The events of a body that sends one, or a batch. */
export function eventsOf(body: string): Sent[] {
  const { batch, ...event } = JSON.parse(body);
  return batch ?? [event];
}

/** Opens a wire on a free port; its target is set before the first request comes. */
export async function openWire(): Promise<Wire> {
  const exchanges: Exchange[] = [];
  const mishaps: Mishap[] = [];
  const unanswered = new Set<string>();
  const broken = brokenTries();
  let goesDown = Promise.withResolvers<void>();
  let isUp: PromiseWithResolvers<void> | undefined;
  // A connection to each request: none is left over from a server that was killed.
  const client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const server = createServer((request, response) => void pass(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const wire: Wire = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    target: "",
    exchanges,
    mishaps,
    unanswered,
    refuses: () => false,
    keepsBack: () => false,
    down() {
      isUp = Promise.withResolvers();
      goesDown.resolve();
    },
    up() {
      goesDown = Promise.withResolvers();
      isUp!.resolve();
      isUp = undefined;
    },
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
        client.close();
      }),
  };

  async function pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "", url = "" } = request;
    const atMs = performance.now();
    const chunks: Uint8Array[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk);
    } catch {
      // The client went away before it had said all.
      return;
    }
    const raw = Buffer.concat(chunks);
    const headers = Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
    );
    const body = headers["content-encoding"] === "gzip" ? gunzipSync(raw).toString() : raw.toString();
    const sends = method === "POST";
    const keep = (outcome: Outcome, answer: string) => {
      unanswered.delete(body);
      exchanges.push({ method, path: url, headers, body, outcome, answer, atMs });
    };
    const breakOff = (outcome: "lost answer" | "broken", answer = "") => {
      keep(outcome, answer);
      request.socket.destroy();
    };

    if (isUp !== undefined) {
      if (sends && broken.count(body) < TRIES_THAT_BREAK) {
        broken.add(body);
        return breakOff("broken");
      }
      await isUp.promise;
    }
    const mishap = sends ? mishaps.shift() ?? (wire.refuses(body) ? 503 : undefined) : undefined;
    if (typeof mishap === "number") {
      keep(mishap, "");
      response.writeHead(mishap, { ...ENDS, ...CORS_HEADERS, "retry-after": String(RETRY_AFTER_S) }).end();
      return;
    }
    if (sends) unanswered.add(body);
    const { "connection": _, "content-length": __, host: ___, ...passed } = headers;
    let answer: Response;
    let text: string;
    try {
      const init = { method, headers: passed, ...sends && { body: raw }, client };
      answer = await fetch(wire.target + url, init);
      text = await answer.text();
    } catch {
      // The server was killed over it.
      if (sends) broken.add(body);
      return breakOff("broken");
    }
    if (mishap === "lost answer") return breakOff(mishap, text);
    if (sends && wire.keepsBack(body)) {
      await goesDown.promise;
      broken.add(body);
      return breakOff("lost answer", text);
    }
    keep(answer.status, text);
    const answered = Object.fromEntries(answer.headers);
    // `fetch` has inflated the body: its length and coding are no longer those of the answer.
    for (const name of ["content-encoding", "content-length", "transfer-encoding"]) delete answered[name];
    response.writeHead(answer.status, { ...answered, ...ENDS }).end(text);
  }

  return wire;
}

/**
 * Counts the tries of events whose connection broke. A client that tries again says anew when it does, so that its body
 * is another one; the very same body is sent again by the browser itself, see {@link ENDS}.
 */
function brokenTries(): { add(body: string): void; count(body: string): number } {
  const bodiesOf = new Map<string, Set<string>>();
  const bodiesWith = ({ messageId }: Sent) => bodiesOf.get(messageId) ?? new Set();
  return {
    add(body) {
      for (const event of eventsOf(body)) bodiesOf.set(event.messageId, bodiesWith(event).add(body));
    },
    /** The tries before this one of the event in it that was tried the fewest times. */
    count: (body) =>
      Math.min(
        ...eventsOf(body).map((event) => bodiesWith(event).size - (bodiesWith(event).has(body) ? 1 : 0)),
      ),
  };
}
