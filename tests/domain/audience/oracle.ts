/**
 * Membership by the book: everything up to a moment is looked at again for each question, event by event, without intervals,
 * indexes or kept state. Slow, and written from the specification alone.
 */
import { readCondition } from "../../../domain/condition/condition.ts";
import type { StoredEvent } from "../../../domain/event/event.ts";

type Json = Record<string, unknown>;

/** Definitions by name, as they are written. */
export type Definitions = Readonly<Record<string, Json>>;

/** An event of the journal; its index in the list is the order of arrival. */
export interface Seen {
  event: StoredEvent;
  at: number;
  order: number;
}

/** The journal as the oracle takes it: events in the order of arrival, duplicates left out. */
export function journalOf(events: readonly StoredEvent[]): Seen[] {
  return events.map((event, order) => ({ event, at: Date.parse(event.timestamp), order }));
}

const UNITS: Record<string, number> = { s: 1e3, m: 6e4, h: 36e5, d: 864e5 };
const ms = (text: string) => Number(text.slice(0, -1)) * UNITS[text.at(-1)!]!;
const inOrder = (a: Seen, b: Seen) => a.at - b.at || a.order - b.order;

/** The user who owns an anonymous event, as far as is known at a moment. */
export function ownerOf(journal: readonly Seen[], one: Seen, t: number): string | undefined {
  const id = one.event.anonymousId;
  const links = journal.filter(({ event, at }) =>
    at <= t && event.type === "identify" && event.userId !== undefined && event.anonymousId === id
  ).sort(inOrder);
  if (links.length === 0) return undefined;
  const before = links.filter((link) => inOrder(link, one) <= 0);
  return (before.at(-1) ?? links[0]!).event.userId;
}

/** The events that count for a user at a moment, in order of time. */
function eventsOf(journal: readonly Seen[], userId: string, t: number): Seen[] {
  return journal.filter((one) => {
    if (one.at > t) return false;
    if (one.event.userId !== undefined) return one.event.userId === userId;
    return ownerOf(journal, one, t) === userId;
  }).sort(inOrder);
}

function traitsOf(events: readonly Seen[]): Json {
  const traits: Json = {};
  for (const { event } of events) Object.assign(traits, event.traits);
  for (const key of Object.keys(traits)) if (traits[key] === null) delete traits[key];
  return traits;
}

function passes(document: unknown, condition: unknown): boolean {
  const read = readCondition(condition);
  if ("problem" in read) throw new Error(read.problem.message);
  return read.test(document);
}

function matches({ event }: Seen, given: Json): boolean {
  if (given.event !== undefined && (event.type !== "track" || event.event !== given.event)) return false;
  if (given.type !== undefined && event.type !== given.type) return false;
  if (given.name !== undefined && event.name !== given.name) return false;
  return given.where === undefined || passes(event, given.where);
}

function compares(value: number, given: Json): boolean {
  return Object.entries(given).every(([operator, operand]) => {
    const other = operand as number;
    if (operator === "$eq") return value === other;
    if (operator === "$ne") return value !== other;
    if (operator === "$gt") return value > other;
    if (operator === "$gte") return value >= other;
    return operator === "$lt" ? value < other : value <= other;
  });
}

function isInWindow({ at }: Seen, given: Json, t: number): boolean {
  if (given.within !== undefined && !(t - ms(given.within as string) < at && at <= t)) return false;
  if (given.between !== undefined) {
    const [far, near] = given.between as [string, string];
    if (!(t - ms(far) < at && at <= t - ms(near))) return false;
  }
  if (given.since !== undefined && at < Date.parse(given.since as string)) return false;
  return given.until === undefined || at < Date.parse(given.until as string);
}

/** Whether the steps from one on can come after a moment: every choice of events is tried. */
function sequenceFrom(
  given: Json,
  { events, t, step, after }: {
    events: readonly Seen[];
    t: number;
    step: number;
    after: { at: number; order: number };
  },
): boolean {
  const steps = given.sequence as Json[];
  if (step === steps.length) {
    return after.at <= t && (given.within === undefined || t < after.at + ms(given.within as string));
  }
  const one = steps[step]!;
  const comesAfter = (seen: Seen) => seen.at > after.at || (seen.at === after.at && seen.order > after.order);
  const limit = one.within === undefined ? Infinity : after.at + ms(one.within as string);
  if (one.not !== undefined) {
    if (limit > t) return false;
    if (events.some((seen) => comesAfter(seen) && seen.at <= limit && matches(seen, one.not as Json))) {
      return false;
    }
    return sequenceFrom(given, { events, t, step: step + 1, after: { at: limit, order: Infinity } });
  }
  return events.some((seen) =>
    (step === 0 || (comesAfter(seen) && seen.at <= limit)) && matches(seen, one) &&
    sequenceFrom(given, { events, t, step: step + 1, after: seen })
  );
}

