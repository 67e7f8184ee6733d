/** Networks that addresses are counted by: a sender has one address of IPv4, and more of IPv6 than can be counted. */

/** The narrowest network that one sender has, and a wider one that a site has, which is IPv6's alone. */
export interface Networks {
  narrow: string;
  wide?: string;
}

/** Groups of 16 bits in a /64, the least that an IPv6 subscriber has (RFC 6177), and in a /48, which a site may have. */
const NARROW_GROUPS = 4;
const WIDE_GROUPS = 3;

/** The networks of an address. Everything but an IPv6 address is its own network. */
export function networksOf(address: string): Networks {
  if (!address.includes(":")) return { narrow: address };
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped !== null) return { narrow: mapped[1]! };
  const [head = "", tail] = address.split("::");
  const groups = head === "" ? [] : head.split(":");
  if (tail !== undefined) {
    const after = tail === "" ? 0 : tail.split(":").length;
    while (groups.length + after < 8) groups.push("0");
  }
  const prefix = (count: number) =>
    groups.slice(0, count).map((group) => group.toLowerCase().replace(/^0+(?=.)/, "")).join(":");
  return { narrow: `${prefix(NARROW_GROUPS)}::/64`, wide: `${prefix(WIDE_GROUPS)}::/48` };
}
