/** Opens a database file of version 0.3: a copy of one moment, so that the file itself is only read. */
import { backup, DatabaseSync } from "node:sqlite";
import { openStore, type Store } from "../../actors/store/store.ts";
import {
  type Chunk,
  CONTRACTS,
  ERASING,
  HEAD,
  type Head,
  JOURNAL,
  RECEIPTS,
  SECRET,
  SETTLED,
  type Settled,
  SUPPRESSED,
  WRITE_KEYS,
} from "./format.ts";

/** A file that cannot be imported; the message says why, and what to do. */
export class UnreadableDatabase extends Error {}

/** An open copy of a database of version 0.3. */
export interface OldDatabase {
  store: Store;
  secret: string;
  head: Head;
  /** The attempt that wrote its first chunk; it tells one database from another. `""` without events. */
  first: string;
  /** Closes and deletes the copy. */
  close(): Promise<void>;
}

/** The first bytes of every SQLite file (its file format, section 1.3). */
const MAGIC = "SQLite format 3\0";

/** Longest wait for a process that writes. */
const BUSY_MS = 10_000;

/** More pages than a database has: all in one step. */
const ALL_PAGES = 2 ** 31 - 1;

/** A journal without events. */
const EMPTY: Head = { seq: 0, events: 0, commit: "", at: 0 };

/** Whether a file is a SQLite database, by its first bytes. A file that cannot be read is none. */
export async function isDatabase(path: string): Promise<boolean> {
  try {
    using file = await Deno.open(path);
    const head = new Uint8Array(MAGIC.length);
    let length = 0;
    for (let read; length < head.length && (read = await file.read(head.subarray(length))) !== null;) {
      length += read;
    }
    return new TextDecoder().decode(head) === MAGIC;
  } catch {
    return false;
  }
}

/** Opens the database of version 0.3 in a file. Throws {@link UnreadableDatabase} if it is damaged or another one. */
export async function openOldDatabase(path: string): Promise<OldDatabase> {
  const folder = await Deno.makeTempDir({ prefix: "signalfold-import-" });
  const remove = () => Deno.remove(folder, { recursive: true });
  let store: Store | undefined;
  try {
    await copy(path, `${folder}/copy.db`);
    store = await openStore(`${folder}/copy.db`);
    return { store, ...await recognize(path, store), close: closing(store, remove) };
  } catch (error) {
    store?.close();
    await remove();
    if (error instanceof UnreadableDatabase) throw error;
    throw new UnreadableDatabase(`Failed to read ${path}: ${messageOf(error)}.`);
  }
}

function closing(store: Store, remove: () => Promise<void>): () => Promise<void> {
  return async () => {
    store.close();
    await remove();
  };
}

/** Copies all pages in one read transaction, with those of a WAL; throws if SQLite finds the copy damaged. */
async function copy(from: string, to: string): Promise<void> {
  {
    using source = new DatabaseSync(from, { readOnly: true, timeout: BUSY_MS });
    await backup(source, to, { rate: ALL_PAGES });
  }
  using copied = new DatabaseSync(to);
  const { integrity_check: found } = copied.prepare("PRAGMA integrity_check(1)").get() as {
    integrity_check: string;
  };
  if (found !== "ok") throw new Error(`the file is damaged or incomplete (${found})`);
  const tables = copied.prepare("SELECT count(*) AS n FROM sqlite_schema WHERE name = 'kv'").get() as {
    n: number;
  };
  if (tables.n === 0) throw new Error("it is not a database of Deno KV");
}

async function recognize(
  path: string,
  store: Store,
): Promise<Pick<OldDatabase, "secret" | "head" | "first">> {
  const [secret, head, erasing, settled] = await store.getMany<unknown>([SECRET, HEAD, ERASING, SETTLED]);
  if (head!.value !== null && !isHead(head!.value)) throw notOld(path);
  const { seq } = (head!.value as Head | null) ?? EMPTY;
  let first = "";
  for await (const { key, value } of store.list<Chunk>({ prefix: JOURNAL }, { limit: 1 })) {
    if (seq === 0 || key[1] !== 1 || value?.v !== 1) throw notOld(path);
    first = value.commit;
  }
  if (seq > 0 && first === "") throw new Error("its journal is missing");
  if (seq === 0 && !await hasSettings(store)) throw notOld(path);
  const requested = (erasing!.value as { pushed: number } | null)?.pushed ?? 0;
  const completed = (settled!.value as Settled | null)?.erasures ?? 0;
  if (requested > completed) {
    throw new UnreadableDatabase(
      `${path} has ${
        requested - completed
      } unfinished erasures. Start version 0.3 on it, repeat their requests (they wait for the erasure), stop it, and import again.`,
    );
  }
  return {
    secret: (secret!.value as string | null) ?? "",
    head: (head!.value as Head | null) ?? EMPTY,
    first,
  };
}

/** Whether a database without events has anything else that is imported. */
async function hasSettings(store: Store): Promise<boolean> {
  for (const prefix of [WRITE_KEYS, CONTRACTS, RECEIPTS, SUPPRESSED]) {
    for await (const _ of store.list({ prefix }, { limit: 1 })) return true;
  }
  return false;
}

function isHead(value: unknown): boolean {
  const { seq, events, commit } = value as Partial<Head>;
  return typeof seq === "number" && typeof events === "number" && typeof commit === "string";
}

function notOld(path: string): UnreadableDatabase {
  return new UnreadableDatabase(
    `${path} is not a database of version 0.3. Only those are imported whole; for others, import the output of "deno task export".`,
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
