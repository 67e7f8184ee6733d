import { deepStrictEqual, ok, strictEqual } from "node:assert";
import fc from "fast-check";
import { accept } from "../../../domain/event/accept.ts";
import { readAddress, readSentAddress, truncated } from "../../../domain/enrichment/address.ts";
import type { StoredEvent } from "../../../domain/event/event.ts";
import {
  ADDRESS_POLICIES,
  createPlaceOf,
  locate,
  type LocateOptions,
  locationOf,
  type LookUp,
} from "../../../domain/enrichment/location.ts";

const ADDRESSES: [given: unknown, read: string | undefined][] = [
  ["192.0.2.77", "192.0.2.77"],
  ["::ffff:192.0.2.77", "192.0.2.77"],
  ["2001:DB8::1", "2001:db8::1"],
  ["2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"],
  ["fe80::1%eth0", undefined],
  ["192.0.2", undefined],
  ["192.0.2.256", undefined],
  ["010.0.0.1", undefined],
  ["0.0.0.0", "0.0.0.0"],
  ["255.255.255.255", "255.255.255.255"],
  ["1.2.3.4\n", undefined],
  ["1.2.3.4.5", undefined],
  ["0x7f.0.0.1", undefined],
  ["3221226061", undefined],
  ["192.0.2.1:80", undefined],
  [" 192.0.2.1", undefined],
  ["localhost", undefined],
  ["", undefined],
  ["1".repeat(10_000), undefined],
  ["ffff:".repeat(6) + "255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
  [`::ffff:${"0".repeat(27)}1.2.3.4`, "1.2.3.4"],
  [`::ffff:${"0".repeat(32)}1.2.3.4`, undefined],
  [3221226061, undefined],
  [{ toString: () => "192.0.2.1" }, undefined],
  [["192.0.2.1"], undefined],
];
for (const [given, read] of ADDRESSES) {
  Deno.test(`readAddress() reads ${JSON.stringify(given)?.slice(0, 50)} as ${read ?? "nothing"}`, () => {
    strictEqual(readAddress(given)?.toString(), read);
  });
}

const SENT: [given: unknown, read: string | undefined][] = [
  ["8.8.8.8", "8.8.8.8"],
  ["8.8.8.8:51234", "8.8.8.8"],
  ["[2001:4860:4860::8888]:443", "2001:4860:4860::8888"],
  ["[2001:4860:4860::8888]", "2001:4860:4860::8888"],
  ["2001:4860:4860::8888", "2001:4860:4860::8888"],
  ["2001:4860:4860::8888%eth0", "2001:4860:4860::8888"],
  ["[2001:4860:4860::8888%25en0]:443", "2001:4860:4860::8888"],
  ["::ffff:8.8.8.8", "8.8.8.8"],
  ["8.8.8.8, 10.0.0.1", "8.8.8.8"],
  ["8.8.8.8,10.0.0.1", "8.8.8.8"],
  [" 8.8.8.8:80 , [::1]:80", "8.8.8.8"],
  [" 8.8.8.8 ", "8.8.8.8"],
  ["\t8.8.8.8\r\n", "8.8.8.8"],
  ["8.8.8.8:", undefined],
  ["8.8.8.8:http", undefined],
  ["[8.8.8.8", undefined],
  ["unknown, 8.8.8.8", undefined],
  [", 8.8.8.8", undefined],
  ["8.8.8.8 10.0.0.1", undefined],
  ["", undefined],
  ["%", undefined],
  [7, undefined],
  [["8.8.8.8"], undefined],
  [null, undefined],
  ["8.8.8.8" + ", 10.0.0.1".repeat(3000), "8.8.8.8"],
  [" ".repeat(30_000) + "8.8.8.8", "8.8.8.8"],
  ["[".repeat(30_000), undefined],
];
for (const [given, read] of SENT) {
  Deno.test(`readSentAddress() reads ${JSON.stringify(given)?.slice(0, 50)} as ${read ?? "nothing"}`, () => {
    strictEqual(readSentAddress(given)?.toString(), read);
  });
}

for (
  const [given, kept] of [["192.0.2.77", "192.0.2.0"], ["2001:db8:1:2:3:4:5:6", "2001:db8:1::"]] as const
) {
  Deno.test(`truncated() makes ${given} the network ${kept}`, () => {
    strictEqual(truncated(readAddress(given)!), kept);
  });
}

const CITY = {
  city: { geoname_id: 1, names: { de: "Genf", en: "Geneva" } },
  country: { iso_code: "CH", names: { en: "Switzerland" } },
  location: { latitude: 46.2, time_zone: "Europe/Zurich" },
  subdivisions: [{ iso_code: "GE", names: { en: "Canton of Geneva" } }, { iso_code: "X" }],
};
const RECORDS: [what: string, record: unknown, location: unknown][] = [
  ["a flat country", { country_code: "CH" }, { country: "CH" }],
  ["a flat city", {
    country_code: "CH",
    state1: "Canton of Geneva",
    city: "Geneva",
    timezone: "Europe/Zurich",
  }, {
    country: "CH",
    region: "Canton of Geneva",
    city: "Geneva",
    timezone: "Europe/Zurich",
  }],
  ["a city in MaxMind's shape", CITY, {
    country: "CH",
    region: "Canton of Geneva",
    city: "Geneva",
    timezone: "Europe/Zurich",
  }],
  ["a country where it is registered", { registered_country: { iso_code: "CH" } }, { country: "CH" }],
  ["a region without an English name", { country_code: "CH", subdivisions: [{ iso_code: "GE" }] }, {
    country: "CH",
    region: "GE",
  }],
  ["no country", { city: "Geneva" }, undefined],
  ["an empty country", { country_code: "" }, undefined],
  ["names of other types", { country_code: "CH", city: 7, timezone: {}, subdivisions: "GE" }, {
    country: "CH",
  }],
  ["the longest name", { country_code: "CH", city: "x".repeat(100) }, {
    country: "CH",
    city: "x".repeat(100),
  }],
  ["a name that is too long", { country_code: "CH", city: "x".repeat(101) }, { country: "CH" }],
  ["a name that JSON would write longer", { country_code: "CH", city: "\u0001", state1: "\\" }, {
    country: "CH",
  }],
  ["half a character", { country_code: "CH", city: "\ud800" }, { country: "CH" }],
  ["no record", null, undefined],
];
for (const [what, record, location] of RECORDS) {
  Deno.test(`locationOf() reads ${what}`, () => deepStrictEqual(locationOf(record), location));
}

Deno.test("locationOf() with an event's timestamps gives at most 2 KiB of JSON, whatever is in a database", () => {
  const name = fc.oneof(fc.string({ unit: "binary", maxLength: 120 }), fc.constant("\uffff".repeat(100)));
  const record = fc.record({ country_code: name, state1: name, city: name, timezone: name });
  const stampsBytes = 256;
  fc.assert(fc.property(record, (names) => {
    const json = JSON.stringify({ location: locationOf(names) });
    ok(new TextEncoder().encode(json).length <= 2048 - stampsBytes);
  }));
});

Deno.test("readAddress() reads every address, and gives its usual form", () => {
  fc.assert(fc.property(fc.ipV4(), (address) => strictEqual(readAddress(address)?.toString(), address)));
  fc.assert(
    fc.property(fc.ipV4(), (address) => strictEqual(readAddress(`::ffff:${address}`)?.toString(), address)),
  );
  fc.assert(fc.property(fc.ipV6(), (address) => ok(readAddress(address) !== undefined)));
  fc.assert(fc.property(fc.string(), (text) => void readAddress(text)));
  fc.assert(fc.property(fc.string(), (text) => void readSentAddress(text)));
});

const lookUp = (address: string) => address.startsWith("192.0.2.") ? { country_code: "CH" } : null;
const location = { country: "CH" };
const event = (context?: unknown): StoredEvent =>
  accept({ type: "page", userId: "u", context }, { receivedAt: 0, newId: () => "m" }).event!;
type Options = Partial<LocateOptions> & { lookUp?: LookUp | undefined };
const located = (context: unknown, options: Options = {}) => {
  const stored = event(context);
  const placeOf = createPlaceOf("lookUp" in options ? options.lookUp : lookUp);
  locate(stored, { placeOf, policy: "keep", ...options });
  return stored.context;
};
const peer = () => "192.0.2.9";

const CASES: [what: string, context: unknown, options: Options, then: unknown][] = [
  ["a known address", { ip: "192.0.2.1", a: 1 }, {}, { ip: "192.0.2.1", a: 1, location }],
  ["a known address with a port", { ip: "192.0.2.1:51234" }, {}, { ip: "192.0.2.1:51234", location }],
  ["a list of addresses", { ip: " 192.0.2.1, 10.0.0.1" }, {}, { ip: " 192.0.2.1, 10.0.0.1", location }],
  ["a list of addresses, to be truncated", { ip: "192.0.2.77:80, 10.0.0.1" }, { policy: "truncate" }, {
    ip: "192.0.2.0",
    location,
  }],
  ["a list of addresses, to be dropped", { ip: "192.0.2.77, 10.0.0.1" }, { policy: "drop" }, { location }],
  ["an unknown one", { ip: "198.51.100.1" }, {}, { ip: "198.51.100.1" }],
  ["none", { a: 1 }, {}, { a: 1 }],
  ["no context", undefined, {}, undefined],
  ["no address, of a browser", { a: 1 }, { peer }, { a: 1, location }],
  ["no context, of a browser", undefined, { peer }, { location }],
  ["an address of its own, of a browser", { ip: "198.51.100.1" }, { peer }, { ip: "198.51.100.1" }],
  ["an empty address, of a browser", { ip: "" }, { peer }, { ip: "", location }],
  ["a location of its own", { ip: "192.0.2.1", location: { city: "X" } }, {}, {
    ip: "192.0.2.1",
    location: { city: "X" },
  }],
  ["a known address, to be truncated", { ip: "192.0.2.77" }, { policy: "truncate" }, {
    ip: "192.0.2.0",
    location,
  }],
  ["what is no address, to be truncated", { ip: "jane", a: 1 }, { policy: "truncate" }, { a: 1 }],
  ["a known address, to be dropped", { ip: "192.0.2.77", a: 1 }, { policy: "drop" }, { a: 1, location }],
  ["a number, to be dropped", { ip: 7 }, { policy: "drop" }, {}],
  ["an address to be dropped, without a database", { ip: "192.0.2.77" }, {
    policy: "drop",
    lookUp: undefined,
  }, {}],
  ["a database that throws", { ip: "192.0.2.1" }, {
    lookUp() {
      throw new RangeError("damaged");
    },
  }, { ip: "192.0.2.1" }],
];
for (const [what, context, options, then] of CASES) {
  Deno.test(`locate() an event with ${what}`, () => deepStrictEqual(located(context, options), then));
}

Deno.test("locate() never changes a context that others may share, keeps __proto__ a member, and never throws", () => {
  fc.assert(fc.property(
    fc.dictionary(
      fc.constantFrom("ip", "location", "__proto__", "a"),
      fc.oneof(fc.jsonValue(), fc.ipV4(), fc.ipV6()),
    ),
    fc.constantFrom(...ADDRESS_POLICIES),
    fc.option(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string()), { nil: undefined }),
    (context, policy, from) => {
      const stored = { ...event(), context };
      const before = JSON.stringify(context);
      const keys = Object.keys(context).filter((key) => key !== "ip" && key !== "location");
      locate(stored, {
        placeOf: createPlaceOf(() => ({ country_code: "CH" })),
        policy,
        peer: from === undefined ? undefined : () => from,
      });
      strictEqual(JSON.stringify(context), before);
      deepStrictEqual(Object.keys(stored.context!).filter((key) => key !== "ip" && key !== "location"), keys);
    },
  ));
});

Deno.test("the place of an address is looked up once, and of many addresses the latest are remembered", () => {
  let lookUps = 0;
  const placeOf = createPlaceOf((address) => {
    lookUps++;
    return lookUp(address);
  });
  for (let n = 0; n < 3; n++) deepStrictEqual(placeOf("192.0.2.1").location, location);
  strictEqual(lookUps, 1);
  for (let n = 0; n < 10_000; n++) strictEqual(placeOf(`10.0.${n >> 8}.${n & 255}`).location, undefined);
  strictEqual(lookUps, 10_001);
  deepStrictEqual(placeOf("192.0.2.1").location, location);
  strictEqual(lookUps, 10_002);
  deepStrictEqual(placeOf({ no: "address" }), { address: undefined, location: undefined });
});
