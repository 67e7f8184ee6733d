/**
 * A headless browser that is told what to do by lines of JSON on standard input, and answers each by one on standard
 * output: ["goto", URL], ["evaluate", EXPRESSION], ["screenshot", FILE], ["seen"]. It ends with its input.
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
