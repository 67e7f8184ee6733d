/** The audit log: who changed what, and when. It has no secrets, and people appear in it as digests. */
import type { Clock } from "../store/clock.ts";
import { decodeCursor, encodeCursor } from "../store/cursor.ts";
import { InvalidCursor } from "../store/errors.ts";
import { AUDIT, auditKey, type Key } from "../store/keys.ts";
import type { Store } from "../store/store.ts";

/** The values of a member before and after a change; a long or secret one is replaced by a word. */
export type AuditedChanges = Record<string, { from?: unknown; to?: unknown }>;

/** One change. */
export interface AuditEntry {
  /** The name of an admin token, or of a task. */
  by: string;
  /** The address of its sender; empty for a task. */
  address: string;
  /** ISO 8601. */
  at: string;
  /** `write_key.created`, for example. */
  action: string;
  /** The id or the name of what was changed; for a person, `user/` or `anonymous/` and a digest. */
  target: string;
  changes: AuditedChanges;
}

/** A page of the log, newest first. */
export interface AuditPage {
  entries: AuditEntry[];
  cursor: string | null;
}

export interface AuditOptions {
  store: Store;
  clock: Clock;
  newId(): string;
}

/** The audit log of a store. Entries are kept forever: administrators make few changes. */
export interface Audit {
  /** Writes an entry alone, for an act that is no change of a registry. */
  record(entry: Omit<AuditEntry, "at">): Promise<void>;
  /** Throws {@link InvalidCursor}. */
  list(query: { limit: number; cursor?: string }): Promise<AuditPage>;
}

/** Longest value of a member in an entry, as JSON in UTF-16 units: a JSON Schema is longer. */
const MAX_VALUE_UNITS = 500;

/** After the last ULID: none begins with a digit above 7. */
const END = "8";

/** The write of an entry, for the operation that makes the change. */
export function auditWrite(
  { clock, newId }: Pick<AuditOptions, "clock" | "newId">,
  entry: Omit<AuditEntry, "at">,
): [Key, AuditEntry] {
  return [auditKey(newId()), { at: new Date(clock.now()).toISOString(), ...entry }];
}

/**
 * The members that differ between two values; `null` stands for no value. Members named in `hidden` are secrets: only
 * that they changed is told.
 */
export function changesBetween(
  before: Readonly<Record<string, unknown>> | null,
  after: Readonly<Record<string, unknown>> | null,
  hidden: readonly string[] = [],
): AuditedChanges {
  const changes: AuditedChanges = {};
  for (const name of new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])) {
    const [from, to] = [before?.[name], after?.[name]];
    if (JSON.stringify(from) === JSON.stringify(to)) continue;
    const shown = (value: unknown) => {
      if (hidden.includes(name)) return "(secret)";
      return JSON.stringify(value).length > MAX_VALUE_UNITS ? "(long)" : value;
    };
    changes[name] = {
      ...from !== undefined && { from: shown(from) },
      ...to !== undefined && { to: shown(to) },
    };
  }
  return changes;
}

/** Creates the audit log of a store. */
export function createAudit(options: AuditOptions): Audit {
  const { store } = options;
  return {
    async record(entry) {
      const [key, value] = auditWrite(options, entry);
      await store.commit({ checks: [], sets: [[key, value]], deletes: [] });
    },
    async list({ limit, cursor }) {
      const before = cursor === undefined ? END : idOf(cursor);
      const entries: AuditEntry[] = [];
      let last = "";
      const range = { start: auditKey(""), end: auditKey(before) };
      for await (const { key, value } of store.list<AuditEntry>(range, { limit: limit + 1, reverse: true })) {
        if (entries.length === limit) return { entries, cursor: encodeCursor(last) };
        entries.push(value!);
        last = key[AUDIT.length] as string;
      }
      return { entries, cursor: null };
    },
  };
}

function idOf(cursor: string): string {
  const id = decodeCursor(cursor);
  if (typeof id === "string" && /^[0-9A-Z]{26}$/.test(id)) return id;
  throw new InvalidCursor("Invalid cursor.");
}
