/** The console in a browser: transformations from the first line of code to a version that destinations use. */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { testWhere } from "../needs.ts";
import { missingForBrowser } from "./browser.ts";
import { axeFindings, type ConsoleTest, openConsole, order } from "./console.ts";

/** Writes into the editor with a label. */
const write = (console: ConsoleTest, label: string, text: string) =>
  console.fill(`textarea[aria-label="${label}"]`, text);

/** Waits until a mark stands at a line of the editor with a label. */
const marked = (console: ConsoleTest, label: string, line: number) =>
  console.until(
    `document.querySelector('textarea[aria-label="${label}"][aria-invalid="true"]')?.closest(".editor-box").querySelector(".marks")?.innerText.startsWith("line ${line}: ")`,
  );

const CODE = `export default function transform(event) {
  if (event.event === "Test") return null;
  console.log(event.properties.total);
  event.properties.total = event.properties.total.toFixed(2);
  return event;
}
`;

const TESTS = [{
  name: "totals are texts",
  event: { type: "track", userId: "u", event: "A", properties: { total: 1 } },
  expect: { type: "track", userId: "u", event: "A", properties: { total: "1.00" } },
}];

const pathOf = (name: string) => `/api/v1/admin/transformations/${name}`;

/** Saves a transformation by the API. */
async function save({ server }: ConsoleTest, name: string, code = CODE): Promise<void> {
  const { status } = await server.ask(pathOf(name), {
    method: "PUT",
    body: { kind: "javascript", code, tests: TESTS, params: { account: "a-secret-account" } },
  });
  strictEqual(status, 200);
}

