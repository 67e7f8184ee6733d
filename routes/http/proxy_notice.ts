/** Warns of a proxy that nobody told the server of. */
import type { Log } from "./logger.ts";

/** What proxies add to a request. */
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

/** Each of so many first requests is looked at, then one in as many: a proxy adds to all, and a look costs a microsecond. */
const LOOKS = 100;

const MESSAGE =
  "PUBLIC_URL is not set, but this server is behind a proxy: browser clients are told to send to the host named in " +
  "their request. Set PUBLIC_URL to the server's public origin.";

/**
 * Makes a function that looks at the headers of requests, and warns once in the log when a proxy has added to them and
 * `PUBLIC_URL` is not set (SECURITY.md says what that means). Names the header, as anybody may have written it.
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
