/** The profiles just before events: what the events with smaller positions say, whatever their timestamps. */
import { EVENT_TYPES, type StoredEvent } from "../../domain/event/event.ts";
import type { JsonObject } from "../../domain/event/json.ts";
import { justBefore } from "../../domain/event/position.ts";
import type { Reader } from "../reading/profiles.ts";
import type { PersonsBefore, Positioned } from "./chain.ts";

/** Profiles that are read at once. */
const AT_ONCE = 8;

/** Reads each profile by itself. */
export function createPersonsBefore(reader: Pick<Reader, "user" | "anonymous">): PersonsBefore {
  async function before({ event, position }: Positioned): Promise<JsonObject> {
    const past = { upTo: justBefore(position) };
    const { userId, anonymousId } = event;
    const found = userId !== undefined
      ? await reader.user(userId, past)
      : anonymousId === undefined
      ? null
      : await reader.anonymous(anonymousId, past);
    return found ?? emptyProfile(event);
  }

  return async (events) => {
    const profiles: JsonObject[] = [];
    for (let from = 0; from < events.length; from += AT_ONCE) {
      profiles.push(...await Promise.all(events.slice(from, from + AT_ONCE).map(before)));
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
