/** The gate that says where events come from. */
import { Buffer } from "node:buffer";
import { Reader } from "mmdb-lib";
import { type AddressPolicy, locate, type LookUp } from "../../domain/enrichment/location.ts";
import type { Gate } from "./pipeline.ts";

/** What the gate is given. */
export interface LocationOptions {
  lookUp?: LookUp | undefined;
  policy: AddressPolicy;
}

/**
 * A gate that refuses nothing and puts `context.location` into events; `undefined` where there is nothing to do. The
 * peer's address counts for a browser alone, which says its origin with each request that sends: a server's address says
 * nothing of its user.
 */
export function locationGate({ lookUp, policy }: LocationOptions): Gate | undefined {
  if (lookUp === undefined && policy === "keep") return undefined;
  return {
    judge(event, { request, address }) {
      // By `get`: the runtime makes a list of all headers to answer `has`, on the path of every event.
      const peer = () => request.headers.get("origin") === null ? undefined : address();
      locate(event, { lookUp, policy, peer });
      return undefined;
    },
  };
}

/**
 * A database in MaxMind's format (`.mmdb`), from its bytes. Throws where they are none. One of IPv4 alone knows no IPv6
 * address: the reader would follow the first 32 bits of one to somebody else's country.
 */
export function lookUpIn(bytes: Uint8Array): LookUp {
  const reader = new Reader(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  const knowsIpv6 = reader.metadata.ipVersion === 6;
  return (address) => knowsIpv6 || !address.includes(":") ? reader.get(address) : null;
}

/** The database of countries that is installed with signalfold; read when it is first asked for, so that tasks don't. */
export async function installedCountries(): Promise<LookUp> {
  const { default: bytes } = await import(
    "@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country.mmdb",
    { with: { type: "bytes" } }
  );
  return lookUpIn(bytes);
}
