/** The files that the arguments of an import name: files, folders with all that is in them, and globs. */
import { globSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** The name of standard input among the files. */
export const STANDARD_INPUT = "-";

/** No files are left to import, or an argument names none. */
export class NoFiles extends Error {}

/**
 * The files, in the order of the arguments. Those of a folder or of a glob are sorted by path, numbers by their value,
 * so that Segment's days (`segment-logs/{source}/{day}/*.gz`) come in their order. Files and folders whose names begin
 * with a dot are left out of folders. Throws {@link NoFiles} or an error of the file system that names the path.
 */
export function filesOf(given: readonly string[]): string[] {
  return given.flatMap((path) => {
    if (path === STANDARD_INPUT) return [path];
    const isThere = statSync(path, { throwIfNoEntry: false });
    if (isThere === undefined && /[*?[{]/.test(path)) {
      const found = sorted(globSync(path).flatMap(within));
      if (found.length === 0) throw new NoFiles(`No file matches ${path}.`);
      return found;
    }
    const found = sorted(within(path));
    if (found.length === 0) throw new NoFiles(`No file is in the folder ${path}.`);
    return found;
  });
}

function within(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path).filter((name) => !name.startsWith(".")).flatMap((name) =>
    within(join(path, name))
  );
}

const collator = new Intl.Collator("en", { numeric: true });

function sorted(paths: string[]): string[] {
  return paths.toSorted(collator.compare);
}
