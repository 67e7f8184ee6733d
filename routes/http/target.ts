/** What a request is for: the host and the path that its target and its Host header name. */
import { isSendingPath } from "./paths.ts";
import { invalid } from "./problem.ts";

/**
 * Tells whether a request names a host: in its Host header, and in its target where that is a whole URL (absolute form,
 * RFC 9112, section 3.2.2). The runtime puts the Host header before the path as it comes, so that `Host: x/healthz?`
 * would replace the path, past the rules of a proxy. The last valid header is remembered.
 */
export function createHostCheck(): (request: Request) => boolean {
  let good: string | null = null;
  let prefix = "";
  return function hasHost(request) {
    const host = request.headers.get("host");
    if (host !== good && host !== null) {
      if (!isHost(host)) return false;
      good = host;
      prefix = `http://${host}/`;
    }
    return request.url.startsWith(prefix) || isHost(/^https?:\/\/([^/?#]*)/i.exec(request.url)?.[1] ?? "");
  };
}

/** Not by characters alone: some texts of these are no host (`[`, `x:999999`), and no URL can be made with them. */
function isHost(text: string): boolean {
  return /^[\w.:[\]~%!$&'()*+,;=-]+$/.test(text) && URL.canParse(`http://${text}/`);
}

/** The answer to a request that names no host. */
export const INVALID_HOST = invalid(
  "invalid_host",
  "",
  "Invalid Host header or request target: each must name a host, with or without a port.",
);

/** What the router looks for where the target is no path: nothing is there. */
const NO_PATH = "#";

/**
 * The path as it was sent; ids are decoded where they are read, once and strictly. A path has one name, as a proxy before
 * the server may have rules for it. Only paths that take events may begin with several slashes and end in one: some
 * clients put their path behind a host that ends in a slash. A scheme and a host before the path count for nothing, and
 * nothing is at a target with a fragment, which is none by RFC 9112 (section 3.2).
 */
export function rawPath({ url }: Request): string {
  const start = endOfPart(url, url.indexOf("://") + 3);
  if (url.charCodeAt(start) !== SLASH) return "/";
  let end = start;
  while (url.charCodeAt(end) === SLASH) end = endOfPart(url, end + 1);
  const path = url.slice(start, end);
  const hasFragment = url.charCodeAt(end) === HASH;
  if (!hasFragment && !path.startsWith("//") && (!path.endsWith("/") || path === "/")) return path;
  const single = path.replace(/^\/+/, "/").replace(/(?<=.)\/$/, "");
  if (isSendingPath(single)) return single;
  return hasFragment ? NO_PATH : path;
}

const [SLASH, QUESTION, HASH] = [47, 63, 35];

/** Where a part of a URL ends, that begins at a place: before the next slash, its query or its fragment. */
function endOfPart(url: string, from: number): number {
  for (let at = from; at < url.length; at++) {
    const code = url.charCodeAt(at);
    if (code === SLASH || code === QUESTION || code === HASH) return at;
  }
  return url.length;
}
