/** What every answer must be, whatever was asked. */
import { isSendingPath } from "../../routes/http/paths.ts";
import { STATUS_OF } from "../../routes/http/problem.ts";

/** A request as it is sent; a body of text is sent as UTF-8. */
export interface Ask {
  method: string;
  path: string;
  headers: Record<string, string>;
  body?: string | Uint8Array<ArrayBuffer>;
}

/** An answer as it came. */
export interface Got {
  status: number;
  headers: Headers;
  text: string;
}

const STATUSES: ReadonlySet<number> = new Set([200, 201, 204, ...Object.values(STATUS_OF)]);

/** What is wrong with an answer, or nothing. */
export function faultOf({ method, path }: Pick<Ask, "method" | "path">, got: Got): string | undefined {
  const { status, headers, text } = got;
  if (status >= 500) return `status ${status}`;
  if (!STATUSES.has(status)) return `status ${status}, which the contract does not know`;
  if (headers.get("x-content-type-options") !== "nosniff") return "no nosniff";
  if (headers.has("set-cookie") || headers.has("location")) return "a cookie or a redirect";
  const isSending = isSendingPath(path.split("?", 1)[0]!);
  if (isSending !== (headers.get("access-control-allow-origin") === "*")) return "CORS on the wrong route";
  if (status === 429 && !/^[1-9]\d*$/.test(headers.get("retry-after") ?? "")) {
    return "429 without Retry-After";
  }
  if (method === "HEAD" || status === 204) return text === "" ? undefined : "a body where there is none";
  return faultOfBody(got);
}

function faultOfBody({ status, headers, text }: Got): string | undefined {
  let body: Record<string, unknown>;
  try {
    body = JSON.parse(text);
  } catch {
    return "a body that is no JSON";
  }
  if (status < 400) return undefined;
  if (headers.get("content-type") !== "application/problem+json") return "a refusal that is no problem";
  if (body.status !== status || body.success !== false) return "a problem of another status";
  for (const member of ["title", "detail", "code", "requestId"]) {
    if (typeof body[member] !== "string" || body[member] === "") return `a problem without ${member}`;
  }
  if (status === 400 && !Array.isArray(body.errors)) return "400 without errors";
  return undefined;
}
