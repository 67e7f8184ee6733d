/** The console: a page for people, its files, and nothing that needs a credential. Its data come from the API. */
import { Hono } from "hono";
import { handle, type Outcome, type Parts, type RouteContext, type RouteEnv } from "../handler/handle.ts";
import type { Problem } from "../http/problem.ts";
import { CONSOLE_ASSET_PATH, CONSOLE_PATHS } from "../http/docs_paths.ts";
import { SECURITY_HEADERS } from "../http/security_headers.ts";
import { type Assets, loadAssets } from "./assets.ts";
import { type Page, pageOf } from "./page.ts";

/** A year: the digest in its path changes with a file. */
const ASSET_CACHE = "public, max-age=31536000, immutable";

/** `/console`, its screens and its files. They are loaded at the first request. */
export function consoleRoutes(parts: Parts): Hono<RouteEnv> {
  const routes = new Hono<RouteEnv>();
  let loading: Promise<Assets> | undefined;
  const load = (): Promise<Assets> => loading ??= loadAssets();

  for (const [screen, path] of Object.entries(CONSOLE_PATHS)) {
    let making: Promise<Page> | undefined;
    routes.get(
      path,
      handle(parts, async () => {
        making ??= load().then((assets) => pageOf(assets, { screen, path }));
        const { html, headers } = await making;
        return new Response(html, {
          headers: { ...SECURITY_HEADERS, ...headers, "content-type": "text/html; charset=utf-8" },
        });
      }),
    );
  }
  routes.get(CONSOLE_ASSET_PATH, handle(parts, async (c) => sendAsset(await load(), c)));
  return routes;
}

/** Where a browser that asks for the root is sent; `undefined` for a program, which gets the 404 of an unknown path. */
export function redirectToConsole(request: Request): Response | undefined {
  const isBrowser = /\btext\/html\b/.test(request.headers.get("accept") ?? "");
  const isRead = request.method === "GET" || request.method === "HEAD";
  if (!isRead || !isBrowser || new URL(request.url).pathname !== "/") return undefined;
  // Relative, so that it is right behind a proxy that adds a path.
  return new Response(null, { status: 303, headers: { ...SECURITY_HEADERS, location: "console" } });
}

function sendAsset({ digest, files }: Assets, c: RouteContext): Outcome {
  const { digest: asked, room, file } = c.req.param() as Record<string, string>;
  const asset = asked === digest ? files.get(`${room}/${file}`) : undefined;
  if (asset === undefined) return NO_SUCH_FILE;
  const isZipped = /\bgzip\b/.test(c.req.header("accept-encoding") ?? "");
  return new Response(isZipped ? asset.gzip : asset.plain, {
    headers: {
      ...SECURITY_HEADERS,
      "content-type": asset.contentType,
      "cache-control": ASSET_CACHE,
      "cross-origin-resource-policy": "same-origin",
      "vary": "accept-encoding",
      ...isZipped && { "content-encoding": "gzip" },
    },
  });
}

const NO_SUCH_FILE: Problem = {
  reason: "not_found",
  code: "not_found",
  detail: "No file has this path in this version of the console; reload the page.",
};
