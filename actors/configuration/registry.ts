/**
 * A registry of configuration: named values that administrators change now and then, and that every process holds in
 * memory. One mark changes with every value, so one read tells whether anything is new, and one check keeps two changes
 * apart.
 */
import { createCachedConfig } from "./cached_config.ts";
import type { Clock } from "../store/clock.ts";
import { update } from "../store/conditional_update.ts";
import type { Key } from "../store/keys.ts";
import { auditWrite, changesBetween } from "./audit.ts";
import { createSerialQueue } from "../store/serial_queue.ts";
import type { Store } from "../store/store.ts";

/** Who made a change, and from which address. */
export interface Author {
  by: string;
  address: string;
}

/** One version of a value; `null` if it was removed. */
export interface Version<T> extends Author {
  version: number;
  at: string;
  value: T | null;
  /** The version that was restored. */
  restored?: number;
}

/** A change: a new value, or `null` to remove it. */
export interface Change<T> {
  id: string;
  value: T | null;
  restored?: number;
  /** Keys that are deleted with a removed value. */
  deletes?: Key[];
}

/** How the values of one registry are stored. */
export interface RegistryOptions<T> {
  store: Store;
  clock: Clock;
  newId(): string;
  /** The name of the values in messages, in the plural. */
  named: string;
  /** The mark that changes with every value, the prefix of all values, and the key of one. */
  mark: Key;
  prefix: Key;
  keyOf(id: string): Key;
  /** The versions of a value, if they are kept: their prefix, and the key of one. */
  versions?: { prefix(id: string): Key; keyOf(id: string, version: number): Key };
  /** The stored form of a version, and the way back: a stored format. */
  write(version: Version<T>): unknown;
  read(stored: unknown): Version<T>;
  idOf(value: T): string;
  /** How changes appear in the audit log. */
  audited: {
    /** What a value is: `write_key`, for example. */
    kind: string;
    /** The members of a value that an entry shows. */
    members(value: T): Readonly<Record<string, unknown>>;
    /** Those of them that are secrets. */
    hidden?: readonly string[];
  };
  /** Called with all values before the first use, and after each change by any process. */
  onLoad(values: ReadonlyMap<string, Version<T>>): Promise<void> | void;
}

/** A registry. */
export type Registry<T> = ReturnType<typeof createRegistry<T>>;

/** Attempts at a change that other processes overtake. */
const TRIES = 10;

/** Creates a registry. It reads nothing before its first use. */
export function createRegistry<T>(options: RegistryOptions<T>) {
  const { store, clock, newId, mark, versions } = options;
  let values: ReadonlyMap<string, Version<T>> = new Map();
  const cached = createCachedConfig(store, { clock, mark, load });
  /** Changes that come at once would only overtake each other. */
  const inTurn = createSerialQueue();

  async function load(): Promise<void> {
    const found = new Map<string, Version<T>>();
    for await (const { value } of store.list({ prefix: options.prefix })) {
      const version = options.read(value);
      found.set(options.idOf(version.value!), version);
    }
    await options.onLoad(found);
    values = found;
  }

  async function changeNow(author: Author, plan: () => Change<T>[]): Promise<void> {
    await update(store, { named: options.named, tries: TRIES, clock }, async () => {
      const { stamp } = await store.get(mark);
      await cached.refresh();
      const changes = plan();
      if (changes.length === 0) return { result: undefined };
      const sets: [Key, unknown][] = [[mark, newId()]];
      const deletes: Key[] = [];
      for (const { id, value, restored, deletes: more = [] } of changes) {
        const next = await newestVersion(options, id) + 1;
        sets.push(
          auditOf(options, { id, value, restored }, { author, before: values.get(id)?.value ?? null }),
        );
        const version = options.write({
          version: next,
          at: new Date(clock.now()).toISOString(),
          ...author,
          value,
          ...restored !== undefined && { restored },
        });
        if (versions !== undefined) sets.push([versions.keyOf(id, next), version]);
        if (value === null) deletes.push(options.keyOf(id), ...more);
        else sets.push([options.keyOf(id), version]);
      }
      // Every change moves the mark, so its stamp tells whether another change was faster.
      return { result: undefined, write: { checks: [{ key: mark, stamp }], sets, deletes } };
    });
    await cached.refresh();
  }

  return {
    /** The values as this process knows them, by id. */
    values: () => values,
    fresh: cached.fresh,
    refresh: cached.refresh,
    refreshed: cached.refreshed,
    /**
     * Makes changes, all or none. `plan` reads the current values (`values`) and gives the changes. It is called again if
     * another process was faster, and if storage denied a write that it did: then it finds its change made.
     */
    change: (author: Author, plan: () => Change<T>[]): Promise<void> => inTurn(() => changeNow(author, plan)),
    /** Versions of a value, newest first, before one; `undefined` if there never was such a value. */
    versions: (id: string, query: VersionsQuery) => versionsOf(options, id, query),
    /** The value in a version; `undefined` if there is no such version, or if it was removed then. */
    async valueIn(id: string, version: number): Promise<T | undefined> {
      if (versions === undefined) return undefined;
      const { value } = await store.get(versions.keyOf(id, version));
      return value === null ? undefined : options.read(value).value ?? undefined;
    },
  };
}

/** The entry of a change in the audit log: it is written with the change, or not at all. */
function auditOf<T>(
  options: RegistryOptions<T>,
  { id, value, restored }: Pick<Change<T>, "id" | "value"> & { restored: number | undefined },
  { author, before }: { author: Author; before: T | null },
): [Key, unknown] {
  const { kind, members, hidden } = options.audited;
  const act = value === null
    ? "deleted"
    : restored !== undefined
    ? "restored"
    : before === null
    ? "created"
    : "changed";
  const shown = (some: T | null) => some === null ? null : members(some);
  const changes = changesBetween(shown(before), shown(value), hidden);
  return auditWrite(options, { ...author, action: `${kind}.${act}`, target: id, changes });
}

/** A page of versions. */
interface VersionsQuery {
  limit: number;
  before?: number;
}

/** The number of the newest version of a value; 0 if there is none. */
async function newestVersion<T>({ store, versions }: RegistryOptions<T>, id: string): Promise<number> {
  if (versions === undefined) return 0;
  const newest = store.list({ prefix: versions.prefix(id) }, { limit: 1, reverse: true });
  for await (const { key } of newest) return key.at(-1) as number;
  return 0;
}

async function versionsOf<T>(
  options: RegistryOptions<T>,
  id: string,
  { limit, before = Number.MAX_SAFE_INTEGER }: VersionsQuery,
): Promise<Version<T>[] | undefined> {
  const { store, versions } = options;
  if (versions === undefined) return undefined;
  const range = { start: versions.keyOf(id, 0), end: versions.keyOf(id, before) };
  const found: Version<T>[] = [];
  for await (const { value } of store.list(range, { limit, reverse: true })) found.push(options.read(value));
  return found.length === 0 && await newestVersion(options, id) === 0 ? undefined : found;
}
