/**
 * Who may do what: every kind of credential against every route.
 *
 * How it works: `ROUTES` has a row for each route of the router with the right that it asks for, and a test says where
 * one is missing. Each row is then tried with each of `CREDENTIALS`. A refusal shows nothing of what is stored and
 * changes nothing, and nobody can tell from it whether a credential is missing, malformed, unknown, disabled or deleted.
 */
import { PART_PATH, SCRIPT_PATH } from "../../../routes/http/snippet_paths.ts";
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { hash } from "node:crypto";
import { draftSchema } from "../../../domain/transformation/definition.ts";
import { definitionSchema } from "../../../domain/forwarding/definition.ts";
import type { Right } from "../../../routes/auth/authentication.ts";
import {
  ASSET_PATHS,
  CONSOLE_ASSET_PATH,
  CONSOLE_PATHS,
  DOCS_PATH,
  OPENAPI_PATH,
} from "../../../routes/http/docs_paths.ts";
import {
  BATCH_PATH,
  BEACON_PATH,
  EVENT_PATH,
  isSendingPath,
  SEGMENT_BATCH_PATHS,
  SETTINGS_PATH,
  SOURCE_CONFIG_PATH,
  TYPED_PATHS,
} from "../../../routes/http/paths.ts";
import { ADMIN_TOKEN, type Answer, openTestApp, READ_TOKEN, type TestApp, WRITE_KEY } from "../test_app.ts";

/** A route, as the router names it, and a request that succeeds if its sender may make it. */
interface Row {
  route: string;
  /** `open` asks for no credential. */
  right: Right | "open";
  /** Gives the path to ask for; it may make what it names first. */
  path(test: TestApp): string | Promise<string>;
  body?: unknown;
  status: number;
  /** What a browser may do with the answer, where that is not nothing. */
  cacheControl?: string;
  /** Credentials that are nobody's elsewhere, and a sender's here. */
  senders?: readonly string[];
  /** The only credentials that are looked at, where they are not all. */
  only?: readonly string[];
}

const at = (path: string) => () => path;
const event = (n: number) => ({ type: "page", userId: "planted_user", messageId: `m${n}` });
let sent = 0;

async function victim({ system }: TestApp): Promise<string> {
  const { writeKey } = await system.writeKeys.create({ name: "victim" });
  return `/api/v1/admin/keys/${writeKey.id}`;
}

const draft = { type: "alias", schema: { title: "planted_schema" }, mode: "monitor" };
const contract = (rest: string) => async ({ system }: TestApp): Promise<string> => {
  const author = { by: "admin", address: "planted_address" };
  await system.contracts.put(
    [{ name: "planted_contract", type: "alias", schema: true, mode: "monitor" }],
    author,
  );
  return `/api/v1/admin/contracts/planted_contract${rest}`;
};
const AUTHOR = { by: "admin", address: "planted_address" };
const destinationDraft = { kind: "webhook", settings: { url: "https://planted.example/" } };
const destination = (rest: string) => async ({ system: { forwarding } }: TestApp): Promise<string> => {
  await forwarding.put("planted_name", definitionSchema.parse(destinationDraft), AUTHOR);
  const id = rest.includes(":id") ? await forwarding.replay("planted_name", {}) : "";
  return `/api/v1/admin/destinations/planted_name${rest.replace(":id", id!)}`;
};
const transformationDraft = { kind: "rules", rules: [{ remove: { paths: ["planted_path"] } }] };
const transformation = (rest: string) => async ({ system }: TestApp): Promise<string> => {
  const draft = draftSchema.parse(transformationDraft);
  await system.transformations.put("planted_name", draft, { author: AUTHOR, dryRun: false });
  return `/api/v1/admin/transformations/planted_name${rest}`;
};
const audienceDraft = { where: { event: "planted_name" } };
const audience = (path: string) => async ({ system }: TestApp): Promise<string> => {
  await system.audiences.put({ name: "planted_name", emit: false, ...audienceDraft }, AUTHOR);
  await system.audiences.tick(10_000);
  return path;
};
const suppressed =
  (part: string, kind: "user" | "anonymous") => async ({ system }: TestApp): Promise<string> => {
    await system.erasure.erase({ kind, id: "planted_suppressed" }, { suppress: "id" });
    return `/api/v1/admin/suppressed/${part}/planted_suppressed`;
  };