/** What a question is asked about. */
export interface Question {
  journal: readonly Seen[];
  definitions: Definitions;
  userId: string;
}

/** Whether a condition holds for a user at a moment. */
export function holdsAt(question: Question, given: Json, t: number): boolean {
  const { journal, definitions, userId } = question;
  const again = (other: unknown) => holdsAt(question, other as Json, t);
  if (given.all !== undefined) return (given.all as Json[]).every(again);
  if (given.any !== undefined) return (given.any as Json[]).some(again);
  if (given.not !== undefined) return !again(given.not);
  if (given.audience !== undefined) return again(definitions[given.audience as string]);
  const events = eventsOf(journal, userId, t);
  if (given.traits !== undefined) {
    return passes(traitsOf(events.filter(({ event }) => event.type === "identify")), given.traits);
  }
  if (given.group !== undefined) {
    const ids = new Set(events.flatMap(({ event }) => event.type === "group" ? [event.groupId!] : []));
    const holding = [...ids].map((id) => {
      const ofGroup = journal.filter(({ event, at }) =>
        at <= t && event.type === "group" && event.groupId === id
      );
      return passes(traitsOf(ofGroup.sort(inOrder)), (given.group as Json).traits);
    });
    if (given.match === "all") return holding.length > 0 && holding.every(Boolean);
    return given.match === "none" ? !holding.some(Boolean) : holding.some(Boolean);
  }
  if (given.sequence !== undefined) {
    return sequenceFrom(given, { events, t, step: 0, after: { at: -Infinity, order: -1 } });
  }
  const matching = events.filter((seen) => matches(seen, given));
  if (given.last !== undefined) {
    const last = matching.at(-1);
    return last !== undefined && last.at <= t - ms((given.last as Json).moreThan as string);
  }
  const inWindow = matching.filter((seen) => isInWindow(seen, given, t));
  if (given.sum !== undefined) {
    const values = inWindow.map(({ event }) => {
      let value: unknown = event;
      for (const name of (given.sum as string).split(".")) value = (value as Json | undefined)?.[name];
      return typeof value === "number" ? value : 0;
    });
    // Decimals of prices: to a millionth, as on paper.
    return compares(
      Math.round(values.reduce((sum, value) => sum + value, 0) * 1e6) / 1e6,
      given.value as Json,
    );
  }
  return compares(inWindow.length, (given.count ?? { $gte: 1 }) as Json);
}

/** A user's membership at a moment; `undefined` before their first event. */
export function membershipAt(question: Question, name: string, t: number) {
  const own = question.journal.filter(({ event, at }) => event.userId === question.userId && at <= t);
  if (own.length === 0) return undefined;
  const where = question.definitions[name]!;
  const known = { ...question, journal: question.journal.filter(({ at }) => at <= t) };
  const first = Math.min(...own.map(({ at }) => at));
  const moments = momentsOf(known, where, first);
  const holds = (at: number) => holdsAt(known, where, at);
  const member = holds(t);
  const change = moments.find((at) => at > t && holds(at) !== member);
  if (!member) return { member, next: change };
  let since = first;
  for (const at of moments) if (at <= t && !holds(at)) since = moments.find((next) => next > at)!;
  return { member, since, next: change };
}

/** All moments at which a condition may change: between two of them nothing does. */
function momentsOf({ journal, definitions }: Question, where: Json, first: number): number[] {
  const delays = new Set<number>([0]);
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) return value.forEach(visit);
    if (typeof value === "string" && /^\d+[smhd]$/.test(value)) {
      for (const delay of [...delays]) delays.add(delay + ms(value));
    }
    if (typeof value !== "object" || value === null) return;
    const { audience } = value as Json;
    if (typeof audience === "string") visit(definitions[audience]);
    Object.values(value).forEach(visit);
  };
  visit(where);
  const moments = new Set<number>([first]);
  for (const { at } of journal) for (const delay of delays) if (at + delay > first) moments.add(at + delay);
  return [...moments].sort((a, b) => a - b);
}
