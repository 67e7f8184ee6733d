/** The database as a file, where it is one: who may read it. */

/** Whether a place of storage is a file: not memory, a KV Connect server or (`undefined`) the platform's own. */
export function isDatabaseFile(storage: string | undefined): storage is string {
  return storage !== undefined && storage !== ":memory:" && !/^https?:/i.test(storage);
}

/** Makes a database file that its owner alone can read; SQLite gives the -wal and -shm beside it the same mode. */
export async function createPrivately(path: string): Promise<void> {
  try {
    (await Deno.open(path, { write: true, createNew: true, mode: 0o600 })).close();
  } catch {
    // It is there, or opening it tells why it can't be.
  }
}

/**
 * One line where a database file that was made before, or by other means, can be read by other users of the machine. Its
 * mode is left: the operator may have given it for a purpose.
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
