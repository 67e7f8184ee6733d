/** The stored transformations: all versions are kept, and every process holds the newest ones in memory. */
import { parseExact } from "../../domain/event/exact_json.ts";
import type { Definition } from "../../domain/transformation/definition.ts";
import {
  type Author,
  createRegistry,
  type Registry,
  type RegistryOptions,
  type Version,
} from "../configuration/registry.ts";
import type { Clock } from "../store/clock.ts";
import { compress, decompress } from "../store/codec.ts";
import {
  transformationKey,
  TRANSFORMATIONS,
  TRANSFORMATIONS_CHANGED,
  transformationVersionKey,
  transformationVersions,
} from "../store/keys.ts";
import type { Store } from "../store/store.ts";

/** What the stored transformations are given. */
export interface StoredOptions {
  store: Store;
  clock: Clock;
  newId(): string;
}

/** A transformation with its name. */
export interface Named {
  name: string;
  definition: Definition;
}

/** A version as it is stored: the name and the definition as compressed JSON. A stored format. */
interface StoredVersion extends Author {
  version: number;
  at: string;
  transformation: Uint8Array | null;
  restored?: number;
}

/** Bytes of a compressed transformation: with its version it fits one value of the store. */
export const MAX_STORED_BYTES = 60_000;

/** Creates the registry of transformations. */
export function storedTransformations(
  options: StoredOptions,
  onLoad: RegistryOptions<Named>["onLoad"],
): Registry<Named> {
  return createRegistry<Named>({
    ...options,
    named: "transformations",
    mark: TRANSFORMATIONS_CHANGED,
    prefix: TRANSFORMATIONS,
    keyOf: transformationKey,
    versions: { prefix: transformationVersions, keyOf: transformationVersionKey },
    write: ({ value, ...rest }): StoredVersion => ({ ...rest, transformation: value && encode(value) }),
    read(stored): Version<Named> {
      const { transformation, ...rest } = stored as StoredVersion;
      return { ...rest, value: transformation && decode(transformation) };
    },
    idOf: ({ name }) => name,
    audited: { kind: "transformation", members: ({ definition }) => ({ ...definition }) },
    onLoad,
  });
}

/** The stored bytes of a transformation. */
export function encode(value: Named): Uint8Array {
  return compress(new TextEncoder().encode(JSON.stringify(value)));
}

function decode(bytes: Uint8Array): Named {
  return parseExact(decompress(bytes).toString()) as Named;
}
