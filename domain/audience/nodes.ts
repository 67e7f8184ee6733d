/** Reads the conditions of a definition that have no conditions in them. */
import { readCondition } from "../condition/condition.ts";
import { readPath } from "../condition/path.ts";
import { EVENT_TYPES, type EventType } from "../event/event.ts";
import { canonicalJson, isObject, type JsonObject, shown } from "../event/json.ts";
import { LongInteger } from "../event/exact_json.ts";
import { parseTimestamp } from "../event/timestamp.ts";
import { decimalOf } from "./decimal.ts";
import {
  type Comparison,
  MAX_AUDIENCE_CONDITIONS,
  type Node,
  onlyMembers,
  type Reading,
  refuse,
  type Selector,
  type Step,
  type TraitTest,
  type Window,
} from "./tree.ts";
import { readDuration } from "./duration.ts";

/** The largest number of events that `count` compares with. */
export const MAX_COUNT = 1_000;

/** UTF-16 units of the name of an event, a page or a screen. */
const MAX_EVENT_NAME = 500;

const SELECTOR_MEMBERS = ["type", "event", "name", "where"];
const WINDOW_MEMBERS = ["within", "between", "since", "until"];

/** `{event, where?, count?, within?}`: events are counted. */
export function readCount(given: JsonObject, path: string, reading: Reading): Node | undefined {
  onlyMembers(given, [...SELECTOR_MEMBERS, "count", ...WINDOW_MEMBERS, "last"], path, reading);
  const selector = readSelector(given, path, reading);
  const window = readWindow(given, path, reading);
  const count = given.count ?? { $gte: 1 };
  const compare = readComparison(
    typeof count === "number" ? { $eq: count } : count,
    `${path}.count`,
    reading,
    true,
  );
  return selector && window && compare && { kind: "count", selector, window, compare, given };
}

/** `{event, last: {moreThan}}`: the last event is long ago. */
export function readEvent(given: JsonObject, path: string, reading: Reading): Node | undefined {
  onlyMembers(given, [...SELECTOR_MEMBERS, "last"], path, reading);
  const selector = readSelector(given, path, reading);
  const { last } = given;
  if (!isObject(last) || !Object.hasOwn(last, "moreThan")) {
    return refuse(reading, `${path}.last`, `must be {"moreThan": duration}; got ${shown(last)}`);
  }
  onlyMembers(last, ["moreThan"], `${path}.last`, reading);
  const moreThanMs = durationAt(last.moreThan, `${path}.last.moreThan`, reading);
  return selector && moreThanMs !== undefined
    ? { kind: "last", selector, window: NO_WINDOW, moreThanMs, given }
    : undefined;
}

/** `{sum: path, event, value, within?}`: numbers of events are added. */
export function readSum(given: JsonObject, path: string, reading: Reading): Node | undefined {
  onlyMembers(given, ["sum", ...SELECTOR_MEMBERS, "value", ...WINDOW_MEMBERS], path, reading);
  const sum = typeof given.sum === "string" ? readPath(given.sum) : undefined;
  if (sum === undefined) {
    refuse(reading, `${path}.sum`, `must be a path such as properties.total; got ${shown(given.sum)}`);
  }
  const selector = readSelector(given, path, reading);
  const window = readWindow(given, path, reading);
  const compare = readComparison(given.value, `${path}.value`, reading);
  if (!sum || !selector || !window || !compare) return undefined;
  const id = `${selector.id} ${canonicalJson(given.sum)}`;
  return { kind: "sum", selector: { ...selector, sum, id }, window, compare, given };
}

/** `{sequence: [step, …], within?}`: events in order. */
export function readSequence(given: JsonObject, path: string, reading: Reading): Node | undefined {
  onlyMembers(given, ["sequence", "within"], path, reading);
  const list = given.sequence;
  if (!Array.isArray(list) || list.length < 2) {
    return refuse(reading, `${path}.sequence`, "must be an array of at least two steps");
  }
  reading.conditions += list.length - 1;
  if (reading.conditions > MAX_AUDIENCE_CONDITIONS) {
    const message = `has too many steps: an audience has at most ${MAX_AUDIENCE_CONDITIONS} conditions`;
    return refuse(reading, `${path}.sequence`, message);
  }
  const steps = list.map((step, index) => readStep(step, `${path}.sequence.${index}`, reading, index === 0));
  const withinMs = given.within === undefined
    ? Infinity
    : durationAt(given.within, `${path}.within`, reading);
  if (withinMs === undefined || !steps.every((step) => step !== undefined)) return undefined;
  return { kind: "sequence", steps, withinMs, given };
}