/** Whole, so that it can be sent again. */
const rejected = (rest: string) => async ({ system: { quarantine } }: TestApp): Promise<string> => {
  quarantine.keep({
    receivedAt: new Date().toISOString(),
    writeKeyId: "default",
    status: 422,
    code: "contract_violation",
    message: "planted_message",
    event: { type: "page", userId: "planted_user" },
  });
  const { rejected: [first] } = await quarantine.list({ limit: 1 });
  return `/api/v1/admin/rejected/${first!.id}${rest}`;
};

const reading = (route: string, path: string): Row => ({ route, right: "read", path: at(path), status: 200 });
const admin = (
  route: string,
  { path, status = 200, body }: { path: Row["path"]; status?: number; body?: unknown },
): Row => ({ route, right: "admin", path, status, body });
const preflight = (path: string): Row => ({
  route: `OPTIONS ${path}`,
  right: "open",
  path: at(path),
  status: 204,
});

const sending = (path: string, body: unknown, more: Partial<Row> = {}): Row[] => [
  { route: `POST ${path}`, right: "send", path: at(path), body, status: 200, ...more },
  preflight(path),
];
const KEY_IN_QUERY = "a write key in the query";
/** An event that each of the typed routes takes. */
const whole = { ...event(3), event: "Bought", groupId: "g", previousId: "p" };

