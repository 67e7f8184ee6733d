/** A client of the live view: a real connection, and a parser of server-sent events that others use. */
import { createParser } from "eventsource-parser";
import { ADMIN_TOKEN } from "../test_app.ts";

/** What a test waits for comes sooner than this, or never: it says nothing of how fast it should come. */
export const NEVER_MS = 120_000;

/** A line of the view. */
// deno-lint-ignore no-explicit-any -- a test looks at members that it names, and fails where they are missing.
export type Line = Record<string, any>;

/** Who looks at what comes. */
export interface Viewer extends AsyncDisposable {
  status: number;
  headers: Headers;
  /** All that came so far: lines, ids of lines, other events by name, comments. */
  lines: Line[];
  ids: (string | undefined)[];
  named: { event: string; data: Line }[];
  comments: string[];
  /** The last id that was sent, with or without a line. */
  lastId(): string | undefined;
  /** Whether the server has ended the stream. */
  ended: Promise<void>;
  /** Resolves when it is so, looked at after each chunk; throws where it never is. */
  until(what: string, isSo: () => boolean): Promise<void>;
  /** Leaves. */
  close(): Promise<void>;
}

/** Opens the view of a server at `url`. */
export async function openViewer(
  url: string,
  { query = "", lastEventId, token = ADMIN_TOKEN }: {
    query?: string;
    lastEventId?: string | undefined;
    token?: string;
  } = {},
): Promise<Viewer> {
  const aborter = new AbortController();
  const response = await fetch(`${url}/api/v1/admin/live${query}`, {
    headers: {
      authorization: `Bearer ${token}`,
      accept: "text/event-stream",
      ...lastEventId !== undefined && { "last-event-id": lastEventId },
    },
    signal: aborter.signal,
  });
  const lines: Line[] = [];
  const ids: (string | undefined)[] = [];
  const named: { event: string; data: Line }[] = [];
  const comments: string[] = [];
  let lastId: string | undefined;
  let looks: (() => void)[] = [];
  const parser = createParser({
    onEvent({ id, event, data }) {
      if (event !== undefined) return void named.push({ event, data: JSON.parse(data) });
      lines.push(JSON.parse(data));
      ids.push(id);
    },
    onComment: (comment) => void comments.push(comment),
  });
  const read = async () => {
    try {
      for await (const text of response.body!.pipeThrough(new TextDecoderStream())) {
        parser.feed(text);
        lastId = [...text.matchAll(/^id: (.*)$/gm)].at(-1)?.[1] ?? lastId;
        for (const look of looks) look();
      }
    } catch (error) {
      // A server that was killed, or we who left.
      if (!(error instanceof Error)) throw error;
    }
  };
  const ended = read();
  return {
    status: response.status,
    headers: response.headers,
    lines,
    ids,
    named,
    comments,
    lastId: () => lastId,
    ended,
    async until(what, isSo) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const look = () => isSo() && resolve();
      looks.push(look);
      const timer = setTimeout(
        () => reject(new Error(`${what}: not within ${NEVER_MS} ms; ${lines.length} lines came`)),
        NEVER_MS,
      );
      look();
      try {
        await promise;
      } finally {
        clearTimeout(timer);
        looks = looks.filter((each) => each !== look);
      }
    },
    async close() {
      aborter.abort();
      await ended;
    },
    async [Symbol.asyncDispose]() {
      aborter.abort();
      await ended;
    },
  };
}
