/**
 * What readers must be told, by the sentences of the HTTP contract ("What an event does", "Reading"), worked out anew
 * for each question from the list of all accepted events. Naive on purpose: no states, no intervals, no positions.
 */
import { EVENT_TYPES, type StoredEvent } from "../../domain/event/event.ts";
import type { ActorKind } from "../../domain/profile/fact.ts";
import type { Past } from "../../actors/reading/as_of.ts";

/** An accepted event and its place in the order of arrival. */
interface Arrived {
  event: StoredEvent;
  ms: number;
  place: number;
}

type Json = Record<string, unknown>;

const byTime = (a: Arrived, b: Arrived) => a.ms - b.ms || a.place - b.place;
const iso = (ms: number) => new Date(ms).toISOString();
const PLACEHOLDERS = new Set(
  ("undefined,null,nil,none,nan,n/a,na,unknown,anonymous,guest,not_set,not set,-1,true,false,[object object],{},[]," +
    "(null),<null>,optional(nil),9774d56d682e549c").split(","),
);
const TEMPLATES = [["{{", "}}"], ["${", "}"], ["%", "%"]] as const;

/** Whether an id is a placeholder, which never links. */
function isPlaceholder(id: string): boolean {
  const text = id.trim().toLowerCase();
  const isOf = (letters: string) => [...text].every((letter) => letters.includes(letter));
  const isTemplate = TEMPLATES.some(([begin, end]) =>
    text.startsWith(begin) && text.endsWith(end) && text.length >= begin.length + end.length
  );
  return PLACEHOLDERS.has(text) || isOf("0-.") || isOf("f-") || isTemplate;
}

/** The anonymous id that an event links to its user. */
export function linkOf(event: StoredEvent): string | undefined {
  const id = event.type === "identify"
    ? event.anonymousId
    : event.type === "alias"
    ? event.previousId
    : undefined;
  if (event.userId === undefined || id === undefined || event.neverLinks === true) return undefined;
  return isPlaceholder(event.userId) || isPlaceholder(id) ? undefined : id;
}

const linkedBy = ({ event }: Arrived) => linkOf(event);

