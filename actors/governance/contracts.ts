/** Event contracts: stored with all versions, held in memory, refreshed so often that a change takes effect in 5 s. */
import {
  type Checked,
  type Contract,
  type ContractMode,
  createContracts,
  type Draft,
  judge,
  type UnknownEvents,
  verdictOf,
} from "../../domain/contract/contract.ts";
import { canonicalJson } from "../../domain/event/json.ts";
import { checkDraft, type DraftCheck, findViolations, type LastViolations } from "./contract_dry_run.ts";
import {
  contractKey,
  CONTRACTS,
  CONTRACTS_CHANGED,
  contractVersionKey,
  contractVersions,
} from "../store/keys.ts";
import type { Clock } from "../store/clock.ts";
import type { Store } from "../store/store.ts";
import {
  type Author,
  type Change,
  createRegistry,
  type Registry,
  type RegistryOptions,
  type Version,
} from "../configuration/registry.ts";
import { TooManyContracts, UnsupportedSchema } from "../store/errors.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import type { Rejection } from "../../domain/event/rejection.ts";

/** Number of violations of a contract in this process since it started. */
export interface Violations {
  /** Its name; `UNKNOWN_EVENTS` for events without a contract. */
  contract: string;
  mode: "enforce" | "monitor";
  count: number;
}

/** A contract as it is now. */
export interface StoredContract extends Contract {
  /** Number of its changes, from 1. */
  version: number;
  updatedAt: string;
  /** Why it checks nothing and only monitors, if its schema is not supported. */
  notice?: string;
}

/** One change of a contract. */
export interface ContractVersion extends Author {
  version: number;
  at: string;
  /** The contract after the change; `null` if it was deleted. */
  contract: Contract | null;
  /** The version that was restored. */
  restored?: number;
}

/** What a contract says of an event. */
export interface ContractVerdict {
  name: string;
  version: number;
  mode: ContractMode;
  holds: boolean;
  errors: { path: string; message: string }[];
}

/** Event contracts: a change takes effect at once in this process, elsewhere within 5 s. */
export interface EventContracts {
  /** Resolves when the contracts are fresh enough; `undefined` if they already are. */
  fresh(): Promise<void> | undefined;
  /** Why an event is rejected; `undefined` if it is accepted. Reads no storage; a trial counts no violation. */
  judge(
    event: StoredEvent,
    options: { writeKeyId: string; unknown: UnknownEvents; isTrial?: boolean },
  ): Rejection | undefined;
  /** What each contract that applies to an event says of it, as the contracts are now. Counts nothing. */
  verdicts(event: StoredEvent, writeKeyId: string): ContractVerdict[];
  violations(): Violations[];
  list(): Promise<StoredContract[]>;
  get(name: string): Promise<StoredContract | undefined>;
  /** Creates or changes contracts, all or none. An equal contract makes no version. Throws {@link TooManyContracts}. */
  put(contracts: readonly Contract[], author: Author): Promise<StoredContract[]>;
  remove(name: string, author: Author): Promise<boolean>;
  /** Changes, newest first, at most `limit` of them before a version; `undefined` if there never was such a contract. */
  versions(name: string, query: { limit: number; before?: number }): Promise<ContractVersion[] | undefined>;
  /**
   * Restores a version of a contract; `undefined` if there is none, or if it was deleted then. Throws
   * {@link UnsupportedSchema}.
   */
  restore(name: string, version: number, author: Author): Promise<StoredContract | undefined>;
  /** Checks a draft with the last events of the journal. */
  check(draft: Draft & { name: string }, last: number): Promise<DraftCheck>;
  /** The last events of the journal that violate a contract, newest first. */
  lastViolations(contract: Contract): Promise<LastViolations>;
}

/** Each process holds all contracts in memory and reads them again after a change: far more than there are events. */
export const MAX_CONTRACTS = 200;

/** The name under which events without a contract are counted: the setting for them. */
export const NO_CONTRACT = "UNKNOWN_EVENTS";

/** The value of a contract's key and of its versions' keys: the contract as JSON in UTF-8, whose size is bounded. */
type StoredVersion = Omit<ContractVersion, "contract"> & { contract: Uint8Array | null };

export interface ContractsOptions {
  store: Store;
  clock: Clock;
  newId(): string;
}

