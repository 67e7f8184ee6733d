/** Where two lists of requests differ, field by field, and whether each difference is one that a test explains. */
import { Buffer } from "node:buffer";
import { numberText, parseExact } from "../../../domain/event/exact_json.ts";
import { isObject } from "../../../domain/event/json.ts";

/** A request as it was on the wire, or as a recipe makes it. */
export interface Sent {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: string;
}

/** A difference that is meant: each side's value as JSON, or a pattern of it; absent if the side has no such field. */
export interface Explained {
  /** The field: names parted by slashes, in which `*` stands for any one name and a last `**` for any that follow. */
  at: string;
  theirs?: unknown;
  ours?: unknown;
  why: string;
}

interface Difference {
  at: string;
  theirs?: string;
  ours?: string;
}

/** Headers that say how a request is sent, not what: connections, and who sends. */
const OF_TRANSPORT =
  /^(host|connection|content-length|content-encoding|accept.*|user-agent|sec-fetch-mode|transfer-encoding)$/;

/** Fields of requests by their paths, values as JSON: method, path, query, headers, encoding, body. */
export function fieldsOf(requests: readonly Sent[]): Map<string, string> {
  const fields = new Map<string, string>();
  for (const [index, { method, url, headers, body }] of requests.entries()) {
    const { pathname, searchParams } = new URL(url, "http://localhost");
    const own = Object.entries(headers).filter(([name]) => !OF_TRANSPORT.test(name));
    const { data, ...query } = Object.fromEntries(searchParams);
    const type = headers["content-type"] ?? "";
    addFields(fields, String(index), {
      method,
      path: pathname,
      query,
      headers: Object.fromEntries(own),
      ...data !== undefined
        ? { encoding: "query", body: [decoded(data)].flat() }
        : type.includes("form")
        ? { encoding: "form", body: [decoded(decodeURIComponent(body.replace(/^data=/, "")))].flat() }
        : { encoding: "json", body: parseExact(body) },
    });
  }
  return fields;
}

/** Mixpanel's client sends JSON as Base64, in a form or a query; one object of it is an array of one. */
function decoded(data: string): unknown {
  return parseExact(Buffer.from(data, "base64").toString());
}

function addFields(
  fields: Map<string, string>,
  path: string,
  value: unknown,
): void {
  const isLeaf = !(Array.isArray(value) || isObject(value)) ||
    Object.keys(value).length === 0;
  if (isLeaf) fields.set(path, numberText(value) ?? JSON.stringify(value));
  else {for (const [name, each] of Object.entries(value)) {
      addFields(fields, `${path}/${name}`, each);
    }}
}

/** The differences that no explanation fits, and the explanations that fit no difference. */
export function unexplained(
  { theirs, ours }: { theirs: readonly Sent[]; ours: readonly Sent[] },
  explained: readonly Explained[],
): { differences: Difference[]; explanations: Explained[] } {
  const [left, right] = [fieldsOf(theirs), fieldsOf(ours)];
  const used = new Set<Explained>();
  const differences: Difference[] = [];
  for (const at of new Set([...left.keys(), ...right.keys()])) {
    const difference: Difference = {
      at,
      ...left.has(at) && { theirs: left.get(at)! },
      ...right.has(at) && { ours: right.get(at)! },
    };
    if (difference.theirs === difference.ours) continue;
    const found = explained.find((each) => fits(each, difference));
    if (found === undefined) differences.push(difference);
    else used.add(found);
  }
  return {
    differences,
    explanations: explained.filter((each) => !used.has(each)),
  };
}

function fits(
  { at, theirs, ours }: Explained,
  difference: Difference,
): boolean {
  const pattern = at.split("/").map((name) =>
    name === "**" ? ".*" : name === "*" ? "[^/]*" : name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
  );
  return new RegExp(`^${pattern.join("/")}$`, "s").test(difference.at) &&
    isValue(theirs, difference.theirs) && isValue(ours, difference.ours);
}

function isValue(wanted: unknown, found: string | undefined): boolean {
  if (wanted === undefined || found === undefined) return wanted === found;
  return wanted instanceof RegExp ? wanted.test(found) : JSON.stringify(wanted) === found;
}
