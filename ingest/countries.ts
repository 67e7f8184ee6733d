/** Databases of the locations of addresses. */
import { Buffer } from "node:buffer";
import { Reader } from "mmdb-lib";
import type { LookUp } from "../domain/enrichment/location.ts";

/**
 * A database in MaxMind's format (`.mmdb`), from its bytes. Throws if they are invalid. A database of IPv4 alone knows
 * no IPv6 addresses: its reader would follow the first 32 bits of one to a wrong country.
 */
export function lookUpIn(bytes: Uint8Array): LookUp {
  const reader = new Reader(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  const knowsIpv6 = reader.metadata.ipVersion === 6;
  return (address) => knowsIpv6 || !address.includes(":") ? reader.get(address) : null;
}

/** The installed database of countries; read at its first use, so that tasks do not read it. */
export async function installedCountries(): Promise<LookUp> {
  const { default: bytes } = await import(
    "@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country.mmdb",
    { with: { type: "bytes" } }
  );
  return lookUpIn(bytes);
}
