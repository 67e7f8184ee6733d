/**
 * A headless browser that is told what to do by lines of JSON on standard input, and answers each by one on standard
 * output: ["goto", URL], ["evaluate", EXPRESSION], ["screenshot", FILE], ["seen"], and the others of `steps`. It ends with
 * its input.
 */
import { createInterface } from "node:readline";

// By name at run time: it is no dependency of the project, only of the folder where this runs.
const { chromium } = await import("playwright-core");

/** A browser or a page that has not started by then has failed, in ms: a machine may be slow, or do other things. */
const PATIENCE_MS = 120_000;

const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  headless: true,
  args: ARGUMENTS,
  timeout: PATIENCE_MS,
});
const page = await browser.newPage({ viewport: { width: 1000, height: 760 } });
page.setDefaultTimeout(PATIENCE_MS);
/**
 * What the page said went wrong, what the browser complained of (a policy that was broken), which origins it asked, and
 * how many requests got no answer.
 */
const seen = { errors: [], complaints: [], origins: [], failures: 0 };
/** Method, URL and status of every request. */
const requests = [];
page.on(
  "response",
  (response) =>
    requests.push({ method: response.request().method(), url: response.url(), status: response.status() }),
);
page.on("pageerror", (error) => seen.errors.push(String(error)));
page.on("console", (message) => {
  if (message.type() === "error") seen.complaints.push(message.text());
});
page.on("request", (request) => {
  const { origin } = new URL(request.url());
  if (!seen.origins.includes(origin)) seen.origins.push(origin);
});

page.on("requestfailed", () => seen.failures++);

const steps = {
  goto: async (url) => void await page.goto(url),
  evaluate: (expression) => page.evaluate(expression),
  screenshot: async (path) => void await page.screenshot({ path }),
  seen: () => seen,
  requests: () => requests.splice(0),
  reload: async () => void await page.reload(),
  back: async () => void await page.goBack(),
  press: (key) => page.keyboard.press(key),
  type: (text) => page.keyboard.insertText(text),
  click: (selector) => page.click(selector),
  fill: ([selector, text]) => page.fill(selector, text),
  choose: async ([selector, value]) => void await page.selectOption(selector, value),
  viewport: ([width, height]) => page.setViewportSize({ width, height }),
  media: (media) => page.emulateMedia(media),
  /** Lets the page reach one origin only. */
  only: (origin) => page.route((url) => url.origin !== origin, (route) => route.abort()),
  /** Runs in every later page before its own scripts. */
  before: async (script) => void await page.addInitScript(script),
  /** What axe-core finds, by rule, with the elements. */
  axe: async (tags) => {
    const { source } = (await import("axe-core")).default;
    await page.evaluate(source);
    const { violations } = await page.evaluate(
      (values) => globalThis.axe.run(document, { runOnly: values }),
      tags,
    );
    return violations.map(({ id, nodes }) =>
      `${id}: ${nodes.slice(0, 3).map(({ html }) => html.slice(0, 160)).join(" | ")}`
    );
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const [step, argument] = JSON.parse(line);
  try {
    console.log(JSON.stringify({ value: await steps[step](argument) ?? null }));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error) }));
  }
}
await browser.close();
