/** The console in a browser: signing in, its policy, hostile texts, and accessibility of every screen. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { CONSOLE_PATHS } from "../../routes/http/docs_paths.ts";
import { ADMIN_TOKEN, WRITE_KEY } from "../process/server.ts";
import { testWhere } from "../needs.ts";
import { missingForBrowser } from "./browser.ts";
import { axeFindings, type ConsoleTest, fillServer, openConsole, order, READ_TOKEN } from "./console.ts";

/** The paths of all screens, with something to show. */
const SHOWN: Readonly<Record<string, string>> = {
  users: "/console/users?id=jane&why=plan",
  groups: "/console/groups?id=acme",
  event: "/console/event?id=order-1",
  contracts: "/console/contracts?name=order",
  settings: "/console/settings?erase=jane",
};
const paths = Object.entries(CONSOLE_PATHS).map(([screen, path]) => [screen, SHOWN[screen] ?? path] as const);

/** Waits until nothing is loading. */
const settle = (console: ConsoleTest) =>
  console.until(`document.querySelector("main h1") && !document.querySelector("main .skeleton")`);

testWhere(missingForBrowser, {
  name: "every screen works with this server alone, breaks no policy, and loads in 30 requests",
  async fn() {
    await using console = await openConsole();
    await fillServer(console);
    await console.browser.step(
      "before",
      "addEventListener('securitypolicyviolation', (event) => globalThis.broken = (globalThis.broken ?? '') + event.violatedDirective)",
    );
    for (const [screen, path] of paths) {
      await console.browser.step("requests");
      await console.open(path);
      await settle(console);
      const asked = await console.browser.step("requests") as { url: string; status: number }[];
      const files = asked.filter(({ url }) => url.includes("/console"));
      ok(files.length <= 30, `${screen}: ${files.length}`);
      deepStrictEqual(asked.filter(({ status }) => status >= 400), [], screen);
      strictEqual(await console.value("globalThis.broken ?? ''"), "", screen);
    }
    const { errors, complaints, origins, failures } = await console.browser.seen();
    deepStrictEqual([errors, complaints, origins.filter((origin) => origin !== "null")], [[], [], [
      console.server.url,
    ]]);
    ok(failures === 0 || failures < 20, "requests that the page gave up itself");
    const refused = (code: string) =>
      console.value<string>(
        `(() => { try { ${code}; return "done"; } catch (error) { return error.name; } })()`,
      );
    strictEqual(await refused(`document.body.innerHTML = "<b>"`), "TypeError");
    strictEqual(
      await refused(
        `document.body.append(Object.assign(document.createElement("script"), { text: "globalThis.ran = 1" }))`,
      ),
      "TypeError",
    );
    strictEqual(await console.value("globalThis.ran ?? null"), null);
  },
});

testWhere(missingForBrowser, {
  name: "hostile texts are shown as text on every screen, and nothing of them runs",
  async fn() {
    await using console = await openConsole();
    const id = "<img src=x onerror=globalThis.hit=1>\u202e";
    const { body } = await console.server.send({
      type: "identify",
      userId: id,
      messageId: "<svg onload=globalThis.hit=2>",
      traits: {
        "<script>globalThis.hit=3</script>": "javascript:globalThis.hit=4",
        __proto__x: 1,
        constructor: "c",
      },
    });
    strictEqual(body.success, true);
    await console.server.send({ type: "track", userId: id, event: "", messageId: "<b>bad" });
    const at = encodeURIComponent(id);
    for (
      const path of [
        "/console",
        "/console/live",
        `/console/users?id=${at}`,
        `/console/users?id=${at}&tab=events`,
        "/console/event?id=%3Csvg%20onload%3DglobalThis.hit%3D2%3E",
        "/console/quarantine",
      ]
    ) {
      await console.open(path);
      await settle(console);
      if (path !== "/console") {
        await console.shows(path.startsWith("/console/event") ? "<svg onload" : "<img src=x");
      }
    }
    await console.open(`/console/users?id=${at}`);
    await console.shows("\\u202e");
    await console.shows("<script>globalThis.hit=3</script>");
    strictEqual(await console.value("globalThis.hit ?? null"), null);
    strictEqual(
      await console.value("document.querySelectorAll('main img, main script, [href^=javascript]').length"),
      0,
    );
    for (const odd of ["a/b", "50%", "née 😀", "__proto__"]) {
      await console.server.send({ type: "identify", userId: odd, traits: { odd } });
      await console.open("/console/users");
      await console.fill("#id-field", odd);
      await console.press("Enter");
      await console.until(`document.querySelector(".person h2")?.innerText.includes(${JSON.stringify(odd)})`);
    }
  },
});

