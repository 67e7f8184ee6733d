/** Writes a small database in MaxMind's format, version 2.0 (maxmind.github.io/MaxMind-DB), as a city database is laid out. */
import { readAddress } from "../../../domain/enrichment/address.ts";

/** What a record may hold here. */
export type Value = string | number | Value[] | { [name: string]: Value };

/** A record of the tree: another node, the place of data, or neither. */
type Branch = { node: number } | { data: number } | undefined;

const MARKER = new Uint8Array([0xab, 0xcd, 0xef, ...new TextEncoder().encode("MaxMind.com")]);

/** A database of IPv6 with IPv4 in it, from records by network, such as `192.0.2.0/24`. */
export function mmdbOf(records: Record<string, Value>): Uint8Array<ArrayBuffer> {
  const tree: [Branch, Branch][] = [[undefined, undefined]];
  const data: number[] = [];
  for (const [network, record] of Object.entries(records)) {
    insert(tree, { bits: bitsOf(network), data: data.length });
    data.push(...encoded(record));
  }
  const nodes = tree.flat().flatMap((branch) => {
    const value = branch === undefined
      ? tree.length
      : "node" in branch
      ? branch.node
      : tree.length + 16 + branch.data;
    return [value >> 16, value >> 8 & 255, value & 255];
  });
  const metadata = encoded({
    binary_format_major_version: 2,
    binary_format_minor_version: 0,
    build_epoch: 1_700_000_000,
    database_type: "Test-City",
    description: {},
    ip_version: 6,
    languages: ["en"],
    node_count: tree.length,
    record_size: 24,
  });
  return new Uint8Array([...nodes, ...new Array(16).fill(0), ...data, ...MARKER, ...metadata]);
}

/** The bits of a network in the tree, where IPv4 stands below ::/96. */
function bitsOf(network: string): number[] {
  const [text, length] = network.split("/");
  const bytes = readAddress(text)!.toByteArray();
  const bits = bytes.flatMap((byte) => Array.from({ length: 8 }, (_, n) => byte >> 7 - n & 1));
  return [...new Array(128 - bits.length).fill(0), ...bits.slice(0, Number(length))];
}

function insert(tree: [Branch, Branch][], { bits, data }: { bits: number[]; data: number }): void {
  let at = 0;
  for (const bit of bits.slice(0, -1)) {
    let next = tree[at]![bit];
    if (next === undefined || "data" in next) {
      next = { node: tree.push([undefined, undefined]) - 1 };
      tree[at]![bit] = next;
    }
    at = next.node;
  }
  tree[at]![bits.at(-1)!] = { data };
}

/** Types of the format: 2 a string, 6 a number of 32 bits, 7 a map, 11 an array. */
function encoded(value: Value): number[] {
  if (typeof value === "string") {
    const bytes = new TextEncoder().encode(value);
    return [...control(2, bytes.length), ...bytes];
  }
  if (typeof value === "number") {
    return [...control(6, 4), value >>> 24, value >> 16 & 255, value >> 8 & 255, value & 255];
  }
  if (Array.isArray(value)) return [...control(11, value.length), ...value.flatMap(encoded)];
  const members = Object.entries(value);
  return [...control(7, members.length), ...members.flat().flatMap(encoded)];
}

function control(type: number, size: number): number[] {
  if (size > 28) throw new RangeError(`sizes up to 28 are written (found ${size})`);
  return type > 7 ? [size, type - 7] : [type << 5 | size];
}
