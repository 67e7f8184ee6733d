/** A real browser, and the page that it opens, which is served from another origin than signalfold's. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { missing, runs } from "../needs.ts";
import type { Packages } from "./packages.ts";

/** Where the browser is; Debian's package puts it there. */
const CHROMIUM = Deno.env.get("CHROMIUM") || "/usr/bin/chromium";

/** What is missing on this machine for a browser, in words; `undefined` where nothing is. */
export const missingForBrowser = missing("node") ??
  (runs(CHROMIUM, "--version") ? undefined : "Chromium, in CHROMIUM or /usr/bin/chromium");

/** See `programs/browser.mjs`. */
export interface Browser extends AsyncDisposable {
  goto(url: string): Promise<void>;
  /** Evaluates an expression in the page, waits for it if it is a promise, and gives its value. */
  evaluate(expression: string): Promise<unknown>;
  screenshot(path: string): Promise<void>;
  /** Any other step of `programs/browser.mjs`: press, type, click, fill, choose, viewport, media, only, axe, … */
  step(name: string, argument?: unknown): Promise<unknown>;
  /** What went wrong in the page, what the browser complained of, the origins that it asked, and how many requests got no answer. */
  seen(): Promise<Seen>;
}

/** See {@link Browser.seen}. */
export interface Seen {
  errors: string[];
  complaints: string[];
  origins: string[];
  failures: number;
}

/** Starts a browser with a new profile. */
export function openBrowser({ path }: Packages): Browser {
  const child = spawn("node", ["browser.mjs"], {
    cwd: path,
    env: { ...Deno.env.toObject(), CHROMIUM },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();

  async function take(step: string, argument?: unknown): Promise<unknown> {
    child.stdin!.write(`${JSON.stringify([step, argument])}\n`);
    const { value: line, done } = await lines.next();
    if (done) throw new Error(`the browser ended at ${step} ${argument}`);
    const { value, error } = JSON.parse(line);
    if (error !== undefined) throw new Error(`${step} ${argument}: ${error}`);
    return value;
  }

  return {
    goto: async (url) => void await take("goto", url),
    evaluate: (expression) => take("evaluate", expression),
    step: take,
    screenshot: async (file) => void await take("screenshot", file),
    seen: async () => await take("seen") as Seen,
    async [Symbol.asyncDispose]() {
      child.stdin!.end();
      await ended;
    },
  };
}

/** A page on a free port of `localhost`, which is another origin than `127.0.0.1`. */
export interface Site extends AsyncDisposable {
  url: string;
  origin: string;
}

/** A file in `node_modules`, or a module that a bundler makes a script of. */
export type Script = string | { bundle: string };

/** Serves a page; every script that it asks for is that of a package, and every other path is another page; `headers` are sent with all. */
export function serveSite(
  packages: Packages,
  { script, html, headers = {} }: { script: Script; html: string; headers?: Record<string, string> },
): Site {
  const source = read(packages, script);
  const answer = (body: string, type: string) =>
    new Response(body, { headers: { ...headers, "content-type": type } });
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    const { pathname } = new URL(request.url);
    if (pathname.endsWith(".js")) return answer(source, "text/javascript");
    const body = pathname === "/" ? html : "";
    return answer(`<!doctype html><title>Shop</title>${body}`, "text/html");
  });
  const origin = `http://localhost:${server.addr.port}`;
  return { url: `${origin}/`, origin, [Symbol.asyncDispose]: () => server.shutdown() };
}

function read({ path }: Packages, script: Script): string {
  if (typeof script === "string") return Deno.readTextFileSync(`${path}/node_modules/${script}`);
  Deno.writeTextFileSync(`${path}/bundled.js`, `export * from "${script.bundle}";`);
  const args = ["bundle", "--quiet", "--platform", "browser", "bundled.js"];
  const { success, stdout, stderr } = new Deno.Command(Deno.execPath(), { args, cwd: path }).outputSync();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`${script.bundle} can't be bundled: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}
