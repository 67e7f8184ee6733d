/** What was: persons and groups folded afresh from their logs, up to a moment or a place of the journal. */
import { emptyGroup, evolveGroup, type Group } from "../../domain/profile/group.ts";
import { emptyPerson, eventCountOf, evolvePerson, type Person } from "../../domain/profile/person.ts";
import { personOf } from "../../domain/profile/profile.ts";
import type { createLinked } from "./user_parts.ts";
import type { Actor, Stretch, View, Views } from "./consistent_read.ts";

type Linked = ReturnType<typeof createLinked>;

/** What a user is made of, as `userOf` reads it. */
export type UserParts = Awaited<ReturnType<Linked["userOf"]>>;

/** A user as they were: the person, the number of events in their own log, and the anonymous ids that they owned. */
export interface PastUser {
  person: Person;
  version: number;
  anonymousIds: string[];
}

/** Makes what folds the past. */
export function createPast({ views, linked }: { views: Views; linked: Linked }) {
  return {
    /** A user in a past, `undefined` where nothing was known of them. */
    async person(made: UserParts, userId: string, past: Stretch): Promise<PastUser | undefined> {
      const { view, own, parts, actors, isWhole } = made;
      const person = emptyPerson();
      for await (const fact of views.pastFacts(view, own, { past })) evolvePerson(person, fact);
      const version = eventCountOf(person);
      if (version === 0) return undefined;
      const { shares, isCut } = await linked.sharesOf([...parts.keys(), ...actors.keys()], async (id) => {
        const actor = actors.get(id) ?? await views.actorOf(view, "anonymous", id);
        return (await views.pastAnonymous(view, actor, past)).state.parts.get(userId);
      });
      const whole = personOf(person, shares.values());
      if (isCut || !isWhole) whole.dropped++;
      return { person: whole, version, anonymousIds: [...shares.keys()].sort() };
    },
    /** A group in a past, empty where nothing was known of it. */
    async group(view: View, actor: Actor, past: Stretch): Promise<Group> {
      const group = emptyGroup();
      for await (const fact of views.pastFacts(view, actor, { past })) evolveGroup(group, fact);
      return group;
    },
  };
}