const ROUTES: Row[] = [
  ...sending(EVENT_PATH, event(1)),
  ...[BATCH_PATH, ...SEGMENT_BATCH_PATHS].flatMap((path) => sending(path, { batch: [event(2)] })),
  ...TYPED_PATHS.flatMap(([path]) => sending(path, whole)),
  ...sending(BEACON_PATH, { batch: [event(2)] }, { senders: [KEY_IN_QUERY] }),
  {
    route: `GET ${SETTINGS_PATH}`,
    right: "open",
    path: at(`/v1/projects/${WRITE_KEY}/settings`),
    status: 200,
  },
  preflight(SETTINGS_PATH),
  {
    route: `GET ${SOURCE_CONFIG_PATH}`,
    right: "send",
    path: at(SOURCE_CONFIG_PATH),
    status: 200,
    senders: [KEY_IN_QUERY],
    only: ["the environment's write key as Basic", "a stored write key as Basic"],
  },
  preflight(SOURCE_CONFIG_PATH),
  {
    route: `GET ${SCRIPT_PATH}`,
    right: "open",
    path: at(SCRIPT_PATH.replace(":writeKey", WRITE_KEY)),
    status: 200,
    cacheControl: "public, max-age=3600",
  },
  preflight(SCRIPT_PATH),
  {
    route: `GET ${PART_PATH}`,
    right: "open",
    path: at(PART_PATH.replace(":part", "auto-track.bundle.f131ce01a05e3a33a8c1.js")),
    status: 200,
    cacheControl: "public, max-age=31536000, immutable",
  },
  preflight(PART_PATH),
  reading("GET /api/v1/users/:id", "/api/v1/users/planted_user"),
  reading("GET /api/v1/users/:id/events", "/api/v1/users/planted_user/events"),
  reading("GET /api/v1/anonymous/:id", "/api/v1/anonymous/planted_anon"),
  reading("GET /api/v1/anonymous/:id/events", "/api/v1/anonymous/planted_anon/events"),
  reading("GET /api/v1/groups/:id", "/api/v1/groups/planted_group"),
  reading("GET /api/v1/groups/:id/events", "/api/v1/groups/planted_group/events"),
  reading("GET /api/v1/groups/:id/members", "/api/v1/groups/planted_group/members"),
  reading("GET /api/v1/users/:id/traits/:name/why", "/api/v1/users/planted_user/traits/secret/why"),
  reading("GET /api/v1/groups/:id/traits/:name/why", "/api/v1/groups/planted_group/traits/secret/why"),
  reading("GET /api/v1/users", "/api/v1/users?trait.email=planted"),
  reading("GET /api/v1/groups", "/api/v1/groups"),
  reading("GET /api/v1/journal", "/api/v1/journal"),
  admin("DELETE /api/v1/users/:id", { path: at("/api/v1/users/planted_user") }),
  admin("DELETE /api/v1/anonymous/:id", { path: at("/api/v1/anonymous/planted_anon") }),
  admin("DELETE /api/v1/admin/suppressed/users/:id", { path: suppressed("users", "user"), status: 204 }),
  admin("DELETE /api/v1/admin/suppressed/anonymous/:id", {
    path: suppressed("anonymous", "anonymous"),
    status: 204,
  }),
  admin("GET /api/v1/admin/stats", { path: at("/api/v1/admin/stats") }),
  admin("GET /api/v1/admin/keys", { path: at("/api/v1/admin/keys") }),
  admin("POST /api/v1/admin/keys", {
    path: at("/api/v1/admin/keys"),
    body: { name: "planted_key" },
    status: 201,
  }),
  admin("PATCH /api/v1/admin/keys/:id", { path: victim, body: { enabled: false } }),
  admin("POST /api/v1/admin/keys/:id/rotate", {
    path: async (test) => `${await victim(test)}/rotate`,
    body: { graceSeconds: 60 },
  }),
  admin("DELETE /api/v1/admin/keys/:id", { path: victim, status: 204 }),
  reading("GET /metrics", "/metrics"),
  admin("GET /api/v1/admin/live", { path: at("/api/v1/admin/live") }),
  admin("POST /api/v1/admin/test-events", {
    path: at("/api/v1/admin/test-events"),
    body: { writeKeyId: "default", event: event(9) },
  }),
  reading("GET /api/v1/admin/about", "/api/v1/admin/about"),
  admin("GET /api/v1/admin/events/:messageId", { path: at("/api/v1/admin/events/planted_event") }),
  admin("GET /api/v1/admin/destinations", { path: at("/api/v1/admin/destinations") }),
  admin("PUT /api/v1/admin/destinations/:name", { path: destination(""), body: destinationDraft }),
  admin("GET /api/v1/admin/destinations/:name", { path: destination("") }),
  admin("DELETE /api/v1/admin/destinations/:name", { path: destination(""), status: 204 }),
  ...["pause", "resume", "rotate"].map((act) =>
    admin(`POST /api/v1/admin/destinations/:name/${act}`, { path: destination(`/${act}`), body: {} })
  ),
  admin("POST /api/v1/admin/destinations/:name/test", {
    path: destination("/test"),
    body: { event: event(4) },
  }),
  admin("GET /api/v1/admin/destinations/:name/deliveries", { path: destination("/deliveries") }),
  admin("POST /api/v1/admin/destinations/:name/retry", {
    path: destination("/retry"),
    body: { status: "dead" },
  }),
  admin("POST /api/v1/admin/destinations/:name/replay", {
    path: destination("/replay"),
    body: {},
    status: 202,
  }),
  admin("GET /api/v1/admin/destinations/:name/replays", { path: destination("/replays") }),
  ...["pause", "resume"].map((act) =>
    admin(`POST /api/v1/admin/destinations/:name/replays/:id/${act}`, {
      path: destination(`/replays/:id/${act}`),
    })
  ),
  admin("DELETE /api/v1/admin/destinations/:name/replays/:id", {
    path: destination("/replays/:id"),
    status: 204,
  }),
  admin("GET /api/v1/admin/contracts", { path: at("/api/v1/admin/contracts") }),
  admin("POST /api/v1/admin/common-contracts", {
    path: at("/api/v1/admin/common-contracts"),
    body: { mode: "monitor" },
  }),
  admin("GET /api/v1/admin/contracts/:name", { path: contract("") }),
  admin("PUT /api/v1/admin/contracts/:name", { path: contract(""), body: draft }),
  admin("PATCH /api/v1/admin/contracts/:name", { path: contract(""), body: { mode: "monitor" } }),
  admin("DELETE /api/v1/admin/contracts/:name", { path: contract(""), status: 204 }),
  admin("GET /api/v1/admin/contracts/:name/versions", { path: contract("/versions") }),
  admin("GET /api/v1/admin/contracts/:name/violations", { path: contract("/violations") }),
  admin("POST /api/v1/admin/contracts/:name/versions/:version/restore", {
    path: contract("/versions/1/restore"),
  }),
  admin("POST /api/v1/admin/contracts/:name/check", { path: contract("/check"), body: draft }),
  admin("GET /api/v1/admin/audiences", { path: at("/api/v1/admin/audiences") }),
  admin("POST /api/v1/admin/audiences/preview", {
    path: at("/api/v1/admin/audiences/preview"),
    body: audienceDraft,
  }),
  admin("GET /api/v1/admin/audiences/:name", { path: audience("/api/v1/admin/audiences/planted_name") }),
  admin("PUT /api/v1/admin/audiences/:name", {
    path: at("/api/v1/admin/audiences/planted_name"),
    body: audienceDraft,
  }),
  admin("DELETE /api/v1/admin/audiences/:name", {
    path: audience("/api/v1/admin/audiences/planted_name"),
    status: 204,
  }),
  {
    route: "GET /api/v1/audiences/:name/members",
    right: "read",
    path: audience("/api/v1/audiences/planted_name/members"),
    status: 200,
  },
  {
    route: "GET /api/v1/audiences/:name/members/:id",
    right: "read",
    path: audience("/api/v1/audiences/planted_name/members/planted_user"),
    status: 200,
  },
  reading("GET /api/v1/users/:id/audiences", "/api/v1/users/planted_user/audiences"),
  admin("GET /api/v1/admin/transformations", { path: at("/api/v1/admin/transformations") }),
  admin("PUT /api/v1/admin/transformations/:name", { path: transformation(""), body: transformationDraft }),
  admin("GET /api/v1/admin/transformations/:name", { path: transformation("") }),
  admin("DELETE /api/v1/admin/transformations/:name", { path: transformation(""), status: 204 }),
  admin("GET /api/v1/admin/transformations/:name/versions", { path: transformation("/versions") }),
  admin("GET /api/v1/admin/transformations/:name/versions/:version", {
    path: transformation("/versions/1"),
  }),
  admin("POST /api/v1/admin/transformations/:name/restore", {
    path: transformation("/restore"),
    body: { version: 1 },
  }),
  admin("POST /api/v1/admin/transformations/:name/try", {
    path: transformation("/try"),
    body: { event: { type: "page", userId: "planted_user" } },
  }),
  admin("POST /api/v1/admin/transformations/:name/check", {
    path: transformation("/check"),
    body: { draft: transformationDraft },
  }),
  admin("GET /api/v1/admin/rejected", { path: at("/api/v1/admin/rejected") }),
  admin("GET /api/v1/admin/rejected/:id", { path: rejected("") }),
  admin("POST /api/v1/admin/rejected/:id", {
    path: at("/api/v1/admin/rejected/resend"),
    body: { type: "screen" },
  }),
  admin("POST /api/v1/admin/rejected/:id/resend", { path: rejected("/resend") }),
  admin("DELETE /api/v1/admin/rejected/:id", { path: rejected(""), status: 204 }),
  // Each of the many requests for one by which a credential is tried would wait for those before.
  admin("POST /api/v1/admin/replay", {
    path: at("/api/v1/admin/replay"),
    body: { scope: "user/nobody" },
    status: 202,
  }),
  admin("GET /api/v1/admin/audit", { path: at("/api/v1/admin/audit") }),
  admin("GET /api/v1/admin/replays", { path: at("/api/v1/admin/replays") }),
  { route: "GET /healthz", right: "open", path: at("/healthz"), status: 200 },
  { route: "GET /readyz", right: "open", path: at("/readyz"), status: 200 },
  { route: `GET ${OPENAPI_PATH}`, right: "open", path: at(OPENAPI_PATH), status: 200 },
  { route: `GET ${DOCS_PATH}`, right: "open", path: at(DOCS_PATH), status: 200 },
  ...Object.keys(ASSET_PATHS).map((path): Row => ({
    route: `GET ${path}`,
    right: "open",
    path: at(path),
    status: 200,
    cacheControl: "public, max-age=3600",
  })),
  ...Object.values(CONSOLE_PATHS).map((path): Row => ({
    route: `GET ${path}`,
    right: "open",
    path: at(path),
    status: 200,
  })),
  {
    route: `GET ${CONSOLE_ASSET_PATH}`,
    right: "open",
    path: async ({ get }) => {
      const { body } = await get("/console", {});
      return `/console/assets/${/assets\/([0-9a-f]{12})\//.exec(body)![1]}/shell/main.ts`;
    },
    status: 200,
    cacheControl: "public, max-age=31536000, immutable",
  },
];

