/** The destinations: defined by administrators, stored with sealed secrets, held in memory by every process. */
import { Buffer } from "node:buffer";
import { parseExact } from "../../domain/event/exact_json.ts";
import { isObject, type JsonObject } from "../../domain/event/json.ts";
import {
  type Definition,
  definitionOf,
  type Draft,
  MAX_DESTINATIONS,
  missingSecret,
  withoutSecrets,
} from "../../domain/forwarding/definition.ts";
import { createFilter, type Filter } from "../../domain/forwarding/filter.ts";
import { isSecretName } from "../../domain/forwarding/secret_name.ts";
import { type Author, type Change, createRegistry, type Version } from "../configuration/registry.ts";
import type { Sealed, Sealing } from "../destinations/sealing.ts";
import type { Clock } from "../store/clock.ts";
import { destinationKey, DESTINATIONS, DESTINATIONS_CHANGED } from "../store/keys.ts";
import type { Store } from "../store/store.ts";
import type { Start } from "./state.ts";

/** A destination as it is stored. */
interface Stored {
  name: string;
  /** For life: a destination of the same name that is created later has another. */
  id: string;
  /** Without secrets. */
  definition: Definition;
  sealed: Sealed;
  start: Start;
  /** Why the system paused it, or gave it up. */
  paused?: string;
  off?: string;
}

/** A destination in memory. */
export interface Destination {
  name: string;
  id: string;
  /** With secrets. */
  definition: Definition;
  start: Start;
  paused?: string;
  off?: string;
  filter: Filter;
  /** The secrets of a webhook that are valid at a time, the newest first. */
  secretsAt(now: number): string[];
  /** Changes with each change of the destination. */
  version: string;
}

/** Thrown at the limit of destinations. */
export class TooManyDestinations extends RangeError {
  override name = "TooManyDestinations";
}

/** Thrown for a definition that lacks a secret. */
export class MissingSecret extends Error {
  override name = "MissingSecret";
  constructor(readonly setting: string) {
    super(`${setting} is required`);
  }
}

/** For how long a rotated secret is valid. */
const ROTATED_MS = 24 * 3_600_000;

/** Bytes of a webhook's secret. */
const SECRET_BYTES = 24;

/** Why a destination whose secrets cannot be opened is paused. */
const UNREADABLE = "its secrets were encrypted with another SECRETS_KEY";

/** What destinations are given. */
export interface DestinationsOptions {
  store: Store;
  clock: Clock;
  newId(): string;
  randomBytes(bytes: Uint8Array): void;
  sealing: Sealing;
  /** Called when any of them has changed, in whatever process. */
  onChange(): void;
}

/** The outcome of a PUT. */
export interface Saved {
  destination: Destination;
  isNew: boolean;
  /** A webhook's secret that this call made. */
  madeSecret?: string;
}

/** The destinations of a database. */
export type Destinations = ReturnType<typeof createDestinations>;

