/**
 * `deno task import OLD.db`: imports a database file of version 0.3 whole into a new database. It can be repeated: the
 * mark `imported` says of which database it is, and how far it got.
 */
import { openSystem } from "../../actors/open.ts";
import { IMPORTED, SECRET } from "../../actors/store/keys.ts";
import { openStore, type Store } from "../../actors/store/store.ts";
import type { Progress } from "../progress.ts";
import type { TaskSettings } from "../task.ts";
import { type OldDatabase, openOldDatabase, UnreadableDatabase } from "./old_database.ts";
import { checkEvents, readEvents } from "./read_events.ts";
import type { Repeats } from "./repeats.ts";
import { type ImportedSettings, importSettings } from "./settings.ts";

/** The value of the mark. */
interface Mark {
  /** The imported database: the attempts that wrote its first chunk and its last. */
  first: string;
  last: string;
  /** What is done. */
  done: "nothing" | "settings" | "all";
}

/** The result of an import. */
export interface Imported extends ImportedSettings {
  events: number;
  /** Events that an earlier attempt had imported. */
  known: number;
  /** Whether an earlier attempt had imported everything. */
  wasComplete: boolean;
}

/** How an import is done. */
export interface ImportOptions {
  settings: TaskSettings;
  progress: Progress;
}

/**
 * Imports a file into the database of the settings. Throws {@link UnreadableDatabase} if the file cannot be imported, or
 * not into this database; then nothing was changed, or a repetition continues.
 */
export async function importOld(path: string, { settings, progress }: ImportOptions): Promise<Imported> {
  const old = await openOldDatabase(path);
  try {
    // Before anything is written.
    const repeats = await checkEvents(old);
    const { mark, moved } = await prepare(path, old, settings);
    if (mark.done === "all") return { ...moved, events: 0, known: old.head.events, wasComplete: true };
    const { events, known } = await importEvents(old, repeats, { settings, progress });
    await finish(settings, { ...mark, done: "all" });
    return { ...moved, events, known, wasComplete: false };
  } finally {
    await old.close();
  }
}

/** Claims the database for this import, and imports the settings. */
async function prepare(
  path: string,
  old: OldDatabase,
  { storage, newId }: TaskSettings,
): Promise<{ mark: Mark; moved: ImportedSettings }> {
  const into = await openStore(storage);
  try {
    const mark = await claim(path, old, into);
    if (mark.done !== "nothing") return { mark, moved: NOTHING_MOVED };
    const moved = await importSettings(old.store, into, newId);
    const next: Mark = { ...mark, done: "settings" };
    await into.commit({ checks: [], sets: [[IMPORTED, next]] });
    return { mark: next, moved };
  } finally {
    into.close();
  }
}

const NOTHING_MOVED: ImportedSettings = { writeKeys: 0, contracts: 0, suppressed: 0, receipts: 0 };

/** Writes the mark and the secret into an empty database, in one operation; or finds the mark of an earlier attempt. */
async function claim(path: string, { secret, first, head }: OldDatabase, into: Store): Promise<Mark> {
  const { value } = await into.get<Mark>(IMPORTED);
  if (value === null) {
    for await (const _ of into.list({ prefix: [] }, { limit: 1 })) {
      throw new UnreadableDatabase(
        `The database of KV_URL is not empty. Import ${path} into a new one: set KV_URL to a file that does not exist.`,
      );
    }
    const mark: Mark = { first, last: head.commit, done: "nothing" };
    const checks = [{ key: IMPORTED, stamp: null }, { key: SECRET, stamp: null }];
    // If this is not answered, or another process was faster, a repetition finds out.
    const written = await into.commit({ checks, sets: [[IMPORTED, mark], [SECRET, secret]] });
    if (written === null) {
      throw new UnreadableDatabase(
        "Another process has changed the database of KV_URL. Run the import again.",
      );
    }
    return mark;
  }
  if (value.first !== first) {
    throw new UnreadableDatabase(
      `The database of KV_URL has an import of another database than ${path}. Set KV_URL to a file that does not exist.`,
    );
  }
  if (value.last !== head.commit) {
    throw new UnreadableDatabase(
      `${path} has changed since its import began. Stop the servers that use it, and import it into a new database: set KV_URL to a file that does not exist.`,
    );
  }
  return value;
}

/** Imports the events, commit by commit, since their order must stay. */
async function importEvents(
  old: OldDatabase,
  repeats: Repeats,
  { settings, progress }: ImportOptions,
): Promise<{ events: number; known: number }> {
  const system = await openSystem({
    ...settings,
    randomBytes: (bytes) => void crypto.getRandomValues(bytes),
  });
  let events = 0;
  let known = 0;
  try {
    for await (const { stored, done } of readEvents(old, repeats)) {
      for (const isNew of await system.commitStored(stored)) isNew ? events++ : known++;
      progress.update(done, old.head.events);
    }
  } finally {
    progress.end();
    await system.close();
  }
  return { events, known };
}

async function finish({ storage }: TaskSettings, mark: Mark): Promise<void> {
  const into = await openStore(storage);
  try {
    await into.commit({ checks: [], sets: [[IMPORTED, mark]] });
  } finally {
    into.close();
  }
}
