/** Conditions of audiences as a builder and sentences have them. Pure. */
import { type Json, LongInteger, parseJson } from "./json.ts";

/** The rows of the builder: what they can say of a condition is all that it says. Others are shown as JSON. */
export const ROWS = ["trait", "event", "last", "sum", "group", "audience"] as const;
export type Row = typeof ROWS[number];
export type Kind = Row | "all" | "any" | "not" | "json";

/** The comparisons of the builder, in words. */
export const COMPARISONS: Readonly<Record<string, string>> = {
  $eq: "is",
  $ne: "is not",
  $gte: "is at least",
  $gt: "is more than",
  $lte: "is at most",
  $lt: "is less than",
  $exists: "is known:",
};

/** The comparisons of counts and sums. */
export const NUMBERS: Readonly<Record<string, string>> = {
  $gte: "at least",
  $eq: "exactly",
  $lte: "at most",
  $gt: "more than",
  $lt: "less than",
};

/** A single comparison as its operator and operand; `undefined` if it is another condition. */
export function comparison(condition: Json): [operator: string, operand: Json] | undefined {
  if (condition === null || typeof condition !== "object") return ["$eq", condition];
  const entries = Object.entries(condition);
  const [operator, operand] = entries[0] ?? ["", undefined];
  const isPlain = entries.length === 1 && operator in COMPARISONS && typeof operand !== "object";
  return isPlain ? [operator, operand] : undefined;
}

const has = (node: Json, ...allowed: string[]) => Object.keys(node).every((name) => allowed.includes(name));

/** The only trait of a condition on traits, with its comparison. */
export function singleTrait(traits: Json): { key: string; operator: string; operand: Json } | undefined {
  const entries = Object.entries(traits ?? {});
  const [key, condition] = entries[0] ?? ["$", null];
  const found = entries.length === 1 && !key.startsWith("$") ? comparison(condition) : undefined;
  return found && { key, operator: found[0], operand: found[1] };
}

/** What the builder shows a condition as. */
export function kindOf(node: Json): Kind {
  if (typeof node !== "object" || node === null) return "json";
  if (Array.isArray(node.all) && has(node, "all")) return "all";
  if (Array.isArray(node.any) && has(node, "any")) return "any";
  if (node.not !== undefined && has(node, "not")) return "not";
  if (typeof node.audience === "string" && has(node, "audience")) return "audience";
  if (node.traits !== undefined && has(node, "traits")) {
    return singleTrait(node.traits) === undefined ? "json" : "trait";
  }
  if (node.group !== undefined && has(node, "group", "match") && has(node.group, "traits")) {
    return singleTrait(node.group.traits) === undefined ? "json" : "group";
  }
  if (typeof node.event !== "string") return "json";
  if (node.last !== undefined) return has(node, "event", "last") ? "last" : "json";
  if (node.sum !== undefined) {
    return has(node, "event", "sum", "value", "within") && isNumber(node.value) ? "sum" : "json";
  }
  return has(node, "event", "count", "within") && isNumber(node.count ?? { $gte: 1 }) ? "event" : "json";
}

function isNumber(condition: Json): boolean {
  const found = comparison(condition);
  return found !== undefined && found[0] in NUMBERS && typeof found[1] === "number";
}

/** A new condition of a kind. */
export const blank = (kind: Kind): Json => BLANKS[kind];

const BLANKS: Readonly<Record<Kind, Json>> = {
  trait: { traits: { plan: "pro" } },
  event: { event: "Order Completed", count: { $gte: 1 }, within: "30d" },
  last: { event: "Logged In", last: { moreThan: "14d" } },
  sum: { sum: "properties.total", event: "Order Completed", value: { $gt: 100 }, within: "90d" },
  group: { group: { traits: { industry: "Technology" } }, match: "any" },
  audience: { audience: "" },
  all: { all: [{ traits: { plan: "pro" } }] },
  ["any"]: { ["any"]: [{ traits: { plan: "pro" } }] },
  not: { not: { event: "Subscription Cancelled", count: { $gte: 1 } } },
  json: { sequence: [{ event: "Checkout Started" }, { not: { event: "Order Completed" }, within: "2h" }] },
};

