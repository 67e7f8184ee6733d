/** The console in a browser: people, groups, overview, contracts, quarantine, keys and erasure. */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { WRITE_KEY } from "../process/server.ts";
import { testWhere } from "../needs.ts";
import { missingForBrowser } from "./browser.ts";
import { fillServer, openConsole, order } from "./console.ts";

const TRAITS =
  `Object.fromEntries([...document.querySelectorAll(".traits tbody tr:not(:has(.why-cell))")].map((row) => [row.children[0].innerText, row.children[1].innerText]))`;

testWhere(missingForBrowser, {
  name: "a profile shows what the API has, why a trait is so, and what an unknown id is instead",
  async fn() {
    await using console = await openConsole();
    await fillServer(console);
    await console.open("/console/users");
    await console.fill("#id-field", "jane");
    await console.press("Enter");
    await console.until(`document.querySelector(".traits")`);
    const { body: profile } = await console.server.ask("/api/v1/users/jane");
    const shown = await console.value<Record<string, string>>(TRAITS);
    deepStrictEqual(
      shown,
      Object.fromEntries(
        Object.entries(profile.traits).map(([name, value]) => [name, JSON.stringify(value)]),
      ),
    );
    await console.shows(`${profile.eventCount} events`);
    await console.value(`document.querySelector('[aria-label="Why plan?"]').click()`);
    await console.shows("was set by");
    const { body: why } = await console.server.ask("/api/v1/users/jane/traits/plan/why");
    await console.shows(why.messageId);
    for (const { value } of why.replaced) await console.shows(JSON.stringify(value));
    await console.value(`document.querySelector(".why a").click()`);
    await console.until(`location.pathname === "/console/event" && document.querySelector(".changes")`);
    await console.open("/console/users?id=order-1");
    await console.shows("It is the id of an event");
    await console.open("/console/users?id=laptop-7");
    await console.shows("It is the id of a visitor");
  },
});

testWhere(missingForBrowser, {
  name:
    "time travel by keys shows the profile of each moment, asks at the end of many presses, and outlives a reload",
  async fn() {
    await using console = await openConsole();
    await fillServer(console);
    await console.open("/console/users?id=jane");
    await console.until(`document.querySelector(".time-travel input[type=range]")`);
    await console.value("document.activeElement.blur()");
    await console.press("ArrowLeft");
    await console.until(`new URLSearchParams(location.search).get("at") === "2025-03-03T12:00:00.000Z"`);
    await console.press("ArrowLeft");
    await console.until(`new URLSearchParams(location.search).get("at") === "2025-03-02T10:00:00.000Z"`);
    await console.until(`(${TRAITS}).plan === '"trial"'`);
    const { body: then } = await console.server.ask("/api/v1/users/jane?at=2025-03-02T10:00:00.000Z");
    deepStrictEqual(then.traits, { name: "Jane", plan: "trial" });
    await console.shows("changed since");
    await console.browser.step("requests");
    for (let n = 0; n < 15; n++) await console.press("ArrowLeft", "ArrowRight");
    await console.press("ArrowLeft");
    await console.until(
      `(${TRAITS}).plan === '"trial"' && new URLSearchParams(location.search).get("at") === "2025-03-02T09:00:00.000Z"`,
    );
    const asked = (await console.browser.step("requests") as { url: string }[]).filter(({ url }) =>
      url.includes("?at=")
    );
    ok(asked.length <= 3, `${asked.length} requests`);
    await console.browser.step("reload");
    await console.until(`document.querySelector(".time-travel .moment")?.innerText.includes("event 3 of 6")`);
    await console.push("Now");
    await console.until(`!location.search.includes("at=")`);
  },
});

testWhere(missingForBrowser, {
  name: "a group of 120 members is shown page by page, each with a link",
  async fn() {
    await using console = await openConsole();
    await console.server.send(
      Array.from({ length: 120 }, (_, n) => ({ type: "group", userId: `u${n}`, groupId: "acme" })),
    );
    await console.open("/console/groups?id=acme");
    await console.shows("50 of 120 shown");
    await console.push("50 more");
    await console.shows("100 of 120 shown");
    await console.push("50 more");
    await console.shows("120 of 120 shown");
    strictEqual(
      await console.value(`new Set([...document.querySelectorAll("tbody a")].map((each) => each.href)).size`),
      120,
    );
  },
});

