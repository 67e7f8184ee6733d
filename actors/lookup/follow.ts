/** The subscription that keeps the lookup index: it reads the journal in order and adds entries. */
import { BEGINNING, type Position } from "../../domain/event/position.ts";
import type { Journal } from "../journal/journal_state.ts";
import { type Checkpoint, NO_CHECKPOINT, subscribe, type Subscription } from "../journal/subscription.ts";
import type { Clock } from "../store/clock.ts";
import { type Key, keyBytes } from "../store/keys.ts";
import { type Fence, takeFence } from "../store/lease.ts";
import type { Store } from "../store/store.ts";
import { type Entries, entriesOf } from "./entries.ts";
import { readFacts } from "./read_facts.ts";
import { LOOKUP } from "./keys.ts";

/** How far the index is, and the traits that it has. A stored format. */
export interface Followed extends Checkpoint {
  traits: string[];
}

export const NOTHING_FOLLOWED: Followed = { ...NO_CHECKPOINT, traits: [] };

/** The version of the index: entries of another version would be made again. */
const INDEX_VERSION = 1;

/** Events of a stretch. */
const STRETCH_EVENTS = 20_000;

/** Entries of one operation, and bytes of their keys and values: an operation may have some 800 KB. */
const WRITE_ENTRIES = 800;
const WRITE_BYTES = 300_000;

/** A stretch begins when nothing more came for so long, and after so long at the latest. */
const QUIET_MS = 100;
const WAIT_MS = 2_000;

/** Entries that this process wrote lately: most people identify with the same values again and again. */
const MAX_WRITTEN = 100_000;

/** What following needs. */
export interface LookupFollowOptions {
  store: Store;
  journal: Journal;
  clock: Clock;
  newId(): string;
  owner: string;
  /** The traits that this process looks up. */
  traits: readonly string[];
  onMoved(followed: Followed): void;
  onFault(error: unknown): void;
}

/** Follows the journal for the index. It reads nothing before it is woken. */
export function followForLookup(options: LookupFollowOptions): Subscription {
  const { store, journal, traits } = options;
  const written = new Set<string>();
  return subscribe<Followed>({
    ...options,
    key: LOOKUP,
    empty: NOTHING_FOLLOWED,
    foldVersion: INDEX_VERSION,
    gather: { quietMs: QUIET_MS, waitMs: WAIT_MS, events: STRETCH_EVENTS },
    // Also where the journal has nothing new, or nothing at all.
    tasks: [{
      key: LOOKUP,
      isDue: (_, followed) => missingOf(followed, traits).length > 0,
      run: (lease) => addTraits(lease, traits),
    }],
    handle: (_, upTo, interruptible) => handle({ store, journal, lease: interruptible, written }, upTo),
    // Another process may have written over, or erased, what this one wrote.
    onCutOff: () => written.clear(),
  });
}

/**
 * Adds traits that the index does not have: it is made again from the beginning, over what is there. It never forgets
 * one, so that processes with different settings do not undo each other's.
 */
async function addTraits(lease: Fence<Followed>, traits: readonly string[]): Promise<boolean> {
  const followed = lease.value();
  const all = [...followed.traits, ...missingOf(followed, traits)];
  await lease.write({ change: { traits: all, position: BEGINNING, events: 0 } });
  return true;
}

function missingOf({ traits }: Followed, wanted: readonly string[]): readonly string[] {
  return wanted.filter((trait) => !traits.includes(trait));
}

interface Handling {
  store: Store;
  journal: Journal;
  lease: Fence<Followed>;
  written: Set<string>;
}

/** Adds the entries of a stretch, and moves the checkpoint with the last of them. */
async function handle({ store, journal, lease, written }: Handling, upTo: Position): Promise<void> {
  const { position: after, events: before, traits } = lease.value();
  const entries = new Map<string, [Key, string]>();
  let position = upTo;
  let events = 0;
  for await (const entry of readFacts(store, journal, { after, upTo })) {
    for (const fact of entry.facts) collect(entriesOf(fact, traits), entries, written);
    events += entry.events;
    position = entry.end;
    if (events >= STRETCH_EVENTS) break;
  }
  await writeEntries(lease, [...entries.values()], { position, events: before + events });
  for (const text of entries.keys()) written.add(text);
  if (written.size > MAX_WRITTEN) written.clear();
}

function collect(found: Entries, entries: Map<string, [Key, string]>, written: ReadonlySet<string>): void {
  for (const entry of found) {
    const text = JSON.stringify(entry[0]);
    if (!written.has(text)) entries.set(text, entry);
  }
}

async function writeEntries(
  lease: Fence<Followed>,
  entries: readonly [Key, string][],
  change: Pick<Followed, "position" | "events">,
): Promise<void> {
  let sets: [Key, string][] = [];
  let bytes = 0;
  for (const entry of entries) {
    const size = 2 * keyBytes(entry[0]) + 3 * entry[1].length;
    if (sets.length === WRITE_ENTRIES || bytes + size > WRITE_BYTES) {
      await lease.write({ sets });
      [sets, bytes] = [[], 0];
    }
    sets.push(entry);
    bytes += size;
  }
  await lease.write({ sets, change });
}

/** Cuts off a stretch under way in any process: what it read may name somebody who has been erased since. */
export async function cutOff(
  options: Pick<LookupFollowOptions, "store" | "clock" | "newId" | "owner">,
): Promise<void> {
  const { value } = await options.store.get(LOOKUP);
  if (value === null) return;
  const lease = await takeFence<Followed>({
    ...options,
    key: LOOKUP,
    empty: NOTHING_FOLLOWED,
    foldVersion: Number.MAX_SAFE_INTEGER,
    force: true,
  });
  await lease!.write({ change: { until: 0, fold: INDEX_VERSION } });
}
