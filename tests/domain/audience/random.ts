/** Random conditions and journals of a few people, close together in time so that windows begin and end among them. */
import type { StoredEvent } from "../../../domain/event/event.ts";

type Json = Record<string, unknown>;

/** A source of random numbers that a seed repeats. */
export type Random = ReturnType<typeof createRandom>;

/** Mulberry32: small, and good enough to choose from lists. */
export function createRandom(seed: number) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const below = (n: number) => Math.floor(next() * n);
  return {
    below,
    chance: (share: number) => next() < share,
    pick: <T>(list: readonly T[]): T => list[below(list.length)]!,
  };
}

export const MINUTE = 60_000;
const EVENTS = ["A", "B", "C"];
const DURATIONS = ["1m", "2m", "3m", "5m", "10m"];
const GROUPS = ["g1", "g2"];
const PLANS = ["free", "pro", null, 3];

/** A random condition; `names` are the audiences that it may refer to. */
export function randomCondition(random: Random, names: readonly string[] = [], depth = 0): Json {
  const kind = random.below(depth > 2 ? 7 : 10);
  const nested = () => randomCondition(random, names, depth + 1);
  if (kind === 0) {
    return {
      traits: random.pick<Json>([{ plan: "pro" }, { plan: { $exists: false } }, { plan: { $ne: "free" } }, {
        plan: { $gte: 3 },
      }]),
    };
  }
  if (kind === 1) return randomGroup(random);
  if (kind === 2) return { ...selector(random), last: { moreThan: random.pick(DURATIONS) } };
  if (kind === 3) {
    const value = random.pick<Json>([{ $gte: 3 }, { $lt: 2 }, { $eq: 0 }, { $gt: 0, $lte: 4 }]);
    return { sum: "properties.n", ...selector(random), value, ...window(random) };
  }
  if (kind === 4) return randomSequence(random);
  if (kind === 5 && names.length > 0) return { audience: random.pick(names) };
  if (kind === 7) return { not: nested() };
  if (kind >= 8) {
    return { [random.pick(["all", "any"])]: Array.from({ length: 1 + random.below(3) }, nested) };
  }
  const count = random.pick<Json | undefined>([undefined, { $gte: 2 }, { $eq: 1 }, { $lt: 2 }, {
    $gte: 1,
    $lt: 3,
  }, { $ne: 0 }]);
  return { ...selector(random), ...count && { count }, ...window(random) };
}

/** A random condition on the traits of a person's groups. */
export function randomGroup(random: Random): Json {
  const traits = random.pick<Json>([{ size: 1 }, { size: { $exists: false } }, { size: { $gt: 1 } }]);
  return { group: { traits }, match: random.pick(["any", "all", "none"]) };
}

/** A random event that did not happen for some time: a late one moves a stay. */
export function randomAbsence(random: Random): Json {
  return { not: { event: random.pick(EVENTS), within: random.pick(DURATIONS) } };
}

function selector(random: Random): Json {
  if (random.chance(0.1)) return { type: "page", ...random.chance(0.5) && { name: "home" } };
  if (random.chance(0.1)) return { type: random.pick(["track", "identify", "group"]) };
  return { event: random.pick(EVENTS), ...random.chance(0.2) && { where: { "properties.n": { $gte: 2 } } } };
}

function window(random: Random): Json {
  if (random.chance(0.5)) return { within: random.pick(DURATIONS) };
  if (random.chance(0.3)) return { between: random.pick([["5m", "2m"], ["10m", "1m"], ["3m", "0m"]]) };
  if (random.chance(0.2)) return { since: new Date(4 * MINUTE).toISOString() };
  return random.chance(0.1) ? { until: new Date(9 * MINUTE).toISOString() } : {};
}

/** A random sequence of two or three steps. */
export function randomSequence(random: Random): Json {
  const steps: Json[] = [selector(random)];
  for (let n = 1 + random.below(2); n > 0; n--) {
    if (random.chance(0.4)) steps.push({ not: selector(random), within: random.pick(DURATIONS) });
    else steps.push({ ...selector(random), ...random.chance(0.5) && { within: random.pick(DURATIONS) } });
  }
  return { sequence: steps, ...random.chance(0.4) && { within: random.pick(DURATIONS) } };
}

/** A random event of a few users, anonymous ids and groups, at a whole minute or a little off one. */
export function randomEvent(random: Random, no: number, at: number): StoredEvent {
  const timestamp = new Date(at).toISOString();
  const base = { messageId: `m${no}`, timestamp, receivedAt: timestamp };
  const userId = random.pick(["u1", "u2"]);
  const anonymousId = random.pick(["a1", "a2"]);
  const who = random.chance(0.6) ? { userId } : { anonymousId };
  const kind = random.below(10);
  if (kind < 5) {
    const properties = random.chance(0.7) ? { n: random.pick([1, 2, -1, 0.5, "2"]) } : {};
    return { ...base, type: "track", ...who, event: random.pick(EVENTS), properties };
  }
  if (kind === 5) return { ...base, type: "page", ...who, name: random.pick(["home", "cart"]) };
  if (kind === 6) return { ...base, type: "identify", userId, anonymousId };
  if (kind === 7) {
    const traits = random.chance(0.5) ? { size: random.pick([1, 2, null]) } : {};
    return { ...base, type: "group", ...who, groupId: random.pick(GROUPS), traits };
  }
  return { ...base, type: "identify", ...who, traits: { plan: random.pick(PLANS) } };
}

/** A random moment of the first quarter of an hour: often a whole minute, so that ends of windows meet events. */
export function randomMoment(random: Random): number {
  return random.below(14) * MINUTE + (random.chance(0.2) ? random.pick([-1, 1, 500]) : 0);
}
