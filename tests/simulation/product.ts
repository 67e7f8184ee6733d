/**
 * The product as the simulation runs it: a copy of `actors/` and `domain/`, with patches. Without a patch it is the code
 * as it stands; a patch makes a bound smaller, or plants a bug.
 */

import type { ThreadSelf } from "./thread.ts";

/** A change of one source file: `find` must stand in it exactly once. */
export interface Patch {
  file: string;
  find: string | RegExp;
  replace: string;
}

/** What the simulation uses of the product. */
export interface Product {
  openSystem: typeof import("../../actors/open.ts").openSystem;
  openTools: typeof import("../../actors/maintenance.ts").openTools;
  storeOf: typeof import("../../actors/store/store.ts").storeOf;
  exportEvents: typeof import("../../actors/journal/export.ts").exportEvents;
  /** Settles in a thread: what `settler_worker.ts` does with its own. */
  settleIn(thread: ThreadSelf): void;
}

const ROOT = new URL("../../", import.meta.url);
const FOLDERS = ["actors", "domain"] as const;

/** Bounds by file and name, made so small that a history of some events goes over each. */
const SMALL_BOUNDS: Record<string, Record<string, number>> = {
  "actors/journal/chunk.ts": { CHUNK_BYTES: 500 },
  "actors/erasure/execute.ts": {
    PLACES_PER_PART: 2,
    NAMES_PER_PART: 1,
    CHUNKS_AT_ONCE: 2,
    WRITE_BYTES: 600,
    FACTS_AT_ONCE: 2,
  },
  "actors/journal/appender.ts": { COMMIT_BYTES: 4_000, GROUP_BYTES: 2_500 },
  "actors/journal/event_reader.ts": { CACHE_BYTES: 3_000 },
  "actors/settling/log_facts.ts": { EVENTS_AT_ONCE: 2 },
  "actors/journal/journal_state.ts": { CATCH_UP_CHUNKS: 2, TRIM_EVENTS: 4 },
  "actors/settling/actor_log.ts": { PAGE_ENTRIES: 2, OPEN_ENTRIES: 3 },
  "actors/settling/group_members.ts": { ROWS_PER_WRITE: 1, READS_AT_ONCE: 2 },
  "actors/store/write_batch.ts": { WRITE_BYTES: 2_500, WRITE_MUTATIONS: 4 },
  "actors/replay/replay_all.ts": { ROUND_EVENTS: 7, MAX_WRITTEN: 5 },
  "actors/settling/generation.ts": { DELETES: 3 },
  "actors/journal/dedup_index.ts": { PART_DIGESTS: 2, FILTER_PART_BYTES: 8, RUNS_TO_MERGE: 2 },
  "actors/settling/round.ts": {
    SCAN_FACTOR: 1,
    SLICE_ACTORS: 3,
    SLICE_BYTES: 2_000,
  },
  "actors/settling/settler.ts": { ROUND_EVENTS: 8, SEEN_WRITE_KEYS: 3, QUIET_MS: 3 },
  "actors/settling/backpressure.ts": { SOFT_EVENTS: 25 },
  "actors/settling/snapshot.ts": { PIECE_BYTES: 300 },
  "actors/erasure/suppression.ts": { PAGE_DIGESTS: 2 },
  "actors/store/store.ts": { SCAN_BATCH: 2 },
  "actors/journal/tail.ts": { SEGMENT_EVENTS: 3 },
  "actors/replay/verify.ts": { AT_ONCE: 3 },
};

/** Chunks are not compressed where bounds are small: it would take longer than all else. */
const UNCOMPRESSED: readonly Patch[] = [
  { file: "actors/journal/chunk.ts", find: "compress(raw)", replace: "raw" },
  { file: "actors/journal/chunk.ts", find: "decompress(chunk.body)", replace: "chunk.body" },
];

/**
 * Who is given a store that can begin a thread settles in one. The code of the thread is made a function of what is
 * global to it.
 */
