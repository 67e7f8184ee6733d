/** Where events come from, over HTTP: by the address that they give, by the peer's, behind proxies, and on a real port. */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { installedCountries, lookUpIn } from "../../../ingest/countries.ts";
import { startServer, tempDir } from "../../process/server.ts";
import { mmdbOf } from "./mmdb.ts";
import { AS_SENDER, openTestApp, type TestOptions } from "../test_app.ts";

const countries = await installedCountries();
/** Of Google's and heise's resolvers and web sites: these have long been where they are. */
const US = "8.8.8.8";
const US_V6 = "2001:4860:4860::8888";
const DE = "193.99.144.80";
const BROWSER = { ...AS_SENDER, origin: "https://shop.example" };

async function contextOf(
  options: TestOptions,
  { context, headers = AS_SENDER, from }: { context?: unknown; headers?: HeadersInit; from?: string },
): Promise<Record<string, unknown> | undefined> {
  await using test = await openTestApp({ lookUp: countries, ...options });
  const event = { type: "page", userId: "u", context };
  const { status } = await test.send("/api/v1/events", event, { headers, ...from !== undefined && { from } });
  strictEqual(status, 200);
  return (await test.get("/api/v1/users/u/events")).body.events[0].context;
}

for (const [ip, country] of [[US, "US"], [US_V6, "US"], [`::ffff:${DE}`, "DE"]] as const) {
  Deno.test(`an event from ${ip} is from ${country}`, async () => {
    deepStrictEqual(await contextOf({}, { context: { ip } }), { ip, location: { country } });
  });
}

for (const ip of ["10.0.0.1", "127.0.0.1", "::1", "jane", "8.8.8.8.8", 8, { a: 1 }, ["8.8.8.8"], true]) {
  Deno.test(`an event from ${JSON.stringify(ip)} is accepted, and has no location`, async () => {
    deepStrictEqual(await contextOf({}, { context: { ip } }), { ip });
  });
}

Deno.test("a browser's peer address is used if the event has none, and is not kept", async () => {
  deepStrictEqual(await contextOf({}, { headers: BROWSER, from: US }), { location: { country: "US" } });
  deepStrictEqual(await contextOf({}, { context: { ip: DE }, headers: BROWSER, from: US }), {
    ip: DE,
    location: { country: "DE" },
  });
});

Deno.test("a server's peer never counts", async () => {
  strictEqual(await contextOf({}, { from: US }), undefined);
});

const PROXIES: [trusted: number, forwarded: string | undefined, country: string | undefined][] = [
  [0, DE, "US"],
  [1, DE, "DE"],
  [1, `8.8.4.4, ${DE}`, "DE"],
  [2, `${DE}, 10.0.0.1`, "DE"],
  [2, `1.2.3.4, ${DE}:4711, 10.0.0.1`, "DE"],
  [1, `[${US_V6}]:4711`, "US"],
  [1, "unknown", "US"],
  [1, undefined, "US"],
  [2, DE, "US"],
  [1, "10.0.0.1", undefined],
];
for (const [trustedProxies, forwarded, country] of PROXIES) {
  Deno.test(`behind ${trustedProxies} trusted proxies with ${forwarded} the peer is from ${country}`, async () => {
    const headers = { ...BROWSER, ...forwarded !== undefined && { "x-forwarded-for": forwarded } };
    const context = await contextOf({ trustedProxies }, { headers, from: US });
    deepStrictEqual(context?.location, country === undefined ? undefined : { country });
  });
}

Deno.test("wrong credentials are counted by the address that a trusted proxy names", async () => {
  await using test = await openTestApp({ trustedProxies: 1, authFailuresPerMinute: 1 });
  const guess = (address: string) =>
    test.send("/api/v1/events", {}, { headers: { "x-write-key": "wrong", "x-forwarded-for": address } });
  strictEqual((await guess("192.0.2.7")).status, 401);
  strictEqual((await guess("192.0.2.7")).status, 429);
  strictEqual((await guess("192.0.2.8")).status, 401);
});