function readStep(given: unknown, path: string, reading: Reading, isFirst: boolean): Step | undefined {
  if (!isObject(given)) {
    return refuse(reading, path, `must be an event, which is an object; got ${shown(given)}`);
  }
  const isNot = Object.hasOwn(given, "not");
  onlyMembers(given, isNot ? ["not", "within"] : [...SELECTOR_MEMBERS, "within"], path, reading);
  if (isNot && isFirst) return refuse(reading, path, "must be an event: `not` needs a step before it");
  if (isNot && given.within === undefined) {
    return refuse(
      reading,
      `${path}.within`,
      "must be a duration: `not` holds when it has passed without such an event",
    );
  }
  if (isFirst && given.within !== undefined) {
    return refuse(reading, `${path}.within`, "must be omitted: the first step has no step before it");
  }
  const event = isNot ? given.not : given;
  const at = isNot ? `${path}.not` : path;
  if (!isObject(event)) {
    return refuse(reading, at, `must be an event, which is an object; got ${shown(event)}`);
  }
  if (isNot) onlyMembers(event, SELECTOR_MEMBERS, at, reading);
  const selector = readSelector(event, at, reading);
  const withinMs = given.within === undefined
    ? Infinity
    : durationAt(given.within, `${path}.within`, reading);
  return selector && withinMs !== undefined ? { selector, isNot, withinMs } : undefined;
}

/** `{traits: condition}`. */
export function readTraits(given: JsonObject, path: string, reading: Reading): Node | undefined {
  onlyMembers(given, ["traits"], path, reading);
  const traits = readTraitTest(given.traits, `${path}.traits`, reading);
  return traits && { kind: "traits", traits, given };
}

/** `{group: {traits: condition}, match?}`. */
export function readGroup(given: JsonObject, path: string, reading: Reading): Node | undefined {
  onlyMembers(given, ["group", "match"], path, reading);
  const { match = "any", group } = given;
  if (match !== "any" && match !== "all" && match !== "none") {
    return refuse(reading, `${path}.match`, `must be any, all or none; got ${shown(match)}`);
  }
  if (!isObject(group)) {
    return refuse(reading, `${path}.group`, `must be {"traits": condition}; got ${shown(group)}`);
  }
  onlyMembers(group, ["traits"], `${path}.group`, reading);
  const traits = readTraitTest(group.traits, `${path}.group.traits`, reading);
  return traits && { kind: "group", traits, match, given };
}

function readTraitTest(given: unknown, path: string, reading: Reading): TraitTest | undefined {
  if (isObject(given) && Object.keys(given).length === 0) {
    return refuse(reading, path, "must not be empty: it would hold for everybody");
  }
  const condition = readCondition(given);
  if ("problem" in condition) return refuseInner(condition.problem, path, reading);
  return { keys: [...new Set(keysIn(given))], test: condition.test };
}

function refuseInner(problem: { path: string; message: string }, path: string, reading: Reading): undefined {
  return refuse(reading, problem.path === "" ? path : `${path}.${problem.path}`, problem.message);
}

/** The top-level traits that a condition reads. */
function keysIn(given: unknown): string[] {
  if (Array.isArray(given)) return given.flatMap(keysIn);
  if (!isObject(given)) return [];
  return Object.entries(given).flatMap(([key, value]) =>
    key.startsWith("$") ? keysIn(value) : [key.split(".", 1)[0]!]
  );
}

function readSelector(given: JsonObject, path: string, reading: Reading): Selector | undefined {
  const { type, event, name, where } = given;
  const known = reading.problems.length;
  if (type !== undefined && !EVENT_TYPES.includes(type as EventType)) {
    refuse(reading, `${path}.type`, `must be one of ${EVENT_TYPES.join(", ")}; got ${shown(type)}`);
  }
  if (type === undefined && event === undefined) {
    refuse(reading, `${path}.event`, "must be the name of an event; or give a `type`");
  }
  checkName(event, `${path}.event`, reading);
  checkName(name, `${path}.name`, reading);
  if (event !== undefined && type !== undefined && type !== "track") {
    refuse(
      reading,
      `${path}.event`,
      `must be omitted: only track events have one, and type is ${shown(type)}`,
    );
  }
  if (name !== undefined && type !== "page" && type !== "screen") {
    refuse(reading, `${path}.name`, "must be omitted unless type is page or screen");
  }
  const condition = where === undefined ? undefined : readCondition(where);
  if (condition !== undefined && "problem" in condition) {
    refuseInner(condition.problem, `${path}.where`, reading);
  }
  if (reading.problems.length > known) return undefined;
  return {
    ...type !== undefined && { type: type as EventType },
    ...event !== undefined && { event: event as string },
    ...name !== undefined && { name: name as string },
    ...condition !== undefined && "test" in condition && { where: condition },
    id: canonicalJson([type ?? null, event ?? null, name ?? null, where ?? null]),
  };
}

