/** The target of a request: its host and path. */
import { isSendingPath } from "./paths.ts";
import { invalid } from "./problem.ts";

/**
 * Tells whether a request has a valid host: in its Host header, and in its target if that is a whole URL (absolute
 * form, RFC 9112, section 3.2.2). The runtime puts the Host header unchecked before the path, so that `Host:
 * x/healthz?` would replace the path, past the rules of a proxy. The last valid header is remembered.
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

/** The path for a target that is not a path: it has no route. */
const NO_PATH = "#";

/**
 * The path as it was sent; ids are decoded later, once and strictly. A path has one name, since a proxy in front of the
 * server may have rules for it. Only paths that accept events may begin with several slashes and end in one: some
 * clients append their path to a host that ends in a slash. A scheme and a host before the path are ignored, and a
 * target with a fragment has no route, since RFC 9112 (section 3.2) forbids one.
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

/** The end of a part of a URL: before the next slash, its query or its fragment. */
function endOfPart(url: string, from: number): number {
  for (let at = from; at < url.length; at++) {
    const code = url.charCodeAt(at);
    if (code === SLASH || code === QUESTION || code === HASH) return at;
  }
  return url.length;
}
