/**
 * The settings of signalfold: one schema of the environment, and one clear line for a value that can't be.
 *
 * Nothing here reads the environment: `main.ts` and `tasks/` hand it in.
 */
import { z } from "zod";
import { ADDRESS_POLICIES, type AddressPolicy } from "./domain/enrichment/location.ts";
import { UNKNOWN_EVENTS, type UnknownEvents } from "./domain/contract/contract.ts";
import { type AllowList, LOOPBACK, readAllowList } from "./domain/forwarding/address.ts";
import { LOG_LEVELS, type LogLevel } from "./routes/http/logger.ts";
import { isSnippetPath } from "./routes/http/snippet_paths.ts";
import { ADMIN_KEY_ID, type NamedToken } from "./routes/auth/authentication.ts";
import { MAX_PROXIES } from "./routes/handler/peer.ts";

/** Visible ASCII (RFC 20, 0x21 to 0x7E): any client can send it unquoted in an `Authorization` header. */
const VISIBLE_ASCII = /^[\x21-\x7e]+$/;

/** Longest window of deduplication, in days: ten years; 0 means for ever. */
const MAX_DEDUP_DAYS = 3650;
/** Longest list of placeholders that may be set, in characters: some hundred ids. */
const MAX_PLACEHOLDERS_LENGTH = 10_000;
/** Most traits that are looked up: each costs two entries per value. */
const MAX_LOOKUP_TRAITS = 20;
/** Most failed authentications a minute that may be set; above it there is no limit worth the name. */
const MAX_AUTH_FAILURES = 1_000_000;

const integer = (min: number, max: number) => {
  const message = `must be a whole number from ${min} to ${max}`;
  return z.string().regex(/^\d{1,9}$/, message).transform(Number).pipe(
    z.number().min(min, message).max(max, message),
  );
};