/** The write keys that a test makes. */
interface Keys {
  stored: string;
  disabled: string;
  deleted: string;
}

/** What is sent besides the row's own request: headers, a query, `writeKey` in the body. */
interface Shown {
  headers?: Record<string, string>;
  query?: string;
  writeKey?: string;
}

interface Credential {
  what: string;
  /** What it may; `undefined` for one that is nobody's. */
  rights?: readonly Right[];
  show(keys: Keys): Shown;
}

const basic = (text: string): Shown => ({ headers: { authorization: `Basic ${btoa(text)}` } });
const bearer = (token: string): Shown => ({ headers: { authorization: `Bearer ${token}` } });
const keyHeader = (key: string): Shown => ({ headers: { "x-write-key": key } });
const digest = (secret: string) => hash("sha256", secret, "hex");

const nobody = (what: string, show: Credential["show"]): Credential => ({ what, show });
const sender = (what: string, show: Credential["show"]): Credential => ({ what, rights: ["send"], show });

const CREDENTIALS: Credential[] = [
  nobody("none", () => ({})),
  nobody("an empty header", () => ({ headers: { authorization: "" } })),
  nobody("Basic without anything", () => ({ headers: { authorization: "Basic" } })),
  nobody("Basic that is no base64", () => ({ headers: { authorization: "Basic \u00ff\u00fe" } })),
  nobody("Bearer without anything", () => bearer("")),
  nobody("Bearer with two words", () => bearer(`${ADMIN_TOKEN} ${ADMIN_TOKEN}`)),
  nobody("a scheme that is not known", () => ({ headers: { authorization: `Token ${ADMIN_TOKEN}` } })),
  nobody("a token without a scheme", () => ({ headers: { authorization: ADMIN_TOKEN } })),
  nobody("an unknown write key", () => basic("unknown:")),
  nobody("an unknown token", () => bearer("unknown")),
  nobody("an unknown X-Write-Key", () => keyHeader("unknown")),
  nobody("a token that begins like the admin's", () => bearer(ADMIN_TOKEN.slice(0, -1))),
  nobody("a token that goes on after the admin's", () => bearer(`${ADMIN_TOKEN}x`)),
  nobody("a token of 100,000 characters", () => bearer("x".repeat(100_000))),
  nobody("the digest of the admin token", () => bearer(digest(ADMIN_TOKEN))),
  nobody("the digest of a write key", ({ stored }) => basic(`${digest(stored)}:`)),
  nobody("an admin token as Basic user", () => basic(`${ADMIN_TOKEN}:`)),
  nobody("an admin token as Basic password", () => basic(`admin:${ADMIN_TOKEN}`)),
  nobody("an admin token in X-Write-Key", () => keyHeader(ADMIN_TOKEN)),
  nobody("a read token as Basic user", () => basic(`${READ_TOKEN}:`)),
  nobody("an admin token in a cookie", () => ({ headers: { cookie: `token=${ADMIN_TOKEN}` } })),
  nobody(
    "an admin token in the query",
    () => ({ query: `?token=${ADMIN_TOKEN}&access_token=${ADMIN_TOKEN}` }),
  ),
  nobody("an admin token in the body", () => ({ writeKey: ADMIN_TOKEN })),
  nobody(KEY_IN_QUERY, ({ stored }) => ({ query: `?writeKey=${stored}` })),
  nobody("a disabled write key as Basic", ({ disabled }) => basic(`${disabled}:`)),
  nobody("a disabled write key as Bearer", ({ disabled }) => bearer(disabled)),
  nobody("a disabled write key in X-Write-Key", ({ disabled }) => keyHeader(disabled)),
  nobody("a disabled write key in the body", ({ disabled }) => ({ writeKey: disabled })),
  nobody("a deleted write key as Basic", ({ deleted }) => basic(`${deleted}:`)),
  nobody("a deleted write key in the body", ({ deleted }) => ({ writeKey: deleted })),
  sender("the environment's write key as Basic", () => basic(`${WRITE_KEY}:`)),
  sender("the environment's write key as Bearer", () => bearer(WRITE_KEY)),
  sender("a stored write key as Basic", ({ stored }) => basic(`${stored}:`)),
  sender("a stored write key as Bearer", ({ stored }) => bearer(stored)),
  sender("a stored write key in X-Write-Key", ({ stored }) => keyHeader(stored)),
  { what: "the read token", rights: ["read"], show: () => bearer(READ_TOKEN) },
  { what: "the admin token", rights: ["send", "read", "admin"], show: () => bearer(ADMIN_TOKEN) },
];

