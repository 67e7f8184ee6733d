/** `deno task example`, as a newcomer meets it: a page, clicks, and what arrived. */
import { deepStrictEqual, match, strictEqual } from "node:assert";
import { eventually, ROOT } from "../process/server.ts";
import { spawnTask } from "../routes/spawned.ts";
import { missingForBrowser, openBrowser } from "./browser.ts";
import { installPackages, testWhere } from "./packages.ts";

/** The example installs its package first, over the network, beside other tests that do so. */
const INSTALL_MS = 180_000;

testWhere(missingForBrowser, {
  what: "the example's page",
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

Deno.test("the example has the version of analytics-next that the tests have", () => {
  const versionIn = (folder: string) =>
    JSON.parse(Deno.readTextFileSync(`${ROOT}${folder}/deno.json`)).imports["@segment/analytics-next"];
  strictEqual(versionIn("examples/web"), versionIn("tests/clients/packages"));
});
