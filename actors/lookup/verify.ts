/** Compares the lookup index with the journal. */
import { parseExact } from "../../domain/event/exact_json.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import { exportEvents } from "../journal/export.ts";
import { type Key, LOOKUP, LOOKUP_ENTRIES } from "../store/keys.ts";
import type { Store } from "../store/store.ts";
import { entriesOf, mayHaveEntries } from "./entries.ts";
import type { Followed } from "./follow.ts";

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
  for await (const { lines, positions } of exportEvents(store)) {
    for (const [index, line] of lines.entries()) {
      if (!mayHaveEntries(line)) continue;
      for (const [key] of entriesOf(parseExact(line) as StoredEvent, value.traits)) {
        const text = JSON.stringify(key);
        made.add(text);
        if (positions[index]! <= value.position) expected.set(text, key);
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
