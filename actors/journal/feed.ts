/**
 * The journal as a feed: a reader that remembers the position of its last event misses none and sees none twice. A read
 * can wait for the next event.
 */
import { BEGINNING, type Position } from "../../domain/event/position.ts";
import { parseExact } from "../../domain/event/exact_json.ts";
import type { EventType, StoredEvent } from "../../domain/event/event.ts";
import type { Clock } from "../store/clock.ts";
import type { Store } from "../store/store.ts";
import { exportEvents } from "./export.ts";
import type { Journal } from "./journal_state.ts";

/** What a reader asks for. */
export interface FeedQuery {
  /** Only events behind this position; default: all. */
  after?: Position | undefined;
  /** Most events of an answer. */
  limit: number;
  type?: EventType | undefined;
  event?: string | undefined;
  /** How long to wait for an event if there is none, in ms. */
  waitMs: number;
}

/** Some events, and where to continue. */
export interface FeedPage {
  /** Lines of JSON: each event with its `position` as the last member. */
  lines: string[];
  /** What was looked at ends here: with a filter it is further than the last line. */
  next: Position;
}

/** The feed of a journal. */
export interface Feed {
  read(query: FeedQuery): Promise<FeedPage>;
  /** Ends all waits: their reads give what there is. */
  end(): void;
}

/** Bytes of JSON in one answer, and of the journal that is searched for it. */
const PAGE_BYTES = 4 * 1024 * 1024;
const SEARCH_BYTES = 64 * 1024 * 1024;

/** Time between two looks at the journal while a reader waits: other processes commit without telling this one. */
const LOOK_MS = 500;

interface FeedOptions {
  store: Store;
  clock: Clock;
  journal: Journal;
}

/** Creates the feed. */
export function createFeed({ store, clock, journal }: FeedOptions): Feed {
  let moved = Promise.withResolvers<void>();
  let ended = false;
  const wake = () => {
    moved.resolve();
    moved = Promise.withResolvers();
  };
  journal.onAdvance(wake);

  async function page({ after = BEGINNING, limit, type, event }: FeedQuery): Promise<FeedPage> {
    const lines: string[] = [];
    let next = after;
    let [bytes, searched] = [0, 0];
    const isWanted = wantedBy({ type, event });
    for await (const some of exportEvents(store, { after, journal })) {
      for (const [index, line] of some.lines.entries()) {
        next = some.positions[index]!;
        searched += line.length;
        if (!isWanted(line)) continue;
        lines.push(`${line.slice(0, -1)},"position":"${next}"}`);
        bytes += line.length;
        if (lines.length === limit || bytes > PAGE_BYTES) return { lines, next };
      }
      if (searched > SEARCH_BYTES) break;
    }
    return { lines, next };
  }

  return {
    async read(query) {
      const untilMs = clock.monotonic() + query.waitMs;
      for (let after = query.after;;) {
        const isNew = moved.promise;
        const { lines, next } = await page({ ...query, after });
        const leftMs = untilMs - clock.monotonic();
        if (lines.length > 0 || leftMs <= 0 || ended) return { lines, next };
        after = next;
        await Promise.race([isNew, clock.sleep(Math.min(LOOK_MS, leftMs))]);
      }
    },
    end() {
      ended = true;
      wake();
    },
  };
}

/** Whether a line is of a type and a name; lines are parsed only if there is something to compare. */
function wantedBy({ type, event }: Pick<FeedQuery, "type" | "event">): (line: string) => boolean {
  if (type === undefined && event === undefined) return () => true;
  return (line) => {
    const stored = parseExact(line) as StoredEvent;
    return (type === undefined || stored.type === type) && (event === undefined || stored.event === event);
  };
}
