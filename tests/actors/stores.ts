/** The kinds of store that tests run over. */
import { type Entry, openStore, type Range, type Store, type Write } from "../../actors/store/store.ts";
import { StorageUnavailable } from "../../actors/store/errors.ts";

/** A place of one test, gone after it; each `open` gives a store over the same data, to be closed by who opened it. */
export interface StorePlace extends AsyncDisposable {
  open(): Promise<Store>;
}

/** A kind of store. */
export interface StoreKind {
  name: string;
  make(): Promise<StorePlace>;
}

/** In memory: the data outlives each `close`, until the test is over. */
export const MEMORY: StoreKind = {
  name: ":memory:",
  async make() {
    const store = await openStore(":memory:");
    return {
      open: () => Promise.resolve({ ...store, close() {} }),
      [Symbol.asyncDispose]() {
        store.close();
        return Promise.resolve();
      },
    };
  },
};

/** A file, each time with handles of its own, as another process has. */
export const FILE: StoreKind = {
  name: "file",
  async make() {
    const folder = await Deno.makeTempDir();
    return {
      open: () => openStore(`${folder}/test.db`),
      async [Symbol.asyncDispose]() {
        await Deno.remove(folder, { recursive: true });
      },
    };
  },
};

/** What befalls a write. */
export type Fault =
  /** It is not done, and throws. */
  | "lost"
  /** It is done, and throws. */
  | "done but lost"
  /** It is done, and says that it was not: KV Connect does so when an answer was lost and the client tried again. */
  | "done but denied"
  /** It is not done, and the process is dead: nothing works from then on. */
  | "dead"
  /** It is done, and the process is dead. */
  | "done but dead";

export const FAULTS: Fault[] = ["lost", "done but lost", "done but denied", "dead", "done but dead"];

/** A store with a fault. */
export interface FaultyStore extends Store {
  /** Resolves when the process is dead. */
  died: Promise<void>;
  /** Whether it is. */
  isDead(): boolean;
  /** How many writes there were. */
  writes(): number;
}

/** What befalls a store: at the n-th write, counted from 1. `unavailable` makes the error of a code that is a copy. */
export interface Befalling {
  nth: number;
  fault: Fault;
  /** Whether a write is counted; by default each is. */
  counts?(write: Write): boolean;
  unavailable?(message: string): Error;
}

/** A store over another that something befalls. */
export function withFault(
  store: Store,
  { nth, fault, counts = () => true, unavailable = (message) => new StorageUnavailable(message) }: Befalling,
): FaultyStore {
  const death = Promise.withResolvers<void>();
  let dead = false;
  let writes = 0;
  const alive = () => {
    // Not StorageUnavailable, which would be met by another try.
    if (dead) throw new Error("the process is dead");
  };
  async function* list<T>(...args: Parameters<Store["list"]>): AsyncGenerator<Entry<T>> {
    alive();
    for await (const entry of store.list<T>(...args)) {
      alive();
      yield entry;
    }
  }
  return {
    ...store,
    died: death.promise,
    isDead: () => dead,
    writes: () => writes,
    async get<T>(...args: Parameters<Store["get"]>) {
      alive();
      return await store.get<T>(...args);
    },
    async scan<T>(range: Range, limit: number, take: (entry: Entry<T>) => void) {
      alive();
      return await store.scan<T>(range, limit, take);
    },
    async getMany<T>(...args: Parameters<Store["getMany"]>) {
      alive();
      return await store.getMany<T>(...args);
    },
    list,
    async commit(write) {
      alive();
      if (!counts(write) || ++writes !== nth) return await store.commit(write);
      const isDone = fault.startsWith("done");
      const written = isDone ? await store.commit(write) : null;
      if (fault.endsWith("dead")) {
        dead = true;
        death.resolve();
        alive();
      }
      // A conflict is one, whatever befalls the answer.
      if (fault === "done but denied") return null;
      throw unavailable(`the write was ${written === null ? "" : "done and "}lost`);
    },
  };
}
