/**
 * Evidence: what an event says to the conditions of a set of audiences, and nothing else. A person's evidence is kept in
 * order of time, so membership at any moment follows from it without reading the journal.
 */
import type { StoredEvent } from "../event/event.ts";
import type { Position } from "../event/position.ts";
import { factOf, linkedBy } from "../profile/fact.ts";
import { decimalOf, decimalText } from "./decimal.ts";
import { numberAt } from "./nodes.ts";
import { audiencesIn } from "./definition.ts";
import type { Node, Selector } from "./tree.ts";

/** What one event says. Stored as JSON under short names, since there is one for each event that matters. */
export interface Evidence {
  /** When it happened (ms), and its position in the journal. */
  at: number;
  place: Position;
  /** The selectors that it matches. */
  s?: number[];
  /** The numbers that it adds to sums, by selector. */
  v?: Record<number, string>;
  /** The traits that it sets, of those that conditions read: of the person, or of the group. */
  t?: Record<string, unknown>;
  /** The group that the person joins. */
  g?: string;
  /** A link: the anonymous id in a user's evidence, the user in an anonymous id's. */
  l?: string;
}

/** An audience's tree, by name. */
export interface NamedNode {
  name: string;
  where: Node;
}

/** Some audiences together: their selectors and traits, numbered once for all, and which audience needs which. */
export interface AudienceSet {
  audiences: readonly NamedNode[];
  selectors: readonly Selector[];
  selectorOf(selector: Selector): number;
  /** What an event says to each of its actors; a user's or an anonymous id's first, if any. */
  evidenceOf(event: StoredEvent, place: Position): ActorEvidence[];
  /** The audiences (by index) that evidence may change. */
  touchedBy(evidence: Evidence): Iterable<number>;
  /** The audiences that read traits of groups. */
  withGroups: readonly number[];
}

/** Evidence for one actor. */
export interface ActorEvidence {
  kind: "user" | "anonymous" | "group";
  id: string;
  evidence: Evidence;
}

