/** `deno task example`, as a newcomer meets it: a page, clicks, and what arrived. */
import { deepStrictEqual, match, rejects, strictEqual } from "node:assert";
import { eventually, ROOT } from "../process/server.ts";
import { spawnTask } from "../routes/spawned.ts";
import { missingForBrowser, openBrowser } from "./browser.ts";
import { testWhere } from "../needs.ts";
import { installPackages } from "./packages.ts";

/** The example installs its package first, over the network, beside other tests that do so. */
const INSTALL_MS = 180_000;

testWhere(missingForBrowser, {
  name: "the example's page shows its own clicks, and asks no host but its own",
  async fn() {
    await using example = spawnTask(ROOT, "example", { PORT: "0" });
    const url = await example.url(/^Open (\S+) and click/m, INSTALL_MS);
    await using packages = await installPackages();
    await using browser = openBrowser(packages);
    await browser.goto(url);
    const shows = (id: string) => browser.evaluate(`document.getElementById("${id}").innerText`);
    const click = (id: string) => browser.evaluate(`document.getElementById("${id}").click()`);
    const shown = (id: string, what: RegExp) =>
      eventually(`${id} shows ${what}`, async () => what.test(String(await shows(id))));

    await shown("events", /page\s+Example/);
    await click("view");
    await shown("events", /track\s+Product Viewed/);
    match(String(await shows("profile")), /"anonymousId": "/);
    await click("identify");
    await shown("profile", /"userId": "jane"/);
    await click("group");
    await shown("profile", /"groupId": "acme"/);
    const profile = JSON.parse(String(await shows("profile")));
    deepStrictEqual([profile.traits, profile.counts], [
      { plan: "trial" },
      { track: 1, identify: 1, page: 1, group: 1 },
    ]);
    const { errors, origins } = await browser.seen();
    // The icon is an empty data: URL, whose origin is none.
    deepStrictEqual([errors, origins.filter((origin) => origin !== "null")], [[], [new URL(url!).origin]]);
  },
});

/** Requests that are no part of the page: what signalfold itself serves, and what its token could read. */
const NOT_SERVED: [method: string, path: string][] = [
  ["GET", "/seen/admin/keys"],
  ["GET", "/seen/admin/stats"],
  ["GET", "/seen/users"],
  ["GET", "/seen/users/jane/events"],
  ["GET", "/seen/users/jane/../../admin/keys"],
  ["GET", "/seen/groups/acme"],
  ["POST", "/seen/users/jane"],
  ["DELETE", "/seen/users/jane"],
  ["GET", "/api/v1/users/jane"],
  ["GET", "/api/v1/admin/keys"],
  ["POST", "/api/v1/events"],
  ["POST", "/v1/batch"],
  ["GET", "/metrics"],
  ["GET", "/docs"],
  ["GET", "/openapi.json"],
  ["GET", "/healthz"],
  ["GET", "/v1/projects/other/settings"],
  ["POST", "/"],
];

Deno.test("the example serves what its page asks for, on loopback, and nothing else", async (t) => {
  await using example = spawnTask(ROOT, "example", { PORT: "0" });
  const url = await example.url(/^Open (\S+) and click/m, INSTALL_MS);
  const { port } = new URL(url);
  const loopback = `http://127.0.0.1:${port}`;
  const page = await (await fetch(`${loopback}/`)).text();
  const writeKey = /writeKey: "(c[a-z0-9]{24})"/.exec(page)![1]!;
  const asked = async (method: string, path: string, body?: unknown) => {
    const answer = await fetch(loopback + path, {
      method,
      ...body !== undefined && { body: JSON.stringify(body) },
    });
    await answer.body?.cancel();
    return answer.status;
  };
  strictEqual(await asked("GET", "/analytics-next.js"), 200);
  strictEqual(await asked("GET", `/v1/projects/${writeKey}/settings`), 200);
  strictEqual(await asked("POST", "/v1/t", { userId: "jane", event: "A", writeKey }), 200);
  strictEqual(await asked("GET", "/seen/users/jane"), 200);
  strictEqual(await asked("GET", "/seen/anonymous/nobody"), 200);
  for (const [method, path] of NOT_SERVED) {
    await t.step(`${method} ${path}`, async () => strictEqual(await asked(method, path), 404));
  }
  const others = Deno.networkInterfaces().filter(({ address }) => !/^(127\.|::1$|fe80:)/.test(address));
  for (const { address } of others) {
    await t.step(`not on ${address}`, () => rejects(Deno.connect({ hostname: address, port: Number(port) })));
  }
});

Deno.test("the example has the version of analytics-next that the tests have", () => {
  const versionIn = (folder: string) =>
    JSON.parse(Deno.readTextFileSync(`${ROOT}${folder}/deno.json`)).imports["@segment/analytics-next"];
  strictEqual(versionIn("examples/web"), versionIn("tests/clients/packages"));
});