/** All that was accepted. An anonymous id that has had `maxOwners` owners is a placeholder from then on. */
export function createOracle({ maxOwners = 50 } = {}) {
  const all: Arrived[] = [];
  const seen = new Set<string>();

  /** What had happened, and was known, at a moment. */
  function known({ at = Infinity, asOf = Infinity }: Past = {}): Arrived[] {
    return all.filter(({ ms, event }) => ms <= at && Date.parse(event.receivedAt) <= asOf);
  }

  /** The links of an anonymous id that count, and whether the last of them made it a placeholder. */
  function linksOf(events: Arrived[], anonymousId: string): { links: Arrived[]; isOver: boolean } {
    const links = events.filter((each) => linkedBy(each) === anonymousId).sort(byTime);
    const usersUpTo = (index: number) =>
      new Set(links.slice(0, index + 1).map(({ event }) => event.userId)).size;
    const last = links.findIndex((_, index) => usersUpTo(index) === maxOwners);
    return last === -1 ? { links, isOver: false } : { links: links.slice(0, last + 1), isOver: true };
  }

  /** Who owns an event: its user, the owner of its anonymous id at its time, or nobody. */
  function ownerOf(events: Arrived[], each: Arrived): string | undefined {
    if (each.event.userId !== undefined) return each.event.userId;
    const { links, isOver } = linksOf(events, each.event.anonymousId!);
    if (isOver && byTime(links.at(-1)!, each) < 0) return undefined;
    const link = links.findLast((link) => byTime(link, each) < 0) ?? links[0];
    return link?.event.userId;
  }

  function groupTraits(events: Arrived[], groupId: string): Json {
    return traitsOf(events.filter(({ event }) => event.type === "group" && event.groupId === groupId));
  }

  /** The members of a profile that stand for a person's events. */
  function person(events: Arrived[], mine: Arrived[]): Json {
    const times = mine.map(({ ms }) => ms);
    const tracks = mine.filter(({ event }) => event.type === "track");
    const names = [...new Set(tracks.map(({ event }) => event.event!))];
    const joins = mine.filter(({ event }) => event.type === "group");
    const groupIds = [...new Set(joins.map(({ event }) => event.groupId!))].sort();
    return {
      traits: traitsOf(mine.filter(({ event }) => event.type === "identify")),
      groups: groupIds.map((groupId) => ({
        groupId,
        joinedAt: iso(
          Math.min(...joins.filter(({ event }) => event.groupId === groupId).map(({ ms }) => ms)),
        ),
        traits: groupTraits(events, groupId),
      })),
      firstSeen: iso(Math.min(...times)),
      lastSeen: iso(Math.max(...times)),
      eventCount: mine.length,
      counts: Object.fromEntries(
        EVENT_TYPES.map((type) => [type, mine.filter(({ event }) => event.type === type).length]),
      ),
      events: Object.fromEntries(
        names.sort().map((name) => {
          const times = tracks.filter(({ event }) => event.event === name).map(({ ms }) => ms);
          return [name, {
            count: times.length,
            firstAt: iso(Math.min(...times)),
            lastAt: iso(Math.max(...times)),
          }];
        }),
      ),
      context: mine.filter(({ event }) => event.context !== undefined).sort(byTime).at(-1)?.event.context ??
        {},
    };
  }

  function user(userId: string, past?: Past): Json | null {
    const events = known(past);
    const version = events.filter(({ event }) => event.userId === userId).length;
    if (version === 0) return null;
    const mine = events.filter((each) => each.event.userId === userId && linkedBy(each) !== undefined);
    const linked = mine.filter((each) => linksOf(events, linkedBy(each)!).links.includes(each));
    return {
      userId,
      anonymousIds: [...new Set(linked.map((each) => linkedBy(each)!))].sort(),
      ...person(events, events.filter((each) => ownerOf(events, each) === userId)),
      version,
    };
  }

  function logOf(kind: ActorKind, id: string): Arrived[] {
    return all.filter((each) => {
      const { event } = each;
      if (kind === "user") return ownerOf(all, each) === id;
      if (kind === "group") return event.type === "group" && event.groupId === id;
      return event.userId === undefined && event.anonymousId === id || linkedBy(each) === id;
    }).sort(byTime);
  }

  function add(event: StoredEvent): void {
    all.push({ event, ms: Date.parse(event.timestamp), place: all.length });
  }

  return {
    /** Takes an event; false where its message id was accepted before. */
    accept(event: StoredEvent): boolean {
      if (seen.has(event.messageId)) return false;
      seen.add(event.messageId);
      add(event);
      return true;
    },
    /** Takes an event that the journal has, whatever its message id. */
    add,
    /** Whose an accepted event is: its user's, its anonymous id's owner's at its time, or nobody's. */
    ownerOf: (event: StoredEvent): string | undefined =>
      ownerOf(all, all.find((each) => each.event === event)!),
    /** The number of accepted events. */
    size: () => all.length,
    user,
    anonymous(anonymousId: string, past?: Past): Json | null {
      const events = known(past);
      const { links, isOver } = linksOf(events, anonymousId);
      if (links.length > 0 && !isOver) return user(links.at(-1)!.event.userId!, past);
      const own = events.filter(({ event }) =>
        event.userId === undefined && event.anonymousId === anonymousId
      );
      const version = own.length + events.filter((each) => linkedBy(each) === anonymousId).length;
      const mine = own.filter((each) => ownerOf(events, each) === undefined);
      return mine.length === 0 ? null : { anonymousId, ...person(events, mine), version };
    },
    group(groupId: string, past?: Past): Json | null {
      const events = known(past);
      const mine = events.filter(({ event }) => event.type === "group" && event.groupId === groupId);
      if (mine.length === 0) return null;
      const times = mine.map(({ ms }) => ms);
      const members = mine.map((each) => ownerOf(events, each) ?? `anonymous ${each.event.anonymousId}`);
      return {
        groupId,
        traits: traitsOf(mine),
        memberCount: new Set(members).size,
        eventCount: mine.length,
        firstSeen: iso(Math.min(...times)),
        lastSeen: iso(Math.max(...times)),
        version: mine.length,
      };
    },
    /** The members of a group, in any order. */
    members(groupId: string): Record<string, string>[] | null {
      const joined = new Map<string, Record<string, string>>();
      const mine = all.filter(({ event }) => event.type === "group" && event.groupId === groupId).sort(
        byTime,
      );
      for (const each of mine.toReversed()) {
        const userId = ownerOf(all, each);
        const joinedAt = iso(each.ms);
        if (userId !== undefined) joined.set(`user ${userId}`, { userId, joinedAt });
        else {joined.set(`anonymous ${each.event.anonymousId}`, {
            anonymousId: each.event.anonymousId!,
            joinedAt,
          });}
      }
      return mine.length === 0 ? null : [...joined.values()];
    },
    /** A log, oldest first; `null` where nothing names the id. */
    log(kind: ActorKind, id: string): StoredEvent[] | null {
      const named = kind !== "user" || all.some(({ event }) => event.userId === id);
      const mine = logOf(kind, id);
      return named && mine.length > 0 ? mine.map(({ event }) => event) : null;
    },
  };
}

/** The oracle. */
export type Oracle = ReturnType<typeof createOracle>;

/** Traits merge by top-level key; null removes; the later timestamp wins, ties going to the later arrival. */
function traitsOf(events: Arrived[]): Json {
  const traits = new Map<string, unknown>();
  for (const { event } of events.toSorted(byTime)) {
    for (const [name, value] of Object.entries(event.traits ?? {})) traits.set(name, value);
  }
  const set = [...traits].filter(([, value]) => value !== null);
  return JSON.parse(`{${set.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)}}`);
}