testWhere(missingForBrowser, {
  name:
    "an empty overview shows three steps and turns into the figures with the first event; bars are those of the API",
  async fn() {
    await using console = await openConsole();
    await console.open("/console");
    await console.shows("Waiting for your first event…");
    await console.push("Send a test event");
    await console.until(`document.querySelector(".chart")`);
    await fillServer(console);
    await console.until(
      `[...document.querySelectorAll(".figure")].some((each) => each.innerText.startsWith("Rejected\\n3"))`,
    );
    await console.push("As a table");
    const rows = await console.value<Record<string, string[]>>(
      `Object.fromEntries([...document.querySelectorAll(".bar-table tbody tr")].map((row) => [row.dataset.at, [...row.querySelectorAll(".number")].map((cell) => cell.innerText)]))`,
    );
    const { body: { counts } } = await console.server.ask("/api/v1/admin/stats?per=minute");
    for (const { at, accepted, duplicate, rejected } of counts.periods) {
      deepStrictEqual(rows[at], [accepted, duplicate, rejected].map(String), at);
    }
    strictEqual(Object.keys(rows).length, 60);
    await console.push("As a chart");
    await console.value(`document.querySelector(".chart").focus()`);
    await console.press("ArrowLeft");
    if (
      !(await console.value<string>(`document.querySelector(".chart-chosen").innerText`)).includes(
        "3 rejected",
      )
    ) await console.press("ArrowLeft");
    await console.press("Enter");
    await console.until(`location.pathname === "/console/quarantine"`);
  },
});

testWhere(missingForBrowser, {
  name:
    "a contract is tried, monitored, enforced after asking, compared and restored; a bad schema is marked at its line",
  async fn() {
    await using console = await openConsole();
    await console.server.send([order("good"), order("bad", { properties: { order_id: "x", total: "15" } })]);
    await console.open("/console/contracts");
    await console.shows("No contract yet");
    await console.push("Write a contract");
    await console.until(`document.querySelector("#contract-name")`);
    await console.fill("#contract-name", "orders");
    await console.fill("#contract-event", "Order Completed");
    const schema = (type: string, keyword = "type") =>
      JSON.stringify({ properties: { properties: { properties: { total: { [keyword]: type } } } } }, null, 2);
    await console.fill(".editor textarea", schema("number", "typ"));
    await console.push("Try on the last 1,000 events");
    await console.until(`document.querySelector(".marks")`);
    await console.fill(".editor textarea", schema("number"));
    await console.push("Try on the last 1,000 events");
    await console.shows("2 looked at, 1 would break it");
    await console.push("Save and monitor");
    await console.shows("monitored");
    await console.push("Enforce…");
    await console.shows("50.0% (1) would have been refused");
    await console.push("Enforce");
    await console.shows("enforced");
    strictEqual((await console.server.send(order("kept-out", { properties: { total: "1" } }))).status, 422);
    await console.fill(".editor textarea", schema("string"));
    await console.shows("Changed against v2");
    await console.push("Save as monitor");
    await console.shows("v3");
    await console.value(
      `[...document.querySelectorAll(".tab")].find((each) => each.innerText.startsWith("Versions")).click()`,
    );
    await console.until(`document.querySelector('[aria-label="Restore version 1"]')`);
    await console.value(`document.querySelector('[aria-label="Restore version 1"]').click()`);
    await console.shows("v4");
    const { body } = await console.server.ask("/api/v1/admin/contracts/orders");
    deepStrictEqual([body.version, body.mode, body.schema.properties.properties.properties.total.type], [
      4,
      "monitor",
      "number",
    ]);
  },
});

