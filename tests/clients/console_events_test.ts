/** The console in a browser: the live view, an event, and test events. */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { eventually, startServer } from "../process/server.ts";
import { testWhere } from "../needs.ts";
import { missingForBrowser } from "./browser.ts";
import { type ConsoleTest, fillServer, missingForCommands, openConsole, order, runBash } from "./console.ts";

/** The rows of the list as they are shown: their cells. */
const ROWS =
  `[...document.querySelectorAll(".window-row")].sort((a, b) => a.ariaRowIndex - b.ariaRowIndex).map((row) => [...row.children].map((cell) => cell.innerText.replace("\\n", " ")))`;
const LIST = `document.querySelector(".live-list")`;
const CAME = `Number(${LIST}?.dataset.came ?? 0)`;

/** Waits until the view is live. */
const isLive = (console: ConsoleTest) =>
  console.until(`/\\blive\\b/.test(document.querySelector(".toolbar .badge")?.innerText)`);

const orders = (count: number, prefix = "m") =>
  Array.from({ length: count }, (_, n) => order(`${prefix}${n}`));

async function sendMany({ server }: ConsoleTest, count: number, prefix: string): Promise<void> {
  for (let from = 0; from < count; from += 500) {
    const { body } = await server.send(orders(Math.min(500, count - from), `${prefix}${from}-`));
    ok(body.accepted > 0, JSON.stringify(body));
  }
}

testWhere(missingForBrowser, {
  name: "an accepted, a repeated and a malformed event are three rows, without a reload, with their reasons",
  async fn() {
    await using console = await openConsole();
    await console.open("/console/live");
    await isLive(console);
    await console.shows("Waiting for events…");
    await console.server.send(order("m1"));
    await console.until(`${CAME} === 1`);
    await console.server.send(order("m1"));
    await console.until(`${CAME} === 2`);
    await console.server.send({ type: "track", userId: "joe", messageId: "m2" });
    await console.until(`${CAME} === 3`);
    await console.until(`document.querySelectorAll(".window-row").length === 3`);
    const rows = await console.value<string[][]>(ROWS);
    deepStrictEqual(rows.map((row) => row[1]), ["✕ rejected", "≡ duplicate", "✓ accepted"]);
    deepStrictEqual(rows.map((row) => row[4]), ["joe", "jane", "jane"]);
    ok(rows[0]![3]!.includes("event must be"), rows[0]![3]);
    strictEqual(rows[2]![3], "Order Completed");
    deepStrictEqual(
      await console.value(
        `[...document.querySelectorAll(".window-head > div")].map((each) => each.innerText)`,
      ),
      ["time", "status", "type", "event", "who", "key"],
    );
  },
});

testWhere(missingForCommands, {
  name: "filters stand in the address, outlive a reload and Back, and an empty list says what would fill it",
  async fn() {
    await using console = await openConsole();
    await console.open("/console/live");
    await isLive(console);
    await console.browser.step("choose", ["#filter-type", "track"]);
    await console.fill("#filter-userId", "jane");
    await console.press("Enter");
    await console.until(`location.search === "?type=track&userId=jane"`);
    // First what is watched: until it is drawn, the old stream is still live.
    await console.shows("type is track, userId is jane");
    await isLive(console);
    const command = await console.value<string>(`document.querySelector(".empty .command code").innerText`);
    await console.server.send({ type: "page", userId: "jane", messageId: "other" });
    ok((await runBash(command)).includes('"success":true'), command);
    await console.until(`${CAME} === 1`);
    deepStrictEqual((await console.value<string[][]>(ROWS)).map((row) => row[2]), ["track"]);
    await console.browser.step("reload");
    await console.until(`document.querySelector("#filter-userId")?.value === "jane"`);
    await console.browser.step("back");
    await console.until(`location.search === "?type=track"`);
    await console.push("Clear 1");
    await console.until(`location.search === ""`);
  },
});

testWhere(missingForBrowser, {
  name: "a paused list does not change while events are counted, and going on shows each once, in order",
  async fn() {
    await using console = await openConsole();
    await console.open("/console/live");
    await isLive(console);
    await console.server.send(orders(5, "before"));
    await console.until(`${CAME} === 5`);
    await console.value("document.activeElement.blur()");
    await console.press("Space");
    await console.shows("paused");
    const before = await console.value(ROWS);
    await sendMany(console, 300, "while");
    await console.shows("300 new");
    deepStrictEqual(await console.value(ROWS), before);
    await console.press("Space");
    await console.until(`document.querySelector("[role=grid]").ariaRowCount === "306"`);
    strictEqual((await console.value<string[][]>(ROWS)).length < 80, true);
    // Held by scrolling: what is read stays where it is.
    await console.value(`document.querySelector(".window-body").scrollTo(0, 40 * 36)`);
    await console.until(`/held/.test(document.querySelector(".toolbar .badge").innerText)`);
    const middle =
      `(() => { const row = [...document.querySelectorAll(".window-row")].find((each) => each.ariaRowIndex === "52"); return [row.innerText, Math.round(row.getBoundingClientRect().top)]; })()`;
    const stood = await console.value(middle);
    await sendMany(console, 500, "more");
    await console.shows("500 new");
    deepStrictEqual(await console.value(middle), stood);
    await console.push("500 new");
    await console.until(
      `document.querySelector("[role=grid]").ariaRowCount === "806" && document.querySelector(".window-body").scrollTop === 0`,
    );
  },
});

