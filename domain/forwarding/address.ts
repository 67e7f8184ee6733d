/** Which addresses forwarding may connect to. Every kind of destination and every alert goes by this. */
import ipaddr from "ipaddr.js";
import { type Address, readAddress } from "../enrichment/address.ts";

/** What `FORWARD_ALLOW` lists: networks, and hosts whose loopback and private addresses are allowed. */
export interface AllowList {
  networks: readonly [Address, number][];
  hosts: ReadonlySet<string>;
}

/** The loopback networks, which `deno task dev` allows. */
export const LOOPBACK = "127.0.0.0/8,::1/128";

/** Networks that a server of its own is not in: only `FORWARD_ALLOW` opens them. */
const PRIVATE = new Set(["loopback", "private", "uniqueLocal", "carrierGradeNat"]);

/** Addresses at which clouds give credentials to whoever asks, besides the link-local ones. */
const METADATA = new Set(["100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254"]);

/** Prefixes of NAT64 (RFC 6052, RFC 8215), behind which an IPv4 address stands in the last 32 bits. */
const NAT64: readonly [Address, number][] = [
  ipaddr.parseCIDR("64:ff9b::/96"),
  ipaddr.parseCIDR("64:ff9b:1::/96"),
];

/** Reads `FORWARD_ALLOW`: networks (CIDR), addresses and hosts, separated by commas; `undefined` if one is none. */
export function readAllowList(text: string): AllowList | undefined {
  const networks: [Address, number][] = [];
  const hosts = new Set<string>();
  for (const entry of text.split(",").map((each) => each.trim()).filter((each) => each !== "")) {
    const address = readAddress(entry);
    if (address !== undefined) networks.push([address, address.kind() === "ipv4" ? 32 : 128]);
    else if (entry.includes("/")) {
      if (!ipaddr.isValidCIDR(entry)) return undefined;
      networks.push(ipaddr.parseCIDR(entry));
    } else if (/^[a-z0-9._-]+$/i.test(entry) && !/^[\d.]+$/.test(entry)) hosts.add(plainHost(entry));
    else return undefined;
  }
  return { networks, hosts };
}

/** A host as it is compared: lower case, without the dot at the end and the brackets of IPv6. */
export function plainHost(host: string): string {
  return host.toLowerCase().replace(/^\[(.*)\]$/, "$1").replace(/\.$/, "");
}

/** The addresses of a host that needs no resolver: an address in any form that URLs know, or `localhost`. */
export function addressesOfLiteral(host: string): string[] | undefined {
  const plain = plainHost(host);
  if (plain === "localhost" || plain.endsWith(".localhost")) return ["127.0.0.1", "::1"];
  if (plain.includes(":")) return [plain];
  // URLs know `2130706433`, `0x7f.1` and `0177.0.0.1` as 127.0.0.1; a resolver would, too.
  const written = URL.parse(`http://${plain}/`)?.hostname ?? plain;
  return readAddress(written) === undefined ? undefined : [written];
}

/** Why an address must not be connected to; `undefined` if it may. `host` is the name that was resolved to it. */
export function refusalOf(text: string, host: string, allow: AllowList): string | undefined {
  const address = readAddress(text);
  if (address === undefined) return `${text} is not an IP address`;
  const behind = embedded(address);
  const range = behind.range() as string;
  const isNever = range === "linkLocal" || METADATA.has(behind.toString());
  if (isNever) return `${text} is a link-local or metadata address, which is never allowed`;
  if (range === "unicast") return undefined;
  if (!PRIVATE.has(range)) return `${text} is a reserved address`;
  const isAllowed = allow.hosts.has(plainHost(host)) ||
    allow.networks.some(([network, bits]) => isWithin(behind, network, bits));
  if (isAllowed) return undefined;
  const kind = range === "loopback" ? "a loopback" : "a private";
  return `${text} is ${kind} address, which FORWARD_ALLOW does not list`;
}

/** The IPv4 address in an IPv6 one that a gateway translates, or the address itself. */
function embedded(address: Address): Address {
  if (address.kind() === "ipv4") return address;
  if (!NAT64.some(([network, bits]) => isWithin(address, network, bits))) return address;
  return new ipaddr.IPv4(address.toByteArray().slice(12));
}

function isWithin(address: Address, network: Address, bits: number): boolean {
  return address.kind() === network.kind() && address.match(network as ipaddr.IPv4 & ipaddr.IPv6, bits);
}
