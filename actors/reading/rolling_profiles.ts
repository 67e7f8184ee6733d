/**
 * The profiles just before events, for somebody who goes through the journal in order: states are kept and rolled on from
 * event to event, so that nobody's history is folded anew for each of their events.
 *
 * How it works: all that is held is folded up to one position, the cursor. To move on, the events between are read and
 * folded into what is held. Somebody who is not held is folded from their logs, up to the cursor, and held from then on.
 */
import { type Anonymous, evolveAnonymous, NO_OWNER, ownerOf } from "../../domain/profile/anonymous.ts";
import { parseExact } from "../../domain/event/exact_json.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import { comparePositions, END, justBefore, type Position } from "../../domain/event/position.ts";
import { type Fact, factOf, linkedBy } from "../../domain/profile/fact.ts";
import { evolveGroup, type Group } from "../../domain/profile/group.ts";
import { emptyPerson, evolvePerson, type Person } from "../../domain/profile/person.ts";
import { anonymousProfile, personOf, type Profile, userProfile } from "../../domain/profile/profile.ts";
import { traitsOf } from "../../domain/profile/register.ts";
import { ERASED_LINE } from "../journal/body.ts";
import { linesOfEntry, positionIn, readJournal } from "../journal/read_journal.ts";
import { createSerialQueue } from "../store/serial_queue.ts";
import { createPast } from "./as_of.ts";
import { createViews, type ViewsOptions } from "./consistent_read.ts";
import { createLinked } from "./user_parts.ts";
import { contextOf, GROUPS_BYTES, MAX_GROUPS } from "./user_profile.ts";

/** Bounds of what is held. */
export const ROLLING_LIMITS = {
  /** Bytes of states; beyond them everything is let go, and folded again as it is needed. */
  heldBytes: 32 * 1024 * 1024,
  /** Events between two that are asked for. Beyond them it is faster to fold one person from their logs. */
  rolledEvents: 2_000,
};
export type RollingLimits = typeof ROLLING_LIMITS;

/** Bytes of an empty state. */
const STATE_BYTES = 1_000;

/** A user's own log, and the anonymous ids that may have been theirs. */
interface HeldUser {
  own: Person;
  version: number;
  anonymousIds: Set<string>;
}

/** An anonymous id, and the number of its events. */
interface HeldAnonymous {
  state: Anonymous;
  version: number;
}

/** Profiles just before events. */
export interface RollingProfiles {
  /** The profile of an event's person just before it; `null` if they had no events. Fast if positions rise. */
  before(event: StoredEvent, position: Position): Promise<Profile | null>;
  /** Lets everything go: call it when somebody was erased. */
  forget(): void;
}

/** Creates rolling profiles. They hold nothing before the first use. */
export function createRollingProfiles(
  options: ViewsOptions,
  limits: RollingLimits = ROLLING_LIMITS,
): RollingProfiles {
  const inTurn = createSerialQueue();
  let held = createHeld(options);
  let cursor: Position | undefined;

  async function before(event: StoredEvent, position: Position): Promise<Profile | null> {
    const upTo = justBefore(position);
    if (position === END || cursor !== undefined && comparePositions(position, cursor) <= 0) {
      // An event that is in no journal, or that was passed before, such as a retry: nothing is rolled for it.
      return await createHeld(options).profileOf(event, upTo);
    }
    if (cursor === undefined || held.bytes() > limits.heldBytes || !await rollTo(upTo)) {
      held = createHeld(options);
    }
    cursor = upTo;
    return await held.profileOf(event, upTo);
  }

  /** Folds the events up to a position into what is held; false if there are too many. */
  async function rollTo(upTo: Position): Promise<boolean> {
    const mine = held;
    let events = 0;
    for await (const entry of readJournal(options.store, { after: cursor!, upTo, batch: 8 })) {
      events += entry.header.n;
      if (events > limits.rolledEvents) return false;
      const copies = options.journal.copiesOf(entry);
      for (const [index, line] of (await linesOfEntry(options.store, entry)).entries()) {
        const place = positionIn(entry, index);
        if (place <= cursor! || place > upTo || line === ERASED_LINE || copies?.[index] === 1) continue;
        mine.evolve(factOf(parseExact(line) as StoredEvent, place));
      }
    }
    return mine === held;
  }

  return {
    before: (event, position) => inTurn(() => before(event, position)),
    forget() {
      cursor = undefined;
      held = createHeld(options);
    },
  };
}

