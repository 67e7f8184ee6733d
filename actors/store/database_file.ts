/** Access rights of a database file. */
import { dirname } from "node:path";

/**
 * Whether a storage setting names a file: not memory, a KV Connect server or (`undefined`) the platform's own storage.
 */
export function isDatabaseFile(storage: string | undefined): storage is string {
  return storage !== undefined && storage !== ":memory:" && !/^https?:/i.test(storage);
}

/**
 * Creates a database file that only its owner can read; SQLite gives the -wal and -shm files the same mode. Throws an
 * error that names the folder if that is missing: SQLite would not say so.
 */
export async function createPrivately(path: string): Promise<void> {
  try {
    (await Deno.open(path, { write: true, createNew: true, mode: 0o600 })).close();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw new Error(`the folder ${dirname(path)} does not exist; create it, or correct the path`);
    }
    // It exists, or opening it reports why it cannot be created.
  }
}

/**
 * A notice if an existing database file can be read by other users of the machine. Its mode is not changed: the
 * operator may have set it on purpose.
 */
export function otherUsersMayRead(storage: string | undefined): string | undefined {
  // Windows has no such modes.
  if (!isDatabaseFile(storage) || Deno.build.os === "windows") return undefined;
  try {
    const mode = Deno.statSync(storage).mode ?? 0;
    if ((mode & 0o044) === 0) return undefined;
    const shown = `0${(mode & 0o777).toString(8)}`;
    return `Other users of this machine can read the database file (mode ${shown}): run chmod 600 on it and on the -wal and -shm beside it.`;
  } catch {
    return undefined;
  }
}