Deno.test("every route has a row with its right, and every row has its route", async () => {
  await using test = await openTestApp();
  deepStrictEqual(
    ROUTES.map(({ route }) => route).toSorted(),
    test.app.routes.map(({ method, path }) => `${method} ${path}`).toSorted(),
  );
});

/** What a credential may on a route, which may look at fewer or more kinds of them than others. */
function rightsOf({ senders = [], only }: Row, { what, rights }: Credential): readonly Right[] | undefined {
  if (senders.includes(what)) return ["send"];
  return only === undefined || only.includes(what) ? rights : undefined;
}

/** A database with something to be stolen. */
async function openPlanted(): Promise<{ test: TestApp; keys: Keys }> {
  const test = await openTestApp({ authFailuresPerMinute: 0 });
  await test.send("/api/v1/events/batch", {
    batch: [
      { type: "identify", userId: "planted_user", traits: { secret: "planted_trait" } },
      { type: "page", anonymousId: "planted_anon", name: "planted_page", messageId: "planted_event" },
      {
        type: "group",
        userId: "planted_user",
        groupId: "planted_group",
        traits: { secret: "planted_trait" },
      },
    ],
  });
  const { writeKeys } = test.system;
  const make = async () => await writeKeys.create({ name: "planted_key" });
  const [stored, disabled, deleted] = [await make(), await make(), await make()];
  await writeKeys.change(disabled.writeKey.id, { enabled: false });
  await writeKeys.remove(deleted.writeKey.id);
  return { test, keys: { stored: stored.key, disabled: disabled.key, deleted: deleted.key } };
}

