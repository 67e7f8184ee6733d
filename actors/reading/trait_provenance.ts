/** The provenance of a trait: its register names the event that set it, the log the events that had set it before. */
import type { Person } from "../../domain/profile/person.ts";
import type { EventType } from "../../domain/event/event.ts";
import type { HistoryLimits } from "../settling/log_facts.ts";
import type { Journal } from "../journal/journal_state.ts";
import { type LogEntry, mayBe } from "../settling/actor_log.ts";
import type { createLogPages } from "./log_pages.ts";
import type { Extend, Views } from "./consistent_read.ts";

/** The event that set a trait, and the events that had set it before, newest first. */
export interface TraitProvenance {
  name: string;
  /** `null` if that event removed it. */
  value: unknown;
  timestamp: string;
  messageId: string;
  writeKeyId: string;
  receivedAt: string;
  replaced: { value: unknown; timestamp: string; messageId: string }[];
  /** There may be more from before this moment; `null` if all are given. */
  moreBefore: string | null;
}

/** Replaced values in one answer. */
export const MAX_REPLACED = 100;

/**
 * Entries of the log that are searched, whoever owns them (some 200 values of the store), and events of the right type
 * that are read, each perhaps in a chunk of its own.
 */
export const PROVENANCE_ENTRIES = 50_000;
export const PROVENANCE_EVENTS = 1_000;

/** What the provenance of a trait is made from. */
export interface TraitProvenanceOptions {
  limits: HistoryLimits;
  journal: Journal;
  views: Pick<Views, "viewed">;
  userPerson(extend: Extend, generation: number, userId: string): Promise<{ person: Person } | undefined>;
  /** The traits of a group; `undefined` if it has no events. */
  groupTraits(extend: Extend, groupId: string): Promise<Person["traits"] | undefined>;
  openEntries: ReturnType<typeof createLogPages>["openEntries"];
}

/** The kinds of actors whose traits can be explained, and the type of the events that set them. */
const SETS = { user: "identify", group: "group" } as const;

/** Creates the read that explains a trait of a user or a group, also one that was removed. */
export function createTraitProvenance(
  { limits, journal, views, userPerson, groupTraits, openEntries }: TraitProvenanceOptions,
) {
  /** Events that set the trait earlier, newest first; and the entry at which the search stopped, if it stopped early. */
  async function replacedBefore(
    entries: AsyncIterable<LogEntry>,
    { type, name, isCut }: { type: EventType; name: string; isCut: () => boolean },
  ) {
    const replaced: TraitProvenance["replaced"] = [];
    let batch: LogEntry[] = [];
    let read = 0;
    const take = async () => {
      const found = await journal.events.at(batch.map(({ place }) => place));
      read += batch.length;
      for (const [index, sent] of found.entries()) {
        const traits = sent?.event.type === type ? sent.event.traits : undefined;
        if (traits === undefined || !Object.hasOwn(traits, name)) continue;
        if (replaced.length === MAX_REPLACED) return batch[index];
        const { timestamp, messageId } = sent!.event;
        replaced.push({ value: traits[name], timestamp, messageId });
      }
      batch = [];
      return undefined;
    };
    for await (const entry of entries) {
      if (isCut() || read >= PROVENANCE_EVENTS) return { replaced, more: batch[0] ?? entry };
      batch.push(entry);
      if (batch.length < limits.eventsAtOnce) continue;
      const more = await take();
      if (more !== undefined) return { replaced, more };
    }
    return { replaced, more: await take() };
  }

  return function trait(
    kind: keyof typeof SETS,
    id: string,
    name: string,
  ): Promise<TraitProvenance | "no trait" | null> {
    return views.viewed(async (extend, generation) => {
      const traits = kind === "user"
        ? (await userPerson(extend, generation, id))?.person.traits
        : await groupTraits(extend, id);
      if (traits === undefined) return null;
      const register = traits.get(name);
      if (register === undefined) return "no trait";
      const [value, at, place] = register;
      const [sent] = await journal.events.at([place]);
      if (sent === undefined) return "no trait";
      let looked = 0;
      const { entries, check } = await openEntries(extend, generation, {
        kind,
        id,
        order: "desc",
        after: [at, place],
        wanted: (entry) => mayBe(entry, { type: SETS[kind] }),
        // The entry beyond the bound ends the search.
        ends: () => ++looked > PROVENANCE_ENTRIES,
      });
      const { replaced, more } = await replacedBefore(entries, {
        type: SETS[kind],
        name,
        isCut: () => looked > PROVENANCE_ENTRIES,
      });
      await check();
      const { event: { timestamp, messageId, receivedAt }, writeKeyId } = sent;
      const moreBefore = more === undefined ? null : new Date(more.at).toISOString();
      return { name, value, timestamp, messageId, writeKeyId, receivedAt, replaced, moreBefore };
    });
  };
}
