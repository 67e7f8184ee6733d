/** Definitions of destinations: their schema, their bounds, and what of them is secret. */
import { z } from "zod";
import { isObject, type JsonObject } from "../event/json.ts";
import { parseTimestamp } from "../event/timestamp.ts";
import { readCondition } from "../condition/condition.ts";
import { plainHost } from "./address.ts";
import { recipeSettingsProblem, secretsOfRecipe } from "./recipe_settings.ts";
import { isSecretName } from "./secret_name.ts";

/** Destinations at most: each has a lease, and a share of the requests under way. */
export const MAX_DESTINATIONS = 50;

/** Bytes of the body of one request. */
export const MAX_REQUEST_BYTES = 1024 * 1024;

/** Events of one batch. */
export const MAX_BATCH_EVENTS = 1_000;

/** Transformations of one destination. */
export const MAX_TRANSFORMATIONS = 20;

/** UTF-16 units of a name. */
export const MAX_DESTINATION_NAME = 100;

/** Longest time for which a batch gathers. */
const MAX_WAIT_MS = 300_000;

/** Most events per second that a limit can say. */
const MAX_PER_SECOND = 1_000_000;

const MAX_LIST = 50;
const MAX_TEXT = 500;
const MAX_URL = 2_000;
const MAX_HEADERS = 50;
const MAX_SECRET = 4_000;

/** The kinds of destinations. */
export const KINDS = ["webhook", "segment", "postgres", "clickhouse", "s3", "http"] as const;
export type Kind = typeof KINDS[number];

/** How many events are sent at once, and how long they gather. */
export interface BatchSettings {
  maxEvents: number;
  maxBytes: number;
  maxWaitMs: number;
}

/** A destination as an administrator defines it, with all defaults, and with its secrets. */
export interface Definition {
  kind: Kind;
  enabled: boolean;
  where?: JsonObject;
  writeKeyIds?: string[];
  consent?: string[];
  transformations?: string[];
  /** `now`, `start`, or a time. */
  from: string;
  order: "person" | "none";
  batch: BatchSettings;
  rateLimit?: { perSecond: number };
  onErase: "none" | "event";
  settings: JsonObject;
}

/** The defaults of `batch`, by kind: a file or an insert per event would be slow for everybody. */
export const BATCH_OF: Readonly<Record<Kind, BatchSettings>> = {
  webhook: { maxEvents: 1, maxBytes: 262_144, maxWaitMs: 0 },
  segment: { maxEvents: 100, maxBytes: 262_144, maxWaitMs: 0 },
  postgres: { maxEvents: 500, maxBytes: 1_048_576, maxWaitMs: 0 },
  clickhouse: { maxEvents: 1_000, maxBytes: 1_048_576, maxWaitMs: 1_000 },
  s3: { maxEvents: 1_000, maxBytes: 1_048_576, maxWaitMs: 5_000 },
  http: { maxEvents: 1, maxBytes: 262_144, maxWaitMs: 0 },
};

const text = (max: number) =>
  z.string("must be a string").min(1, "must not be empty").max(max, `must have at most ${max} characters`)
    .refine((value) => value.isWellFormed(), "must be well-formed Unicode");
/** A secret of a PUT: `***` keeps the stored one, as absence does, and `null` removes it. */
const secret = text(MAX_SECRET).nullish();
const texts = z.array(text(MAX_TEXT), "must be an array of strings")
  .max(MAX_LIST, `must contain at most ${MAX_LIST} items`);
const integer = (min: number, max: number) =>
  z.int(`must be a whole number from ${min} to ${max}`).min(min, `must be at least ${min}`)
    .max(max, `must be at most ${max}`);

/** A URL without credentials; `schemes` are those that it may have. */
const url = (...schemes: string[]) =>
  text(MAX_URL).superRefine((value, context) => {
    const message = urlProblem(value, schemes);
    if (message !== undefined) context.addIssue({ code: "custom", message });
  });

function urlProblem(value: string, schemes: readonly string[]): string | undefined {
  const parsed = URL.parse(value);
  if (
    parsed === null || !schemes.includes(parsed.protocol.slice(0, -1)) || plainHost(parsed.hostname) === ""
  ) {
    return `must be a URL that begins with ${schemes.map((each) => `${each}://`).join(" or ")}`;
  }
  const hasCredentials = parsed.username !== "" || parsed.password !== "";
  return hasCredentials ? "must not contain a user name or a password: use the settings for them" : undefined;
}

const headerName = z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$/, "must be the name of a header");
const headerValue = z.string("must be a string").max(MAX_SECRET, `must have at most ${MAX_SECRET} characters`)
  .regex(/^[\t\x20-\x7e]*$/, "must be printable ASCII").nullable();
/** Headers that the sender sets itself: two of them would be a smuggled request. */
const OWN_HEADERS =
  /^(host|content-length|transfer-encoding|connection|keep-alive|upgrade|expect|te|trailer|content-encoding|webhook-(id|timestamp|signature))$/i;
