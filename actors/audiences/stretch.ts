/** What a stretch of the journal says to the audiences of a world, by actor. */
import { isObject } from "../../domain/event/json.ts";
import { parseExact } from "../../domain/event/exact_json.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import type { Position } from "../../domain/event/position.ts";
import { type Evidence, saysSomething } from "../../domain/audience/evidence.ts";
import { ERASED_LINE } from "../journal/body.ts";
import { type JournalEntry, linesOfEntry, positionIn, readJournal } from "../journal/read_journal.ts";
import type { Store } from "../store/store.ts";
import type { World } from "./checkpoint.ts";

/** What a stretch says to one user. */
export interface UserChange {
  evidence: Evidence[];
  /** Their first event in the stretch (ms). */
  first: number;
}

/** What a stretch says. */
export interface Stretch {
  users: Map<string, UserChange>;
  anonymous: Map<string, Evidence[]>;
  groups: Map<string, Evidence[]>;
  /** Events read, evidence found, and about how many bytes of memory it takes. */
  events: number;
  found: number;
  bytes: number;
}

/** Bytes of memory that evidence takes besides its traits. */
const EVIDENCE_BYTES = 200;

/** Before anything was read. */
export function emptyStretch(): Stretch {
  return { users: new Map(), anonymous: new Map(), groups: new Map(), events: 0, found: 0, bytes: 0 };
}

/** How far a stretch is read. */
export interface StretchOptions {
  after: Position;
  upTo: Position;
  /** The stretch ends after the entry in which it has so many events, or so many bytes of evidence. */
  maxEvents: number;
  maxBytes: number;
  /** Called now and then: other work has its turn. */
  pause(): Promise<void>;
  /** First events that are known already: an event that says nothing else is passed over. */
  known?: ReadonlyMap<string, number>;
}

/** Reads the journal into a stretch, and gives its end. */
export async function readStretch(
  store: Store,
  world: World,
  { stretch, ...options }: StretchOptions & { stretch: Stretch },
): Promise<Position> {
  const { after, upTo, maxEvents, maxBytes } = options;
  const mayMatter = matterTest(world);
  let end = after;
  const begun = stretch.events;
  for await (const entry of readJournal(store, { after, upTo })) {
    (await linesOfEntry(store, entry)).forEach((line, index) => {
      stretch.events++;
      if (line === ERASED_LINE || !mayMatter(line)) return;
      const event = parseExact(line) as StoredEvent;
      if (event.derived !== true) add(stretch, world, { event, entry, index, options });
    });
    end = entry.end;
    await options.pause();
    if (stretch.events - begun >= maxEvents || stretch.bytes >= maxBytes) break;
  }
  return end;
}

function add(
  stretch: Stretch,
  { set, vacuous }: World,
  { event, entry, index, options }: {
    event: StoredEvent;
    entry: JournalEntry;
    index: number;
    options: StretchOptions;
  },
): void {
  for (const { kind, id, evidence } of set.evidenceOf(event, positionIn(entry, index))) {
    if (kind !== "user") {
      stretch.bytes += EVIDENCE_BYTES + bytesOf(evidence);
      stretch.found++;
      const of = kind === "group" ? stretch.groups : stretch.anonymous;
      const list = of.get(id);
      if (list === undefined) of.set(id, [evidence]);
      else list.push(evidence);
      continue;
    }
    const says = saysSomething(evidence);
    if (!says && (vacuous.length === 0 || (options.known?.get(id) ?? Infinity) <= evidence.at)) continue;
    let change = stretch.users.get(id);
    if (change === undefined) {
      stretch.users.set(id, change = { evidence: [], first: Infinity });
      stretch.bytes += EVIDENCE_BYTES;
    }
    change.first = Math.min(change.first, evidence.at);
    if (!says) continue;
    stretch.found++;
    stretch.bytes += EVIDENCE_BYTES + bytesOf(evidence);
    change.evidence.push(evidence);
  }
}

function bytesOf({ t }: Evidence): number {
  return t === undefined || !isObject(t) ? 0 : 2 * JSON.stringify(t).length;
}

/** A cheap test of an event's JSON: false only for events that say nothing to any audience. */
function matterTest({ set, vacuous }: World): (line: string) => boolean {
  if (vacuous.length > 0) return () => true;
  const words = new Set(["identify", "alias", ...set.withGroups.length > 0 ? ["group"] : []]);
  for (const { event, type } of set.selectors) words.add(event ?? type!);
  const quoted = [...words].map((word) => JSON.stringify(word).replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const pattern = new RegExp(quoted.join("|"));
  return (line) => pattern.test(line);
}
