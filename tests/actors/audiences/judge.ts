/** A system with audiences, held against membership by the book. */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import type { System } from "../../../actors/system.ts";
import { linesOfEntry, readJournal } from "../../../actors/journal/read_journal.ts";
import type { Store } from "../../../actors/store/store.ts";
import type { StoredEvent } from "../../../domain/event/event.ts";
import type { Code } from "../../simulation/product.ts";
import { type Definitions, journalOf, membershipAt, type Question } from "../../domain/audience/oracle.ts";
import { MINUTE, type Random } from "../../domain/audience/random.ts";

type Json = Record<string, unknown>;

/** Users of a history. */
export const USERS = ["u1", "u2"];

/** The state of a history: what the book says, and the system that is compared with it. */
export interface World {
  code: Code;
  random: Random;
  store: Store;
  system: System;
  clock: { ms: number };
  events: StoredEvent[];
  definitions: Record<string, { where: Json; emit: boolean }>;
  /** Who is known to be a member, by transitions and silent builds: `audience/user`. */
  announced: Map<string, boolean>;
  seen: Set<string>;
  faults: unknown[];
  n: number;
}

function questionOf({ events, definitions }: World, userId: string): Question {
  const wheres: Definitions = Object.fromEntries(
    Object.entries(definitions).map(([name, { where }]) => [name, where]),
  );
  return { journal: journalOf(events), definitions: wheres, userId };
}

/** Who is a member of what, by the book. */
export function standings(world: World): Map<string, boolean> {
  const found = new Map<string, boolean>();
  for (const userId of USERS) {
    const question = questionOf(world, userId);
    for (const name of Object.keys(world.definitions)) {
      found.set(`${name}/${userId}`, membershipAt(question, name, world.clock.ms)?.member ?? false);
    }
  }
  return found;
}

/** Compares everything that can be read. */
export async function compare(world: World): Promise<void> {
  const { system: { audiences }, random, clock } = world;
  const iso = (ms: number) => new Date(ms).toISOString();
  for (const name of Object.keys(world.definitions)) {
    const expected: Json[] = [];
    for (const userId of USERS) {
      const question = questionOf(world, userId);
      const membership = membershipAt(question, name, clock.ms);
      const shown = membership?.member && {
        since: iso(membership.since!),
        ...membership.next !== undefined && { until: iso(membership.next) },
      };
      if (shown) expected.push({ userId, ...shown });
      const found = await audiences.member(name, userId);
      strictEqual(found === null, membership === undefined, `${name} of ${userId} is there`);
      if (found !== null) {
        const { explain, ...stay } = found;
        deepStrictEqual(stay, { member: membership!.member, ...shown }, `${name} of ${userId}`);
        strictEqual(explain.holds, membership!.member);
      }
      const past = clock.ms - random.below(20 * MINUTE);
      const then = await audiences.member(name, userId, past);
      const thenExpected = membershipAt(question, name, past);
      strictEqual(then?.member, thenExpected?.member, `${name} of ${userId} at ${past / MINUTE}`);
    }
    const { members } = await audiences.list(name, { limit: 500 });
    deepStrictEqual(members, expected, `members of ${name}`);
    strictEqual((await audiences.get(name))!.members, expected.length, `number of members of ${name}`);
  }
}

/** The transitions in the journal, in order. */
export async function transitionsOf(store: Store): Promise<StoredEvent[]> {
  const found: StoredEvent[] = [];
  for await (const entry of readJournal(store, {})) {
    const events: StoredEvent[] = (await linesOfEntry(store, entry)).map((line) => JSON.parse(line));
    found.push(...events.filter(({ derived }) => derived === true));
  }
  return found;
}

/** Each change of a membership is announced once, and nothing else is. */
export async function compareTransitions(
  world: World,
  { before, changed, isOnce }: {
    before: ReadonlyMap<string, boolean>;
    changed: ReadonlySet<string>;
    /** Whether everything happened at one moment. */
    isOnce: boolean;
  },
): Promise<void> {
  const fresh = (await transitionsOf(world.store)).filter(({ messageId }) => !world.seen.has(messageId));
  const byPerson = new Map<string, StoredEvent[]>();
  for (const event of fresh) {
    world.seen.add(event.messageId);
    const key = `${event.properties!.audience}/${event.userId}`;
    byPerson.set(key, [...byPerson.get(key) ?? [], event]);
  }
  for (const [key, isMember] of standings(world)) {
    const [name] = key.split("/") as [string];
    const events = byPerson.get(key) ?? [];
    if (!world.definitions[name]!.emit) {
      deepStrictEqual(events, [], `${key} is not announced`);
      continue;
    }
    // A new audience, or one that begins to be announced, is entered silently.
    let state = world.announced.get(key);
    if (state === undefined && !before.has(key)) deepStrictEqual(events, [], `${key} is entered silently`);
    state ??= events[0] === undefined ? isMember : events[0].event === "Audience Exited";
    for (const { event } of events) {
      strictEqual(event, state ? "Audience Exited" : "Audience Entered", `${key} alternates`);
      state = !state;
    }
    strictEqual(state, isMember, `${key} is announced as it is`);
    world.announced.set(key, state);
    if (isOnce && events.length > 1 && !changed.has(name)) {
      ok(events.length === 2 && isMember, `${key} left and came back at the most`);
    }
  }
}
