/** Compares the lookup index with the journal. */
import { BEGINNING } from "../../domain/event/position.ts";
import { createJournal, JOURNAL_LIMITS } from "../journal/journal_state.ts";
import type { Key } from "../store/keys.ts";
import type { Store } from "../store/store.ts";
import { entriesOf } from "./entries.ts";
import type { Followed } from "./follow.ts";
import { readFacts } from "./read_facts.ts";
import { LOOKUP, LOOKUP_ENTRIES } from "./keys.ts";

/**
 * The entries that are missing, and those of people that no event makes. It holds all keys of the index in memory, some
 * 200 bytes each. Entries of groups may outlive the event of an erased member, and say nothing of anybody.
 */
export async function verifyLookup(store: Store): Promise<{ compared: number; differences: Key[] }> {
  const { value } = await store.get<Followed>(LOOKUP);
  if (value === null) return { compared: 0, differences: [] };
  const differences: Key[] = [];
  const expected = new Map<string, Key>();
  const made = new Set<string>();
  const journal = createJournal(store, JOURNAL_LIMITS);
  await journal.sync();
  for await (const { facts } of readFacts(store, journal, { after: BEGINNING, upTo: journal.end() })) {
    for (const fact of facts) {
      for (const [key] of entriesOf(fact, value.traits)) {
        const text = JSON.stringify(key);
        made.add(text);
        if (fact.place <= value.position) expected.set(text, key);
      }
    }
  }
  for (const prefix of LOOKUP_ENTRIES) {
    for await (const { key } of store.list({ prefix })) {
      const text = JSON.stringify(key);
      expected.delete(text);
      if (!made.has(text) && key[1] !== "group") differences.push(key);
    }
  }
  // Another process may have erased somebody since the journal was read.
  for (const key of expected.values()) {
    if ((await store.get(key)).value === null) differences.push(key);
  }
  return { compared: made.size, differences };
}
