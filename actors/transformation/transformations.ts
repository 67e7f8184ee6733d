/** Transformations: stored with all versions, tested at each save, applied to events, and tried. */
import type { Draft } from "../../domain/transformation/definition.ts";
import {
  type Definition,
  definitionOf,
  MAX_TRANSFORMATIONS,
  shownDefinition,
} from "../../domain/transformation/definition.ts";
import { wholeEvent } from "../../domain/transformation/case.ts";
import type { JsonObject } from "../../domain/event/json.ts";
import type { Outcome } from "../../domain/transformation/outcome.ts";
import type { CodeProblem } from "../../domain/transformation/program.ts";
import type { Author, Version } from "../configuration/registry.ts";
import { TooManyTransformations, TransformationInUse, TransformationTooLarge } from "../store/errors.ts";
import type { RollingProfiles } from "../reading/rolling_profiles.ts";
import { applyChain, type Link, type Positioned, type Transformed, type VersionName } from "./chain.ts";
import { type Check, type CheckOptions, checkRunnable } from "./check.ts";
import { createFigures, type TransformationFigures } from "./figures.ts";
import { type FailedCase, failedCases, type Runnable, runnableOf, wholePerson } from "./run_definition.ts";
import { createPersons } from "./persons_before.ts";
import { createSandbox, type Sandbox, type SandboxOptions } from "./sandbox.ts";
import {
  encode,
  MAX_STORED_BYTES,
  type Named,
  type StoredOptions,
  storedTransformations,
} from "./stored_transformations.ts";

/** A transformation as it is shown: of its params the names. */
export interface ShownTransformation extends JsonObject {
  name: string;
  /** Number of its changes, from 1. */
  version: number;
  updatedAt: string;
}

/** One version of a transformation. */
export interface ShownVersion extends Author {
  version: number;
  at: string;
  /** `deleted` if the transformation was deleted. */
  kind: Definition["kind"] | "deleted";
  current: boolean;
  restored?: number;
}

/** A save: the transformation, or what is wrong with its code, or the tests that failed. */
export type Saved =
  | { transformation: ShownTransformation }
  | { problem: CodeProblem }
  | { failed: FailedCase[] };

/** The outcome of a try. */
export type Tried = { outcome: Outcome; durationUs: number } | { problem: CodeProblem };

/** Transformations: a change takes effect at once in this process, elsewhere within 5 s. */
export interface Transformations {
  list(): Promise<ShownTransformation[]>;
  get(name: string): Promise<ShownTransformation | undefined>;
  /**
   * Saves a new version if its code can be read and its tests pass; with `dryRun` nothing is saved. Throws {@link
   * TooManyTransformations} and {@link TransformationTooLarge}.
   */
  put(name: string, draft: Draft, options: { author: Author; dryRun: boolean }): Promise<Saved>;
  /** Deletes; false if there is none. Throws {@link TransformationInUse}. */
  remove(name: string, author: Author): Promise<boolean>;
  /** Versions, newest first, at most `limit` of them before one; `undefined` if there never was one of this name. */
  versions(name: string, query: { limit: number; before?: number }): Promise<ShownVersion[] | undefined>;
  /** One version as it was saved; `undefined` if there is no such version, or if it was a deletion. */
  version(name: string, version: number): Promise<ShownTransformation | undefined>;
  /** Restores a version as a new one; `undefined` if there is no such version, or if it was a deletion. */
  restore(name: string, version: number, author: Author): Promise<ShownTransformation | undefined>;
  /** Runs a draft, or the current version, for one event; `undefined` if there is neither. */
  try(
    name: string,
    given: { event: unknown; draft?: Draft; person?: JsonObject },
  ): Promise<Tried | undefined>;
  /** The names of `names` that no transformation has. */
  missing(names: readonly string[]): Promise<string[]>;
  /** Resolves when the transformations are fresh enough; `undefined` if they already are. */
  fresh(): Promise<void> | undefined;
  /**
   * Runs a draft, or the current version, beside the current version, or the original, over the last events; `undefined` if
   * there is neither.
   */
  check(name: string, query: CheckQuery): Promise<Check | { problem: CodeProblem } | undefined>;
  /**
   * Applies transformations in order, with the versions that are current now. `reader` says whose place in the journal the
   * events are at, so that profiles roll on from one call to the next.
   */
  apply(names: readonly string[], events: readonly Positioned[], reader: string): Promise<Transformed[]>;
  /** Applies versions to an event again, for its trace; `undefined` if one of them is not stored any more. */
  rerun(by: readonly VersionName[], event: Positioned): Promise<Transformed | undefined>;
  /** Lets go of what is held of people: call it when somebody was erased. */
  forgetPeople(): void;
  figures(): TransformationFigures;
  close(): void;
}