testWhere(missingForBrowser, {
  name: "20,000 events while following: few rows, few draws, and shown and passed over are all of them",
  async fn() {
    await using console = await openConsole();
    await console.open("/console/live");
    await isLive(console);
    const began = performance.now();
    await sendMany(console, 20_000, "flood");
    await console.until(`Number(${LIST}.dataset.came) + Number(${LIST}.dataset.passedOver) === 20000`);
    const draws = await console.value<number>(`Number(${LIST}.dataset.draws)`);
    const seconds = (performance.now() - began) / 1000;
    ok(draws <= 10 * seconds + 2, `${draws} draws in ${seconds} s`);
    ok(await console.value<number>(`document.querySelectorAll(".window-row").length`) <= 80);
    ok(Number(await console.value(`document.querySelector("[role=grid]").ariaRowCount`)) <= 10_001);
    await console.shows("older events are in each user's log");
  },
});

testWhere(missingForBrowser, {
  name:
    "a server that is killed and comes back on the same file loses no event of the view, and the gap is told",
  async fn() {
    await using console = await openConsole();
    await console.open("/console/live");
    await isLive(console);
    await console.server.send(order("first"));
    await console.until(`${CAME} === 1`);
    const { port } = new URL(console.server.url);
    await console.server.end("SIGKILL");
    await console.shows("connecting again in");
    {
      await using other = await startServer(console.path, {});
      const { body } = await other.send(orders(100, "away"));
      strictEqual(body.accepted, 100);
    }
    await using again = await startServer(console.path, { PORT: port });
    strictEqual(again.url, console.server.url);
    await console.until(`${CAME} === 101`);
    // Its line stands below what came after it.
    await console.value(`document.querySelector(".window-body").scrollTo(0, 95 * 36)`);
    await console.shows("Nobody watched from");
  },
});

testWhere(missingForCommands, {
  name: "Enter opens an event beside the list, its JSON is the trace's event, and Esc gives the focus back",
  async fn() {
    await using console = await openConsole();
    await console.browser.step(
      "before",
      `Object.defineProperty(navigator, "clipboard", { value: { writeText: async (text) => void (globalThis.copied = text) } })`,
    );
    await fillServer(console);
    await console.open("/console/live");
    await console.until(`document.querySelectorAll(".window-row").length >= 6`);
    await console.value(`document.querySelector(".window-body").focus()`);
    await console.press("ArrowDown", "Enter");
    await console.shows("What it changed");
    const id = await console.value<string>(`new URLSearchParams(location.search).get("id")`);
    const { body } = await console.server.ask(`/api/v1/admin/events/${encodeURIComponent(id)}`);
    await console.push("JSON");
    await console.until("globalThis.copied");
    deepStrictEqual(JSON.parse(await console.value("globalThis.copied")), body.event);
    await console.value(`globalThis.copied = undefined`);
    await console.push("curl");
    await console.until("globalThis.copied");
    const command = await console.value<string>("globalThis.copied");
    ok(command.includes("$KEY") && (await runBash(command)).includes('"success":true'), command);
    await console.value(`document.querySelector(".window-body").focus()`);
    await console.press("Escape");
    await console.until(`!document.querySelector(".detail")`);
    strictEqual(await console.value("document.activeElement.className"), "window-body");
    await console.open("/console/event?id=link-1");
    await console.shows("trait plan");
    await console.shows('"enterprise"');
  },
});

testWhere(missingForCommands, {
  name: "copying works where the browser has no clipboard, and the command has no secret",
  async fn() {
    await using console = await openConsole();
    await console.browser.step(
      "before",
      `Object.defineProperty(navigator, "clipboard", { value: undefined }); delete crypto.randomUUID; document.execCommand = () => (globalThis.copied = document.activeElement.value, true)`,
    );
    await console.server.send(order("m1"));
    await console.open("/console/event?id=m1");
    await console.push("curl");
    await console.until("globalThis.copied");
    const command = await console.value<string>("globalThis.copied");
    ok((await runBash(command)).includes('"duplicate":true'), command);
  },
});

testWhere(missingForBrowser, {
  name: "a test event is refused at its line, and once it is right it is seen to be committed and settled",
  async fn() {
    await using console = await openConsole();
    await fillServer(console);
    const { body: key } = await console.server.ask("/api/v1/admin/keys", {
      method: "POST",
      body: { name: "pages", allowedTypes: ["page"] },
    });
    await console.open(`/console/test?writeKeyId=${key.id}`);
    const write = (text: string) => console.fill(".editor textarea", text);
    await write('{\n  "type": "track",\n}');
    await console.push("Send");
    await console.shows('line 3: column 1: a comma before "}" is too many');
    strictEqual((await console.server.ask("/api/v1/admin/stats")).body.counts.rejected, 3);
    await write(JSON.stringify(order("t1"), null, 2));
    await console.push("Send");
    await console.until(`document.querySelector(".marks")?.innerText.startsWith("line 2:")`);
    await console.browser.step("choose", ["#send-as", "default"]);
    await write(JSON.stringify(order("t1", { properties: { order_id: "x", total: "15" } }), null, 2));
    await console.press("Control+Enter");
    await console.until(`document.querySelector(".marks")?.innerText.startsWith("line 8:")`);
    await write(JSON.stringify(order("t1"), null, 2));
    await console.push("Check only");
    await console.shows("It would be accepted.");
    await console.press("Control+Enter");
    await console.shows("settled into profiles and logs seen");
    await console.push("Send");
    await console.shows("it is not counted twice");
    await eventually(
      "the event is there",
      async () => (await console.server.ask("/api/v1/admin/events/t1")).status === 200,
    );
  },
});

testWhere(missingForBrowser, {
  name: "an open console that watches nothing asks little, and a hidden one nothing",
  async fn() {
    await using console = await openConsole();
    await console.open("/console/keys");
    await console.shows("default");
    await console.until(`!document.querySelector("main .skeleton")`);
    await console.browser.step("requests");
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    const asked = await console.browser.step("requests") as unknown[];
    ok(asked.length <= 1, JSON.stringify(asked));
  },
});
