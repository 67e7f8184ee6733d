/**
 * The product as the simulation runs it: the code as it stands, handed the bounds and the version of the folds that a
 * history is about. Only a planted bug changes code: then a copy of `actors/` and `domain/` is loaded in which it stands.
 */
import { LIMITS, type Limits } from "../../actors/limits.ts";
import { FOLD_VERSION } from "../../domain/profile/fact.ts";

/** A change of one source file: `find` must stand in it exactly once. */
export interface Patch {
  file: string;
  find: string | RegExp;
  replace: string;
}

/** A planted bug. */
export interface Bug {
  name: string;
  /** The rule of the design, or of a decision record, that it breaks. */
  rule: string;
  patches: readonly Patch[];
}

/** What the simulation uses of the code. */
export interface Code {
  openSystem: typeof import("../../actors/open.ts").openSystem;
  openTools: typeof import("../../actors/maintenance.ts").openTools;
  storeOf: typeof import("../../actors/store/store.ts").storeOf;
  exportEvents: typeof import("../../actors/journal/export.ts").exportEvents;
  settleIn: typeof import("../../actors/settler_host.ts").settleIn;
  StorageUnavailable: typeof import("../../actors/store/errors.ts").StorageUnavailable;
  createStream: typeof import("../../actors/delivery/stream.ts").createStream;
}

/** The code with what it is handed. */
export interface Product extends Code {
  limits: Limits;
  foldVersion: number;
}

const ROOT = new URL("../../", import.meta.url);
const FOLDERS = ["actors", "domain"] as const;

/** Bounds so small that a history of some events goes over each. */
export const SMALL_LIMITS = {
  // A scan, and an operation that writes are gathered in.
  scanBatch: 2,
  writeBytes: 2_500,
  writeMutations: 4,
  // The journal and its commits: some groups are halved.
  frameBytes: 300,
  bodyBytes: 600,
  commitBytes: 2_800,
  groupBytes: 2_500,
  groupEvents: 8,
  cacheBytes: 3_000,
  catchUpEntries: 2,
  trimEvents: 4,
  segmentEvents: 3,
  partDigests: 2,
  filterPartBytes: 8,
  runsToMerge: 2,
  // Lanes: processes are taken for dead soon, and leave soon.
  slots: 2,
  beatMs: 1_000,
  evictMs: 6_000,
  idleMs: 5_000,
  // Settling.
  softEvents: 25,
  roundEvents: 8,
  dedupWriteKeys: 3,
  quietMs: 3,
  scanFactor: 1,
  sliceActors: 3,
  sliceBytes: 2_000,
  eventsAtOnce: 2,
  pageEntries: 2,
  openEntries: 3,
  memberRows: 1,
  memberReads: 2,
  pieceBytes: 300,
  generationDeletes: 3,
  // Erasure.
  planPlaces: 2,
  planNames: 1,
  erasedEntries: 2,
  erasedBytes: 400,
  erasedFacts: 2,
  pageDigests: 2,
  valueSpans: 1,
  // Replay of everything.
  replayedEvents: 7,
  rememberedActors: 5,
  comparedValues: 3,
} satisfies Partial<Limits>;

/** The modules that {@link Code} is taken from. */
const MODULES = [
  "actors/open.ts",
  "actors/maintenance.ts",
  "actors/store/store.ts",
  "actors/journal/export.ts",
  "actors/settler_host.ts",
  "actors/store/errors.ts",
  "actors/delivery/stream.ts",
] as const;

/** Loads the code, with patches if there are any. Throws where a patch does not fit the source. */
export async function loadCode(patches: readonly Patch[] = []): Promise<Code> {
  if (patches.length === 0) return await importFrom(ROOT.href);
  const folder = await Deno.makeTempDir({ prefix: "simulation-" });
  try {
    await writePatched(folder, patches);
    return await importFrom(`file://${folder}/`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function importFrom(root: string): Promise<Code> {
  const modules = await Promise.all(MODULES.map((path) => import(`${root}${path}`)));
  return Object.assign({}, ...modules);
}

/** Copies the source into a folder, patched. */
async function writePatched(folder: string, patches: readonly Patch[]): Promise<void> {
  const changed = await patchedFiles(patches);
  const copy = async (from: string): Promise<void> => {
    await Deno.mkdir(`${folder}/${from}`);
    for await (const { name, isDirectory } of Deno.readDir(new URL(from, ROOT))) {
      const path = `${from}/${name}`;
      if (isDirectory) await copy(path);
      else await Deno.writeTextFile(`${folder}/${path}`, changed.get(path) ?? await sourceOf(path));
    }
  };
  for (const name of FOLDERS) await copy(name);
}

/** The files that patches change, as they change them. Throws where a patch does not fit the source. */
export async function patchedFiles(patches: readonly Patch[]): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const { file, find, replace } of patches) {
    const text = files.get(file) ?? await sourceOf(file);
    const fits = typeof find === "string"
      ? text.split(find).length - 1
      : text.match(new RegExp(find, "gm"))?.length ?? 0;
    if (fits !== 1) throw new Error(`a patch of ${file} fits ${fits} times, not once: ${find}`);
    files.set(file, typeof find === "string" ? text.split(find).join(replace) : text.replace(find, replace));
  }
  return files;
}

function sourceOf(path: string): Promise<string> {
  return Deno.readTextFile(new URL(path, ROOT));
}

/** The products of a history: as it stands, with small bounds, and with small bounds and folds of a newer version. */
export interface Products {
  plain: Product;
  small: Product;
  newer: Product;
}

/** Loads the products, each with a planted bug if one is given. */
export async function loadProducts(bug: readonly Patch[] = []): Promise<Products> {
  const code = await loadCode(bug);
  const limits = { ...LIMITS, ...SMALL_LIMITS };
  return {
    plain: { ...code, limits: LIMITS, foldVersion: FOLD_VERSION },
    small: { ...code, limits, foldVersion: FOLD_VERSION },
    // They fold the same: what is tried is how versions leave each other's states alone.
    newer: { ...code, limits, foldVersion: FOLD_VERSION + 1 },
  };
}
