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

/** Checks a draft with the last `last` events to which it applies, newest first. Reads only the journal. */
export async function checkDraft(
  { store, clock }: { store: Store; clock: Clock },
  draft: Draft & { name: string },
  last: number,
): Promise<DraftCheck> {
  const { makeChecked } = await import("../../domain/contract/checked_contract.ts");
  const contract = makeChecked(draft);
  const result: DraftCheck = { checked: 0, failed: 0, complete: true, examples: [] };
  const began = clock.monotonic();
  let turnMs = began;

  function look(event: StoredEvent): void {
    const violation = firstViolation(contract, event);
    result.checked++;
    if (violation === undefined) return;
    result.failed++;
    if (result.examples.length < MAX_EXAMPLES) {
      result.examples.push({ messageId: event.messageId, ...violation });
    }
  }

  let left = last;
  for await (const entry of readJournal(store, { reverse: true, batch: ENTRIES_AT_ONCE })) {
    const { header } = entry;
    const lines = await linesOfEntry(store, entry);
    for (let index = header.n - 1; index >= 0 && left > 0; index--, left--) {
      if (turnMs - began > DEADLINE_MS) return { ...result, complete: false };
      const event = parseExact(lines[index]!) as StoredEvent;
      if (names(draft, event, senderOf(header, index))) look(event);
      if (clock.monotonic() - turnMs > TURN_MS) {
        await clock.turn();
        turnMs = clock.monotonic();
      }
    }
    if (left === 0) break;
  }
  return result;
}
