/** A draft of a contract held against the last events of the journal: a contract is tried before it is enforced. */
import { parseExact } from "../../domain/event/exact_json.ts";
import { type Draft, firstViolation, names } from "../../domain/contract/contract.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import { senderOf } from "../journal/header.ts";
import { linesOfEntry, readJournal } from "../journal/read_journal.ts";
import type { Clock } from "../store/clock.ts";
import type { Store } from "../store/store.ts";

/** The effect of a draft on existing events. */
export interface DraftCheck {
  /** The last events to which the draft applies, as far as they were checked. */
  checked: number;
  failed: number;
  /** Whether all requested events were checked; `false` if that would take longer than 10 s. */
  complete: boolean;
  examples: { messageId: string; path: string; message: string }[];
}

/** Events that an answer shows. */
const MAX_EXAMPLES = 20;

/** Entries read at once: some 32 KB of JSON each. */
const ENTRIES_AT_ONCE = 8;

/** Other requests get their turn after this time. */
const TURN_MS = 10;

/** The answer covers the events that were checked by then: a schema may be slow, and events large. */
const DEADLINE_MS = 10_000;

/** Violations that {@link findViolations} gives, and events of the journal that it looks at. */
const MAX_VIOLATIONS = 100;
const VIOLATIONS_AMONG = 100_000;

/** What the checks read with. */
interface Reading {
  store: Store;
  clock: Clock;
}

/** Checks a draft with the last `last` events to which it applies, newest first. Reads only the journal. */
export async function checkDraft(
  reading: Reading,
  draft: Draft & { name: string },
  last: number,
): Promise<DraftCheck> {
  const result: Omit<DraftCheck, "complete"> = { checked: 0, failed: 0, examples: [] };
  const complete = await judgeLast(reading, { draft, last }, ({ messageId }, violation) => {
    result.checked++;
    if (violation === undefined) return true;
    result.failed++;
    if (result.examples.length < MAX_EXAMPLES) result.examples.push({ messageId, ...violation });
    return true;
  });
  return { checked: result.checked, failed: result.failed, complete, examples: result.examples };
}

/** Events that violate a contract as it is now. */
export interface LastViolations {
  violations: { messageId: string; receivedAt: string; path: string; message: string }[];
  /** Number of the newest events of the journal to which the contract applies and that were checked. */
  checked: number;
  /** `false` if older events were left out: the search ends after 100,000 events of the journal, or 10 s. */
  complete: boolean;
}

/**
 * The last 100 events that violate a contract, newest first. They are found in the journal, so nothing is stored about
 * them: an erased event is in no answer, and a violation is what the contract says of the event now.
 */
export async function findViolations(
  reading: Reading,
  contract: Draft & { name: string },
): Promise<LastViolations> {
  const violations: LastViolations["violations"] = [];
  let checked = 0;
  let seen = 0;
  const inTime = await judgeLast(
    reading,
    { draft: contract, last: VIOLATIONS_AMONG, onEvent: () => seen++ },
    ({ messageId, receivedAt }, violation) => {
      checked++;
      if (violation !== undefined) violations.push({ messageId, receivedAt, ...violation });
      return violations.length < MAX_VIOLATIONS;
    },
  );
  const hasAll = violations.length === MAX_VIOLATIONS || seen < VIOLATIONS_AMONG;
  return { violations, checked, complete: inTime && hasAll };
}

/** Which of the newest events are judged, and by what. */
interface Judged {
  draft: Draft & { name: string };
  /** Events of the journal, whether the draft applies to them or not. */
  last: number;
  /** Called for each of them. */
  onEvent?: () => void;
}

/**
 * Gives each of the newest events to which a draft applies to `judged`, with its first violation, until that answers
 * `false`. Gives whether the time was enough.
 */
async function judgeLast(
  { store, clock }: Reading,
  { draft, last, onEvent }: Judged,
  judged: (event: StoredEvent, violation: { path: string; message: string } | undefined) => boolean,
): Promise<boolean> {
  const { makeChecked } = await import("../../domain/contract/checked_contract.ts");
  const contract = makeChecked(draft);
  const began = clock.monotonic();
  let turnMs = began;
  let left = last;
  for await (const entry of readJournal(store, { reverse: true, batch: ENTRIES_AT_ONCE })) {
    const { header } = entry;
    const lines = await linesOfEntry(store, entry);
    for (let index = header.n - 1; index >= 0 && left > 0; index--, left--) {
      if (turnMs - began > DEADLINE_MS) return false;
      onEvent?.();
      const event = parseExact(lines[index]!) as StoredEvent;
      if (names(draft, event, senderOf(header, index)) && !judged(event, firstViolation(contract, event))) {
        return true;
      }
      if (clock.monotonic() - turnMs > TURN_MS) {
        await clock.turn();
        turnMs = clock.monotonic();
      }
    }
    if (left === 0) break;
  }
  return true;
}