const stateOf = async ({ system }: TestApp) => ({
  head: (await system.stats()).head,
  keys: await system.writeKeys.list(),
  contracts: await system.contracts.list(),
  rejected: await system.quarantine.list({ limit: 500 }),
});

async function ask(test: TestApp, row: Row, shown: Shown & { path: string }): Promise<Answer> {
  const path = shown.path + (shown.query ?? "");
  let body = row.body;
  if (row.right === "send" && body !== undefined) {
    // Each event is another, or it would change nothing the second time.
    body = JSON.parse(JSON.stringify(body).replaceAll(/"m\d+"/g, () => `"m${++sent + 100}"`));
  }
  if (shown.writeKey !== undefined) body = { ...body as object, writeKey: shown.writeKey };
  const method = row.route.split(" ")[0]!;
  const hasBody = body !== undefined && method !== "GET" && method !== "OPTIONS";
  return await test.send(path, hasBody ? body : undefined, { method, headers: shown.headers ?? {} });
}

/** A refusal without what differs from request to request. */
function withoutIds({ status, headers, body }: Answer): string {
  const { requestId: _, ...rest } = body;
  return JSON.stringify([status, [...headers].filter(([name]) => name !== "x-request-id"), rest]);
}

for (const row of ROUTES) {
  const may = row.right === "open" ? "anybody" : `only who may ${row.right}`;
  Deno.test(`${row.route} is for ${may}, and shows and changes nothing otherwise`, async () => {
    const { test, keys } = await openPlanted();
    await using _ = test;
    const refusals = new Set<string>();
    for (const credential of CREDENTIALS) {
      const { what, show } = credential;
      const rights = rightsOf(row, credential);
      const path = await row.path(test);
      const before = await stateOf(test);
      const answer = await ask(test, row, { path, ...show(keys) });
      if (row.right === "open" || rights?.includes(row.right)) {
        strictEqual(answer.status, row.status, `${what}: ${JSON.stringify(answer.body)}`);
        continue;
      }
      strictEqual(answer.status, rights === undefined ? 401 : 403, what);
      ok(!JSON.stringify([answer.body, ...answer.headers]).includes("planted"), what);
      if (rights === undefined) refusals.add(withoutIds(answer));
      else strictEqual(answer.headers.get("www-authenticate"), null, what);
      deepStrictEqual(await stateOf(test), before, what);
    }
    if (row.right !== "open") {
      strictEqual(refusals.size, 1, "missing, malformed, unknown, disabled and deleted are answered alike");
      ok([...refusals][0]!.includes("www-authenticate"));
    }
  });
}