/** The names of the kinds. */
export const KIND_NAMES: Readonly<Record<Kind, string>> = {
  trait: "trait",
  event: "event",
  last: "last event",
  sum: "sum",
  group: "group trait",
  audience: "audience",
  all: "ALL of",
  ["any"]: "ANY of",
  not: "NOT",
  json: "sequence or other, as JSON",
};

const INNER = ["holds", "holdsSince", "changesAt", "found", "events", "missing", "where"];

/** A condition as a sentence; of an explanation what was written. */
export function sentence(node: Json): string {
  const kind = kindOf(withoutFindings(node));
  if (kind === "all" || kind === "any") return kind === "all" ? "ALL of these" : "ANY of these";
  if (kind === "not") return "NOT";
  if (kind === "audience") return `is in the audience ${node.audience}`;
  if (kind === "trait") return traitWords(node.traits);
  if (kind === "group") return `${matchOf(node)} of the groups: ${traitWords(node.group.traits)}`;
  if (kind === "last") return `the last ${node.event} is more than ${node.last.moreThan} ago`;
  const within = node.within === undefined ? "" : ` within ${node.within}`;
  if (kind === "sum") return `the sum of ${node.sum} of ${node.event} is ${numberWords(node.value)}${within}`;
  if (kind === "event") return `${node.event} ${numberWords(node.count ?? { $gte: 1 })} times${within}`;
  return JSON.stringify(withoutFindings(node));
}

/** Which of a person's groups a condition is about. */
export const matchOf = (node: Json): string => node.match ?? "any";

function traitWords(traits: Json): string {
  const { key, operator, operand } = singleTrait(traits)!;
  return `${key} ${COMPARISONS[operator]} ${JSON.stringify(operand)}`;
}

function numberWords(condition: Json): string {
  const [operator, operand] = comparison(condition)!;
  return `${NUMBERS[operator]} ${operand}`;
}

/** The condition of an explanation. The conditions of an audience stand in `where` there; those of an event stay. */
function withoutFindings(node: Json): Json {
  if (node === null || typeof node !== "object" || node.holds === undefined) return node;
  const isOfAudience = node.where?.holds !== undefined;
  return Object.fromEntries(
    Object.entries(node).filter(([name]) => !INNER.includes(name) || name === "where" && !isOfAudience),
  );
}

/** The explanations inside of one. */
export const innerOf = (node: Json): Json[] =>
  node.all ?? node.any ??
    (node.not !== undefined ? [node.not] : node.where?.holds !== undefined ? [node.where] : []);

/** The value of a field: a number, `true`, `false`, or a text; a text in double quotes is always one. */
export function valueOf(text: string): Json {
  try {
    const value = parseJson(text);
    return typeof value === "object" && !(value instanceof LongInteger) ? text : value;
  } catch {
    return text;
  }
}

/** The text of a value, from which {@link valueOf} gives it again. */
export function fieldText(value: Json): string {
  return typeof value === "string" && valueOf(value) === value ? value : JSON.stringify(value);
}

/** A point of the growth of an audience. */
export interface Point {
  day: string;
  members: number;
}

/** Present members by the day since which they belong, summed up; the newest days. */
export function growthOf(members: readonly { since: string }[], days = 30): Point[] {
  const entered = new Map<string, number>();
  for (const { since } of members) {
    const day = since.slice(0, 10);
    entered.set(day, (entered.get(day) ?? 0) + 1);
  }
  let sum = 0;
  const points = [...entered].sort(([a], [b]) => a < b ? -1 : 1).map(([day, more]) => ({
    day,
    members: sum += more,
  }));
  return points.slice(-days);
}
