/** IP addresses as senders and peers give them. */
import ipaddr from "ipaddr.js";

/** Bits that a truncated address keeps: the network of a site, by RFC 6177, not a person. */
const KEPT_BITS = { ipv4: 24, ipv6: 48 } as const;

/** No address in text is longer (RFC 4291, section 2.2, with an IPv4 address at its end). */
const MAX_ADDRESS_LENGTH = 45;

/** Four decimal numbers without leading zeros, which some read as octal (RFC 6943, section 3.1.1). */
const DOTTED_QUAD = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/;

/** An address that is one. */
export type Address = ipaddr.IPv4 | ipaddr.IPv6;

/**
 * The address that a value names in its usual form, or nothing; one of IPv4 in an IPv6 one (`::ffff:192.0.2.1`) is the
 * former. Never throws. Forms that only C libraries take (`0x7f.1`, `010.0.0.1`) and zones (`fe80::1%eth0`) name nothing.
 */
export function readAddress(value: unknown): Address | undefined {
  if (typeof value !== "string" || value.length > MAX_ADDRESS_LENGTH || value.includes("%")) return undefined;
  if (value.includes(":")) return ipaddr.IPv6.isValid(value) ? ipaddr.process(value) : undefined;
  const octets = DOTTED_QUAD.exec(value)?.slice(1).map(Number);
  return octets?.every((octet) => octet <= 255) ? new ipaddr.IPv4(octets) : undefined;
}

/**
 * The address that a sender names in one of the forms that proxies and devices write: with a port (`192.0.2.1:4711`,
 * `[2001:db8::1]:4711`), brackets, a zone, blanks around it, or others behind it in a list (`X-Forwarded-For`).
 */
export function readSentAddress(value: unknown): Address | undefined {
  if (typeof value !== "string") return undefined;
  const comma = value.indexOf(",");
  const [first] = withoutPort((comma < 0 ? value : value.slice(0, comma)).trim()).split("%", 1);
  return readAddress(first);
}

/** `192.0.2.1:4711` and `[2001:db8::1]:4711`, as some proxies write it. */
export function withoutPort(entry: string): string {
  return /^\[(.+)\](?::\d+)?$/.exec(entry)?.[1] ?? /^([\d.]+):\d+$/.exec(entry)?.[1] ?? entry;
}

/** The network that an address is in, as an address: `192.0.2.77` is `192.0.2.0`, IPv6 keeps 48 bits. */
export function truncated(address: Address): string {
  const kind = address.kind();
  const bytes = address.toByteArray().fill(0, KEPT_BITS[kind] / 8);
  return ipaddr.fromByteArray(bytes).toString();
}