/** Creates the registry of destinations. It reads nothing before its first use. */
export function createDestinations(options: DestinationsOptions) {
  const { sealing, newId, clock } = options;
  let held = new Map<string, Destination>();
  const registry = createRegistry<Stored>({
    ...options,
    named: "destinations",
    mark: DESTINATIONS_CHANGED,
    prefix: DESTINATIONS,
    keyOf: destinationKey,
    // As JSON, so that integers in conditions keep their digits.
    write: ({ value, ...rest }) => ({
      ...rest,
      value: value && { ...value, definition: JSON.stringify(value.definition) },
    }),
    read(stored) {
      const { value, ...rest } = stored as Version<Omit<Stored, "definition"> & { definition: string }>;
      return {
        ...rest,
        value: value && { ...value, definition: parseExact(value.definition) as Definition },
      };
    },
    idOf: ({ name }) => name.toLowerCase(),
    audited: {
      kind: "destination",
      members: ({ definition, paused, off }) => ({ ...definition, paused, off }),
    },
    onLoad(values) {
      const before = held;
      held = new Map([...values].map(([key, { value, at, version }]) => {
        const known = before.get(key);
        const stamp = `${value!.id} ${at} ${version} ${JSON.stringify(value)}`;
        return [key, known?.version === stamp ? known : hold(value!, stamp, sealing)];
      }));
      options.onChange();
    },
  });

  const storedOf = (name: string) => registry.values().get(name.toLowerCase())?.value ?? undefined;

  async function change(
    name: string,
    author: Author,
    map: (stored: Stored) => Stored | undefined,
  ): Promise<Destination | undefined> {
    await registry.change(author, (): Change<Stored>[] => {
      const stored = storedOf(name);
      const next = stored && map(stored);
      return next === undefined ? [] : [{ id: name.toLowerCase(), value: next }];
    });
    return held.get(name.toLowerCase());
  }

  return {
    /** All of them, as this process knows them, by name. */
    all: () => [...held.values()].sort((a, b) => a.name.toLowerCase() < b.name.toLowerCase() ? -1 : 1),
    byName: (name: string) => held.get(name.toLowerCase()),
    byId: (id: string) => held.values().find((each) => each.id === id),
    fresh: registry.fresh,
    refreshed: registry.refreshed,
    refresh: registry.refresh,
    /** Creates or replaces one. `startOf` is asked for a new one only. Throws {@link TooManyDestinations}, {@link MissingSecret}. */
    async put(
      name: string,
      { draft, author, startOf }: { draft: Draft; author: Author; startOf(from: string): Promise<Start> },
    ): Promise<Saved> {
      await registry.refreshed();
      const start = held.has(name.toLowerCase()) ? undefined : await startOf(draft.from ?? "now");
      const id = newId();
      let isNew = false;
      let madeSecret: string | undefined;
      await registry.change(author, () => {
        const standing = held.get(name.toLowerCase());
        const stored = storedOf(name);
        if (stored?.id === id) return [];
        isNew = standing === undefined;
        if (isNew && held.size >= MAX_DESTINATIONS) {
          throw new TooManyDestinations(`Destination limit reached (${MAX_DESTINATIONS}).`);
        }
        const definition = definitionOf(draft, standing?.definition);
        madeSecret = undefined;
        if (definition.kind === "webhook" && definition.settings.secret === undefined) {
          definition.settings.secret = madeSecret = makeSecret(options);
        }
        const missing = missingSecret(definition);
        if (missing !== undefined) throw new MissingSecret(missing);
        const { paused, off } = stored ?? {};
        const value = write({
          name: stored?.name ?? name,
          id: stored?.id ?? id,
          start: stored?.start ?? start!,
          // Whoever says `enabled` decides anew.
          ...draft.enabled === undefined && paused !== undefined && { paused },
          ...draft.enabled === undefined && off !== undefined && { off },
        }, definition);
        return [{ id: name.toLowerCase(), value }];
      });
      return {
        destination: held.get(name.toLowerCase())!,
        isNew,
        ...madeSecret !== undefined && { madeSecret },
      };
    },
    async remove(name: string, author: Author): Promise<Destination | undefined> {
      let removed: Destination | undefined;
      await registry.change(author, () => {
        const found = held.get(name.toLowerCase());
        removed = found ?? removed;
        return found === undefined ? [] : [{ id: name.toLowerCase(), value: null }];
      });
      return removed;
    },
    /** Stops it until somebody resumes it; with a reason if the system does so. */
    pause: (name: string, author: Author, reason?: string) =>
      change(name, author, ({ paused: _, ...stored }) => ({
        ...stored,
        definition: { ...stored.definition, enabled: false },
        ...reason !== undefined && { paused: reason },
      })),
    resume: (name: string, author: Author) =>
      change(name, author, ({ paused: _, off: __, ...stored }) => ({
        ...stored,
        definition: { ...stored.definition, enabled: true },
      })),
    turnOff: (name: string, author: Author, reason: string) =>
      change(name, author, (stored) => ({ ...stored, off: reason })),
    /** Makes a new webhook secret; the one before stays valid for 24 h. `undefined` if it is no webhook. */
    async rotate(
      name: string,
      author: Author,
    ): Promise<{ destination: Destination; secret: string } | undefined> {
      const secret = makeSecret(options);
      const destination = await change(name, author, (stored) => {
        const definition = held.get(name.toLowerCase())?.definition;
        if (definition?.kind !== "webhook" || definition.settings.secret === secret) return undefined;
        const settings: JsonObject = {
          ...definition.settings,
          secret,
          previousSecret: definition.settings.secret,
          previousSecretUntil: clock.now() + ROTATED_MS,
        };
        return write(stored, { ...definition, settings });
      });
      return destination?.definition.settings.secret === secret ? { destination, secret } : undefined;
    },
  };

  function write(of: Omit<Stored, "definition" | "sealed">, definition: Definition): Stored {
    const { name, id, start, paused, off } = of;
    return {
      name,
      id,
      start,
      ...paused !== undefined && { paused },
      ...off !== undefined && { off },
      definition: { ...definition, settings: withoutSecrets(definition.settings) },
      sealed: sealing.seal(secretsIn(definition.settings)),
    };
  }
}

function hold(stored: Stored, version: string, sealing: Sealing): Destination {
  const secrets = sealing.open(stored.sealed);
  const settings = withSecrets(stored.definition.settings, secrets ?? {});
  const definition = { ...stored.definition, settings };
  const paused = secrets === undefined ? UNREADABLE : stored.paused;
  return {
    name: stored.name,
    id: stored.id,
    definition: secrets === undefined ? { ...definition, enabled: false } : definition,
    start: stored.start,
    ...paused !== undefined && { paused },
    ...stored.off !== undefined && { off: stored.off },
    filter: createFilter(stored.name, definition),
    secretsAt(now) {
      const { secret, previousSecret, previousSecretUntil } = settings;
      const isValid = typeof previousSecretUntil === "number" && previousSecretUntil > now;
      return [secret, isValid ? previousSecret : undefined].filter((each) => typeof each === "string");
    },
    version,
  };
}

/** The secrets in settings, at the top and in `headers`. */
function secretsIn(settings: JsonObject): JsonObject {
  const { headers, ...rest } = settings;
  const found = Object.fromEntries(Object.entries(rest).filter(([name]) => isSecretName(name)));
  return isObject(headers) ? { ...found, headers: secretsIn(headers) } : found;
}

function withSecrets(settings: JsonObject, secrets: JsonObject): JsonObject {
  const { headers, ...rest } = secrets;
  const own = isObject(settings.headers) || isObject(headers)
    ? { headers: { ...settings.headers as JsonObject, ...headers as JsonObject } }
    : {};
  return { ...settings, ...rest, ...own };
}

function makeSecret({ randomBytes }: Pick<DestinationsOptions, "randomBytes">): string {
  const bytes = new Uint8Array(SECRET_BYTES);
  randomBytes(bytes);
  return `whsec_${Buffer.from(bytes).toString("base64")}`;
}