/** States that are folded up to one position. */
function createHeld(options: ViewsOptions) {
  const views = createViews(options);
  const linked = createLinked(options.store, views);
  const past = createPast(options, { views, linked });
  const users = new Map<string, HeldUser>();
  const anonymous = new Map<string, HeldAnonymous>();
  const groups = new Map<string, Group>();

  function evolve(fact: Fact): void {
    const user = fact.userId === undefined ? undefined : users.get(fact.userId);
    const link = linkedBy(fact);
    if (user !== undefined) {
      evolvePerson(user.own, fact);
      user.version++;
      if (link !== undefined) user.anonymousIds.add(link);
    }
    const anonymousId = link ?? (fact.userId === undefined ? fact.anonymousId : undefined);
    const known = anonymousId === undefined ? undefined : anonymous.get(anonymousId);
    if (known !== undefined) {
      known.version++;
      // A link among older ones: the log is folded again when it is needed.
      if (!evolveAnonymous(known.state, fact, anonymousId!)) anonymous.delete(anonymousId!);
    }
    const group = fact.groupId === undefined ? undefined : groups.get(fact.groupId);
    if (group !== undefined) evolveGroup(group, fact);
  }

  function userAt(userId: string, upTo: Position): Promise<HeldUser> {
    return remembered(users, userId, () =>
      views.viewed(async (extend, generation) => {
        const { view, own, parts, actors } = await linked.userOf(extend, generation, userId);
        const person = emptyPerson();
        let version = 0;
        for await (const fact of past.facts(view, own, { past: { upTo } })) {
          evolvePerson(person, fact);
          version++;
        }
        return { own: person, version, anonymousIds: new Set([...parts.keys(), ...actors.keys()]) };
      }));
  }

  function anonymousAt(id: string, upTo: Position): Promise<HeldAnonymous> {
    return remembered(anonymous, id, () =>
      views.viewed(async (extend) => {
        const { view, actor } = await views.readActor(extend, "anonymous", id);
        const { state, count } = await past.anonymous(view, actor, { upTo });
        return { state, version: count };
      }));
  }

  function groupAt(id: string, upTo: Position): Promise<Group> {
    return remembered(groups, id, () =>
      views.viewed(async (extend) => {
        const { view, actor } = await views.readActor(extend, "group", id);
        return await past.group(view, actor, { upTo });
      }));
  }

  async function userProfileAt(userId: string, upTo: Position): Promise<Profile | null> {
    const { own, version, anonymousIds } = await userAt(userId, upTo);
    if (version === 0) return null;
    const { shares, isCut } = await linked.sharesOf(
      [...anonymousIds],
      async (id) => (await anonymousAt(id, upTo)).state.parts.get(userId),
    );
    const person = personOf(own, shares.values());
    if (isCut) person.dropped++;
    const more = { ...await moreOf(person, upTo), version, anonymousIds: [...shares.keys()].sort() };
    return userProfile(userId, person, more);
  }

  async function anonymousProfileAt(anonymousId: string, upTo: Position): Promise<Profile | null> {
    const { state, version } = await anonymousAt(anonymousId, upTo);
    const owner = ownerOf(state);
    if (owner !== undefined) return await userProfileAt(owner, upTo);
    const person = state.parts.get(NO_OWNER);
    if (person === undefined) return null;
    return anonymousProfile(anonymousId, person, { ...await moreOf(person, upTo), version });
  }

  async function moreOf(person: Person, upTo: Position) {
    const groupTraits = new Map<string, Record<string, unknown>>();
    let bytes = 0;
    for (const groupId of person.groups.keys()) {
      if (groupTraits.size >= MAX_GROUPS || bytes > GROUPS_BYTES) break;
      const group = await groupAt(groupId, upTo);
      groupTraits.set(groupId, traitsOf(group.traits));
      bytes += group.bytes;
    }
    return { groupTraits, context: await contextOf(options, person) };
  }

  return {
    evolve,
    profileOf({ userId, anonymousId }: StoredEvent, upTo: Position): Promise<Profile | null> {
      if (userId !== undefined) return userProfileAt(userId, upTo);
      return anonymousId === undefined ? Promise.resolve(null) : anonymousProfileAt(anonymousId, upTo);
    },
    /** Approximate bytes of all states. */
    bytes(): number {
      let sum = STATE_BYTES * (users.size + anonymous.size + groups.size);
      for (const { own } of users.values()) sum += own.bytes;
      for (const { state } of anonymous.values()) {
        for (const part of state.parts.values()) sum += part.bytes + STATE_BYTES;
      }
      for (const group of groups.values()) sum += group.bytes;
      return sum;
    },
  };
}

async function remembered<T>(known: Map<string, T>, id: string, load: () => Promise<T>): Promise<T> {
  let found = known.get(id);
  if (found === undefined) known.set(id, found = await load());
  return found;
}
