/** Addresses that forwarding refuses, in all the forms in which they can be written. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import {
  addressesOfLiteral,
  LOOPBACK,
  readAllowList,
  refusalOf,
} from "../../../domain/forwarding/address.ts";

const NOTHING = readAllowList("")!;

const LITERALS: [form: string, host: string][] = [
  ["dotted", "127.0.0.1"],
  ["decimal", "2130706433"],
  ["hexadecimal", "0x7f000001"],
  ["octal", "0177.0.0.1"],
  ["short", "127.1"],
  ["mixed", "0x7f.1"],
  ["with a dot at its end", "127.0.0.1."],
  ["IPv6", "[::1]"],
  ["IPv6 in full", "[0:0:0:0:0:0:0:1]"],
  ["IPv4-mapped", "[::ffff:127.0.0.1]"],
  ["IPv4-mapped in hex", "[::ffff:7f00:1]"],
  ["NAT64", "[64:ff9b::127.0.0.1]"],
  ["local NAT64", "[64:ff9b:1::7f00:1]"],
  ["localhost", "localhost"],
  ["localhost with a dot", "localhost."],
  ["LOCALHOST", "LocalHost"],
  ["below localhost", "a.localhost"],
  ["private 10", "10.1.2.3"],
  ["private 172.16", "172.16.0.1"],
  ["private 192.168", "192.168.1.1"],
  ["carrier-grade NAT", "100.64.0.1"],
  ["unique local", "[fd12::1]"],
  ["unspecified", "0.0.0.0"],
  ["unspecified as a number", "0"],
  ["unspecified IPv6", "[::]"],
  ["broadcast", "255.255.255.255"],
  ["multicast", "224.0.0.1"],
  ["reserved", "240.0.0.1"],
  ["documentation", "192.0.2.1"],
  ["link-local", "169.254.169.254"],
  ["link-local as a number", "2852039166"],
  ["link-local IPv6", "[fe80::1]"],
  ["link-local mapped", "[::ffff:169.254.169.254]"],
  ["link-local behind NAT64", "[64:ff9b::a9fe:a9fe]"],
  ["metadata of AWS over IPv6", "[fd00:ec2::254]"],
  ["metadata of Alibaba", "100.100.100.200"],
  ["metadata of Azure", "168.63.129.16"],
  ["6to4", "[2002:7f00:1::]"],
  ["Teredo", "[2001:0:7f00:1::]"],
];

for (const [form, host] of LITERALS) {
  Deno.test(`address: ${form} (${host}) is refused`, () => {
    const addresses = addressesOfLiteral(host);
    ok(addresses !== undefined && addresses.length > 0, "it needs no resolver");
    for (const address of addresses) ok(refusalOf(address, host, NOTHING) !== undefined, address);
  });
}

for (const host of ["93.184.216.34", "[2606:4700::1111]", "[64:ff9b::8.8.8.8]"]) {
  Deno.test(`address: the public address ${host} is allowed`, () => {
    strictEqual(refusalOf(addressesOfLiteral(host)![0]!, host, NOTHING), undefined);
  });
}

Deno.test("address: a name is for a resolver", () => {
  strictEqual(addressesOfLiteral("example.com"), undefined);
  strictEqual(addressesOfLiteral("10.example.com"), undefined);
});

Deno.test("address: FORWARD_ALLOW opens loopback and private networks by network, address and host", () => {
  const allow = readAllowList(`${LOOPBACK}, 10.0.0.0/8,192.168.1.7 ,Intern.example.,fd12::/16`)!;
  for (const address of ["127.9.9.9", "::1", "::ffff:127.0.0.1", "10.2.3.4", "192.168.1.7", "fd12::5"]) {
    strictEqual(refusalOf(address, address, allow), undefined, address);
  }
  strictEqual(refusalOf("192.168.9.9", "intern.EXAMPLE", allow), undefined);
  match(
    refusalOf("192.168.1.8", "192.168.1.8", allow)!,
    /private address, which FORWARD_ALLOW does not list/,
  );
});

Deno.test("address: nothing opens link-local, metadata and reserved addresses", () => {
  const allow = readAllowList("0.0.0.0/0,::/0,metadata.internal")!;
  for (
    const address of ["169.254.169.254", "fe80::1", "fd00:ec2::254", "100.100.100.200", "168.63.129.16"]
  ) {
    match(refusalOf(address, "metadata.internal", allow)!, /never allowed/, address);
  }
  for (const address of ["0.0.0.0", "224.0.0.1", "255.255.255.255"]) {
    match(refusalOf(address, "metadata.internal", allow)!, /reserved/, address);
  }
});

Deno.test("address: FORWARD_ALLOW with an entry that is no network and no host is refused", () => {
  deepStrictEqual(
    ["10.0.0.0/99", "a/b", "1.2.3", "http://x", "a b"].map(readAllowList),
    Array(5).fill(undefined),
  );
});
