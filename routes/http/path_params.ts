/** Parameters of a path. The router's own decoding passes over ill-formed ones, so they are read from the raw path. */
import type { Context } from "hono";
import { routePath } from "hono/route";

/**
 * The value of `:name` in the path, decoded once; `undefined` if it is not well-formed percent-encoding (RFC 3986,
 * section 2.1). It may be of any length.
 */
export function pathParam(c: Context, name: string): string | undefined {
  const index = routePath(c).split("/").indexOf(`:${name}`);
  try {
    return decodeURIComponent(c.req.path.split("/")[index]!);
  } catch {
    return undefined;
  }
}
