/** Event contracts: kept with all their versions, held in memory, watched so that a change holds everywhere in 5 s. */
import {
  type Checked,
  type Contract,
  type ContractMode,
  createContracts,
  type Draft,
  judge,
  type UnknownEvents,
} from "../../domain/contract/contract.ts";
import { canonicalJson } from "../../domain/event/json.ts";
import { checkDraft, type DraftCheck } from "./contract_dry_run.ts";
import {
  contractKey,
  CONTRACTS,
  CONTRACTS_CHANGED,
  contractVersionKey,
  contractVersions,
  type Key,
} from "../store/keys.ts";
import type { Clock } from "../store/clock.ts";
import type { Store } from "../store/store.ts";
import { createTurns } from "../store/serial_queue.ts";
import { createWatched } from "../store/cached_config.ts";
import { NotServing, TooManyContracts, UnsupportedSchema } from "../store/errors.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import type { Rejection } from "../../domain/event/rejection.ts";

/** How often a contract was violated in this process since it started. */
export interface Violations {
  /** Its name; `UNKNOWN_EVENTS` for events that no contract names. */
  contract: string;
  mode: "enforce" | "monitor";
  count: number;
}

/** A contract as it stands. */
export interface StoredContract extends Contract {
  /** Counts its changes, from 1. */
  version: number;
  updatedAt: string;
  /** Why it checks nothing, and so only monitors, where its schema is not supported. */
  notice?: string;
}

/** Who changed a contract, from where. */
export interface Author {
  by: string;
  address: string;
}

/** One change of a contract. */
export interface ContractVersion extends Author {
  version: number;
  at: string;
  /** What it then was; `null` for one that was deleted. */
  contract: Contract | null;
  /** The version that was gone back to. */
  restored?: number;
}

/** Event contracts: changes hold at once in this process, elsewhere within 5 s. */
export interface EventContracts {
  /** Resolves when what is known is fresh enough to judge by; nothing where it is already. */
  fresh(): Promise<void> | undefined;
  /** Why an event is not taken, or nothing. Reads no storage. */
  judge(
    event: StoredEvent,
    options: { writeKeyId: string; unknown: UnknownEvents },
  ): Rejection | undefined;
  /** The names of the contracts that mean an event. */
  namesFor(event: StoredEvent, writeKeyId: string): string[];
  violations(): Violations[];
  list(): Promise<StoredContract[]>;
  get(name: string): Promise<StoredContract | undefined>;
  /** Makes or changes contracts, all or none. What is so already makes no version. Throws {@link TooManyContracts}. */
  put(contracts: readonly Contract[], author: Author): Promise<StoredContract[]>;
  remove(name: string, author: Author): Promise<boolean>;
  /** Changes, newest first, at most `limit` of them before a version; `undefined` where there never was such a contract. */
  versions(name: string, query: { limit: number; before?: number }): Promise<ContractVersion[] | undefined>;
  /**
   * Goes back to what a contract was in a version; `undefined` where there is none, or it was deleted then. Throws
   * {@link UnsupportedSchema}.
   */
  restore(name: string, version: number, author: Author): Promise<StoredContract | undefined>;
  /** Holds a draft against the last events of the journal. */
  check(draft: Draft & { name: string }, last: number): Promise<DraftCheck>;
}

/** All contracts are in the memory of each process, and read again with each change: far more than there are events. */
export const MAX_CONTRACTS = 200;

/** What events that no contract names are counted under: the setting that says what becomes of them. */
export const NO_CONTRACT = "UNKNOWN_EVENTS";

/** A change that another process gets ahead of is tried so often. */
const TRIES = 10;

/** What stands under a contract's key and its versions': the contract as JSON in UTF-8, whose size has a bound. */
type StoredVersion = Omit<ContractVersion, "contract"> & { contract: Uint8Array | null };

