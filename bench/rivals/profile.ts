/** The profile that the rivals keep: what signalfold's holds of traits, counts and times, without identity and groups. */
import type { StoredEvent } from "../../domain/event/event.ts";

/** How often an event of one name came, and when first and last. */
interface NameCount {
  count: number;
  firstAt: string;
  lastAt: string;
}

/** A profile, or what some events add to one. */
export interface Profile {
  eventCount: number;
  firstSeen: string;
  lastSeen: string;
  traits: Record<string, unknown>;
  context: Record<string, unknown>;
  counts: Record<string, number>;
  events: Record<string, NameCount>;
}

/** Who an event is about, as a key: `user/u1` or `anonymous/a1`. */
export function ownerOf(event: StoredEvent): string {
  return event.userId === undefined ? `anonymous/${event.anonymousId}` : `user/${event.userId}`;
}

/** A profile and one event to the profile after it; the profile given may be changed. */
export function evolve(profile: Profile | null, event: StoredEvent): Profile {
  const at = event.timestamp;
  const next = profile ??
    { eventCount: 0, firstSeen: at, lastSeen: at, traits: {}, context: {}, counts: {}, events: {} };
  next.eventCount++;
  next.firstSeen = earlier(next.firstSeen, at);
  next.lastSeen = later(next.lastSeen, at);
  next.context = event.context ?? next.context;
  next.counts[event.type] = (next.counts[event.type] ?? 0) + 1;
  if (event.type === "identify") Object.assign(next.traits, event.traits);
  if (event.type === "track" && event.event !== undefined) {
    const before = next.events[event.event];
    next.events[event.event] = {
      count: (before?.count ?? 0) + 1,
      firstAt: earlier(before?.firstAt ?? at, at),
      lastAt: later(before?.lastAt ?? at, at),
    };
  }
  return next;
}

/** What a reader is shown: a trait that was set to `null`, which is how a sender removes one, is kept but hidden. */
export function shown(profile: Profile): Record<string, unknown> {
  const traits = Object.entries(profile.traits).filter(([, value]) => value !== null);
  return { ...profile, traits: Object.fromEntries(traits) };
}

// Times are ISO 8601 in UTC with milliseconds, whose order is that of their text.
const earlier = (a: string, b: string) => a < b ? a : b;
const later = (a: string, b: string) => a > b ? a : b;