/** Values that documents and templates show in place of a secret: whoever copies one shares it with every reader. */
const PLACEHOLDER = /^(your|the|my|some|a)[_-]|change[_-]?me|placeholder|^[<{[]|^c?0{12}/i;

const secret = z.string().regex(VISIBLE_ASCII, "must be visible ASCII without spaces")
  .refine(
    (value) => !PLACEHOLDER.test(value),
    "must be a secret of your own, not a placeholder of the documentation",
  );

/**
 * Fewest characters of a token: this many hexadecimal digits have 96 random bits, which nobody guesses over a network.
 */
const MIN_TOKEN_LENGTH = 24;
/**
 * Fewest different characters of a token: `xxxxxxxx…` and other placeholders have fewer. Of 24 random hexadecimal digits
 * one in 35,000 has fewer; of 48 none ever has.
 */
const MIN_TOKEN_VARIETY = 8;

const HOW_TO_MAKE_ONE = "use openssl rand -hex 24";

const token = secret
  .min(MIN_TOKEN_LENGTH, `must have at least ${MIN_TOKEN_LENGTH} characters: ${HOW_TO_MAKE_ONE}`)
  .refine(
    (value) => new Set(value).size >= MIN_TOKEN_VARIETY,
    `must have at least ${MIN_TOKEN_VARIETY} distinct characters: ${HOW_TO_MAKE_ONE}`,
  );

/** Most admin tokens with names. */
const MAX_ADMIN_TOKENS = 50;

/** `alice:TOKEN,ci:TOKEN`. The message names the token by its owner, never by its value. */
const namedTokens = z.string().transform((text, context): NamedToken[] => {
  const refuse = (message: string) => {
    context.addIssue({ code: "custom", message });
    return z.NEVER;
  };
  const tokens: NamedToken[] = [];
  for (const part of text.split(",")) {
    const [name = "", ...rest] = part.trim().split(":");
    if (!/^[A-Za-z0-9_.-]{1,40}$/.test(name) || rest.length !== 1) {
      return refuse("must be names and tokens such as alice:TOKEN,ci:TOKEN");
    }
    if (name === ADMIN_KEY_ID || tokens.some((other) => other.name === name)) {
      return refuse(`must not have the name ${name} twice; ${ADMIN_KEY_ID} is the name of ADMIN_TOKEN`);
    }
    const { error } = token.safeParse(rest[0]);
    if (error !== undefined) return refuse(`has a token of ${name} that ${error.issues[0]!.message}`);
    tokens.push({ name, token: rest[0]! });
  }
  return tokens.length <= MAX_ADMIN_TOKENS ? tokens : refuse(`must have at most ${MAX_ADMIN_TOKENS} tokens`);
});

const origin = z.string().transform((value, context) => {
  const url = URL.parse(value);
  const isOrigin = url !== null && /^https?:$/.test(url.protocol) && url.pathname === "/" &&
    url.search === "" && url.hash === "" && url.username === "" && url.password === "";
  if (isOrigin) return url.origin;
  context.addIssue({
    code: "custom",
    message: "must be an origin such as https://events.example.com, without a path",
  });
  return z.NEVER;
});

/** Whether `KV_URL` names a KV Connect server. */
export function isKvConnect(kvUrl: string): boolean {
  return /^https?:/i.test(kvUrl);
}

/**
 * The storage of Deno KV. A comma would end the path in Deno's permission flags. Deno sends no password of a URL to the
 * server, but shows the whole URL in its own messages, where nothing can mask a secret.
 */
export const kvUrlSchema = z.string().refine((value) => !value.includes(","), "must not contain a comma")
  .refine(
    (value) => !isKvConnect(value) || !/[@?]/.test(value),
    "must not contain a user name, a password or a query: set DENO_KV_ACCESS_TOKEN",
  )
  .refine(
    (value) => !isKvConnect(value) || URL.canParse(value),
    "must be a file path, :memory: or an http(s) URL",
  );

/** The text of the settings table if the default is not one value. */
type Note = { description: string; default: string };

const note = (description: string, byDefault: string): Note => ({ description, default: byDefault });

/** Every variable that signalfold reads, with its description and default: `docs/settings.md` is made from it. */
export const environmentSchema = z.object({
  PORT: integer(0, 65535).default(8000).meta(note("port to listen on; 0 picks a free one", "`8000`")),
  HOST: z.string().regex(/^[0-9a-zA-Z.:_-]+$/, "must be a host name or an address").optional()
    .meta(note(
      "address to listen on; `0.0.0.0` is all IPv4 interfaces",
      "`127.0.0.1` (this machine only); `0.0.0.0` on Deno Deploy",
    )),
  PUBLIC_URL: origin.optional()
    .meta(note("public origin of the server, if it is behind a proxy", "taken from the request")),
  KV_URL: kvUrlSchema.optional().meta(note(
    "database: a file path, `:memory:`, or an `http(s)://` KV Connect URL; empty on Deno Deploy",
    "dev: `.data/signalfold.db`; otherwise required",
  )),
  DENO_KV_ACCESS_TOKEN: secret.optional().meta(
    note("access token of the KV Connect server in `KV_URL`", "none"),
  ),
  ADMIN_TOKEN: token.optional().meta(note(
    "admin token, sent as `Authorization: Bearer`; at least 24 characters, 8 of them distinct",
    "dev: created on first start in `.data/dev.json`; otherwise required",
  )),
  ADMIN_TOKENS: namedTokens.optional().meta(note(
    "more admin tokens, with the names that the [audit log](operations.md#audit-log) shows: `alice:TOKEN,ci:TOKEN`",
    "none",
  )),
  READ_TOKEN: token.optional().meta(
    note("read token, sent as `Authorization: Bearer`; same rules as `ADMIN_TOKEN`", "none"),
  ),
  WRITE_KEY: secret.regex(/^[^:]+$/, "must not contain a colon").optional().meta(note(
    "a write key that always exists; all event types allowed",
    "dev: created on first start in `.data/dev.json`; otherwise none",
  )),
  DEDUP_DAYS: integer(0, MAX_DEDUP_DAYS).default(30)
    .meta(note("days for which a `messageId` is remembered; 0 means forever", "`30`")),
  AUTH_FAILURES_PER_MINUTE: integer(0, MAX_AUTH_FAILURES).default(100)
    .meta(
      note("failed authentications per minute and address before a 429; 0 means no limit", "`100`"),
    ),
  GEOIP_DB: z.string().refine((value) => !value.includes(","), "must not contain a comma").optional()
    .meta(note(
      "IP database for `context.location`: path of an `.mmdb` file, or `off`",
      "an installed database of countries",
    )),
  IP_ADDRESSES: z.enum(ADDRESS_POLICIES, `must be one of ${ADDRESS_POLICIES.join(", ")}`).default("keep")
    .meta(note("what to do with `context.ip` after the lookup: `keep`, `truncate` or `drop`", "`keep`")),
  TRUSTED_PROXIES: integer(0, MAX_PROXIES).default(0)
    .meta(note("number of trusted reverse proxies that append to `X-Forwarded-For`", "`0`")),
  METRICS_OPEN: z.enum(["true", "false"], "must be true or false").default("false")
    .meta(note("`true` serves `/metrics` without a credential", "`false`: read or admin token")),
  UNKNOWN_EVENTS: z.enum(UNKNOWN_EVENTS, `must be one of ${UNKNOWN_EVENTS.join(", ")}`).default("allow")
    .meta(note(
      "events that no contract names: `allow`, `monitor` (accept and count) or `reject` (422)",
      "`allow`",
    )),
  LOOKUP_TRAITS: z.string().default("email,phone,username").transform((text, context) => {
    const traits = text === "off" ? [] : [...new Set(text.split(",").map((name) => name.trim()))];
    const isName = (name: string) => /^[^\s&=?#]{1,100}$/.test(name);
    if (traits.length <= MAX_LOOKUP_TRAITS && traits.every(isName)) return traits;
    context.addIssue({
      code: "custom",
      message: `must be off, or at most ${MAX_LOOKUP_TRAITS} names of traits such as email,phone`,
    });
    return z.NEVER;
  }).meta(note(
    "traits by which [users and groups are found](operations.md#finding-people); `off` for none",
    "`email,phone,username`",
  )),
  SNIPPET_PATH: z.string().refine(
    isSnippetPath,
    "must be a path that the server does not have, such as /shop, of letters, digits, - and _",
  ).optional().meta(note(
    "serves the [website snippet](clients.md#the-website-snippet) below this path too, by names that ad blockers do not know: `/shop`",
    "none",
  )),
  PLACEHOLDER_IDS: z.string().max(
    MAX_PLACEHOLDERS_LENGTH,
    `must have at most ${MAX_PLACEHOLDERS_LENGTH} characters`,
  ).optional().meta(note(
    "more ids that never link, besides `null`, `undefined` and the like: `demo,kiosk-1`",
    "none",
  )),
  SUPPRESSED_EVENTS: z.enum(["drop", "refuse"], "must be drop or refuse").default("drop").meta(note(
    "events of suppressed people: `drop` (answered as accepted, not stored) or `refuse` (403)",
    "`drop`",
  )),
  FORWARD_ALLOW: z.string().refine(
    (value) => readAllowList(value) !== undefined,
    "must be networks (CIDR), addresses and hosts, separated by commas",
  ).optional().meta(note(
    "loopback and private networks that destinations may be in: `10.0.0.0/8,intern.example`",
    "dev: loopback; otherwise none",
  )),
  SECRETS_KEY: secret.min(
    MIN_TOKEN_LENGTH,
    `must have at least ${MIN_TOKEN_LENGTH} characters: ${HOW_TO_MAKE_ONE}`,
  )
    .optional().meta(
      note("encrypts the secrets of destinations at rest", "none: they are stored as they are"),
    ),
  ALERT_WEBHOOK_URL: z.string().refine(
    (value) => /^https?:$/.test(URL.parse(value)?.protocol ?? ""),
    "must be an http(s) URL",
  ).optional().meta(note("URL to which alerts about destinations are posted as JSON", "none")),
  LOG_LEVEL: z.enum(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(", ")}`).default("info")
    .meta(note("`debug` (one line per request), `info`, `warn`, `error` or `off`", "`info`")),
});

/** The names of all variables, in the order of the table; the tasks allow these and no others. */
export const VARIABLES = Object.keys(environmentSchema.shape);

/** Variables that packages look at: reading one that is not allowed would be an error. */
export const PACKAGE_VARIABLES = [
  "JEST_WORKER_ID",
  "UNDICI_NO_WASM_SIMD",
  "PGBINARY",
  "PGOPTIONS",
  "PGSSLNEGOTIATION",
  "PGCLIENT_ENCODING",
  "PGREPLICATION",
];

/** The settings that the parts are handed. */
export interface Settings {
  port: number;
  host: string;
  publicUrl?: string;
  /** The storage; absent on Deno Deploy, which provides it. */
  kvUrl?: string;
  /** Absent if only `adminTokens` are set. */
  adminToken?: string;
  adminTokens?: readonly NamedToken[];
  readToken?: string;
  writeKey?: string;
  dedupDays: number;
  authFailuresPerMinute: number;
  /** The path of an address database, or `off`; absent: the one that is installed. */
  geoipDb?: string;
  ipAddresses: AddressPolicy;
  trustedProxies: number;
  metricsOpen: boolean;
  unknownEvents: UnknownEvents;
  lookupTraits: string[];
  snippetPath?: string;
  placeholderIds?: string;
  suppressedEvents: "drop" | "refuse";
  /** Networks that destinations may be in besides public ones. */
  forwardAllow: AllowList;
  secretsKey?: string;
  alertWebhookUrl?: string;
  logLevel: LogLevel;
}

/** The kind of start. */
export interface Mode {
  /** `deno task dev`: the missing ones are made up. */
  dev: boolean;
  /** Deno Deploy: the database needs no address. */
  deploy: boolean;
}

/** The default database of `deno task dev`. */
export const DEV_KV_URL = ".data/signalfold.db";

/** The settings, or one line that names the wrong variable and the reason. */
export type ReadConfig = { settings: Settings } | { problem: string };

/**
 * Reads the settings from an environment. An empty value counts as unset. The line of a problem names the variable
 * and never repeats its value, which may be a secret.
 */
export function readConfig(env: Record<string, string | undefined>, mode: Mode): ReadConfig {
  const given = Object.fromEntries(
    VARIABLES.flatMap((name) => env[name] === undefined || env[name] === "" ? [] : [[name, env[name]]]),
  );
  const parsed = environmentSchema.safeParse(given);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    return { problem: `${String(issue?.path[0])} ${issue?.message}` };
  }
  const read = parsed.data;
  if (read.ADMIN_TOKEN === undefined && read.ADMIN_TOKENS === undefined) {
    return { problem: "ADMIN_TOKEN must be set" };
  }
  const kvUrl = read.KV_URL ?? (mode.dev ? DEV_KV_URL : undefined);
  if (kvUrl === undefined && !mode.deploy) {
    return { problem: "KV_URL must be set: a file path, :memory: or an http(s) URL" };
  }
  const twice = sharedSecret({
    ADMIN_TOKEN: read.ADMIN_TOKEN,
    ...Object.fromEntries(
      read.ADMIN_TOKENS?.map(({ name, token }) => [`ADMIN_TOKENS (${name})`, token]) ?? [],
    ),
    READ_TOKEN: read.READ_TOKEN,
    WRITE_KEY: read.WRITE_KEY,
  });
  if (twice !== undefined) return { problem: twice };
  return {
    settings: {
      port: read.PORT,
      // Only Deno Deploy reaches its isolates; elsewhere a machine is opened only on request.
      host: read.HOST ?? (mode.deploy ? "0.0.0.0" : "127.0.0.1"),
      ...read.PUBLIC_URL !== undefined && { publicUrl: read.PUBLIC_URL },
      ...kvUrl !== undefined && { kvUrl },
      ...read.ADMIN_TOKEN !== undefined && { adminToken: read.ADMIN_TOKEN },
      ...read.ADMIN_TOKENS !== undefined && { adminTokens: read.ADMIN_TOKENS },
      ...read.READ_TOKEN !== undefined && { readToken: read.READ_TOKEN },
      ...read.WRITE_KEY !== undefined && { writeKey: read.WRITE_KEY },
      dedupDays: read.DEDUP_DAYS,
      authFailuresPerMinute: read.AUTH_FAILURES_PER_MINUTE,
      ...read.GEOIP_DB !== undefined && { geoipDb: read.GEOIP_DB },
      ipAddresses: read.IP_ADDRESSES,
      trustedProxies: read.TRUSTED_PROXIES,
      metricsOpen: read.METRICS_OPEN === "true",
      unknownEvents: read.UNKNOWN_EVENTS,
      lookupTraits: read.LOOKUP_TRAITS,
      ...read.SNIPPET_PATH !== undefined && { snippetPath: read.SNIPPET_PATH },
      ...read.PLACEHOLDER_IDS !== undefined && { placeholderIds: read.PLACEHOLDER_IDS },
      suppressedEvents: read.SUPPRESSED_EVENTS,
      forwardAllow: allowedNetworks(read.FORWARD_ALLOW, mode),
      ...read.SECRETS_KEY !== undefined && { secretsKey: read.SECRETS_KEY },
      ...read.ALERT_WEBHOOK_URL !== undefined && { alertWebhookUrl: read.ALERT_WEBHOOK_URL },
      logLevel: read.LOG_LEVEL,
    },
  };
}

/** What `FORWARD_ALLOW` lists, and loopback under `deno task dev`. */
function allowedNetworks(listed = "", { dev }: Mode): AllowList {
  return readAllowList(dev ? `${LOOPBACK},${listed}` : listed)!;
}

/** One secret for two purposes would give a browser's write key the rights of an administrator. */
function sharedSecret(secrets: Record<string, string | undefined>): string | undefined {
  const nameOf = new Map<string, string>();
  for (const [name, value] of Object.entries(secrets)) {
    if (value === undefined) continue;
    const other = nameOf.get(value);
    if (other !== undefined) return `${name} must differ from ${other}`;
    nameOf.set(value, name);
  }
  return undefined;
}

/** Every setting as the table of `docs/settings.md` shows it. */
export function settingsTable(): { name: string; description: string; default: string }[] {
  return Object.entries(environmentSchema.shape).map(([name, schema]) => {
    const { description, default: byDefault } = schema.meta() as unknown as Note;
    return { name, description, default: byDefault };
  });
}