function checkName(given: unknown, path: string, reading: Reading): void {
  if (given === undefined) return;
  const isName = typeof given === "string" && given !== "" && given.length <= MAX_EVENT_NAME &&
    given.isWellFormed();
  if (!isName) {
    refuse(reading, path, `must be a string of 1 to ${MAX_EVENT_NAME} characters; got ${shown(given)}`);
  }
}

const NO_WINDOW: Window = { fromMs: Infinity, toMs: 0, since: -Infinity, until: Infinity };

function readWindow(given: JsonObject, path: string, reading: Reading): Window | undefined {
  const window = { ...NO_WINDOW };
  const known = reading.problems.length;
  if (given.within !== undefined && given.between !== undefined) {
    refuse(reading, `${path}.between`, "must be omitted where `within` is given");
  }
  if (given.within !== undefined) {
    window.fromMs = durationAt(given.within, `${path}.within`, reading) ?? Infinity;
  }
  if (given.between !== undefined) {
    const { between } = given;
    if (!Array.isArray(between) || between.length !== 2) {
      refuse(
        reading,
        `${path}.between`,
        `must be two durations such as ["60d", "30d"]; got ${shown(between)}`,
      );
    } else {
      window.fromMs = durationAt(between[0], `${path}.between.0`, reading) ?? Infinity;
      window.toMs = durationAt(between[1], `${path}.between.1`, reading, true) ?? 0;
      if (reading.problems.length === known && window.fromMs <= window.toMs) {
        refuse(reading, `${path}.between`, "must begin with the longer duration");
      }
    }
  }
  if (given.since !== undefined) window.since = momentAt(given.since, `${path}.since`, reading) ?? 0;
  if (given.until !== undefined) window.until = momentAt(given.until, `${path}.until`, reading) ?? 0;
  if (reading.problems.length === known && window.since >= window.until) {
    refuse(reading, `${path}.until`, "must be after `since`");
  }
  return reading.problems.length > known ? undefined : window;
}

function durationAt(given: unknown, path: string, reading: Reading, mayBeZero = false): number | undefined {
  const found = readDuration(given, mayBeZero);
  return typeof found === "number" ? found : refuse(reading, path, `${found}; got ${shown(given)}`);
}

function momentAt(given: unknown, path: string, reading: Reading): number | undefined {
  const ms = typeof given === "string" ? parseTimestamp(given) : undefined;
  return ms ?? refuse(reading, path, `must be an ISO 8601 date or date-time; got ${shown(given)}`);
}

const TESTS: Record<string, (value: number | bigint, operand: number | bigint) => boolean> = {
  $eq: (value, operand) => value === operand,
  $ne: (value, operand) => value !== operand,
  $gt: (value, operand) => value > operand,
  $gte: (value, operand) => value >= operand,
  $lt: (value, operand) => value < operand,
  $lte: (value, operand) => value <= operand,
};

/** `{"$gte": 2}`: comparisons with numbers; of `isCount` with whole ones from 0 to {@link MAX_COUNT}. */
function readComparison(
  given: unknown,
  path: string,
  reading: Reading,
  isCount = false,
): Comparison | undefined {
  const operators = Object.keys(TESTS).join(", ");
  if (!isObject(given) || Object.keys(given).length === 0) {
    return refuse(reading, path, `must be an object of ${operators}; got ${shown(given)}`);
  }
  const tests: ((value: number | bigint) => boolean)[] = [];
  for (const [operator, operand] of Object.entries(given)) {
    const test = Object.hasOwn(TESTS, operator) ? TESTS[operator] : undefined;
    const read = isCount ? operand as number : decimalOf(operand);
    const isInRange = !isCount ||
      (typeof operand === "number" && Number.isInteger(operand) && operand >= 0 && operand <= MAX_COUNT);
    if (test === undefined) refuse(reading, `${path}.${operator}`, `is unknown: use ${operators}`);
    else if (read === undefined || !isInRange) {
      const rule = isCount ? `must be a whole number from 0 to ${MAX_COUNT}` : "must be a number";
      refuse(reading, `${path}.${operator}`, `${rule}; got ${shown(operand)}`);
    } else tests.push((value) => test(value, read));
  }
  if (tests.length < Object.keys(given).length) return undefined;
  return { given, test: (value) => tests.every((test) => test(value)) };
}

/** The number at the path of a sum; `undefined` where there is none. Members of objects only, not of arrays. */
export function numberAt(event: unknown, path: readonly string[]): number | LongInteger | undefined {
  let value = event;
  for (const name of path) {
    if (!isObject(value) || !Object.hasOwn(value, name)) return undefined;
    value = value[name];
  }
  return typeof value === "number" || value instanceof LongInteger ? value : undefined;
}