testWhere(missingForBrowser, {
  name: "rejected events are resent one by one and together; what is refused again stays, and says why",
  async fn() {
    await using console = await openConsole();
    await fillServer(console);
    await console.open("/console/quarantine");
    await console.until(`document.querySelectorAll("tbody tr").length === 3`);
    await console.until(`document.querySelector(".reason-link")`);
    await console.value(
      `[...document.querySelectorAll(".reason-link")].find((each) => each.innerText.startsWith("contract_violation")).click()`,
    );
    await console.until(`document.querySelectorAll("tbody tr").length === 2`);
    await console.value(`document.querySelector(".card-head input").click()`);
    await console.push("Resend 2 events");
    await console.shows("0 accepted, 0 known already, 2 refused again");
    await console.push("Close");
    await console.server.ask("/api/v1/admin/contracts/order", { method: "DELETE" });
    await console.until(`document.querySelectorAll("tbody tr").length === 2`);
    await console.value(`document.querySelector(".row-link").click()`);
    await console.push("Resend");
    await console.shows("1 accepted, 0 known already, 0 refused again");
    await console.push("Close");
    await console.until(`document.querySelectorAll("tbody tr").length === 1`);
    await console.push("Resend all of this filter…");
    await console.value(`document.querySelector("dialog .primary").click()`);
    await console.shows("1 accepted");
    await console.push("Close");
    await console.shows("No rejected event passes the filter.");
    strictEqual((await console.server.ask("/api/v1/admin/rejected")).body.rejected.length, 1);
  },
});

testWhere(missingForBrowser, {
  name:
    "a key's secret is shown once and kept nowhere; a disabled key is refused; the environment's says why it is fixed",
  async fn() {
    await using console = await openConsole();
    await console.open("/console/keys");
    await console.shows("Set by WRITE_KEY in the server's environment; change it there.");
    await console.push("Create a key");
    await console.fill("#key-name", "website");
    await console.value(`document.querySelector("dialog button[type=submit]").click()`);
    await console.until(`document.querySelector(".secret code")`);
    const secret = await console.value<string>(`document.querySelector(".secret code").innerText`);
    strictEqual((await console.server.send(order("by-key"), secret)).status, 200);
    await console.press("Escape");
    await console.shows("Have you stored the key?");
    await console.push("I have stored it");
    await console.until(`!document.querySelector("dialog")`);
    strictEqual(
      await console.value(
        `document.documentElement.outerHTML.includes(${
          JSON.stringify(secret)
        }) || JSON.stringify({ ...sessionStorage, ...localStorage }).includes(${JSON.stringify(secret)})`,
      ),
      false,
    );
    await console.value(`document.querySelector('[aria-label="Rotate website"]').click()`);
    await console.push("Rotate the key");
    await console.until(`document.querySelector(".secret code")`);
    await console.push("I have stored it");
    await console.shows("old secret until");
    await console.value(`document.querySelector('[aria-label="Edit website"]').click()`);
    await console.value(`document.querySelector("dialog [name=enabled]").click()`);
    await console.push("Save");
    await console.shows("disabled");
    strictEqual((await console.server.send(order("refused"), secret)).status, 401);
    strictEqual((await console.server.send(order("default"), WRITE_KEY)).status, 200);
  },
});

testWhere(missingForBrowser, {
  name:
    "a person is erased once their id is typed; the receipt is the API's, and later events appear nowhere",
  async fn() {
    await using console = await openConsole();
    await fillServer(console);
    await console.open("/console/settings?erase=jane");
    await console.value(`document.querySelectorAll("[name=suppress]")[1].click()`);
    await console.push("Look");
    await console.shows("This would erase");
    const button =
      `[...document.querySelectorAll("button")].find((each) => each.innerText === "Erase for good")`;
    strictEqual(await console.value(`${button}.disabled`), true);
    await console.fill("#erase-typed", "jan");
    strictEqual(await console.value(`${button}.disabled`), true);
    await console.fill("#erase-typed", "jane");
    await console.value(`${button}.click()`);
    await console.shows("The person is erased.");
    await console.shows("are dropped");
    strictEqual((await console.server.ask("/api/v1/users/jane")).status, 404);
    strictEqual((await console.server.send(order("later"))).status, 200);
    strictEqual((await console.server.ask("/api/v1/users/jane")).status, 404);
    const { body } = await console.server.ask("/api/v1/admin/stats");
    strictEqual(body.counts.suppressed, 1);
  },
});
