/** Explains why a condition holds for a person at a moment, or what is missing. */
import type { Position } from "../event/position.ts";
import type { JsonObject } from "../event/json.ts";
import { decimalText, parseDecimal } from "./decimal.ts";
import type { PersonEvaluation } from "./evaluate.ts";
import type { AudienceSet, Evidence } from "./evidence.ts";
import { intervalAt, nextEdge } from "./intervals.ts";
import { joinedGroups, type PersonEvidence } from "./person.ts";
import type { Node, Selector, Step, TraitTest, Window } from "./tree.ts";

/** Events that an explanation names per condition: the newest ones. */
export const MAX_EXPLAINED_EVENTS = 20;

/** An event that an explanation names; its message id is in the journal. */
export interface ExplainedEvent {
  place: Position;
  at: number;
}

/** A condition as it was written, with what is true of it. Conditions in it are explained in its place. */
export interface Explanation {
  given: JsonObject;
  holds: boolean;
  /** Since when it holds; when that changes if nothing else happens (ms). */
  since?: number;
  until?: number;
  /** What was found: a number, traits. */
  found?: unknown;
  events: ExplainedEvent[];
  /** What is missing where it does not hold. */
  missing?: string;
  parts?: { member: "all" | "any" | "not" | "audience"; nodes: Explanation[] };
}

/** What an explanation is made of. */
export interface ExplainOptions {
  set: AudienceSet;
  person: PersonEvidence;
  evaluation: PersonEvaluation;
  now: number;
}

/** Explains a condition. */
export function explainNode(node: Node, options: ExplainOptions): Explanation {
  const { evaluation, now, set } = options;
  const moments = evaluation.node(node);
  const current = intervalAt(moments, now);
  const holds = current !== undefined;
  const change = nextEdge(moments, now);
  const base = {
    given: node.given,
    holds,
    ...holds && { since: current.start },
    ...change !== Infinity && { until: change },
  };
  if (node.kind === "all" || node.kind === "any") {
    const nodes = node.parts.map((part) => explainNode(part, options));
    return { ...base, events: [], parts: { member: node.kind, nodes } };
  }
  if (node.kind === "not") {
    return { ...base, events: [], parts: { member: "not", nodes: [explainNode(node.part, options)] } };
  }
  if (node.kind === "audience") {
    const audience = set.audiences.find(({ name }) => name === node.name)!;
    const nodes = [explainNode(audience.where, options)];
    return { ...base, events: [], parts: { member: "audience", nodes } };
  }
  const { found, events, missing } = factsOf(node as Leaf, options);
  return {
    ...base,
    ...found !== undefined && { found },
    events: events.slice(-MAX_EXPLAINED_EVENTS).map(({ at, place }) => ({ at, place })).reverse(),
    ...!holds && { missing },
  };
}

interface Facts {
  found?: unknown;
  events: readonly Evidence[];
  missing: string;
}

type Leaf = Extract<Node, { selector: Selector } | { traits: TraitTest } | { steps: Step[] }>;

function factsOf(node: Leaf, options: ExplainOptions): Facts {
  const { set } = options;
  const evidence = options.person.known.filter(({ known }) => known <= options.now).map((each) =>
    each.evidence
  );
  const matching = (selector: Selector, window?: Window) => {
    const no = set.selectorOf(selector);
    return evidence.filter((each) =>
      each.s?.includes(no) && (window === undefined || isInWindow(each.at, window, options.now))
    );
  };
  switch (node.kind) {
    case "count": {
      const events = matching(node.selector, node.window);
      return { found: events.length, events, missing: countMissing(events.length, node.compare.given) };
    }
    case "sum": {
      const events = matching(node.selector, node.window);
      const no = set.selectorOf(node.selector);
      const sum = decimalText(events.reduce((sum, { v }) => sum + parseDecimal(v![no]!), 0n));
      return {
        found: Number(sum),
        events,
        missing: `The sum is ${sum}; it must be ${wordsOf(node.compare.given)}.`,
      };
    }
    case "last": {
      const events = matching(node.selector).slice(-1);
      const missing = events.length === 0
        ? "There is no such event."
        : `The last such event was at ${iso(events[0]!.at)}, which is too recent.`;
      return { events, missing };
    }
    case "sequence": {
      const events = node.steps.flatMap(({ selector, isNot }) => isNot ? [] : matching(selector).slice(-1));
      return { events, missing: "The steps did not happen in this order, or not in time." };
    }
    case "traits": {
      const traits = currentTraits(evidence, node.traits.keys);
      const events = evidence.filter(({ t }) =>
        t !== undefined && node.traits.keys.some((key) => Object.hasOwn(t, key))
      );
      return { found: traits, events: events.slice(-1), missing: "The traits do not satisfy the condition." };
    }
    case "group":
      return groupFacts(node, evidence, options);
  }
}

function groupFacts(
  node: Extract<Node, { kind: "group" }>,
  evidence: readonly Evidence[],
  { person, now }: ExplainOptions,
): Facts {
  const joined = joinedGroups(person.known.filter(({ known }) => known <= now));
  const found = joined.map((groupId) => {
    const known = (person.groups.get(groupId) ?? []).filter(({ at }) => at <= now);
    const traits = currentTraits(known, node.traits.keys);
    return { groupId, traits, holds: node.traits.test(traits) };
  });
  const events = joined.flatMap((id) => evidence.find(({ g }) => g === id) ?? []);
  const missing = found.length === 0
    ? "The person is in no group."
    : node.match === "none"
    ? "A group of the person satisfies the condition."
    : node.match === "all"
    ? "A group of the person does not satisfy the condition."
    : "No group of the person satisfies the condition.";
  return { found, events, missing };
}

function currentTraits(evidence: readonly Evidence[], keys: readonly string[]): Record<string, unknown> {
  const traits: Record<string, unknown> = Object.create(null);
  for (const { t } of evidence) {
    if (t === undefined) continue;
    for (const key of keys) if (Object.hasOwn(t, key)) traits[key] = t[key];
  }
  for (const key of keys) if (traits[key] === null) delete traits[key];
  return traits;
}

function isInWindow(at: number, { fromMs, toMs, since, until }: Window, now: number): boolean {
  return at > now - fromMs && at <= now - toMs && at >= since && at < until;
}

function countMissing(count: number, given: JsonObject): string {
  const needed = given.$gte;
  if (typeof needed === "number" && count < needed) {
    return `There ${count === 1 ? "is 1 such event" : `are ${count} such events`}; ${
      needed - count
    } more must happen.`;
  }
  return `There ${count === 1 ? "is 1 such event" : `are ${count} such events`}; the number must be ${
    wordsOf(given)
  }.`;
}

const WORDS: Record<string, string> = {
  $eq: "equal to",
  $ne: "other than",
  $gt: "more than",
  $gte: "at least",
  $lt: "less than",
  $lte: "at most",
};

function wordsOf(given: JsonObject): string {
  return Object.entries(given).map(([operator, operand]) => `${WORDS[operator]} ${String(operand)}`).join(
    " and ",
  );
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
