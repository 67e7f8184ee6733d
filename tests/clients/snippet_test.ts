/**
 * The website snippet as Segment prints it (its package `@segment/snippet` renders it), in a real headless Chromium: the
 * page changes the host and nothing else. The page is of another origin than the server's, and forbids what it can.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { eventually, type Server, startServer, tempDir } from "../process/server.ts";
import { type Browser, missingForBrowser, openBrowser, serveSite } from "./browser.ts";
import { testWhere } from "../needs.ts";
import { installPackages, type Packages } from "./packages.ts";
import { readLog, WRITE_KEY } from "./stage.ts";
import { openWire, type Wire } from "./wire.ts";

interface Shop extends AsyncDisposable {
  packages: Packages;
  server: Server;
  wire: Wire;
  browser: Browser;
}

/** A server with a `SNIPPET_PATH`, and a browser. */
async function openShop(): Promise<Shop> {
  const stack = new AsyncDisposableStack();
  const dir = stack.use(await tempDir());
  const packages = stack.use(await installPackages());
  const wire = stack.use(await openWire());
  const settings = { WRITE_KEY, PUBLIC_URL: wire.url, SNIPPET_PATH: "/shop" };
  const server = stack.use(await startServer(`${dir.path}/kv.db`, settings));
  wire.target = server.url;
  const browser = stack.use(openBrowser(packages));
  return { packages, server, wire, browser, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** The snippet, with the host of the wire; Segment's has `https://`, which a server on this machine has not. */
function printed({ packages, wire }: Shop, options: Record<string, unknown> = {}): string {
  const host = new URL(wire.url).host;
  const program = `console.log(require("@segment/snippet").min(${
    JSON.stringify({ apiKey: WRITE_KEY, host, ...options })
  }))`;
  const { success, stdout, stderr } = new Deno.Command("node", { args: ["-e", program], cwd: packages.path })
    .outputSync();
  ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).replaceAll(`https://${host}`, wire.url);
}

/** Opens a page with the snippet, lets it send, and reads that back. Gives the origin of the page. */
async function visit(
  shop: Shop,
  { snippet, policy, userId }: { snippet: string; policy?: string; userId: string },
): Promise<string> {
  const nonce = "r4nd0m";
  const calls = `analytics.identify(${JSON.stringify(userId)}, { plan: "pro" });
    analytics.track("Order Completed", { total: 99.99 });
    window.addEventListener("load", () => analytics.trackLink(document.querySelector("a"), "Link Clicked"));`;
  const html = `<body><a href="#next">Next</a><script nonce="${nonce}">${snippet}</script>
    <script nonce="${nonce}">${calls}</script></body>`;
  const headers = policy === undefined ? {} : { "content-security-policy": policy };
  await using site = serveSite(shop.packages, {
    script: "@segment/analytics-next/package.json",
    html,
    headers,
  });
  await shop.browser.goto(site.url);
  await eventually(
    "the client has started",
    async () => await shop.browser.evaluate("analytics.initialized === true") === true,
  );
  const eventsOf = async () =>
    (await readLog(shop.server, `users/${userId}`)).map(({ type, event }) => event ?? type);
  await eventually(`${userId} ordered`, async () => (await eventsOf()).includes("Order Completed"));
  await eventually("a click on a link arrives", async () => {
    await shop.browser.evaluate(`document.querySelector("a").click()`);
    return (await eventsOf()).includes("Link Clicked");
  }, { everyMs: 500 });
  deepStrictEqual((await eventsOf()).filter((name) => name !== "Link Clicked").toSorted(), [
    "Order Completed",
    "identify",
  ]);
  const { errors, complaints, origins } = await shop.browser.seen();
  // The client itself complains where a click is not sent within its own time, which a busy machine needs.
  const broken = complaints.filter((text) => !text.includes("Promise timed out"));
  deepStrictEqual([errors, broken], [[], []]);
  // Every page has a port of its own; the only other host is the server's.
  const others = origins.filter((origin) => !origin.startsWith("http://localhost:"));
  deepStrictEqual(others, [shop.wire.url]);
  return site.origin;
}

testWhere(missingForBrowser, {
  name:
    "Segment's own snippet works with another host, under a strict policy, and past a list of blocked names",
  async fn(test) {
    await using shop = await openShop();
    const { wire } = shop;
    const strict = (more: string) =>
      `default-src 'none'; script-src 'nonce-r4nd0m' ${more}; connect-src ${wire.url}; img-src 'self'; base-uri 'none'`;

    await test.step("the lines that docs/clients.md shows are those of the snippet", () => {
      const page = Deno.readTextFileSync(new URL("../../docs/clients.md", import.meta.url));
      const [before, after, short] = [...page.matchAll(/^t\.src=.*$/gm)].map(([line]) => line);
      const of = (options: Record<string, unknown>) => printed(shop, { apiKey: "KEY", ...options });
      ok(of({ host: "cdn.segment.com" }).includes(before!), before);
      ok(of({ host: "events.example.com" }).includes(after!), after);
      strictEqual(short, after!.replace("/analytics.js/v1/", "/shop/").replace("/analytics.min.js", ".js"));
    });
    await test.step("as Segment prints it, with the page call", async () => {
      await visit(shop, { snippet: printed(shop, { page: false }), userId: "snippet-plain" });
    });
    await test.step("under a policy that allows the host", async () => {
      const policy = strict(wire.url);
      await visit(shop, { snippet: printed(shop, { page: false }), policy, userId: "snippet-strict" });
    });
    await test.step("under a policy of nonces alone", async () => {
      const policy = strict("'strict-dynamic'");
      await visit(shop, { snippet: printed(shop, { page: false }), policy, userId: "snippet-dynamic" });
    });
    await test.step("from SNIPPET_PATH, with no name that blockers know", async () => {
      const ajsPath = `/shop/${WRITE_KEY}.js`;
      const snippet = printed(shop, { page: false, ajsPath });
      const origin = await visit(shop, { snippet, policy: strict(wire.url), userId: "snippet-short" });
      const paths = wire.exchanges.filter(({ headers }) => headers.referer?.startsWith(origin))
        .map(({ path }) => path);
      ok(paths.some((path) => path.startsWith("/shop/parts/")));
      for (const path of paths) {
        ok(path.startsWith("/shop/") && !/segment|analytics|track|\/v1\//.test(path), path);
      }
    });
    await test.step("and a page view is sent as Segment's own snippet does by default", async () => {
      await using site = serveSite(shop.packages, {
        script: "@segment/analytics-next/package.json",
        html: `<script>${printed(shop)}</script>`,
      });
      const before = wire.exchanges.length;
      await shop.browser.goto(site.url);
      await eventually(
        "a page view",
        () =>
          Promise.resolve(
            wire.exchanges.slice(before).some(({ path, method, outcome }) =>
              path === "/v1/p" && method === "POST" && outcome === 200
            ),
          ),
      );
    });
  },
});
