/** Who is in a group: rows by group and member, and their number. Folded from the states of people, never from events. */
import {
  type Key,
  keyBytes,
  type Member,
  memberCountKey,
  memberKey,
  memberPrefix,
  memberSources,
} from "../store/keys.ts";
import type { Store } from "../store/store.ts";

/** A row: a member by one source, their own log (`""`) or an anonymous id of theirs, and since when (ms). */
export interface MemberRow {
  who: Member;
  source: string;
  at: number;
}

/** What a round makes of one row; `at` is `null` where it goes. */
export interface MemberChange {
  groupId: string;
  who: Member;
  source: string;
  at: number | null;
}

/** Bounds of changing members. */
export const MEMBER_LIMITS = {
  /** Rows written by one operation. */
  memberRows: 300,
  /** Members whose rows are read at once. */
  memberReads: 64,
};
export type MemberLimits = typeof MEMBER_LIMITS;

/** Bytes of keys written by one operation: KV takes 80 KiB of keys, and a key may have over 1 KB. */
const KEY_BYTES_PER_WRITE = 40_000;

/**
 * Applies changes. A row and the count that it changes move in one operation, and a change is a value that a row is set
 * to: so doing it again, whole or in part, changes nothing.
 */
export async function applyMembers(
  store: Store,
  generation: number,
  { changes, write, limits, isNewMember = () => false }: {
    changes: MemberChange[];
    limits: MemberLimits;
    /** Whether nobody has written rows of a member (its group, kind and id as JSON) until now: then none are read. */
    isNewMember?: ((member: string) => boolean) | undefined;
    write(writes: { sets: [Key, unknown][]; deletes: Key[] }): Promise<void>;
  },
): Promise<void> {
  const byMember = new Map<string, MemberChange[]>();
  for (const change of changes) {
    const key = JSON.stringify([change.groupId, change.who]);
    const mine = byMember.get(key);
    if (mine === undefined) byMember.set(key, [change]);
    else mine.push(change);
  }
  const members = [...byMember].map(([member, mine]) => ({ mine, isNew: isNewMember(member) }));
  const counts = new Map<string, number>();
  for (let from = 0; from < members.length; from += limits.memberReads) {
    const some = members.slice(from, from + limits.memberReads);
    const groupIds = [...new Set(some.map(({ mine }) => mine[0]!.groupId))];
    const unknown = groupIds.filter((groupId) => !counts.has(groupId));
    const entries = await store.getMany<number>(
      unknown.map((groupId) => memberCountKey(generation, groupId)),
    );
    unknown.forEach((groupId, index) => counts.set(groupId, entries[index]!.value ?? 0));
    const rows = await Promise.all(some.map(({ mine, isNew }) => {
      return isNew ? new Map<string, number>() : sourcesOf(store, generation, mine[0]!);
    }));
    let sets: [Key, unknown][] = [];
    let deletes: Key[] = [];
    let ofKeys = 0;
    let touched = new Set<string>();
    const flush = async () => {
      if (touched.size === 0) return;
      for (const groupId of touched) {
        // A group without members has no number, as one that nobody ever joined: whoever was in it was erased.
        if (counts.get(groupId) === 0) deletes.push(memberCountKey(generation, groupId));
        else sets.push([memberCountKey(generation, groupId), counts.get(groupId)]);
      }
      await write({ sets, deletes });
      [sets, deletes, ofKeys, touched] = [[], [], 0, new Set()];
    };
    for (const [index, { mine }] of some.entries()) {
      const { groupId } = mine[0]!;
      const sources = rows[index]!;
      for (const { who, source, at } of mine) {
        if (at === sources.get(source) || (at === null && !sources.has(source))) continue;
        const key = memberKey(generation, groupId, who, source);
        const wasMember = sources.size > 0;
        if (at === null) {
          sources.delete(source);
          deletes.push(key);
        } else {
          sources.set(source, at);
          sets.push([key, { who, source, at } satisfies MemberRow]);
        }
        // The count goes with the row that changes it, so that rows can be cut into operations anywhere.
        counts.set(groupId, counts.get(groupId)! + Number(sources.size > 0) - Number(wasMember));
        touched.add(groupId);
        ofKeys += keyBytes(key) + keyBytes(memberCountKey(generation, groupId));
        if (sets.length + deletes.length >= limits.memberRows || ofKeys >= KEY_BYTES_PER_WRITE) await flush();
      }
    }
    await flush();
  }
}

/** Since when a member is in a group (ms), by source. */
export async function sourcesOf(
  store: Store,
  generation: number,
  { groupId, who }: Pick<MemberChange, "groupId" | "who">,
): Promise<Map<string, number>> {
  const sources = new Map<string, number>();
  const range = { prefix: memberSources(generation, groupId, who) };
  await store.scan<MemberRow>(range, Infinity, ({ value }) => sources.set(value!.source, value!.at));
  return sources;
}

/** A page of members, in the order of their keys, each with the earliest time of joining (ms); and where to go on. */
export async function listMembers(
  store: Store,
  generation: number,
  { groupId, limit, after }: { groupId: string; limit: number; after?: Member | undefined },
): Promise<{ members: { who: Member; at: number }[]; more: boolean }> {
  const prefix = memberPrefix(generation, groupId);
  const members: { who: Member; at: number }[] = [];
  // After the last row of a member: sources are strings, and in keys numbers come after strings.
  const range = after === undefined
    ? { prefix }
    : { prefix, start: [...memberSources(generation, groupId, after), Number.MIN_SAFE_INTEGER] };
  for await (const { value } of store.list<MemberRow>(range, { batchSize: 200 })) {
    const { who, at } = value!;
    const last = members.at(-1);
    if (last !== undefined && last.who[0] === who[0] && last.who[1] === who[1]) {
      last.at = Math.min(last.at, at);
    } else if (members.length === limit) return { members, more: true };
    else members.push({ who, at });
  }
  return { members, more: false };
}

/** The number of a group's members. */
export async function countMembers(store: Store, generation: number, groupId: string): Promise<number> {
  return (await store.get<number>(memberCountKey(generation, groupId))).value ?? 0;
}
