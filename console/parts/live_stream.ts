/**
 * The live view on the wire. Accepted events come from the journal, so a pause, a hidden tab or a lost connection loses
 * nothing: the stream resumes after the last id. What was passed over, or was not watched, is a line of its own.
 */
import { batch, signal } from "@preact/signals";
import { ApiError, apiQuery, openStream } from "../app/api.ts";
import { lock } from "../app/session.ts";
import { createRing, createSseParser } from "../core/stream.ts";

/** Where the connection is. */
export type StreamState = "connecting" | "live" | "waiting" | "closed" | "failed";

/** Lines that are held. */
export const RING_LINES = 10_000;

/** Events from before the reader came. */
const LAST = 100;

/** The page is drawn at most this often. */
const DRAW_MS = 100;

/** A connection without a byte for this long is lost: the server's heartbeat is 15 s. */
const SILENT_MS = 40_000;

/** A hidden page, or a paused view, lets its connection go after this time: a browser has six to a server. */
const HIDDEN_MS = 60_000;
const PAUSED_MS = 600_000;

/** Longest wait before a new connection. */
const MAX_WAIT_MS = 30_000;

type Timer = ReturnType<typeof setTimeout> | undefined;

/** The stream that a screen watches. */
export type LiveStream = ReturnType<typeof createLiveStream>;

/** Opens a stream with the filters of the API; close it when the screen goes. */
export function createLiveStream(filters: Record<string, string>) {
  const ring = createRing<string>(RING_LINES);
  const state = signal<StreamState>("connecting");
  const problem = signal<ApiError | undefined>(undefined);
  const retryAtMs = signal(0);
  /** Changes with every draw. */
  const version = signal(0);
  const counts = { accepted: 0, duplicate: 0, rejected: 0, passedOver: 0, past: 0, draws: 0 };
  /** Lines that came in each of the last seconds. */
  const perSecond: { second: number; lines: number }[] = [];
  let lastId = "";
  let aborter: AbortController | undefined;
  let timer: Timer;
  let drawTimer: Timer;
  let failures = 0;
  let retryMs = 2_000;
  let isPast = false;
  let leftMs: number | undefined;

  function draw(): void {
    drawTimer ||= setTimeout(() => {
      drawTimer = undefined;
      counts.draws++;
      version.value++;
    }, DRAW_MS);
  }

  function took(data: string): void {
    if (data.startsWith('{"status":"skipped"')) {
      counts.passedOver += Number(/"skipped":(\d+)/.exec(data)?.[1] ?? 0);
    } else if (data.endsWith(',"past":true}')) {
      counts.past++;
      isPast = true;
    } else {
      if (isPast) ring.push('{"status":"divider"}');
      isPast = false;
      if (data.startsWith('{"status":"accepted"')) counts.accepted++;
      else if (data.startsWith('{"status":"duplicate"')) counts.duplicate++;
      else counts.rejected++;
      const second = Math.floor(Date.now() / 1000);
      if (perSecond.at(-1)?.second === second) perSecond.at(-1)!.lines++;
      else perSecond.push({ second, lines: 1 });
      if (perSecond.length > 60) perSecond.shift();
    }
    ring.push(data);
  }

  async function connect(): Promise<void> {
    clearTimeout(timer);
    aborter?.abort();
    const own = aborter = new AbortController();
    state.value = "connecting";
    try {
      const query = apiQuery({ ...filters, ...lastId === "" && { last: LAST } });
      const response = await openStream(`admin/live${query}`, {
        headers: lastId === "" ? {} : { "last-event-id": lastId },
        signal: own.signal,
      });
      tellUnwatched();
      await read(response, own);
      later(undefined);
    } catch (error) {
      if (!own.signal.aborted) later(error);
    }
  }

  /** Reads a stream to its end. */
  async function read(response: Response, own: AbortController): Promise<void> {
    const parser = createSseParser({
      onEvent: ({ data }) => took(data),
      onRetry: (ms) => retryMs = ms,
    });
    let silence: Timer;
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(() => (own.abort(), later(undefined)), SILENT_MS);
    };
    try {
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        heard();
        const { value, done } = await reader.read();
        if (done) return;
        parser.push(value);
        if (parser.lastId() !== "") lastId = parser.lastId();
        failures = 0;
        if (state.value !== "live") state.value = "live";
        draw();
      }
    } finally {
      clearTimeout(silence);
    }
  }

  /** Connects again after a while; how long depends on why. */
  function later(error: unknown): void {
    leftMs ??= Date.now();
    if (error instanceof ApiError && (error.status === 403 || error.status === 400)) {
      batch(() => (problem.value = error, state.value = "failed"));
      return;
    }
    if (error instanceof ApiError && error.status === 401) lock();
    const waitMs = error instanceof ApiError && error.retryAfterS !== undefined
      ? error.retryAfterS * 1000
      : Math.min(MAX_WAIT_MS, retryMs * 2 ** failures) * (0.75 + Math.random() / 2);
    failures++;
    batch(() => {
      problem.value = error instanceof ApiError ? error : undefined;
      retryAtMs.value = Date.now() + waitMs;
      state.value = "waiting";
    });
    timer = setTimeout(connect, waitMs);
  }

  /** While nobody listened, only accepted events were kept for us. */
  function tellUnwatched(): void {
    if (leftMs !== undefined && lastId !== "") {
      ring.push(JSON.stringify({ status: "unwatched", from: leftMs, to: Date.now() }));
    }
    leftMs = undefined;
  }

  function letGo(): void {
    if (state.value === "closed") return;
    leftMs ??= Date.now();
    clearTimeout(timer);
    aborter?.abort();
    state.value = "closed";
  }

  let hiddenTimer: Timer;
  let pausedTimer: Timer;
  const onVisibility = () => {
    clearTimeout(hiddenTimer);
    if (document.hidden) hiddenTimer = setTimeout(letGo, HIDDEN_MS);
    else if (state.value === "closed") connect();
  };
  document.addEventListener("visibilitychange", onVisibility);
  connect();

  return {
    ring,
    state,
    problem,
    retryAtMs,
    version,
    counts,
    perSecond,
    connect,
    /** A view that is paused for long lets its connection go. */
    paused(isPaused: boolean): void {
      clearTimeout(pausedTimer);
      if (isPaused) pausedTimer = setTimeout(letGo, PAUSED_MS);
      else if (state.value === "closed") connect();
    },
    clear(): void {
      ring.clear();
      version.value++;
    },
    close(): void {
      document.removeEventListener("visibilitychange", onVisibility);
      for (const each of [timer, drawTimer, hiddenTimer, pausedTimer]) clearTimeout(each);
      aborter?.abort();
    },
  };
}