Deno.test("HEAD requires the same rights as GET", async () => {
  const { test, keys } = await openPlanted();
  await using _ = test;
  for (const row of ROUTES.filter(({ route }) => route.startsWith("GET "))) {
    for (const credential of CREDENTIALS) {
      const { what, show } = credential;
      const rights = rightsOf(row, credential);
      const { headers = {}, query = "" } = show(keys);
      const { status, body } = await test.send(await row.path(test) + query, undefined, {
        method: "HEAD",
        headers,
      });
      const may = row.right === "open" || rights?.includes(row.right);
      deepStrictEqual(
        [status, body],
        [may ? row.status : rights === undefined ? 401 : 403, ""],
        `${row.route}: ${what}`,
      );
    }
  }
});

Deno.test("every answer of every route has the headers that it should, and no cookie", async () => {
  const { test } = await openPlanted();
  await using _ = test;
  for (const row of ROUTES) {
    for (const shown of [{}, bearer(ADMIN_TOKEN), bearer("unknown")]) {
      const { status, headers } = await ask(test, row, { path: await row.path(test), ...shown });
      const what = `${row.route}: ${status}`;
      strictEqual(headers.get("x-content-type-options"), "nosniff", what);
      strictEqual(headers.get("set-cookie"), null, what);
      const isSending = isSendingPath(row.route.split(" ")[1]!);
      strictEqual(headers.get("access-control-allow-origin"), isSending ? "*" : null, what);
      strictEqual(headers.get("access-control-allow-credentials"), null, what);
      // A receipt holds nothing of anybody's, and goes without for speed.
      if (row.right === "send" && status === 200) continue;
      strictEqual(headers.get("cache-control"), row.cacheControl ?? "no-store", what);
      strictEqual(headers.get("referrer-policy"), "no-referrer", what);
      ok(headers.get("content-security-policy")?.startsWith("default-src 'none'"), what);
    }
  }
});

Deno.test("writeKey in the body lets its owner send, and do nothing else", async () => {
  const { test, keys } = await openPlanted();
  await using _ = test;
  for (const row of ROUTES.filter(({ right }) => right !== "open")) {
    if (row.route.startsWith("GET ")) continue;
    const { status } = await ask(test, row, { path: await row.path(test), writeKey: keys.stored });
    strictEqual(status, row.right === "send" ? 200 : 401, row.route);
  }
});

Deno.test("a write key that is enabled again, or changed, has the rights that it then has", async () => {
  const { test } = await openPlanted();
  await using _ = test;
  const { key, writeKey } = await test.system.writeKeys.create({ name: "x", allowedTypes: ["page"] });
  const send = (type: string) =>
    test.send("/api/v1/events", { type, userId: "u", event: "e" }, {
      headers: { authorization: `Basic ${btoa(`${key}:`)}` },
    });
  const change = (patch: Parameters<typeof test.system.writeKeys.change>[1]) =>
    test.system.writeKeys.change(writeKey.id, patch);
  deepStrictEqual([(await send("page")).status, (await send("track")).status], [200, 403]);
  await change({ enabled: false });
  deepStrictEqual([(await send("page")).status, (await send("track")).status], [401, 401]);
  await change({ enabled: true, allowedTypes: null });
  deepStrictEqual([(await send("page")).status, (await send("track")).status], [200, 200]);
});
