/** The routes of the website snippet: a website moves from Segment by changing the host in Segment's own snippet. */
import { Hono } from "hono";
import { CORS_HEADERS, preflightOf } from "../http/cors.ts";
import { SECURITY_HEADERS } from "../http/security_headers.ts";
import { PART_PATH, SCRIPT_PATH } from "../http/snippet_paths.ts";
import { handle, type Outcome, type Parts, type RouteContext, type RouteEnv } from "../handler/handle.ts";
import { pathParam } from "../http/path_params.ts";
import type { Problem } from "../http/problem.ts";
import { partFile, type ScriptFile, scriptFile } from "./script.ts";

/** How long a browser uses the script before it asks whether its digest is still the same. */
const SCRIPT_MAX_AGE_S = 3600;
/** The parts have a digest in their names, so they never change. */
const PART_MAX_AGE_S = 31_536_000;

export interface SnippetOptions {
  /** The path that gives the routes other names; see {@link standardPath}. */
  snippetPath?: string | undefined;
}

/** The script and its parts. */
export function snippetRoutes(parts: Parts, { snippetPath }: SnippetOptions): Hono<RouteEnv> {
  const routes = new Hono<RouteEnv>();
  routes.get(SCRIPT_PATH, handle(parts, (c) => showScript(parts, c, snippetPath)));
  routes.get(
    PART_PATH,
    handle(parts, async (c) => {
      const file = await partFile(pathParam(c, "part") ?? "");
      return file === undefined ? NO_SUCH_PART : answer(c, file, `max-age=${PART_MAX_AGE_S}, immutable`);
    }),
  );
  for (const path of [SCRIPT_PATH, PART_PATH]) routes.options(path, preflightOf("GET"));
  return routes;
}

/**
 * The script, the same for every key. An unknown key is 404, so that a typing error is found in the page, and counts as
 * a failed authentication.
 */
async function showScript(parts: Parts, c: RouteContext, snippetPath: string | undefined): Promise<Outcome> {
  const { authentication, peerOf } = parts;
  const writeKey = pathParam(c, "writeKey");
  const caller = writeKey === undefined ? null : await authentication.byKey(writeKey);
  const refusal = authentication.refuse(caller, "send", () => peerOf(c));
  if (refusal !== undefined) return refusal.reason === "rate_limited" ? refusal : NO_SUCH_KEY;
  const isShort = snippetPath !== undefined && new URL(c.req.raw.url).pathname.startsWith(`${snippetPath}/`);
  return answer(c, await scriptFile(isShort ? "short" : "standard"), `max-age=${SCRIPT_MAX_AGE_S}`);
}

/** A file in the best coding that the browser accepts; 304 if it has it already. */
function answer(c: RouteContext, file: ScriptFile, cacheControl: string): Response {
  const headers = {
    ...SECURITY_HEADERS,
    ...CORS_HEADERS,
    "cache-control": `public, ${cacheControl}`,
    // Pages with `Cross-Origin-Embedder-Policy` load scripts with this header only.
    "cross-origin-resource-policy": "cross-origin",
    "etag": file.etag,
    "vary": "Accept-Encoding",
  };
  if (hasTag(c.req.header("if-none-match"), file.etag)) return new Response(null, { status: 304, headers });
  const coding = codingOf(c.req.header("accept-encoding") ?? "");
  return new Response(file[coding], {
    headers: {
      ...headers,
      "content-type": "text/javascript; charset=utf-8",
      ...coding !== "plain" && { "content-encoding": coding },
    },
  });
}

/** A tag is compared weakly (RFC 9110, section 13.1.2), since proxies that compress weaken it. */
function hasTag(given: string | undefined, etag: string): boolean {
  return given?.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag) ?? false;
}

function codingOf(accepted: string): "br" | "gzip" | "plain" {
  const accepts = (coding: string) =>
    accepted.split(",").some((each) => {
      const [name, ...parameters] = each.trim().toLowerCase().split(/\s*;\s*/);
      return name === coding && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
    });
  return accepts("br") ? "br" : accepts("gzip") ? "gzip" : "plain";
}

const NO_SUCH_KEY: Problem = {
  reason: "not_found",
  code: "not_found",
  detail: "Unknown or disabled write key.",
};

const NO_SUCH_PART: Problem = {
  reason: "not_found",
  code: "not_found",
  detail: "Unknown part of the script: it changed with a new version of signalfold. Reload the page.",
};
