/** HTTP/1.1 by hand, over a socket, so that anything can be sent: in pieces, with pauses, and wrong. */
import type { Got } from "./answers.ts";

const encoder = new TextEncoder();

/** What is sent: text with one byte a character (so `\xff` is that byte), bytes, or a pause in ms. */
export type Piece = string | Uint8Array | number;

/** Text as bytes, one each: what is beyond Latin-1 is cut. */
export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** A whole request, which asks for the connection to be closed. Text of the body goes as UTF-8. */
export function request(
  head: string,
  { headers = {}, body = "" }: { headers?: Record<string, string>; body?: string | Uint8Array },
): Piece[] {
  const bytes = typeof body === "string" ? encoder.encode(body) : body;
  const all = { "host": "x", "connection": "close", "content-length": `${bytes.length}`, ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return [`${head} HTTP/1.1\r\n${lines}\r\n`, bytes];
}

/** Sends pieces to a port of this machine and reads all answers until the connection closes, or for `ms`. */
export async function exchange(port: number, pieces: Piece[], ms: number): Promise<Got[]> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const received: Uint8Array[] = [];
  const timer = setTimeout(() => close(connection), ms);
  const reading = (async () => {
    const buffer = new Uint8Array(65_536);
    for (let count = await connection.read(buffer); count !== null; count = await connection.read(buffer)) {
      received.push(buffer.slice(0, count));
      // Where a body is still owed the runtime leaves it to us to close the connection; it says so beside what we say.
      if (answersIn(received).at(-1)?.headers.get("connection")?.includes("close")) return;
    }
  })().catch(() => {}); // Closed by us in the end, or reset by a server that has said what it had to say.
  try {
    for (const piece of pieces) {
      if (typeof piece === "number") await new Promise((resolve) => setTimeout(resolve, piece));
      else await writeAll(connection, typeof piece === "string" ? bytesOf(piece) : piece);
    }
  } catch {
    // A server that has heard enough.
  }
  await reading;
  clearTimeout(timer);
  close(connection);
  return answersIn(received);
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // Closed already.
  }
}

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let from = 0; from < bytes.length;) from += await connection.write(bytes.subarray(from));
}

/** Answers one after another, without those that only say to go on. */
function answersIn(received: Uint8Array[]): Got[] {
  const text = received.map((bytes) => String.fromCharCode(...bytes)).join("");
  const answers: Got[] = [];
  for (let from = 0; text.startsWith("HTTP/", from);) {
    const end = text.indexOf("\r\n\r\n", from);
    if (end === -1) break;
    const [first = "", ...lines] = text.slice(from, end).split("\r\n");
    const headers = new Headers(lines.map((line): [string, string] => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 1).trim()];
    }));
    const status = Number(first.split(" ")[1]);
    const length = Number(headers.get("content-length") ?? 0);
    const body = text.slice(end + 4, end + 4 + length);
    if (body.length < length) break;
    if (status >= 200) answers.push({ status, headers, text: new TextDecoder().decode(bytesOf(body)) });
    from = end + 4 + length;
  }
  return answers;
}