testWhere(missingForBrowser, {
  name:
    "a wrong token is told at its field; a right one opens the asked screen, and is kept nowhere but in this tab",
  async fn() {
    await using console = await openConsole();
    const { browser, server } = console;
    await browser.goto(`${server.url}/console/users?id=nobody`);
    await console.until(`document.querySelector("#token")`);
    await console.fill("#token", "wrong_token_0123456789");
    await console.press("Enter");
    await console.shows("This token is not known here.");
    deepStrictEqual(
      await console.value(
        `[document.activeElement.id, document.querySelector("#token").getAttribute("aria-invalid"), document.querySelector("#token").value]`,
      ),
      ["token", "true", "wrong_token_0123456789"],
    );
    await console.fill("#token", WRITE_KEY);
    await console.press("Enter");
    await console.shows("This is a write key: it sends events and cannot read.");
    await console.fill("#token", ADMIN_TOKEN);
    await console.press("Enter");
    await console.shows("No user has exactly this id.");
    strictEqual(
      await console.value("document.cookie + JSON.stringify(Object.values(localStorage))").then((text) =>
        String(text).includes(ADMIN_TOKEN)
      ),
      false,
    );
    await browser.step("reload");
    await console.shows("No user has exactly this id.");
    await console.open("/console/live");
    strictEqual(await console.value("location.hash + location.href.includes('token')"), "false");
    ok(!server.written().includes(ADMIN_TOKEN));
    const requests = await browser.step("requests") as { url: string }[];
    ok(requests.length > 5 && requests.every(({ url }) => !new URL(url).search.includes(ADMIN_TOKEN)));
    await console.push("Sign out");
    await console.until(`document.querySelector("#token")`);
    strictEqual(await console.value("sessionStorage.length"), 0);
  },
});

testWhere(missingForBrowser, {
  name: "a read token sees people and groups; other screens say what they need, and nothing is refused twice",
  async fn() {
    await using console = await openConsole();
    await fillServer(console);
    await console.browser.step("requests");
    for (const path of ["/console", "/console/live", "/console/quarantine", "/console/keys"]) {
      await console.open(path, READ_TOKEN);
      await console.shows("This screen needs the admin token.");
    }
    await console.open("/console/users?id=jane", READ_TOKEN);
    await console.shows("enterprise");
    await console.open("/console/groups?id=acme", READ_TOKEN);
    await console.shows("1 member");
    const requests = await console.browser.step("requests") as { status: number; url: string }[];
    deepStrictEqual(requests.filter(({ status }) => status === 403), []);
  },
});

testWhere(missingForBrowser, {
  name:
    "axe-core finds nothing on any screen, empty and filled, light and dark, and nothing scrolls sideways at 320 px",
  async fn() {
    await using console = await openConsole();
    const { browser } = console;
    const look = async (state: string) => {
      for (const [screen, path] of [...paths, ["missing", "/console/users?id=nobody"] as const]) {
        await console.open(path);
        await settle(console);
        for (const colorScheme of ["light", "dark"]) {
          await browser.step("media", { colorScheme });
          deepStrictEqual(await axeFindings(console), [], `${screen}, ${state}, ${colorScheme}`);
        }
        await browser.step("viewport", [320, 700]);
        const wide = await console.value(
          "document.documentElement.scrollWidth - document.documentElement.clientWidth",
        );
        ok(Number(wide) <= 0, `${screen}, ${state}: ${wide} px too wide`);
        await browser.step("viewport", [1280, 800]);
      }
    };
    await look("empty");
    await fillServer(console);
    await look("filled");
    await browser.step("media", { forcedColors: "active", reducedMotion: "reduce" });
    await console.open("/console");
    await settle(console);
    deepStrictEqual(await axeFindings(console), []);
    await console.press("?");
    await console.until(`document.querySelector("dialog[open]")`);
    deepStrictEqual(await axeFindings(console), []);
  },
});

