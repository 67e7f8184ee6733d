/** Events that come exactly at the end of a step of a sequence, or one millisecond beside it. */
import type { StoredEvent } from "../../../domain/event/event.ts";
import { readDuration } from "../../../domain/audience/duration.ts";
import type { Random } from "../../domain/audience/random.ts";

type Json = Record<string, unknown>;

const PEOPLE = [{ userId: "u1" }, { userId: "u2" }, { anonymousId: "a1" }, { anonymousId: "a2" }];

/**
 * Events of one person that complete a sequence of a condition step by step, each as late as its step allows; the last one
 * comes now. Empty where the condition has no sequence.
 */
export function punctualEvents(
  random: Random,
  where: Json,
  { now, newId }: { now: number; newId(): string },
): StoredEvent[] {
  const sequences = sequencesOf(where);
  if (sequences.length === 0) return [];
  const steps = random.pick(sequences);
  const who = random.pick(PEOPLE);
  const sent: { at: number; step: Json }[] = [];
  let at = 0;
  for (const [index, step] of steps.entries()) {
    const within = readDuration(step.within);
    if (index > 0 && typeof within === "number") at += within + random.pick([0, 0, 0, -1, 1]);
    const selector = (step.not ?? step) as Json;
    // What must not come does come now and then.
    if (step.not === undefined || random.chance(0.3)) sent.push({ at, step: selector });
  }
  const began = now - at;
  const events = sent.map(({ at, step }) => eventOf(step, who, { at: began + at, now, messageId: newId() }));
  return random.chance(0.3) ? events.reverse() : events;
}

/** The steps of each sequence in a condition. */
function sequencesOf(where: unknown): Json[][] {
  if (Array.isArray(where)) return where.flatMap(sequencesOf);
  if (typeof where !== "object" || where === null) return [];
  const { sequence } = where as { sequence?: Json[] };
  return sequence === undefined ? Object.values(where).flatMap(sequencesOf) : [sequence];
}

/** An event that a selector of random conditions selects. */
function eventOf(
  { type, event, name }: Json,
  who: Json,
  { at, now, messageId }: { at: number; now: number; messageId: string },
): StoredEvent {
  const kind = type ?? "track";
  return {
    type: kind,
    ...kind === "track" && { event: event ?? "A", properties: { n: 2 } },
    ...kind === "page" && { name: name ?? "home" },
    ...kind === "identify" && { traits: {} },
    ...kind === "group" && { groupId: "g1", traits: {} },
    ...who,
    messageId,
    timestamp: new Date(at).toISOString(),
    receivedAt: new Date(now).toISOString(),
  } as unknown as StoredEvent;
}
