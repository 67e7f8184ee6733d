/**
 * Sends requests again and again over many connections, in a process of its own, so that whoever measures beside it is
 * not held up: HTTP/1.1 by hand, HTTP/2 by Node's client.
 */
import http2 from "node:http2";

/** What is sent, by whom, and for how long. */
export interface Flood {
  port: number;
  protocol: "HTTP/1.1" | "HTTP/2";
  path: string;
  headers: Record<string, string>;
  body: Uint8Array<ArrayBuffer>;
  transfer: "length" | "chunks";
  /** As `X-Forwarded-For` has them, in turn. */
  addresses: string[];
  /** Requests under way at once. */
  atOnce: number;
  /** How long, in ms, and until each connection has sent one request. */
  ms: number;
}

/** What became of it. */
export interface Flooded {
  /** Bytes that were sent. */
  bytes: number;
  requests: number;
  /** Answers by status; 0 is none. */
  statuses: Record<number, number>;
}

/** Streams of one connection of HTTP/2. */
const STREAMS = 40;

/** An answer is waited for so long, in ms. */
const PATIENCE_MS = 30_000;

/** Bytes of a request of HTTP/2 besides its body: compressed headers and frames. */
const H2_BYTES = 60;

/**
 * How far the attacker stands behind for a processor: it stands for another machine, and must take the server's time by
 * what it sends alone.
 */
export const NICENESS = 5;

/** Floods in a process of its own; it is ended where it takes longer than `mostMs`. */
export async function flood({ body, ...options }: Flood, mostMs: number): Promise<Flooded> {
  const script = new URL("cost_flood_worker.ts", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--frozen", "--no-check", "--allow-net", "--allow-sys=setPriority", script],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), mostMs);
  try {
    const input = new Blob([`${JSON.stringify(options)}\n`, body]).stream();
    const [{ code, stdout }] = await Promise.all([child.output(), input.pipeTo(child.stdin)]);
    if (code !== 0) throw new Error(`a flood ended with ${code}`);
    return JSON.parse(decoder.decode(stdout));
  } finally {
    clearTimeout(timer);
  }
}

/** Floods from this process. */
export async function work(options: Flood): Promise<Flooded> {
  const flooded: Flooded = { bytes: 0, requests: 0, statuses: {} };
  const until = performance.now() + options.ms;
  const isDone = (sent: number) => sent > 0 && performance.now() >= until;
  let next = 0;
  const address = () => options.addresses[next++ % options.addresses.length]!;
  const count = (status: number, bytes: number) => {
    flooded.requests++;
    flooded.bytes += bytes;
    flooded.statuses[status] = (flooded.statuses[status] ?? 0) + 1;
  };
  const by = options.protocol === "HTTP/1.1" ? byHand : byStreams;
  await by(options, { isDone, address, count });
  return flooded;
}

interface Sending {
  isDone(sent: number): boolean;
  address(): string;
  count(status: number, bytes: number): void;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

async function byHand(options: Flood, { isDone, address, count }: Sending): Promise<void> {
  const { port, path, headers, body, transfer, atOnce } = options;
  const more = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const length = transfer === "length" ? `content-length: ${body.length}` : "transfer-encoding: chunked";
  const sent = transfer === "length" ? body : chunked(body);
  await Promise.all(Array.from({ length: atOnce }, async () => {
    let connection: Deno.Conn | undefined;
    for (let requests = 0; !isDone(requests); requests++) {
      const head = encoder.encode(
        `POST ${path} HTTP/1.1\r\nhost: x\r\nx-forwarded-for: ${address()}\r\n${more}${length}\r\n\r\n`,
      );
      const written = { bytes: 0 };
      let answer = { status: 0, closes: true };
      try {
        connection ??= await Deno.connect({ hostname: "127.0.0.1", port });
        answer = await exchange(connection, { head, sent, written });
      } catch {
        // Closed by a server that has heard enough.
      }
      count(answer.status, written.bytes);
      if (answer.closes) {
        close(connection);
        connection = undefined;
      }
    }
    close(connection);
  }));
}

/** Sends a request and reads its answer, which may come before all was sent. */
async function exchange(
  connection: Deno.Conn,
  { head, sent, written }: { head: Uint8Array; sent: Uint8Array; written: { bytes: number } },
): Promise<{ status: number; closes: boolean }> {
  let hasAnswer = false;
  const reading = readAnswer(connection).finally(() => hasAnswer = true);
  reading.catch(() => {});
  for (const bytes of [head, sent]) {
    for (let from = 0; from < bytes.length && !hasAnswer;) {
      const count = await connection.write(bytes.subarray(from, from + 65_536));
      from += count;
      written.bytes += count;
    }
  }
  const answer = await reading;
  return { status: answer.status, closes: answer.closes || written.bytes < head.length + sent.length };
}

async function readAnswer(connection: Deno.Conn): Promise<{ status: number; closes: boolean }> {
  const buffer = new Uint8Array(16_384);
  const timer = setTimeout(() => close(connection), PATIENCE_MS);
  let text = "";
  let left = Infinity;
  try {
    while (left > 0) {
      const count = await connection.read(buffer);
      if (count === null) return { status: statusOf(text), closes: true };
      if (left !== Infinity) left -= count;
      else {
        text += decoder.decode(buffer.subarray(0, count));
        const end = text.indexOf("\r\n\r\n");
        if (end === -1) continue;
        const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
        left = length - (text.length - end - 4);
      }
    }
  } finally {
    clearTimeout(timer);
  }
  return { status: statusOf(text), closes: /connection: close/i.test(text) };
}

const statusOf = (text: string) => Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0);

function close(connection: Deno.Conn | undefined): void {
  try {
    connection?.close();
  } catch {
    // Closed already.
  }
}

function chunked(body: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let from = 0; from < body.length; from += 16_384) {
    const chunk = body.subarray(from, from + 16_384);
    parts.push(encoder.encode(`${chunk.length.toString(16)}\r\n`), chunk, encoder.encode("\r\n"));
  }
  parts.push(encoder.encode("0\r\n\r\n"));
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let place = 0;
  for (const part of parts) {
    whole.set(part, place);
    place += part.length;
  }
  return whole;
}

async function byStreams(options: Flood, { isDone, address, count }: Sending): Promise<void> {
  const { port, atOnce, headers, body, path } = options;
  const connect = () => {
    const session = http2.connect(`http://127.0.0.1:${port}`);
    session.on("error", () => {});
    return session;
  };
  const sessions = Array.from({ length: Math.ceil(atOnce / STREAMS) }, connect);
  await Promise.all(Array.from({ length: atOnce }, async (_, n) => {
    const at = n % sessions.length;
    for (let requests = 0; !isDone(requests); requests++) {
      if (sessions[at]!.closed || sessions[at]!.destroyed) sessions[at] = connect();
      const session = sessions[at]!;
      const status = await new Promise<number>((resolve) => {
        const stream = session.request({
          ":method": "POST",
          ":path": path,
          "x-forwarded-for": address(),
          "content-length": `${body.length}`,
          ...headers,
        });
        let status = 0;
        const timer = setTimeout(() => stream.close(), PATIENCE_MS);
        stream.on("response", (answer) => status = Number(answer[":status"]));
        stream.on("error", () => {});
        stream.on("close", () => {
          clearTimeout(timer);
          resolve(status);
        });
        stream.resume();
        stream.end(body);
      });
      count(status, body.length + H2_BYTES);
    }
  }));
  for (const session of sessions) session.destroy();
}