/** Creates the contracts of a store. They are read before the first event. */
export function createEventContracts(options: ContractsOptions): EventContracts {
  let held = new Map<string, Held>();
  let contracts = createContracts([]);
  const counts = new Map<string, Violations>();
  const registry = registryOf(options, async (values) => {
    held = await heldOf(values, held);
    contracts = createContracts([...held.values()].map(({ checked }) => checked));
  });

  async function put(
    given: readonly Contract[],
    author: Author,
    restored?: number,
  ): Promise<StoredContract[]> {
    await registry.change(author, () => changesTo(given, { held, restored }));
    return given.flatMap(({ name }) => held.get(name)?.shown ?? []);
  }

  return {
    fresh: registry.fresh,
    judge(event, options) {
      // The whole cost of an event if there are no contracts.
      if (contracts.size === 0 && options.unknown === "allow") return undefined;
      return judge(contracts, event, {
        ...options,
        count: (contract, mode) => options.isTrial || count(counts, contract ?? NO_CONTRACT, mode),
      });
    },
    verdicts: (event, writeKeyId) =>
      contracts.meeting(event, writeKeyId).map((contract) => ({
        name: contract.name,
        version: held.get(contract.name)!.shown.version,
        mode: contract.mode,
        ...verdictOf(contract, event),
      })),
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
      // If storage denied a deletion that it did, the contract is gone at the second look: it was there at the first.
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
      await refuseUnsupported(contract);
      return (await put([contract], author, version))[0];
    },
    check: (draft, last) => checkDraft(options, draft, last),
    lastViolations: (contract) => findViolations(options, contract),
  };
}

function registryOf(
  options: ContractsOptions,
  onLoad: RegistryOptions<Contract>["onLoad"],
): Registry<Contract> {
  return createRegistry<Contract>({
    ...options,
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
    audited: { kind: "contract", members: ({ name: _, ...rest }) => ({ ...rest }) },
    onLoad,
  });
}

/** Counts a violation. */
function count(counts: Map<string, Violations>, contract: string, mode: ContractMode): void {
  const key = `${mode}/${contract}`;
  const known = counts.get(key);
  if (known !== undefined) known.count++;
  else counts.set(key, { contract, mode, count: 1 });
}

/** The changes that lead to the given contracts; an equal contract is no change. Throws {@link TooManyContracts}. */
function changesTo(
  given: readonly Contract[],
  { held, restored }: { held: ReadonlyMap<string, Held>; restored: number | undefined },
): Change<Contract>[] {
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
}

async function refuseUnsupported(contract: Contract): Promise<void> {
  const { readSchema } = await import("../../domain/contract/read_schema.ts");
  const { problem } = readSchema(contract.schema);
  if (problem !== undefined) throw new UnsupportedSchema(problem);
}

/** All contracts, ready to check events. An unchanged one stays the same object, with the code that was made of it. */
async function heldOf(
  values: ReadonlyMap<string, Version<Contract>>,
  before: ReadonlyMap<string, Held>,
): Promise<Map<string, Held>> {
  const found = new Map<string, Held>();
  for (const [name, { value, version, at }] of values) {
    const known = before.get(name);
    const isSame = known?.shown.version === version;
    found.set(name, isSame ? known : await hold({ ...value!, version, updatedAt: at }));
  }
  return found;
}

/** A contract as it is shown, and ready to check events. */
interface Held {
  shown: StoredContract;
  checked: Checked;
}

async function hold(contract: StoredContract): Promise<Held> {
  // Only if there is a contract: the engine's presence alone costs the path of every event.
  const { makeChecked } = await import("../../domain/contract/checked_contract.ts");
  const checked = makeChecked(contract);
  const { mode, notice } = checked;
  return { checked, shown: { ...contract, mode, ...notice !== undefined && { notice } } };
}

const encode = (contract: Contract): Uint8Array => new TextEncoder().encode(JSON.stringify(contract));
const decode = (bytes: Uint8Array): Contract => JSON.parse(new TextDecoder().decode(bytes));

/** Whether two contracts are equal, in whatever order their members are. */
function isSame(contract: Contract, other: StoredContract | undefined): boolean {
  if (other === undefined || other.notice !== undefined) return false;
  const { version: _, updatedAt: __, ...standing } = other;
  return canonicalJson(contract) === canonicalJson(standing);
}
