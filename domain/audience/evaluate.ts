/**
 * Evaluates conditions for one person: each gives the moments at which it holds, past and future, if nothing else happens.
 * So `since` and `until` of a membership are two ends of an interval.
 */
import { type Decimal, parseDecimal } from "./decimal.ts";
import type { AudienceSet, Evidence } from "./evidence.ts";
import { between, complement, createSweep, intersection, type Intervals, NEVER, union } from "./intervals.ts";
import type { PersonEvidence } from "./person.ts";
import { sequenceEnds } from "./sequence.ts";
import type { Comparison, Node, Selector, TraitTest, Window } from "./tree.ts";

/** Evaluates conditions of a set's audiences for one person. Results of audiences are kept. */
export interface PersonEvaluation {
  /** The moments at which the audience of a number holds. */
  audience(index: number): Intervals;
  /** The moments at which a node holds. */
  node(node: Node): Intervals;
}

/** What evaluating a node needs: a person in a time in which no past event becomes known. */
interface Scope {
  set: AudienceSet;
  matchesOf(selector: Selector): readonly Evidence[];
  evidence: readonly Evidence[];
  groups: PersonEvidence["groups"];
  audience(name: string): Intervals;
}

/** Begins the evaluation of a person. */
export function evaluatePerson(set: AudienceSet, person: PersonEvidence): PersonEvaluation {
  const scopes = scopesOf(set, person);
  const kept = new Map<number, Intervals>();
  /** Outside of any scope: each scope's moments, joined. */
  const node = (node: Node) => {
    const parts = scopes.map(({ scope, start, end }) =>
      intersection([between(start, end), evaluate(node, scope)])
    );
    return union(parts);
  };
  return {
    node,
    audience(index) {
      let found = kept.get(index);
      if (found === undefined) kept.set(index, found = node(set.audiences[index]!.where));
      return found;
    },
  };
}

/** A person's time, cut at each moment at which a link makes past events known. */
function scopesOf(set: AudienceSet, { first, known, groups }: PersonEvidence) {
  const cuts = new Set<number>();
  for (const each of known) if (each.known > each.evidence.at && each.known > first) cuts.add(each.known);
  const starts = [first, ...[...cuts].sort((a, b) => a - b)];
  return starts.map((start, index) => {
    const end = starts[index + 1] ?? Infinity;
    const evidence = known.filter((each) => each.known === each.evidence.at || each.known <= start);
    return { start, end, scope: scopeOf(set, evidence.map((each) => each.evidence), groups) };
  });
}

function scopeOf(set: AudienceSet, evidence: readonly Evidence[], groups: PersonEvidence["groups"]): Scope {
  const bySelector = new Map<number, Evidence[]>();
  for (const each of evidence) {
    for (const no of each.s ?? []) {
      const list = bySelector.get(no);
      if (list === undefined) bySelector.set(no, [each]);
      else list.push(each);
    }
  }
  const byName = new Map(set.audiences.map(({ name, where }) => [name, where]));
  const kept = new Map<string, Intervals>();
  const scope: Scope = {
    set,
    evidence,
    groups,
    matchesOf: (selector) => bySelector.get(set.selectorOf(selector)) ?? [],
    audience(name) {
      let found = kept.get(name);
      if (found === undefined) kept.set(name, found = evaluate(byName.get(name)!, scope));
      return found;
    },
  };
  return scope;
}

function evaluate(node: Node, scope: Scope): Intervals {
  switch (node.kind) {
    case "all":
      return intersection(node.parts.map((part) => evaluate(part, scope)));
    case "any":
      return union(node.parts.map((part) => evaluate(part, scope)));
    case "not":
      return complement(evaluate(node.part, scope));
    case "traits":
      return whereTraits(scope.evidence, node.traits);
    case "group":
      return ofGroups(scope, node.traits, node.match);
    case "audience":
      return scope.audience(node.name);
    case "count":
      return ofCount(scope.matchesOf(node.selector), node.window, node.compare);
    case "last":
      return ofLast(scope.matchesOf(node.selector), node.moreThanMs);
    case "sum":
      return ofSum(scope.matchesOf(node.selector), { ...node, no: scope.set.selectorOf(node.selector) });
    case "sequence": {
      const ends = sequenceEnds(node.steps, scope.matchesOf);
      return union([NEVER, ...ends.map((end) => between(end, end + node.withinMs))]);
    }
  }
}

/** When each event comes into a window and leaves it, in order; events outside of its fixed times never do. */
function edgesOf(matches: readonly Evidence[], { fromMs, toMs, since, until }: Window) {
  const edges: { at: number; sign: 1 | -1; match: Evidence }[] = [];
  for (const match of matches) {
    if (match.at < since || match.at >= until) continue;
    edges.push({ at: match.at + toMs, sign: 1, match });
    if (fromMs !== Infinity) edges.push({ at: match.at + fromMs, sign: -1, match });
  }
  // Without a window they are in order already.
  return fromMs === Infinity ? edges : edges.sort((a, b) => a.at - b.at);
}

function ofCount(matches: readonly Evidence[], window: Window, { test }: Comparison): Intervals {
  const sweep = createSweep<number>(test);
  let count = 0;
  sweep.set(-Infinity, count);
  for (const { at, sign } of edgesOf(matches, window)) sweep.set(at, count += sign);
  return sweep.end();
}

function ofSum(
  matches: readonly Evidence[],
  { no, window, compare }: { no: number; window: Window; compare: Comparison },
): Intervals {
  const sweep = createSweep<Decimal>(compare.test);
  let sum = 0n;
  sweep.set(-Infinity, sum);
  for (const { at, sign, match } of edgesOf(matches, window)) {
    sum += BigInt(sign) * parseDecimal(match.v![no]!);
    sweep.set(at, sum);
  }
  return sweep.end();
}

function ofLast(matches: readonly Evidence[], moreThanMs: number): Intervals {
  const moments: number[] = [];
  matches.forEach(({ at }, index) => {
    const next = matches[index + 1]?.at ?? Infinity;
    if (at + moreThanMs < next) moments.push(at + moreThanMs, next);
  });
  return moments;
}

/** When a test of traits holds, by the evidence that sets them, in order of time, then arrival. */
function whereTraits(evidence: readonly Evidence[], { keys, test }: TraitTest): Intervals {
  const sweep = createSweep<boolean>((holds) => holds);
  const traits: Record<string, unknown> = Object.create(null);
  sweep.set(-Infinity, test(traits));
  for (const { at, t } of evidence) {
    if (t === undefined || !keys.some((key) => Object.hasOwn(t, key))) continue;
    for (const key of keys) {
      if (!Object.hasOwn(t, key)) continue;
      if (t[key] === null) delete traits[key];
      else traits[key] = t[key];
    }
    sweep.set(at, test(traits));
  }
  return sweep.end();
}

function ofGroups({ evidence, groups }: Scope, traits: TraitTest, match: "any" | "all" | "none"): Intervals {
  const joined = new Map<string, number>();
  for (const { g, at } of evidence) {
    if (g !== undefined) joined.set(g, Math.min(at, joined.get(g) ?? Infinity));
  }
  const each = [...joined].map(([id, at]) => {
    return { since: between(at, Infinity), holds: whereTraits(groups.get(id) ?? [], traits) };
  });
  const members = union([NEVER, ...each.map(({ since }) => since)]);
  if (match === "all") {
    const all = each.map(({ since, holds }) => union([complement(since), holds]));
    return intersection([members, ...all]);
  }
  const some = union([NEVER, ...each.map(({ since, holds }) => intersection([since, holds]))]);
  return match === "any" ? some : complement(some);
}
