/** Bugs that are planted in a copy of the source, to see that random histories find them. */
import type { Patch } from "../../simulation/product.ts";

/** A planted bug. */
export interface AudienceBug {
  name: string;
  patch: Patch;
}

const bug = (name: string, file: string, find: string, replace: string): AudienceBug => ({
  name,
  patch: { file, find, replace },
});

/** The bugs. */
export const AUDIENCE_BUGS: readonly AudienceBug[] = [
  bug(
    "a late event is not inserted",
    "domain/audience/evidence.ts",
    "list.splice(at, 0, evidence);",
    "if (at === list.length) list.push(evidence);",
  ),
  bug(
    "a window closes on the wrong side",
    "domain/audience/evaluate.ts",
    "at: match.at + fromMs",
    "at: match.at + fromMs + 1",
  ),
  bug(
    "a window opens on the wrong side",
    "domain/audience/evaluate.ts",
    "at: match.at + toMs",
    "at: match.at + toMs + 1",
  ),
  bug(
    "an event at the end of a step comes too late",
    "domain/audience/sequence.ts",
    "at <= before[0] + withinMs",
    "at < before[0] + withinMs",
  ),
  bug(
    "moments that come while nobody serves are lost",
    "actors/audiences/follow.ts",
    "if (!isLeft) return at;",
    "if (at > now) return at;",
  ),
  bug(
    "an entry of the agenda is lost",
    "actors/audiences/people.ts",
    "if (dueAt !== null) sets.push([audienceDueKey(world.no, dueAt, value.id), value.id]);",
    "",
  ),
  bug(
    "a transition is announced again after a replay",
    "actors/audiences/build.ts",
    "if (was !== undefined && is !== undefined) continue;",
    "",
  ),
  bug(
    "a transition is announced again after a crash",
    "actors/audiences/transition_event.ts",
    "messageId: `audience-${id}`",
    "messageId: `audience-${id}${Math.random()}`",
  ),
  bug(
    "a transition is lost at a crash",
    "actors/audiences/follow.ts",
    "await append(events);\n",
    "for (const key of keys) await lease.write({ deletes: [key] });\n      await append(events);\n",
  ),
  bug(
    "a group's change does not reach its members",
    "actors/audiences/apply.ts",
    "for (const groupId of stretch.groups.keys())",
    "for (const groupId of [] as string[])",
  ),
  bug(
    "an event of an anonymous id does not reach its user",
    "actors/audiences/apply.ts",
    "owners.set(user, [...owners.get(user) ?? [], ...added])",
    "void user",
  ),
  bug(
    "a link does not make past events known",
    "domain/audience/person.ts",
    "known: Math.max(each.at, firstLink)",
    "known: each.at",
  ),
  bug(
    "an erased person stays in the lists",
    "actors/audiences/erase.ts",
    "await eraseUser(lease, ledger, own!);",
    "",
  ),
  bug(
    "an erased person is still known",
    "actors/audiences/follow.ts",
    "if (parts.knownIn !== knownIn) parts.known.clear();",
    "",
  ),
  bug(
    "an erased person's transitions stay in the journal",
    "actors/audiences/erase.ts",
    "if (names.userId !== undefined) await eraseDerived(options, lease, names.userId);",
    "",
  ),
  bug(
    "a build ends before it has what came meanwhile",
    "actors/audiences/build.ts",
    "if (build.position < position) await catchUp(parts, lease, world);",
    "if (build.position < position) await lease.write({ change: { build: { ...build, position } } });",
  ),
  bug(
    "a stay that only moved is announced",
    "domain/audience/transitions.ts",
    "if (stay !== undefined) return [];",
    "",
  ),
  bug(
    "a derived event counts for its person",
    "actors/audiences/stretch.ts",
    "event.derived !== true",
    "event.derived !== null",
  ),
];