/** Joins audiences into a set. The order of the audiences numbers them. */
export function createAudienceSet(audiences: readonly NamedNode[]): AudienceSet {
  const selectors: Selector[] = [];
  const numberOf = new Map<string, number>();
  const byEvent = new Map<string, number[]>();
  const byType = new Map<string, number[]>();
  const neededBy = { selector: [] as number[][], trait: new Map<string, number[]>(), group: [] as number[] };
  const groupKeys = new Set<string>();

  function addSelector(selector: Selector, audience: number): void {
    let no = numberOf.get(selector.id);
    if (no === undefined) {
      no = selectors.push(selector) - 1;
      numberOf.set(selector.id, no);
      neededBy.selector.push([]);
      if (selector.event !== undefined) push(byEvent, selector.event, no);
      else push(byType, selector.type!, no);
    }
    addOnce(neededBy.selector[no]!, audience);
  }

  function addNode(node: Node, audience: number): void {
    if (node.kind === "all" || node.kind === "any") node.parts.forEach((part) => addNode(part, audience));
    else if (node.kind === "not") addNode(node.part, audience);
    else if (node.kind === "traits") {
      for (const key of node.traits.keys) {
        if (!neededBy.trait.has(key)) neededBy.trait.set(key, []);
        addOnce(neededBy.trait.get(key)!, audience);
      }
    } else if (node.kind === "group") {
      for (const key of node.traits.keys) groupKeys.add(key);
      addOnce(neededBy.group, audience);
    } else if (node.kind === "sequence") {
      node.steps.forEach(({ selector }) => addSelector(selector, audience));
    } else if ("selector" in node) addSelector(node.selector, audience);
  }

  const byName = new Map(audiences.map(({ where }, index) => [audiences[index]!.name, where]));
  audiences.forEach(({ where }, index) => {
    // An audience depends on all that the audiences it names depend on.
    for (const name of withReferences(where, byName)) addNode(byName.get(name)!, index);
    addNode(where, index);
  });
  const all = audiences.map((_, index) => index);

  function matchesOf(event: StoredEvent): Pick<Evidence, "s" | "v"> {
    const candidates = [
      ...event.type === "track" ? byEvent.get(event.event ?? "") ?? [] : [],
      ...byType.get(event.type) ?? [],
    ];
    const s: number[] = [];
    const v: Record<number, string> = {};
    for (const no of candidates) {
      const { type, name, where, sum } = selectors[no]!;
      if (type !== undefined && event.type !== type) continue;
      if (name !== undefined && event.name !== name) continue;
      if (where !== undefined && !where.test(event)) continue;
      if (sum !== undefined) {
        const value = decimalOf(numberAt(event, sum));
        if (value === undefined) continue;
        v[no] = decimalText(value);
      }
      s.push(no);
    }
    return { ...s.length > 0 && { s }, ...Object.keys(v).length > 0 && { v } };
  }

  return {
    audiences,
    selectors,
    selectorOf: ({ id }) => numberOf.get(id)!,
    withGroups: neededBy.group,
    evidenceOf(event, place) {
      const at = Date.parse(event.timestamp);
      const { userId, anonymousId, groupId, type, traits } = event;
      const found: ActorEvidence[] = [];
      const linked = type === "identify" || type === "alias" ? linkedBy(factOf(event, place)) : undefined;
      const evidence: Evidence = { at, place, ...matchesOf(event) };
      if (type === "identify" && traits !== undefined) {
        const read = pick(traits, (key) => neededBy.trait.has(key));
        if (read !== undefined) evidence.t = read;
      }
      if (type === "group" && groupId !== undefined && neededBy.group.length > 0) evidence.g = groupId;
      if (linked !== undefined) evidence.l = linked;
      if (userId !== undefined) found.push({ kind: "user", id: userId, evidence });
      else if (anonymousId !== undefined && saysSomething(evidence)) {
        found.push({ kind: "anonymous", id: anonymousId, evidence });
      }
      if (linked !== undefined) {
        found.push({ kind: "anonymous", id: linked, evidence: { at, place, l: userId! } });
      }
      if (evidence.g !== undefined && traits !== undefined) {
        const t = pick(traits, (key) => groupKeys.has(key));
        if (t !== undefined) found.push({ kind: "group", id: groupId!, evidence: { at, place, t } });
      }
      return found;
    },
    touchedBy({ s = [], t, g, l }) {
      if (l !== undefined) return all;
      const touched = new Set<number>();
      for (const no of s) for (const index of neededBy.selector[no]!) touched.add(index);
      if (t !== undefined) {
        for (const key of Object.keys(t)) {
          for (const index of neededBy.trait.get(key) ?? []) touched.add(index);
        }
      }
      if (g !== undefined) { for (const index of neededBy.group) touched.add(index); }
      return touched;
    },
  };
}

/** Whether evidence says more than that its person had an event. */
export function saysSomething({ s, t, g, l }: Evidence): boolean {
  return s !== undefined || t !== undefined || g !== undefined || l !== undefined;
}

/** The names of all audiences that a condition refers to, also through others. */
function withReferences(
  node: Node,
  byName: ReadonlyMap<string, Node>,
  known = new Set<string>(),
): Set<string> {
  for (const name of audiencesIn(node)) {
    if (known.has(name)) continue;
    known.add(name);
    withReferences(byName.get(name)!, byName, known);
  }
  return known;
}

function push(map: Map<string, number[]>, key: string, value: number): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

function addOnce(list: number[], value: number): void {
  if (!list.includes(value)) list.push(value);
}

/** The members of some names; `undefined` if there are none. A name such as `__proto__` is data. */
function pick(
  given: Record<string, unknown>,
  isWanted: (key: string) => boolean,
): Record<string, unknown> | undefined {
  let picked: Record<string, unknown> | undefined;
  for (const key of Object.keys(given)) {
    if (!isWanted(key)) continue;
    picked ??= Object.create(null) as Record<string, unknown>;
    picked[key] = given[key];
  }
  return picked;
}

/** Adds evidence to a list in order of time, then arrival; what is there already changes nothing. Mutates `list`. */
export function addEvidence(list: Evidence[], added: readonly Evidence[]): boolean {
  let isChanged = false;
  for (const evidence of added) {
    let at = list.length;
    while (at > 0 && comesAfter(list[at - 1]!, evidence)) at--;
    if (at > 0 && list[at - 1]!.place === evidence.place) continue;
    list.splice(at, 0, evidence);
    isChanged = true;
  }
  return isChanged;
}

function comesAfter(a: Evidence, b: Evidence): boolean {
  return a.at > b.at || (a.at === b.at && a.place > b.place);
}