testWhere(missingForBrowser, {
  name: "everything that can be pressed is reached by Tab, with an outline, and nothing covers it",
  async fn() {
    await using console = await openConsole();
    await fillServer(console);
    for (const [screen, path] of paths) {
      await console.open(path);
      await settle(console);
      // The live list comes by itself.
      if (screen === "live") await console.until(`document.querySelector(".window-row")`);
      const all = await console.value<number>(
        `[...document.querySelectorAll("a[href], button:not(:disabled), input:not(:disabled):not([tabindex='-1']), select:not(:disabled), textarea, [tabindex='0']")].filter((each) => each.checkVisibility() && each.type !== "radio").length`,
      );
      await console.value("document.activeElement.blur()");
      const seen = new Set<string>();
      for (let n = 0; n < all + 25; n++) {
        await console.press("Tab");
        const { mark, outline, isCovered } = await console.value<
          { mark: string; outline: number; isCovered: boolean }
        >(`(() => {
          const each = document.activeElement;
          if (each === document.body) return { mark: "", outline: 2, isCovered: false };
          each.dataset.mark ??= String(globalThis.marks = (globalThis.marks ?? 0) + 1);
          const box = each.getBoundingClientRect();
          const around = each.closest(".editor, .segments") ?? each;
          const outline = Math.max(Number.parseFloat(getComputedStyle(each).outlineWidth) || 0, Number.parseFloat(getComputedStyle(around).outlineWidth) || 0);
          const top = document.querySelector(".top").getBoundingClientRect();
          const isCovered = !each.closest(".top, .menu, .skip") && each.className !== "skip" && box.bottom <= top.bottom && box.height > 0;
          return { mark: each.dataset.mark, outline, isCovered };
        })()`);
        if (mark === "") continue;
        ok(
          outline >= 2,
          `${screen}: ${await console.value(
            "document.activeElement.outerHTML.slice(0, 200)",
          )} has an outline of ${outline}`,
        );
        ok(
          !isCovered,
          `${screen}: ${await console.value("document.activeElement.outerHTML.slice(0, 200)")} is covered`,
        );
        seen.add(mark);
      }
      ok(seen.size >= all - 1, `${screen}: ${seen.size} of ${all} reached`);
    }
  },
});

testWhere(missingForBrowser, {
  name: "a token that changes while somebody writes is asked for again, and the refused request is then done",
  async fn() {
    await using console = await openConsole();
    await console.open("/console/test");
    await console.until(`document.querySelector(".editor textarea")`);
    const text = JSON.stringify(order("kept-1"), null, 2);
    await console.fill(".editor textarea", text);
    // The page's token is made wrong, as if the server had another one now.
    await console.browser.evaluate(`{
      const { fetch } = globalThis;
      let times = 0;
      globalThis.fetch = (url, init) => times++ === 0 ? fetch(url, { ...init, headers: { ...init.headers, authorization: "Bearer other_token_0123456789" } }) : fetch(url, init);
    }`);
    await console.press("Control+Enter");
    await console.shows("The server does not know this token any more.");
    strictEqual(await console.value(`document.querySelector(".editor textarea").value`), text);
    await console.fill("#token", ADMIN_TOKEN);
    await console.press("Enter");
    await console.shows("settled into profiles and logs seen");
    const { body } = await console.server.ask("/api/v1/admin/events/kept-1");
    strictEqual(body.event.userId, "jane");
    match(String(await console.value("document.title")), /^Test · signalfold$/);
  },
});
