/**
 * `deno task example`: a page that sends its clicks through Segment's own `analytics-next` to signalfold, and shows what
 * arrives. Page, script and signalfold share one origin, on loopback, which serves what the page asks for and nothing
 * else. Events are kept in memory and gone at the end.
 */
import { monotonicFactory } from "ulid";
import { systemClock } from "../../actors/store/clock.ts";
import { openSystem } from "../../actors/open.ts";
import { newWriteKey } from "../../actors/governance/write_keys.ts";
import { createApp } from "../../routes/app.ts";
import { createLog } from "../../routes/http/logger.ts";
import { printable } from "../../routes/http/printable.ts";
import html from "./index.html" with { type: "text" };

const port = Number(Deno.env.get("PORT") || 8001);
const script = await Deno.readTextFile(Deno.env.get("SCRIPT")!);

const ulid = monotonicFactory();
const newId = () => ulid();
const randomBytes = (bytes: Uint8Array) => void crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>);
const writeKey = newWriteKey(randomBytes);
const adminToken = crypto.randomUUID();
const log = createLog({ level: "warn", write: (line) => console.error(line), now: Date.now });
const system = await openSystem({
  storage: ":memory:",
  clock: systemClock,
  newId,
  randomBytes,
  dedupMs: 0,
  onFault: (error) => console.error(printable(String(error))),
});
const settings = { adminToken, writeKey, authFailuresPerMinute: 100 };
const app = createApp({ system, settings, log, now: Date.now, newId });

const answer = (body: string, type: string) =>
  new Response(body, { headers: { "content-type": `${type}; charset=utf-8`, "cache-control": "no-store" } });

/** What signalfold knows of a visitor. The token that may read stays here: a page is open to everybody. */
async function seen(path: string): Promise<Response> {
  const ask = (end: string) =>
    app.request(`/api/v1${path}${end}`, { headers: { authorization: `Bearer ${adminToken}` } });
  const [profile, events] = await Promise.all([ask(""), ask("/events?limit=12")]);
  const bodies = await Promise.all([profile.json(), events.json()]);
  return Response.json(
    profile.ok ? { profile: bodies[0], events: bodies[1].events } : { profile: null, events: [] },
  );
}

/** What the script of the page asks of signalfold: its settings, and the routes of the calls that the page makes. */
const isAskedFor = new Set([
  `GET /v1/projects/${writeKey}/settings`,
  ...["track", "identify", "page", "group"].map((type) => `POST /v1/${type[0]}`),
]);

/** The visitor whose profile the page shows. */
const SEEN = /^\/seen(\/(?:users|anonymous)\/[^/]+)$/;

Deno.serve({
  port,
  hostname: "127.0.0.1",
  onListen: (address) => console.log(`Open http://localhost:${address.port} and click. Ctrl+C stops.`),
}, (request, info) => {
  const { pathname } = new URL(request.url);
  const asked = `${request.method} ${pathname}`;
  if (isAskedFor.has(asked)) return app.fetch(request, info);
  if (asked === "GET /") return answer(html.replace("WRITE_KEY", writeKey), "text/html");
  if (asked === "GET /analytics-next.js") return answer(script, "text/javascript");
  const visitor = request.method === "GET" ? SEEN.exec(pathname)?.[1] : undefined;
  return visitor === undefined ? new Response(null, { status: 404 }) : seen(visitor);
});
