/** A stream of server-sent events (HTML, section 9.2): its events from pieces of text, and the newest of them. Pure. */

/** An event: its fields are raw text. `id` is the last one that was sent, with this event or before it. */
export interface SseEvent {
  id: string;
  event: string;
  data: string;
}

/** Called with events and with the time to wait before a new connection (ms). */
export interface SseHandlers {
  onEvent(event: SseEvent): void;
  onRetry?(ms: number): void;
}

/** Takes pieces of text, cut anywhere. */
export interface SseParser {
  push(piece: string): void;
  /** The last id that was sent. */
  lastId(): string;
}

/** Creates a parser. */
export function createSseParser({ onEvent, onRetry }: SseHandlers): SseParser {
  let rest = "";
  let id = "";
  let event = "";
  let data: string[] = [];
  let isStart = true;

  function field(name: string, value: string): void {
    if (name === "data") data.push(value);
    else if (name === "event") event = value;
    else if (name === "id" && !value.includes("\0")) id = value;
    else if (name === "retry" && /^\d+$/.test(value)) onRetry?.(Number(value));
  }

  function line(text: string): void {
    if (text === "") {
      if (data.length > 0) onEvent({ id, event: event || "message", data: data.join("\n") });
      data = [];
      event = "";
      return;
    }
    const colon = text.indexOf(":");
    if (colon === 0) return;
    if (colon === -1) return field(text, "");
    field(text.slice(0, colon), text.slice(text[colon + 1] === " " ? colon + 2 : colon + 1));
  }

  return {
    push(piece) {
      let text = rest + piece;
      if (isStart && text !== "") {
        if (text.startsWith("\ufeff")) text = text.slice(1);
        isStart = false;
      }
      let from = 0;
      const ends = /[\r\n]/g;
      for (let found = ends.exec(text); found !== null; found = ends.exec(text)) {
        const at = found.index;
        // A line feed may follow in the next piece.
        if (text[at] === "\r" && at === text.length - 1) break;
        line(text.slice(from, at));
        from = at + (text[at] === "\r" && text[at + 1] === "\n" ? 2 : 1);
        ends.lastIndex = from;
      }
      rest = text.slice(from);
    },
    lastId: () => id,
  };
}

/** Holds at most `size` lines. */
export interface Ring<Line> {
  push(line: Line): void;
  /** A line by its number; `undefined` once newer ones have pushed it out. */
  at(number: number): Line | undefined;
  /** The number of the next line: how many came. */
  end(): number;
  /** The number of the oldest line that is held. */
  start(): number;
  clear(): void;
}

/** Creates an empty ring. */
export function createRing<Line>(size: number): Ring<Line> {
  let lines: Line[] = [];
  let end = 0;
  let start = 0;
  return {
    push(line) {
      lines[end % size] = line;
      end++;
      start = Math.max(start, end - size);
    },
    at: (number) => number >= start && number < end ? lines[number % size] : undefined,
    end: () => end,
    start: () => start,
    clear() {
      lines = [];
      start = end;
    },
  };
}
