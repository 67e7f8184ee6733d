/** Warns of a proxy that is not in the settings. */
import type { Log } from "./logger.ts";

/** Headers that proxies add. */
const PROXY_HEADERS = [
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-forwarded-port",
  "x-forwarded-server",
  "x-forwarded-prefix",
  "forwarded",
  "via",
] as const;

/**
 * The first requests are all checked, then one in this many: a proxy adds headers to all, and a check costs a
 * microsecond.
 */
const LOOKS = 100;

const MESSAGE =
  "PUBLIC_URL is not set, but this server is behind a proxy: browser clients are told to send to the host named in " +
  "their request. Set PUBLIC_URL to the server's public origin.";

/**
 * Makes a function that checks the headers of requests, and warns once in the log if a proxy has added some and
 * `PUBLIC_URL` is not set (SECURITY.md explains it). It names the header, since anybody may have written it.
 */
export function createProxyNotice(
  { publicUrl, log }: { publicUrl: string | undefined; log: Log },
): (headers: Headers) => void {
  let isOver = publicUrl !== undefined;
  let requests = 0;
  return function look(headers) {
    if (isOver || (++requests > LOOKS && requests % LOOKS !== 0)) return;
    const header = PROXY_HEADERS.find((name) => headers.has(name));
    if (header === undefined) return;
    isOver = true;
    log.line("warn", MESSAGE, { header });
  };
}
