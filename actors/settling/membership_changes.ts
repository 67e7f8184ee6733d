/** Who joins and leaves which group by what a round folds. */
import { type Anonymous, NO_OWNER } from "../../domain/profile/anonymous.ts";
import type { Member } from "../store/keys.ts";
import type { MemberChange } from "./group_members.ts";

/** Who is in which group by an anonymous id: its owners, or itself while it has none. */
export function groupsOf(
  state: Anonymous,
  anonymousId: string,
): [who: Member, source: string, Map<string, number>][] {
  return [...state.parts].map(([owner, part]) =>
    owner === NO_OWNER
      ? [["anonymous", anonymousId], "", new Map(part.groups)]
      : [["user", owner], anonymousId, new Map(part.groups)]
  );
}

export type Groups = ReturnType<typeof groupsOf>;

/** The changes from the memberships before to those after. */
export function differences(before: Groups, after: Groups): MemberChange[] {
  const none = new Map<string, number>();
  const same = ([who]: Groups[number]) => ([other]: Groups[number]) =>
    who[0] === other[0] && who[1] === other[1];
  return [
    ...before.filter((each) => !after.some(same(each))).flatMap(([who, source, groups]) =>
      changesOf(who, source, { before: groups, after: none })
    ),
    ...after.flatMap((each) =>
      changesOf(each[0], each[1], { before: before.find(same(each))?.[2] ?? none, after: each[2] })
    ),
  ];
}

/** The changes of one member, whose memberships are maps of group ids to times of joining. */
export function changesOf(
  who: Member,
  source: string,
  { before, after }: { before: Map<string, number>; after: Map<string, number> },
): MemberChange[] {
  const changes: MemberChange[] = [];
  for (const [groupId, at] of after) {
    if (before.get(groupId) !== at) changes.push({ groupId, who, source, at });
  }
  for (const groupId of before.keys()) {
    if (!after.has(groupId)) changes.push({ groupId, who, source, at: null });
  }
  return changes;
}
