/** The profiles just before events, for each reader of the journal: what the events with smaller positions say. */
import { EVENT_TYPES, type StoredEvent } from "../../domain/event/event.ts";
import type { JsonObject } from "../../domain/event/json.ts";
import type { RollingProfiles } from "../reading/rolling_profiles.ts";
import type { PersonsBefore } from "./chain.ts";

/** Readers whose profiles are kept: more than there are destinations. */
const MAX_READERS = 64;

/** Profiles for several readers, each at its own place in the journal. */
export interface Persons {
  /** The profiles for a reader, by its id. */
  of(reader: string): PersonsBefore;
  /** The profiles for one who reads once. */
  once(): PersonsBefore;
  /** Lets everything go: call it when somebody was erased. */
  forget(): void;
}

/** Creates the profiles. Nothing is read or held before somebody asks. */
export function createPersons(createRolling: () => RollingProfiles): Persons {
  const rolling = new Map<string, RollingProfiles>();
  return {
    of(reader) {
      const known = rolling.get(reader) ?? createRolling();
      rolling.delete(reader);
      rolling.set(reader, known);
      if (rolling.size > MAX_READERS) rolling.delete(rolling.keys().next().value!);
      return beforeAll(known);
    },
    once: () => beforeAll(createRolling()),
    forget() {
      for (const each of rolling.values()) each.forget();
    },
  };
}

function beforeAll(rolling: RollingProfiles): PersonsBefore {
  return async (events) => {
    const profiles: JsonObject[] = [];
    for (const { event, position } of events) {
      profiles.push(await rolling.before(event, position) ?? emptyProfile(event));
    }
    return profiles;
  };
}

/** The profile of somebody before their first event: with the members of others, so that code need not look for them. */
export function emptyProfile({ userId, anonymousId }: StoredEvent): JsonObject {
  return {
    ...userId === undefined ? { anonymousId } : { userId, anonymousIds: [] },
    traits: {},
    groups: [],
    firstSeen: null,
    lastSeen: null,
    eventCount: 0,
    counts: Object.fromEntries(EVENT_TYPES.map((type) => [type, 0])),
    events: {},
    context: {},
    version: 0,
  };
}
