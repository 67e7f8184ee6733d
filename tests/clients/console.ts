/** The console in a real headless Chromium, over a real server: what its tests share. */
import { missing } from "../needs.ts";
import { ok } from "node:assert";
import { ADMIN_TOKEN, eventually, type Server, startServer, tempDir, WRITE_KEY } from "../process/server.ts";
import { type Browser, missingForBrowser, openBrowser } from "./browser.ts";
import { installPackages } from "./packages.ts";

/** A server, a browser, and what a reader does in it. */
export interface ConsoleTest extends AsyncDisposable {
  server: Server;
  browser: Browser;
  /** The database file. */
  path: string;
  /** Opens a path of the console, signed in by a link. */
  open(path: string, token?: string): Promise<void>;
  /** The value of an expression in the page. */
  value<Value>(expression: string): Promise<Value>;
  /** Waits until an expression in the page is true. */
  until(expression: string): Promise<void>;
  /** Waits until the visible text of the page has a text. */
  shows(text: string): Promise<void>;
  press(...keys: string[]): Promise<void>;
  /** Presses the button, tab or link with exactly these words. */
  push(words: string): Promise<void>;
  fill(selector: string, text: string): Promise<void>;
}

/** Read tokens of the servers here. */
export const READ_TOKEN = "process_read_token_0123456789";

/** Starts a server on a new file and opens a browser. */
export async function openConsole(env: Record<string, string> = {}): Promise<ConsoleTest> {
  const dir = await tempDir();
  const path = `${dir.path}/kv.db`;
  const server = await startServer(path, { READ_TOKEN, ...env });
  const packages = await installPackages();
  const browser = openBrowser(packages);
  await browser.step("only", server.url);
  const value = async <Value>(expression: string) => await browser.evaluate(expression) as Value;
  const until = (expression: string) =>
    eventually(expression, async () => Boolean(await browser.evaluate(`Boolean(${expression})`)), {
      everyMs: 30,
    });
  return {
    server,
    browser,
    path,
    value,
    until,
    async open(to, token = ADMIN_TOKEN) {
      // A fragment alone loads no page.
      await browser.goto("about:blank");
      await browser.goto(`${server.url}${to}#token=${token}`);
      await until(`document.querySelector("main h1")`);
    },
    shows: (text) => until(`document.body.innerText.includes(${JSON.stringify(text)})`),
    async press(...keys) {
      for (const key of keys) await browser.step("press", key);
    },
    async push(words) {
      const found = `[...document.querySelectorAll("button, a")].find((each) => each.innerText.trim() === ${
        JSON.stringify(words)
      } && !each.disabled)`;
      await until(found);
      await browser.evaluate(`${found}.click()`);
    },
    fill: async (selector, text) => void await browser.step("fill", [selector, text]),
    async [Symbol.asyncDispose]() {
      await browser[Symbol.asyncDispose]();
      await packages[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}

/** An event of jane's. */
export const order = (messageId: string, more: object = {}) => ({
  type: "track",
  userId: "jane",
  event: "Order Completed",
  messageId,
  properties: { order_id: messageId, total: 15 },
  ...more,
});

/** Sends some events of every kind, and makes a contract. */
export async function fillServer({ server }: ConsoleTest): Promise<void> {
  await server.ask("/api/v1/admin/contracts/order", {
    method: "PUT",
    body: {
      type: "track",
      event: "Order Completed",
      mode: "enforce",
      schema: { properties: { properties: { properties: { total: { type: "number" } } } } },
    },
  });
  const { body } = await server.send([
    { type: "page", anonymousId: "laptop-7", name: "Pricing", timestamp: "2025-03-01T09:00:00Z" },
    {
      type: "identify",
      anonymousId: "laptop-7",
      traits: { plan: "free" },
      timestamp: "2025-03-01T09:01:00Z",
    },
    {
      type: "identify",
      userId: "jane",
      traits: { plan: "trial", name: "Jane" },
      timestamp: "2025-03-02T09:00:00Z",
    },
    order("order-1", { timestamp: "2025-03-02T10:00:00Z" }),
    {
      type: "identify",
      userId: "jane",
      anonymousId: "laptop-7",
      traits: { plan: "enterprise" },
      timestamp: "2025-03-03T12:00:00Z",
      messageId: "link-1",
    },
    {
      type: "group",
      userId: "jane",
      groupId: "acme",
      traits: { name: "Acme" },
      timestamp: "2025-03-04T08:00:00Z",
    },
    order("broken-1", { properties: { total: "15" } }),
    order("broken-2", { properties: { total: "16" } }),
    { type: "track", userId: "joe", messageId: "nameless" },
  ]);
  ok(body.accepted === 6, JSON.stringify(body));
}

/** What a test lacks that runs a command of the console. */
export const missingForCommands = missingForBrowser ?? missing("bash", "curl");

/** A request that a sender makes with curl and `$KEY`. */
export async function runBash(command: string): Promise<string> {
  const { stdout } = await new Deno.Command("bash", {
    args: ["-c", command],
    env: { KEY: WRITE_KEY, TOKEN: ADMIN_TOKEN },
  }).output();
  return new TextDecoder().decode(stdout);
}

const AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/** What is loaded again is dimmed for a moment: axe-core, which takes longer, would find its contrast now and then. */
const UNDIMMED = `(() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(".stale { opacity: 1 !important; transition: none !important }");
  document.adoptedStyleSheets = [sheet];
})()`;

/** What axe-core finds on the page. */
export async function axeFindings(console: ConsoleTest): Promise<unknown> {
  await console.until(`!document.querySelector("main .skeleton")`);
  await console.value(UNDIMMED);
  return await console.browser.step("axe", AXE_TAGS);
}
