/**
 * Definitions of audiences: what an administrator writes, checked and read into a tree. `docs/audiences.md` is the
 * reference. Every node holds or does not hold for one person at one moment.
 */
import { isObject, jsonBytes, type JsonObject, shown } from "../event/json.ts";
import { readCount, readEvent, readGroup, readSequence, readSum, readTraits } from "./nodes.ts";
import {
  type DefinitionProblem,
  MAX_AUDIENCE_BYTES,
  MAX_AUDIENCE_CONDITIONS,
  MAX_AUDIENCE_DEPTH,
  type Node,
  onlyMembers,
  type Reading,
  refuse,
} from "./tree.ts";

/** Reads the `where` of a definition: its tree, or everything that is wrong with it. */
export function readWhere(given: unknown): { where: Node } | { problems: DefinitionProblem[] } {
  const reading: Reading = { problems: [], conditions: 0 };
  if (isObject(given) && jsonBytes(given) > MAX_AUDIENCE_BYTES) {
    return { problems: [{ path: "where", message: `must be at most ${MAX_AUDIENCE_BYTES} bytes of JSON` }] };
  }
  const where = readNode(given, "where", reading);
  return where === undefined || reading.problems.length > 0 ? { problems: reading.problems } : { where };
}

type ReadNode = (given: JsonObject, path: string, reading: Reading) => Node | undefined;

/** The members that tell what a condition is, in the order in which they are looked for. */
const KINDS: readonly (readonly [string, ReadNode])[] = [
  ["traits", readTraits],
  ["group", readGroup],
  ["audience", readAudience],
  ["sequence", readSequence],
  ["sum", readSum],
  ["last", readEvent],
  ["event", readCount],
  ["type", readCount],
];

const NESTED = ["all", "any", "not"] as const;

function readNode(given: unknown, path: string, reading: Reading, depth = 1): Node | undefined {
  if (!isObject(given)) {
    return refuse(reading, path, `must be a condition, which is an object; got ${shown(given)}`);
  }
  if (depth > MAX_AUDIENCE_DEPTH) {
    return refuse(reading, path, `must not be nested deeper than ${MAX_AUDIENCE_DEPTH} levels`);
  }
  const nested = NESTED.find((member) => Object.hasOwn(given, member));
  if (nested === "not") return readNot(given, { path, reading, depth });
  if (nested !== undefined) return readParts(nested, given, { path, reading, depth });
  const kind = KINDS.find(([member]) => Object.hasOwn(given, member));
  if (kind === undefined) return refuse(reading, path, unknownKind(given));
  if (++reading.conditions === MAX_AUDIENCE_CONDITIONS + 1) {
    return refuse(
      reading,
      path,
      `is one too many: an audience has at most ${MAX_AUDIENCE_CONDITIONS} conditions`,
    );
  }
  return kind[1](given, path, reading);
}

function unknownKind(given: JsonObject): string {
  const words = [...NESTED, ...KINDS.map(([member]) => member)].join(", ");
  return Object.keys(given).length === 0
    ? `must not be empty: it must have one of ${words}`
    : `must have one of ${words}`;
}

/** Where a nested condition stands. */
interface Place {
  path: string;
  reading: Reading;
  depth: number;
}

function readParts(
  kind: "all" | "any",
  given: JsonObject,
  { path, reading, depth }: Place,
): Node | undefined {
  onlyMembers(given, [kind], path, reading);
  const list = given[kind];
  if (!Array.isArray(list) || list.length === 0) {
    return refuse(reading, `${path}.${kind}`, "must be an array of at least one condition");
  }
  const parts = list.map((each, index) => readNode(each, `${path}.${kind}.${index}`, reading, depth + 1));
  return { kind, parts: parts.filter((part) => part !== undefined), given };
}

function readNot(given: JsonObject, { path, reading, depth }: Place): Node | undefined {
  onlyMembers(given, ["not"], path, reading);
  const part = readNode(given.not, `${path}.not`, reading, depth + 1);
  return part && { kind: "not", part, given };
}

function readAudience(given: JsonObject, path: string, reading: Reading): Node | undefined {
  onlyMembers(given, ["audience"], path, reading);
  const name = given.audience;
  if (typeof name !== "string" || name === "") {
    return refuse(reading, `${path}.audience`, `must be the name of an audience; got ${shown(name)}`);
  }
  return { kind: "audience", name, given };
}

/** The names of the audiences that a condition refers to. */
export function audiencesIn(node: Node): string[] {
  if (node.kind === "audience") return [node.name];
  if (node.kind === "not") return audiencesIn(node.part);
  return node.kind === "all" || node.kind === "any" ? node.parts.flatMap(audiencesIn) : [];
}

/** The name through which a definition refers to itself, directly or not; `undefined` if there is no cycle. */
export function cycleThrough(name: string, nodes: ReadonlyMap<string, Node>): string[] | undefined {
  const visit = (at: string, way: string[]): string[] | undefined => {
    const node = nodes.get(at);
    for (const next of node === undefined ? [] : audiencesIn(node)) {
      if (next === name) return [...way, next];
      if (way.includes(next)) continue;
      const found = visit(next, [...way, next]);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return visit(name, [name]);
}