/** What a check runs over. */
export type CheckQuery = Pick<CheckOptions, "last" | "where" | "onProgress" | "isCancelled"> & {
  draft?: Draft;
};

/** What transformations are given. */
export interface TransformationsOptions extends StoredOptions {
  createRolling(): RollingProfiles;
  /** The destinations that use a transformation. */
  usersOf(name: string): Promise<readonly string[]>;
  onFault(error: unknown): void;
  /** Begins a thread of engines: tests have their own. */
  beginThread?: SandboxOptions["beginThread"];
}

/** A transformation that this process holds, ready to run. */
interface Held extends Link {
  stored: Version<Named>;
}

/** Creates the transformations of a store. They are read before the first use. */
export function createTransformations(options: TransformationsOptions): Transformations {
  const { store, clock, newId, createRolling, usersOf, onFault, beginThread } = options;
  const persons = createPersons(createRolling);
  const sandbox = createSandbox({ clock, onFault, ...beginThread && { beginThread } });
  const figures = createFigures(sandbox);
  let held = new Map<string, Held>();
  const registry = storedTransformations(options, (values) => {
    held = new Map([...values].map(([name, stored]) => [name, holdOf(stored, held.get(name), sandbox)]));
  });

  /** A draft, ready to run as the next version. */
  async function drafted(name: string, draft: Draft) {
    await registry.refreshed();
    const standing = held.get(name);
    const definition = definitionOf(draft, standing?.stored.value?.definition);
    const runnable = runnableOf(definition, {
      key: `draft/${newId()}`,
      version: `${name}@${(standing?.version ?? 0) + 1}`,
      sandbox,
    });
    return { definition, runnable, loaded: await runnable.load(), next: (standing?.version ?? 0) + 1 };
  }

  async function save(value: Named, author: Author, restored?: number): Promise<ShownTransformation> {
    await registry.change(author, () => {
      if (!held.has(value.name) && held.size >= MAX_TRANSFORMATIONS) {
        throw new TooManyTransformations(`Transformation limit reached (${MAX_TRANSFORMATIONS}).`);
      }
      return [{ id: value.name, value, ...restored !== undefined && { restored } }];
    });
    return shown(held.get(value.name)!.stored);
  }

  return {
    async list() {
      await registry.refreshed();
      return [...held.values()].map(({ stored }) => shown(stored)).sort((a, b) => a.name < b.name ? -1 : 1);
    },
    async get(name) {
      await registry.refreshed();
      const found = held.get(name);
      return found && shown(found.stored);
    },
    async put(name, draft, { author, dryRun }) {
      const { definition, runnable, loaded, next } = await drafted(name, draft);
      if ("problem" in loaded) return loaded;
      const failed = await failedCases(runnable, definition.tests ?? []);
      if (failed.length > 0) return { failed };
      const value = { name, definition };
      refuseLarge(value);
      if (!dryRun) return { transformation: await save(value, author) };
      const at = new Date(clock.now()).toISOString();
      return { transformation: shown({ version: next, at, ...author, value }) };
    },
    async remove(name, author) {
      const destinations = await usersOf(name);
      if (destinations.length > 0) throw new TransformationInUse(destinations);
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
      const current = held.get(name)?.version;
      return versions?.map(({ version, at, by, address, value, restored }) => ({
        version,
        kind: value?.definition.kind ?? "deleted",
        at,
        by,
        address,
        current: version === current,
        ...restored !== undefined && { restored },
      }));
    },
    async version(name, version) {
      const [found] = await registry.versions(name, { limit: 1, before: version + 1 }) ?? [];
      return found?.version === version && found.value !== null ? shown(found) : undefined;
    },
    async restore(name, version, author) {
      const value = await registry.valueIn(name, version);
      return value && await save(value, author, version);
    },
    async try(name, { event, draft, person }) {
      const made = draft === undefined ? undefined : await drafted(name, draft);
      if (made !== undefined && "problem" in made.loaded) return made.loaded;
      await registry.refreshed();
      const runnable: Runnable | undefined = made?.runnable ?? held.get(name)?.runnable;
      if (runnable === undefined) return undefined;
      // Loaded before the clock starts: the time is that of the event alone.
      await runnable.load();
      const input = {
        event: wholeEvent(event, new Date(clock.now()).toISOString()),
        person: wholePerson(person),
      };
      const beganMs = clock.monotonic();
      const [outcome] = await runnable.run([input]);
      return { outcome: outcome!, durationUs: Math.round((clock.monotonic() - beganMs) * 1_000) };
    },
    async missing(names) {
      await registry.refreshed();
      return names.filter((name) => !held.has(name));
    },
    async check(name, { draft, ...query }) {
      const made = draft === undefined ? undefined : await drafted(name, draft);
      if (made !== undefined && "problem" in made.loaded) return made.loaded;
      await registry.refreshed();
      const current = held.get(name)?.runnable;
      const checked = made?.runnable ?? current;
      if (checked === undefined) return undefined;
      return await checkRunnable({
        ...query,
        store,
        clock,
        checked,
        standing: made === undefined ? undefined : current,
        personsBefore: persons.once(),
      });
    },
    fresh: registry.fresh,
    forgetPeople: persons.forget,
    async rerun(by, event) {
      const links: Link[] = [];
      for (const { name, version } of by) {
        const value = await registry.valueIn(name, version);
        if (value === undefined) return undefined;
        const key = `${name}@${version}`;
        links.push({ name, version, runnable: runnableOf(value.definition, { key, version: key, sandbox }) });
      }
      const [again] = await applyChain(links, [event], { personsBefore: persons.once(), count() {} });
      return again;
    },
    async apply(names, events, reader) {
      await registry.fresh();
      const links = names.map((name) => held.get(name));
      const unknown = names.find((_, index) => links[index] === undefined);
      if (unknown !== undefined) {
        const failure = { name: unknown, message: `No transformation is named ${unknown}.` };
        return events.map(() => ({ failure, by: [], logs: [] }));
      }
      return await applyChain(links as Held[], events, {
        personsBefore: persons.of(reader),
        count: figures.count,
      });
    },
    figures: figures.now,
    close: sandbox.close,
  };
}

function holdOf(stored: Version<Named>, known: Held | undefined, sandbox: Sandbox): Held {
  const { version } = stored;
  if (known?.version === version) return known;
  const { name, definition } = stored.value!;
  const key = `${name}@${version}`;
  return { name, version, stored, runnable: runnableOf(definition, { key, version: key, sandbox }) };
}

function shown({ version, at, value }: Version<Named>): ShownTransformation {
  const { name, definition } = value!;
  return { name, ...shownDefinition(definition), version, updatedAt: at };
}

function refuseLarge(value: Named): void {
  const bytes = encode(value).length;
  if (bytes <= MAX_STORED_BYTES) return;
  throw new TransformationTooLarge(
    `The transformation with its tests must compress to at most ${MAX_STORED_BYTES} bytes; it has ${bytes}.`,
  );
}