/** What a reader does, and what becomes of it: all on the same server. */
const STEPS: Readonly<Record<string, (console: ConsoleTest) => Promise<void>>> = {
  "what is wrong with code, tests and params is shown at its line, and nothing is saved before it is right":
    async (console) => {
      await console.open("/console/transformations");
      await console.shows("No transformation yet");
      await console.push("Write a transformation");
      await console.until(`document.querySelector("#transformation-name")`);
      await console.fill("#transformation-name", "money");
      await write(console, "Code", "export default function (event) {\n  return event;\n");
      await console.push("Save");
      await marked(console, "Code", 3);
      await write(console, "Code", CODE);
      await write(console, "Tests", "[\n  {,\n]");
      await console.push("Run the tests");
      await marked(console, "Tests", 2);
      const wrong = [TESTS[0], { ...TESTS[0], name: "wrong", expect: null }];
      const text = JSON.stringify(wrong, null, 2);
      await write(console, "Tests", text);
      await console.push("Save");
      const line = text.split("\n").findLastIndex((each) => each === "  {") + 1;
      await marked(console, "Tests", line);
      await console.shows("Nothing was saved: 1 test fails.");
      strictEqual((await console.server.ask(pathOf("money"))).status, 404);
      await write(console, "Tests", JSON.stringify(TESTS));
      await console.push("Run the tests");
      await console.shows("1 test passed.");
      await write(console, "Params", `{ "account": "a-secret-account" }`);
      strictEqual(
        await console.value("JSON.stringify({ ...sessionStorage }).includes('a-secret-account')"),
        false,
      );
      await console.browser.step("reload");
      await console.until(`document.querySelector("#transformation-name")?.value === "money"`);
      await write(console, "Params", `{ "account": "a-secret-account" }`);
      await console.push("Save");
      await console.until(`location.search === "?id=money"`);
      await console.shows("not used");
      const { body } = await console.server.ask(pathOf("money"));
      deepStrictEqual([body.code, body.tests, body.params, body.version], [CODE, TESTS, ["account"], 1]);
      strictEqual(
        await console.value("document.documentElement.outerHTML.includes('a-secret-account')"),
        false,
      );
    },
  "rules have their form: a refused rule is marked at its line, and a right one is saved": async (
    console,
  ) => {
    await console.open("/console/transformations?new=1");
    await console.until(`document.querySelector("#transformation-kind")`);
    await console.fill("#transformation-name", "fewer");
    await console.browser.step("choose", ["#transformation-kind", "rules"]);
    await write(
      console,
      "Rules",
      `[\n  { "drop": {}, "where": { "event": "Test" } },\n  { "sample": { "rate": 2 } }\n]`,
    );
    await write(console, "Tests", "[]");
    await console.push("Save");
    await marked(console, "Rules", 3);
    await write(console, "Rules", `[{ "drop": {}, "where": { "event": "Test" } }]`);
    await console.push("Save");
    await console.until(`location.search === "?id=fewer"`);
    const { body } = await console.server.ask("/api/v1/admin/transformations/fewer");
    deepStrictEqual([body.kind, body.rules], ["rules", [{ drop: {}, where: { event: "Test" } }]]);
  },
  "a check counts what a draft changes, shows it side by side, and marks the line that failed": async (
    console,
  ) => {
    await save(console, "checked");
    const { body: { accepted } } = await console.server.send([
      order("order-1"),
      order("order-2"),
      order("tested", { event: "Test" }),
      order("textual", { properties: { total: "15" } }),
    ]);
    strictEqual(accepted, 4);
    await console.open("/console/transformations?id=checked");
    await console.until(`document.querySelector("#check-last")`);
    await console.value(
      `new MutationObserver(() => globalThis.told ??= document.querySelector("progress")?.ariaLabel).observe(document.body, { childList: true, subtree: true }), 0`,
    );
    await console.push("Check");
    await console.shows("4 events: 2 changed, 1 dropped, 1 failed, 0 the same.");
    strictEqual(await console.value("globalThis.told"), "0 of 1,000 checked");
    await console.shows("Compared with the original.");
    await marked(console, "Code", 4);
    await write(
      console,
      "Code",
      CODE.replace("event.properties.total.toFixed", "Number(event.properties.total).toFixed"),
    );
    await console.push("Check");
    await console.shows("4 events: 1 changed, 0 dropped, 0 failed, 3 the same.");
    await console.shows("Compared with v1.");
    await write(console, "Code", CODE.replace("toFixed(2)", "toFixed(1)"));
    await console.push("Check");
    await console.shows("4 events: 2 changed, 0 dropped, 1 failed, 1 the same.");
    deepStrictEqual(
      await console.value(
        `[...document.querySelectorAll(".examples .sides")].map((sides) => [".removed", ".added"].map((tone) => sides.querySelector(tone).innerText.trim()))`,
      ),
      [0, 1].map(() => [`-     "total": "15.00"`, `+     "total": "15.0"`]),
    );
    await console.value(`document.querySelector(".card details:not([open]) summary").click()`);
    await write(console, "Condition, empty for all events", `{ "event": "Test" }`);
    await console.push("Check");
    await console.shows("1 event: 0 changed, 0 dropped, 0 failed, 1 the same.");
    strictEqual((await console.server.ask(pathOf("checked"))).body.version, 1, "a check saves nothing");
  },
  "a chosen event is tried with the profile from just before; logs, drops and failed lines are shown": async (
    console,
  ) => {
    await console.server.send({ type: "identify", userId: "jane", traits: { plan: "free" } });
    await console.server.send(order("order-3"));
    await console.server.send({ type: "identify", userId: "jane", traits: { plan: "pro" } });
    await save(
      console,
      "tried",
      CODE.replace("event)", "event, { person })").replace(
        "toFixed(2)",
        "toFixed(2) + (person.traits?.plan ?? '')",
      ),
    );
    await console.open("/console/transformations?id=tried");
    await console.push("Choose an event…");
    await console.until(`document.querySelectorAll(".picker li").length === 7`);
    await console.value(
      `[...document.querySelectorAll(".picker button")].find((each) => each.innerText.includes("Order Completed")).click()`,
    );
    await console.until(`document.querySelector('textarea[aria-label="Event"]').value.includes("order-3")`);
    await console.push("Try");
    await console.shows(`"total": "15.00free"`);
    deepStrictEqual(await console.value(`document.querySelector(".logs").innerText.trim()`), "15");
    await write(console, "Event", JSON.stringify({ type: "track", userId: "jane", event: "Test" }));
    await console.push("Try");
    await console.shows("The event is dropped.");
    await write(console, "Event", JSON.stringify({ type: "track", userId: "jane", event: "A" }));
    await console.push("Try");
    await console.shows("It failed: an event like this is not sent.");
    await marked(console, "Code", 3);
    await write(console, "Event", `{\n  "type": "wrong"\n}`);
    await console.push("Try");
    await marked(console, "Event", 2);
    await console.push("Choose an event…");
    await console.fill("#picked-id", "no-such-event");
    await console.press("Enter");
    await console.until(`document.querySelector(".notice.bad")?.innerText.includes("no-such-event")`);
  },
  "versions are compared and restored; destinations that use it are listed, and keep it from being deleted":
    async (console) => {
      await save(console, "kept");
      await save(console, "kept", CODE.replace('"Test"', '"Try"'));
      const destination = "/api/v1/admin/destinations/CRM";
      const { status } = await console.server.ask(destination, {
        method: "PUT",
        body: { kind: "webhook", settings: { url: "http://127.0.0.1:9/" }, transformations: ["kept"] },
      });
      ok(status < 300, String(status));
      await console.open("/console/transformations");
      await console.until(
        `[...document.querySelectorAll("tbody tr")].map((row) => row.innerText).join().match(/kept[^]*CRM[^]*v2/)`,
      );
      await console.open("/console/transformations?id=kept&tab=versions");
      await console.until(`document.querySelector('[aria-label="Restore version 1"]')`);
      await console.push("v1");
      await console.until(`document.querySelector(".diff .removed")`);
      deepStrictEqual(
        await console.value(
          `[".removed", ".added"].map((tone) => document.querySelector(".diff " + tone).innerText.trim())`,
        ),
        [`-   if (event.event === "Test") return null;`, `+   if (event.event === "Try") return null;`],
      );
      await console.value(`document.querySelector('[aria-label="Restore version 1"]').click()`);
      await console.until(`document.querySelector(".facts-line")?.innerText.includes("v3")`);
      strictEqual((await console.server.ask(pathOf("kept"))).body.code, CODE);
      await console.open("/console/transformations?id=kept&tab=used");
      await console.shows("CRM applies kept");
      await console.value(`document.querySelector('[aria-label="Delete the transformation"]').click()`);
      await console.shows("CRM uses it.");
      await console.push("Delete the transformation");
      await console.shows("Destinations use this transformation: CRM.");
      await console.push("Cancel");
      strictEqual((await console.server.ask(pathOf("kept"))).status, 200);
      await console.server.ask(destination, { method: "DELETE" });
      await console.open("/console/transformations?id=kept");
      await console.until(`document.querySelector('[aria-label="Delete the transformation"]')`);
      await console.value(`document.querySelector('[aria-label="Delete the transformation"]').click()`);
      await console.push("Delete the transformation");
      await console.until(
        `location.search === "" && document.querySelector("tbody") && !document.body.innerText.includes("kept")`,
      );
      strictEqual((await console.server.ask(pathOf("kept"))).status, 404);
    },
  "another's version that was saved meanwhile is not overwritten, and the text stays": async (console) => {
    await save(console, "ours");
    await console.open("/console/transformations?id=ours");
    await console.until(`document.querySelector('textarea[aria-label="Code"]')`);
    const own = CODE.replace("toFixed(2)", "toFixed(3)");
    await write(console, "Code", own);
    await save(console, "ours", `${CODE}\n// theirs\n`);
    await console.push("Save v2");
    await console.shows("Version 2 was saved meanwhile");
    strictEqual(await console.value(`document.querySelector('textarea[aria-label="Code"]').value`), own);
    strictEqual((await console.server.ask(pathOf("ours"))).body.version, 2);
  },
  "the keyboard alone writes, tries and saves; axe-core finds nothing, and nothing scrolls sideways at 320 px":
    async (console) => {
      await save(console, "keyboard");
      await console.open("/console/transformations");
      await console.press("g", "x");
      await console.until(`document.querySelector("tbody a")`);
      const tabTo = async (wanted: string) => {
        for (let n = 0; n < 200; n++) {
          await console.press("Tab");
          if (await console.value(`document.activeElement.matches(${JSON.stringify(wanted)})`)) return;
        }
        throw new Error(`Tab does not reach ${wanted}`);
      };
      await tabTo('a[href*="id=keyboard"]');
      await console.press("Enter");
      await console.until(`document.querySelector('textarea[aria-label="Code"]')`);
      await tabTo('textarea[aria-label="Code"]');
      await console.press("Control+a");
      await console.browser.step("type", CODE.replace("toFixed(2)", "toFixed(2).slice(0)"));
      await tabTo('textarea[aria-label="Event"]');
      await console.press("Control+Enter");
      await console.shows("what is sent");
      await console.push("Check");
      await console.shows("7 events: ");
      for (const colorScheme of ["light", "dark"]) {
        await console.browser.step("media", { colorScheme });
        deepStrictEqual(await axeFindings(console), [], colorScheme);
      }
      await console.browser.step("viewport", [320, 700]);
      strictEqual(
        await console.value("document.documentElement.scrollWidth <= document.documentElement.clientWidth"),
        true,
      );
      await console.browser.step("viewport", [1280, 800]);
      await console.value("document.activeElement.blur()");
      await tabTo("main .split button.primary");
      strictEqual(await console.value("document.activeElement.innerText"), "Save v2");
      await console.press("Enter");
      await console.until(`document.querySelector(".facts-line")?.innerText.includes("v2")`);
      strictEqual((await console.server.ask(pathOf("keyboard"))).body.version, 2);
      for (const tab of ["versions", "used"]) {
        await console.open(`/console/transformations?id=keyboard&tab=${tab}`);
        await console.until(`!document.querySelector("main .skeleton") && document.querySelector(".tab")`);
        deepStrictEqual(await axeFindings(console), [], tab);
      }
    },
};

testWhere(missingForBrowser, {
  name: "a transformation is written, checked, tried, saved, compared, restored and deleted in the console",
  async fn(test) {
    await using console = await openConsole({ FORWARD_ALLOW: "127.0.0.1" });
    for (const [name, run] of Object.entries(STEPS)) {
      await test.step(name, () => run(console));
    }
  },
});
