/** The definitions of audiences: stored with all versions, and held in memory by every process. */
import { cycleThrough, readWhere } from "../../domain/audience/definition.ts";
import { audiencesIn } from "../../domain/audience/definition.ts";
import type { AudienceDefinition, DefinitionProblem, Node } from "../../domain/audience/tree.ts";
import { parseExact } from "../../domain/event/exact_json.ts";
import { canonicalJson } from "../../domain/event/json.ts";
import { type Author, createRegistry, type Version } from "../configuration/registry.ts";
import type { Clock } from "../store/clock.ts";
import {
  audienceKey,
  AUDIENCES,
  AUDIENCES_CHANGED,
  audienceVersionKey,
  audienceVersions,
} from "../store/keys.ts";
import type { Store } from "../store/store.ts";

/** Audiences at most: each process holds all of them, and each may be touched by an event. */
export const MAX_AUDIENCES = 200;

/** A definition as it is stored. */
export type NamedDefinition = AudienceDefinition & { name: string };

/** A definition with its version, from 1. */
export interface StoredDefinition extends NamedDefinition {
  version: number;
  updatedAt: string;
}

/** Why a change is refused. */
export type DefinitionRefusal =
  | { refused: "invalid"; problems: DefinitionProblem[] }
  | { refused: "too_many" }
  | { refused: "in_use"; by: string };

/** The definitions of a store. */
export type Definitions = ReturnType<typeof createDefinitions>;

/** Creates the registry of definitions. */
export function createDefinitions(options: { store: Store; clock: Clock; newId(): string }) {
  let trees = new Map<string, Node>();
  const registry = createRegistry<NamedDefinition>({
    ...options,
    named: "audiences",
    mark: AUDIENCES_CHANGED,
    prefix: AUDIENCES,
    keyOf: audienceKey,
    versions: { prefix: audienceVersions, keyOf: audienceVersionKey },
    write: ({ value, ...rest }) => ({ ...rest, value: value && encode(value) }),
    read(stored) {
      const { value, ...rest } = stored as Version<Uint8Array>;
      return { ...rest, value: value && decode(value) };
    },
    idOf: ({ name }) => name,
    audited: { kind: "audience", members: ({ name: _, ...rest }) => ({ ...rest }) },
    onLoad(values) {
      trees = new Map([...values].flatMap(([name, { value }]) => {
        const read = readWhere(value!.where);
        return "problems" in read ? [] : [[name, read.where] as const];
      }));
    },
  });

  const shown = (name: string): StoredDefinition | undefined => {
    const found = registry.values().get(name);
    return found && { ...found.value!, version: found.version, updatedAt: found.at };
  };

  /** Why a definition may not be saved under a name; references are looked up among the current ones. */
  function problemsOf(name: string, where: unknown): DefinitionProblem[] {
    const read = readWhere(where);
    if ("problems" in read) return read.problems;
    const unknown = audiencesIn(read.where).find((other) => other !== name && !trees.has(other));
    if (unknown !== undefined) {
      return [{
        path: "where",
        message: `must name audiences that exist; there is no ${JSON.stringify(unknown)}`,
      }];
    }
    const cycle = cycleThrough(name, new Map([...trees, [name, read.where]]));
    if (cycle === undefined) return [];
    return [{ path: "where", message: `must not refer to itself: ${cycle.join(" → ")}` }];
  }

  return {
    fresh: registry.fresh,
    refresh: registry.refresh,
    /** The mark of the definitions that this process knows is read together with them: call `refresh` first. */
    all: (): StoredDefinition[] => [...registry.values().keys()].sort().map((name) => shown(name)!),
    async list(): Promise<StoredDefinition[]> {
      await registry.refreshed();
      return [...registry.values().keys()].sort().map((name) => shown(name)!);
    },
    async get(name: string): Promise<StoredDefinition | undefined> {
      await registry.refreshed();
      return shown(name);
    },
    /** Why a draft may not be saved; empty if it may. */
    async check(name: string, where: unknown): Promise<DefinitionProblem[]> {
      await registry.refreshed();
      return problemsOf(name, where);
    },
    /** Creates or changes an audience. An equal definition makes no version. */
    async put(
      definition: NamedDefinition,
      author: Author,
    ): Promise<{ definition: StoredDefinition } | DefinitionRefusal> {
      let refusal: DefinitionRefusal | undefined;
      const { name } = definition;
      await registry.change(author, () => {
        refusal = undefined;
        const problems = problemsOf(name, definition.where);
        if (problems.length > 0) refusal = { refused: "invalid", problems };
        const before = registry.values().get(name);
        if (before === undefined && registry.values().size >= MAX_AUDIENCES) {
          refusal = { refused: "too_many" };
        }
        if (refusal !== undefined) return [];
        if (before !== undefined && canonicalJson(before.value) === canonicalJson(definition)) return [];
        return [{ id: name, value: definition }];
      });
      return refusal ?? { definition: shown(name)! };
    },
    /** Deletes an audience: `false` if there is none. One that another names is refused. */
    async remove(name: string, author: Author): Promise<boolean | DefinitionRefusal> {
      let refusal: DefinitionRefusal | undefined;
      let wasThere = false;
      await registry.change(author, () => {
        refusal = undefined;
        if (!registry.values().has(name)) return [];
        const user = [...trees].find(([other, where]) => other !== name && audiencesIn(where).includes(name));
        if (user !== undefined) {
          refusal = { refused: "in_use", by: user[0] };
          return [];
        }
        wasThere = true;
        return [{ id: name, value: null }];
      });
      return refusal ?? wasThere;
    },
    versions: registry.versions,
  };
}

const encode = (definition: NamedDefinition): Uint8Array =>
  new TextEncoder().encode(JSON.stringify(definition));
const decode = (bytes: Uint8Array): NamedDefinition =>
  parseExact(new TextDecoder().decode(bytes)) as NamedDefinition;