/** Makes the contracts of a store. They are read before the first event. */
export function createEventContracts(
  { store, clock, newId }: { store: Store; clock: Clock; newId(): string },
): EventContracts {
  let stored = new Map<string, Held>();
  let contracts = createContracts([]);
  const counts = new Map<string, Violations>();

  async function load(): Promise<void> {
    const found = new Map<string, Held>();
    for await (const { value } of store.list<StoredVersion>({ prefix: CONTRACTS })) {
      const contract = standing(value!);
      const known = stored.get(contract.name);
      // The same object, and so the code that was made of it.
      found.set(contract.name, known?.shown.version === contract.version ? known : await hold(contract));
    }
    stored = found;
    contracts = createContracts([...found.values()].map(({ checked }) => checked));
  }

  const watched = createWatched(store, { clock, mark: CONTRACTS_CHANGED, load });

  function count(contract: string | null, mode: ContractMode): void {
    const key = `${mode}/${contract ?? NO_CONTRACT}`;
    const known = counts.get(key);
    if (known !== undefined) known.count++;
    else counts.set(key, { contract: contract ?? NO_CONTRACT, mode, count: 1 });
  }

  /** Those that come at once would only get in each other's way. */
  const inTurn = createTurns();
  const update: typeof updateNow = (author, plan) => inTurn(() => updateNow(author, plan));

  /** Writes changes as new versions with the mark; `plan` sees what is there, and gives what shall be. */
  async function updateNow(author: Author, plan: () => Promise<Change[]>): Promise<void> {
    for (let tries = 0; tries < TRIES; tries++) {
      const mark = await store.get(CONTRACTS_CHANGED);
      await watched.refresh();
      const changes = await plan();
      if (changes.length === 0) return;
      const sets: [Key, unknown][] = [[CONTRACTS_CHANGED, newId()]];
      const deletes: Key[] = [];
      for (const { name, contract, restored } of changes) {
        const version: StoredVersion = {
          version: await newestVersion(name) + 1,
          at: new Date(clock.now()).toISOString(),
          by: author.by,
          address: author.address,
          contract: contract === null ? null : encode(contract),
          ...restored !== undefined && { restored },
        };
        sets.push([contractVersionKey(name, version.version), version]);
        if (contract === null) deletes.push(contractKey(name));
        else sets.push([contractKey(name), version]);
      }
      // Every change moves the mark, so it alone tells whether another was ahead.
      const written = await store.commit({ checks: [{ key: mark.key, stamp: mark.stamp }], sets, deletes });
      if (written === null) continue;
      return await watched.refresh();
    }
    throw new NotServing("Other processes keep changing contracts.", "contention");
  }

  async function newestVersion(name: string): Promise<number> {
    const newest = store.list({ prefix: contractVersions(name) }, { limit: 1, reverse: true });
    for await (const { key } of newest) return key[2] as number;
    return 0;
  }

  async function put(
    given: readonly Contract[],
    author: Author,
    restored?: number,
  ): Promise<StoredContract[]> {
    await update(author, () => {
      const changes = given.filter((contract) => !isSame(contract, stored.get(contract.name)?.shown));
      const added = changes.filter(({ name }) => !stored.has(name)).length;
      if (stored.size + added > MAX_CONTRACTS && added > 0) {
        throw new TooManyContracts(`there may be ${MAX_CONTRACTS} contracts`);
      }
      return Promise.resolve(changes.map((contract) => ({
        name: contract.name,
        contract,
        ...restored !== undefined && { restored },
      })));
    });
    return given.flatMap(({ name }) => stored.get(name)?.shown ?? []);
  }

  return {
    fresh: watched.fresh,
    judge(event, options) {
      // All that an event pays where there are none.
      if (contracts.size === 0 && options.unknown === "allow") return undefined;
      return judge(contracts, event, { ...options, count });
    },
    namesFor: (event, writeKeyId) => contracts.meeting(event, writeKeyId).map(({ name }) => name),
    violations: () => [...counts.values()].map((each) => ({ ...each })),
    async list() {
      await watched.refreshed();
      return [...stored.values()].map(({ shown }) => shown).sort((a, b) => a.name < b.name ? -1 : 1);
    },
    async get(name) {
      await watched.refreshed();
      return stored.get(name)?.shown;
    },
    put: (given, author) => put(given, author),
    async remove(name, author) {
      // Where storage denied a write that it did, it is gone at the second look: it was there at the first.
      let wasThere = false;
      await update(author, () => {
        if (!stored.has(name)) return Promise.resolve([]);
        wasThere = true;
        return Promise.resolve([{ name, contract: null }]);
      });
      return wasThere;
    },
    async versions(name, { limit, before = Number.MAX_SAFE_INTEGER }) {
      const range = { start: contractVersionKey(name, 0), end: contractVersionKey(name, before) };
      const versions: ContractVersion[] = [];
      for await (const { value } of store.list<StoredVersion>(range, { limit, reverse: true })) {
        versions.push({ ...value!, contract: value!.contract && decode(value!.contract) });
      }
      return versions.length === 0 && await newestVersion(name) === 0 ? undefined : versions;
    },
    async restore(name, version, author) {
      const { value } = await store.get<StoredVersion>(contractVersionKey(name, version));
      if (value === null || value.contract === null) return undefined;
      const contract = decode(value.contract);
      const { readSchema } = await import("../../domain/contract/read_schema.ts");
      const { problem } = readSchema(contract.schema);
      if (problem !== undefined) throw new UnsupportedSchema(problem);
      return (await put([contract], author, version))[0];
    },
    check: (draft, last) => checkDraft({ store, clock }, draft, last),
  };
}

interface Change {
  name: string;
  contract: Contract | null;
  restored?: number;
}

/** A contract as it is shown, and as events are held against it. */
interface Held {
  shown: StoredContract;
  checked: Checked;
}

async function hold(contract: StoredContract): Promise<Held> {
  // Not before there is one: the engine's presence alone costs the path of every event.
  const { makeChecked } = await import("../../domain/contract/checked_contract.ts");
  const checked = makeChecked(contract);
  const { mode, notice } = checked;
  return { checked, shown: { ...contract, mode, ...notice !== undefined && { notice } } };
}

const encode = (contract: Contract): Uint8Array => new TextEncoder().encode(JSON.stringify(contract));
const decode = (bytes: Uint8Array): Contract => JSON.parse(new TextDecoder().decode(bytes));

function standing({ version, at, contract }: StoredVersion): StoredContract {
  return { ...decode(contract!), version, updatedAt: at };
}

/** Whether a contract says what another does, members in whatever order. */
function isSame(contract: Contract, other: StoredContract | undefined): boolean {
  if (other === undefined || other.notice !== undefined) return false;
  const { version: _, updatedAt: __, ...standing } = other;
  return canonicalJson(contract) === canonicalJson(standing);
}