const headers = z.record(headerName, headerValue, "must be an object of strings").superRefine(
  (given, context) => {
    const names = Object.keys(given);
    if (names.length > MAX_HEADERS) {
      context.addIssue({ code: "custom", message: `must have at most ${MAX_HEADERS} headers` });
    }
    for (const name of names) {
      if (OWN_HEADERS.test(name)) {
        context.addIssue({
          code: "custom",
          path: [name],
          message: "is set by signalfold and must be omitted",
        });
      }
    }
  },
);

/** A secret of Standard Webhooks: `whsec_` and 24 to 64 bytes in base64. */
function isWebhookSecret(value: string): boolean {
  const base64 = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(value)?.[1];
  if (base64 === undefined) return false;
  const bytes = Math.floor(base64.replace(/=+$/, "").length * 3 / 4);
  return bytes >= 24 && bytes <= 64;
}

const identifier = z.string("must be a string").regex(
  /^[A-Za-z_][A-Za-z0-9_]{0,62}$/,
  "must be a name of 1 to 63 letters, digits and underscores",
);

const strict = <Shape extends z.core.$ZodLooseShape>(shape: Shape) =>
  z.strictObject(shape, { error: fieldErrors });

/** The messages of a strict schema: for unknown members, and for a value that is not an object. */
const fieldErrors: z.core.$ZodErrorMap = (issue) =>
  issue.code === "unrecognized_keys" ? `Unknown field "${issue.keys?.[0]}".` : "must be an object";