for (
  const [ipAddresses, ip] of [["keep", DE], ["truncate", "193.99.144.0"], ["drop", undefined]] as const
) {
  Deno.test(`with IP_ADDRESSES=${ipAddresses} an address is ${ip ?? "not kept"}, in a batch's context too`, async () => {
    await using test = await openTestApp({ lookUp: countries, ipAddresses });
    const batch = [{ type: "page", userId: "u" }, { type: "page", userId: "u", context: { ip: US, a: 1 } }];
    const { body } = await test.send("/api/v1/events/batch", { batch, context: { ip: DE } });
    strictEqual(body.accepted, 2);
    const { events } = (await test.get("/api/v1/users/u/events?order=asc")).body;
    const kept = (address: string | undefined) => address === undefined ? {} : { ip: address };
    deepStrictEqual(events.map((event: { context: unknown }) => event.context), [
      { ...kept(ip), location: { country: "DE" } },
      { ...kept(ip && (ip === DE ? US : "8.8.8.0")), a: 1, location: { country: "US" } },
    ]);
  });
}

Deno.test("a server locates by the countries that are installed, by a file, or not at all", async () => {
  await using dir = await tempDir();
  const { default: bytes } = await import(
    "@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country.mmdb",
    { with: { type: "bytes" } }
  );
  const file = `${dir.path}/countries.mmdb`;
  await Deno.writeFile(file, bytes);
  for (const [geoipDb, country] of [["", "DE"], [file, "DE"], ["off", undefined]] as const) {
    const env: Record<string, string> = geoipDb === "" ? {} : { GEOIP_DB: geoipDb };
    await using server = await startServer(`${dir.path}/${geoipDb === "" ? "a" : geoipDb.length}.db`, env);
    const { status } = await server.send({ type: "page", userId: "u", context: { ip: DE } });
    strictEqual(status, 200);
    const { body } = await server.ask("/api/v1/users/u");
    strictEqual(body.context.location?.country, country);
    ok(!server.written().includes(DE));
  }
});

Deno.test("a database of IPv4 alone has no location for IPv6, and the same one for IPv4 in IPv6", async () => {
  const { default: bytes } = await import(
    "@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country-ipv4.mmdb",
    { with: { type: "bytes" } }
  );
  const lookUp = lookUpIn(bytes);
  // Of heise's web site, whose first 32 bits are those of 42.2.2.224, in another country.
  const ipv6 = "2a02:2e0:3fe:1001:302::";
  deepStrictEqual([lookUp("42.2.2.224"), countries(ipv6)], [{ country_code: "HK" }, { country_code: "DE" }]);
  deepStrictEqual(await contextOf({ lookUp }, { context: { ip: ipv6 } }), { ip: ipv6 });
  const mapped = `::ffff:${DE}`;
  deepStrictEqual(await contextOf({ lookUp }, { context: { ip: mapped } }), {
    ip: mapped,
    location: { country: "DE" },
  });
});

Deno.test("a server with a database of cities adds region, city and time zone, if they are known", async () => {
  await using dir = await tempDir();
  const file = `${dir.path}/cities.mmdb`;
  await Deno.writeFile(
    file,
    mmdbOf({
      "192.0.2.0/24": {
        city: { names: { de: "Genf", en: "Geneva" } },
        country: { iso_code: "CH" },
        location: { time_zone: "Europe/Zurich" },
        subdivisions: [{ iso_code: "GE", names: { en: "Geneva" } }],
      },
      "198.51.100.0/24": { country: { iso_code: "AT" } },
      "2001:db8::/32": {
        registered_country: { iso_code: "NL" },
        location: { time_zone: "Europe/Amsterdam" },
      },
    }),
  );
  await using server = await startServer(`${dir.path}/events.db`, {
    GEOIP_DB: file,
    IP_ADDRESSES: "truncate",
  });
  const batch = ["192.0.2.77", "198.51.100.7", "2001:db8:1:2::3", DE].map((ip, n) => ({
    type: "page",
    userId: `u${n}`,
    context: { ip },
  }));
  deepStrictEqual((await server.send(batch)).body.errors, []);
  const contexts = [];
  for (let n = 0; n < batch.length; n++) {
    contexts.push((await server.ask(`/api/v1/users/u${n}`)).body.context);
  }
  deepStrictEqual(contexts, [
    {
      ip: "192.0.2.0",
      location: { country: "CH", region: "Geneva", city: "Geneva", timezone: "Europe/Zurich" },
    },
    { ip: "198.51.100.0", location: { country: "AT" } },
    { ip: "2001:db8:1::", location: { country: "NL", timezone: "Europe/Amsterdam" } },
    { ip: "193.99.144.0" },
  ]);
});
