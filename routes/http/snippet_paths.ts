/**
 * The paths of the website snippet: of Segment's CDN, and of `SNIPPET_PATH`, which gives the same routes names that no
 * list of ad blockers contains.
 */

/** The script that Segment's snippet loads; its host is all that a website changes. */
export const SCRIPT_PATH = "/analytics.js/v1/:writeKey/analytics.min.js";

/** Before the names of the parts that the script loads when a page uses them. */
export const PART_PREFIX = "/analytics-next/bundles";

/** A part of the script. */
export const PART_PATH = `${PART_PREFIX}/:part`;

const filePath = /^\/analytics(\.js\/v1\/[^/]+\/analytics\.min\.js|-next\/bundles\/[^/]+)$/;

/** Whether a path is the script or a part of it. */
export function isSnippetFile(path: string): boolean {
  return filePath.test(path);
}

/** First segments of paths that the server has already. */
const TAKEN = [
  "api",
  "v1",
  "docs",
  "beacon",
  "sourceConfig",
  "healthz",
  "readyz",
  "metrics",
  "console",
  "analytics",
  "analytics-next",
];

/** Whether a setting of `SNIPPET_PATH` is a path of its own: `/shop` or `/assets/shop`. */
export function isSnippetPath(path: string): boolean {
  return /^(\/[A-Za-z0-9_-]{1,40}){1,3}$/.test(path) && !TAKEN.includes(path.split("/")[1]!);
}

/**
 * The standard path of one below `SNIPPET_PATH`: `/shop/KEY.js` is the script, `/shop/parts/…` its parts,
 * `/shop/projects/KEY/settings` its settings, and `/shop/t` takes its events as `/v1/t` does. Other paths stay as they
 * are.
 */
export function standardPath(path: string, snippetPath: string): string {
  if (!path.startsWith(`${snippetPath}/`)) return path;
  const rest = path.slice(snippetPath.length);
  const [, key] = /^\/([^/]+)\.js$/.exec(rest) ?? [];
  if (key !== undefined) return SCRIPT_PATH.replace(":writeKey", () => key);
  return rest.startsWith("/parts/") ? `${PART_PREFIX}${rest.slice("/parts".length)}` : `/v1${rest}`;
}