/** The settings of each kind. */
export const SETTINGS_SCHEMAS = {
  webhook: strict({
    url: url("https", "http"),
    method: z.enum(["POST", "PUT", "PATCH"], "must be POST, PUT or PATCH").default("POST"),
    headers: headers.default({}),
    secret: secret.refine(
      (value) => typeof value !== "string" || value === "***" || isWebhookSecret(value),
      "must be whsec_ followed by 24 to 64 bytes in base64; omit it and one is made",
    ),
  }),
  segment: strict({ url: url("https", "http"), writeKey: secret }),
  postgres: strict({
    // Its user and password are moved to the settings for them.
    url: text(MAX_URL).refine(
      (value) => /^postgres(ql)?:\/\/[^/]/.test(value) && URL.canParse(value),
      "must be a URL that begins with postgres://",
    ),
    schema: identifier.default("public"),
    table: identifier.default("events"),
    user: text(MAX_TEXT).optional(),
    password: secret,
  }),
  clickhouse: strict({
    url: url("https", "http"),
    database: identifier.default("default"),
    table: identifier.default("events"),
    user: text(MAX_TEXT).optional(),
    password: secret,
  }),
  s3: strict({
    endpoint: url("https", "http"),
    bucket: z.string("must be a string").regex(
      /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/,
      "must be the name of a bucket",
    ),
    prefix: z.string("must be a string").max(MAX_TEXT, `must have at most ${MAX_TEXT} characters`)
      .regex(/^[A-Za-z0-9!_.*'()/=-]*$/, "must consist of letters, digits and !_.*'()/=-").default(""),
    region: z.string("must be a string").regex(/^[a-z0-9-]{1,50}$/, "must be the name of a region")
      .default("us-east-1"),
    accessKeyId: secret,
    secretAccessKey: secret,
    sessionToken: secret,
  }),
  http: z.looseObject({
    recipe: z.unknown().refine((value) => value !== undefined, "must be the name of a recipe, or a recipe"),
  }, { error: fieldErrors }).superRefine((settings, context) => {
    const problem = recipeSettingsProblem(settings);
    if (problem !== undefined) {
      context.addIssue({ code: "custom", path: problem.path, message: problem.message });
    }
  }),
} as const satisfies Record<Kind, z.ZodType>;

/** Secrets without which a destination cannot send. */
const REQUIRED_SECRETS: Readonly<Partial<Record<Kind, object>>> = {
  segment: { writeKey: true },
  s3: { accessKeyId: true, secretAccessKey: true },
};

/** The first secret that a definition lacks. */
export function missingSecret({ kind, settings }: Definition): string | undefined {
  const names = kind === "http" ? secretsOfRecipe(settings) : Object.keys(REQUIRED_SECRETS[kind] ?? {});
  return names.find((name) => settings[name] === undefined);
}

const FROM_RULE = 'must be "now", "start" or an ISO 8601 date or date-time';

const where = z.unknown().superRefine((value, context) => {
  const read = readCondition(value);
  if (!("problem" in read)) return;
  const { path, message } = read.problem;
  context.addIssue({ code: "custom", path: path === "" ? [] : path.split("."), message });
});

const batch = strict({
  maxEvents: integer(1, MAX_BATCH_EVENTS).optional(),
  maxBytes: integer(1, MAX_REQUEST_BYTES).optional(),
  maxWaitMs: integer(0, MAX_WAIT_MS).optional(),
});

/** The members of a definition. `settings` are checked by {@link SETTINGS_SCHEMAS}. */
export const definitionShape = z.strictObject({
  kind: z.enum(KINDS, `must be one of ${KINDS.join(", ")}`),
  enabled: z.boolean("must be true or false").optional(),
  where: where.optional(),
  writeKeyIds: texts.min(1, "must contain at least one id; omit it for all write keys").optional(),
  consent: texts.optional(),
  transformations: texts.max(MAX_TRANSFORMATIONS, `must contain at most ${MAX_TRANSFORMATIONS} names`)
    .optional(),
  from: z.string(FROM_RULE).refine(
    (value) => value === "now" || value === "start" || parseTimestamp(value) !== undefined,
    FROM_RULE,
  ).optional(),
  order: z.enum(["person", "none"], "must be person or none").default("person"),
  batch: batch.optional(),
  rateLimit: strict({
    perSecond: z.number("must be a number").positive("must be more than 0").max(
      MAX_PER_SECOND,
      `must be at most ${MAX_PER_SECOND}`,
    ),
  }).optional(),
  onErase: z.enum(["none", "event"], "must be none or event").default("none"),
  settings: z.unknown().refine(isObject, "must be an object"),
}, {
  error: (issue) =>
    issue.code === "unrecognized_keys"
      ? `Unknown field "${issue.keys?.[0]}".`
      : "The body must be a JSON object.",
});

/** A definition as an administrator writes it: every wrong member is an issue, those of `settings` too. */
export const definitionSchema = z.unknown().transform((given, context): z.output<typeof definitionShape> => {
  const read = definitionShape.safeParse(given);
  const { kind, settings } = isObject(given) ? given : {};
  const own = isObject(settings) ? SETTINGS_SCHEMAS[kind as Kind]?.safeParse(settings) : undefined;
  const issues = [
    ...(read.error?.issues ?? []).map((issue) => [pathOf(issue), issue.message] as const),
    ...(own?.error?.issues ?? []).map((issue) => [["settings", ...pathOf(issue)], issue.message] as const),
  ];
  for (const [path, message] of issues) context.addIssue({ code: "custom", path: [...path], message });
  return read.success && issues.length === 0 ? read.data : z.NEVER;
});

/** A member that is not known is named by the issue's keys, not by its path. */
function pathOf(issue: z.core.$ZodIssue): PropertyKey[] {
  return issue.code === "unrecognized_keys" ? [...issue.path, ...issue.keys.slice(0, 1)] : issue.path;
}

/** What an administrator wrote, checked. */
export type Draft = z.output<typeof definitionShape>;

/**
 * The definition that a draft makes of the one that stands, with defaults filled in. Secrets that are absent or `***` stay
 * as they are where the kind is the same, and `null` removes one.
 */
export function definitionOf(draft: Draft, standing: Definition | undefined): Definition {
  const { kind, where, writeKeyIds, consent, transformations, order, rateLimit, onErase } = draft;
  const { maxEvents, maxBytes, maxWaitMs } = { ...BATCH_OF[kind], ...withoutAbsent(draft.batch ?? {}) };
  const before = standing?.kind === kind ? standing.settings : {};
  return {
    kind,
    enabled: draft.enabled ?? standing?.enabled ?? true,
    ...where !== undefined && { where: where as JsonObject },
    ...writeKeyIds !== undefined && { writeKeyIds },
    ...consent !== undefined && { consent },
    ...transformations !== undefined && { transformations },
    from: draft.from ?? standing?.from ?? "now",
    order,
    batch: { maxEvents, maxBytes, maxWaitMs },
    ...rateLimit !== undefined && { rateLimit },
    onErase,
    settings: withSecrets(
      withoutCredentials(kind, SETTINGS_SCHEMAS[kind].parse(draft.settings) as JsonObject),
      before,
    ),
  };
}

/** The settings of PostgreSQL, whose URLs usually have a user and a password: no URL that is stored has. */
function withoutCredentials(kind: Kind, settings: JsonObject): JsonObject {
  if (kind !== "postgres") return settings;
  const url = new URL(String(settings.url));
  const { username, password } = url;
  url.username = "";
  url.password = "";
  return {
    ...username !== "" && { user: decodeURIComponent(username) },
    ...password !== "" && { password: decodeURIComponent(password) },
    ...settings,
    url: url.href,
  };
}

function withSecrets(given: JsonObject, before: JsonObject): JsonObject {
  const settings: JsonObject = {};
  const names = new Set([...Object.keys(given), ...Object.keys(before).filter(isSecretName)]);
  for (const name of names) {
    const value = given[name];
    if (name === "headers" && isObject(value)) {
      settings.headers = withSecrets(value, isObject(before.headers) ? before.headers : {});
      continue;
    }
    const isKept = isSecretName(name) && (value === undefined || value === "***");
    const next = isKept ? before[name] : value;
    if (next !== undefined && next !== null) settings[name] = next;
  }
  return settings;
}

/** Settings without what is secret, at the top and in `headers`. */
export function withoutSecrets(settings: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(settings).filter(([name]) => !isSecretName(name)).map(([name, value]) => [
      name,
      name === "headers" && isObject(value) ? withoutSecrets(value) : value,
    ]),
  );
}

/** Values whose names are secret as `***`. */
export function masked(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, isSecretName(name) ? "***" : value]),
  );
}

function withoutAbsent<T extends object>(members: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}