const THREADED: readonly Patch[] = [
  {
    file: "actors/open.ts",
    find: 'typeof storage === "string" && storage !== ":memory:";',
    replace: 'typeof storage === "object" && "beginThread" in storage;',
  },
  {
    file: "actors/settling/settler_thread.ts",
    find: /new Worker\(.+\);$/m,
    replace: "options.storage.beginThread();",
  },
  {
    file: "actors/settler_worker.ts",
    find: /^const thread = self as unknown as {[^}]+};$/m,
    replace: "export function settleIn(thread) {",
  },
  {
    file: "actors/settler_worker.ts",
    find: "await openStore(data.storage, { clock: systemClock })",
    replace: "await thread.openStore()",
  },
  { file: "actors/settler_worker.ts", find: "clock: systemClock,", replace: "clock: thread.clock," },
  { file: "actors/settler_worker.ts", find: "() => crypto.randomUUID(),", replace: "thread.newId," },
  { file: "actors/settler_worker.ts", find: "error: traceOf(error) })", replace: "error })" },
  {
    file: "actors/settler_worker.ts",
    find: "    settler.wake();\n  }\n};",
    replace: "    settler.wake();\n  }\n};\n}",
  },
];

/** The patches that make bounds small. */
export const SMALL: readonly Patch[] = [
  ...UNCOMPRESSED,
  ...Object.entries(SMALL_BOUNDS).flatMap(([file, bounds]) =>
    Object.entries(bounds).map(([name, value]) => ({
      file,
      find: new RegExp(`^((?:export )?const ${name}) = [^;]+;`, "m"),
      replace: `$1 = ${value};`,
    }))
  ),
];

/** The patch that makes the folds those of a newer version, which fold the same. */
export const NEWER: Patch = {
  file: "domain/profile/fact.ts",
  find: /^(export const FOLD_VERSION) = (\d+);/m,
  replace: "$1 = $2 + 1;",
};

/** Loads the product with patches. Throws where a patch does not fit the source. */
export async function loadProduct(patches: readonly Patch[]): Promise<Product> {
  const folder = await Deno.makeTempDir({ prefix: "simulation-" });
  try {
    const files = new Set<string>();
    const all = [...THREADED, ...patches];
    const copy = async (from: string): Promise<void> => {
      await Deno.mkdir(`${folder}/${from}`);
      for await (const { name, isDirectory } of Deno.readDir(new URL(from, ROOT))) {
        const path = `${from}/${name}`;
        if (isDirectory) {
          await copy(path);
          continue;
        }
        files.add(path);
        const text = await Deno.readTextFile(new URL(path, ROOT));
        await Deno.writeTextFile(`${folder}/${path}`, patched(path, text, all));
      }
    };
    for (const name of FOLDERS) await copy(name);
    const stray = patches.find(({ file }) => !files.has(file));
    if (stray !== undefined) throw new Error(`a patch is for ${stray.file}, which there is not`);
    const load = (path: string) => import(`file://${folder}/actors/${path}`);
    const [open, tools, store, exporting, worker] = await Promise.all(
      [
        "open.ts",
        "maintenance.ts",
        "store/store.ts",
        "journal/export.ts",
        "settler_worker.ts",
      ].map(load),
    );
    return {
      openSystem: open.openSystem,
      openTools: tools.openTools,
      storeOf: store.storeOf,
      exportEvents: exporting.exportEvents,
      settleIn: worker.settleIn,
    };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function patched(path: string, source: string, patches: readonly Patch[]): string {
  let text = source;
  for (const { file, find, replace } of patches) {
    if (file !== path) continue;
    const parts = typeof find === "string"
      ? text.split(find).length - 1
      : text.match(new RegExp(find, "gm"))?.length;
    if (parts !== 1) throw new Error(`a patch of ${path} fits ${parts ?? 0} times, not once: ${find}`);
    text = typeof find === "string" ? text.split(find).join(replace) : text.replace(find, replace);
  }
  return text;
}

/** The products of a simulation: as it stands, with small bounds, and with small bounds and folds of a newer version. */
export interface Products {
  plain: Product;
  small: Product;
  newer: Product;
}

/** Loads the products, each with a planted bug if one is given. */
export async function loadProducts(bug: readonly Patch[] = []): Promise<Products> {
  return {
    plain: await loadProduct(bug),
    small: await loadProduct([...SMALL, ...bug]),
    newer: await loadProduct([...SMALL, NEWER, ...bug]),
  };
}
