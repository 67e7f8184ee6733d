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
} from "../store/keys.ts";
import type { Clock } from "../store/clock.ts";
import type { Store } from "../store/store.ts";
import { type Author, createRegistry } from "../configuration/registry.ts";
import { TooManyContracts, UnsupportedSchema } from "../store/errors.ts";
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

/** One change of a contract. */
export interface ContractVersion extends Author {
  version: number;
  at: string;
  /** What it then was; `null` for one that was deleted. */
  contract: Contract | null;
  /** The version that was restored. */
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

/** What stands under a contract's key and its versions': the contract as JSON in UTF-8, whose size has a bound. */
type StoredVersion = Omit<ContractVersion, "contract"> & { contract: Uint8Array | null };

/** Makes the contracts of a store. They are read before the first event. */
export function createEventContracts(
  { store, clock, newId }: { store: Store; clock: Clock; newId(): string },
): EventContracts {
  let held = new Map<string, Held>();
  let contracts = createContracts([]);
  const counts = new Map<string, Violations>();
  const registry = createRegistry<Contract>({
    store,
    clock,
    newId,
    named: "contracts",
    mark: CONTRACTS_CHANGED,
    prefix: CONTRACTS,
    keyOf: contractKey,
    versions: { prefix: contractVersions, keyOf: contractVersionKey },
    write: ({ value, ...rest }): StoredVersion => ({ ...rest, contract: value && encode(value) }),
    read(stored) {
      const { contract, ...rest } = stored as StoredVersion;
      return { ...rest, value: contract && decode(contract) };
    },
    idOf: ({ name }) => name,
    async onLoad(values) {
      const found = new Map<string, Held>();
      for (const [name, { value, version, at }] of values) {
        const known = held.get(name);
        // The same object, and so the code that was made of it.
        const isSame = known?.shown.version === version;
        found.set(name, isSame ? known : await hold({ ...value!, version, updatedAt: at }));
      }
      held = found;
      contracts = createContracts([...found.values()].map(({ checked }) => checked));
    },
  });

  function count(contract: string | null, mode: ContractMode): void {
    const key = `${mode}/${contract ?? NO_CONTRACT}`;
    const known = counts.get(key);
    if (known !== undefined) known.count++;
    else counts.set(key, { contract: contract ?? NO_CONTRACT, mode, count: 1 });
  }

  async function put(
    given: readonly Contract[],
    author: Author,
    restored?: number,
  ): Promise<StoredContract[]> {
    await registry.change(author, () => {
      const changes = given.filter((contract) => !isSame(contract, held.get(contract.name)?.shown));
      const added = changes.filter(({ name }) => !held.has(name)).length;
      if (held.size + added > MAX_CONTRACTS && added > 0) {
        throw new TooManyContracts(`Contract limit reached (${MAX_CONTRACTS}).`);
      }
      return changes.map((contract) => ({
        id: contract.name,
        value: contract,
        ...restored !== undefined && { restored },
      }));
    });
    return given.flatMap(({ name }) => held.get(name)?.shown ?? []);
  }

  return {
    fresh: registry.fresh,
    judge(event, options) {
      // All that an event pays where there are none.
      if (contracts.size === 0 && options.unknown === "allow") return undefined;
      return judge(contracts, event, { ...options, count });
    },
    namesFor: (event, writeKeyId) => contracts.meeting(event, writeKeyId).map(({ name }) => name),
    violations: () => [...counts.values()].map((each) => ({ ...each })),
    async list() {
      await registry.refreshed();
      return [...held.values()].map(({ shown }) => shown).sort((a, b) => a.name < b.name ? -1 : 1);
    },
    async get(name) {
      await registry.refreshed();
      return held.get(name)?.shown;
    },
    put: (given, author) => put(given, author),
    async remove(name, author) {
      // Where storage denied a write that it did, it is gone at the second look: it was there at the first.
      let wasThere = false;
      await registry.change(author, () => {
        if (!held.has(name)) return [];
        wasThere = true;
        return [{ id: name, value: null }];
      });
      return wasThere;
    },
    async versions(name, query) {
      const versions = await registry.versions(name, query);
      return versions?.map(({ value, ...rest }) => ({ ...rest, contract: value }));
    },
    async restore(name, version, author) {
      const contract = await registry.valueIn(name, version);
      if (contract === undefined) return undefined;
      const { readSchema } = await import("../../domain/contract/read_schema.ts");
      const { problem } = readSchema(contract.schema);
      if (problem !== undefined) throw new UnsupportedSchema(problem);
      return (await put([contract], author, version))[0];
    },
    check: (draft, last) => checkDraft({ store, clock }, draft, last),
  };
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

/** Whether a contract says what another does, members in whatever order. */
function isSame(contract: Contract, other: StoredContract | undefined): boolean {
  if (other === undefined || other.notice !== undefined) return false;
  const { version: _, updatedAt: __, ...standing } = other;
  return canonicalJson(contract) === canonicalJson(standing);
}
