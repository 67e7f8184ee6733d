import { taskCommand } from "./task_command.ts";
import { deepStrictEqual, match, strictEqual } from "node:assert";
import { PACKAGE_VARIABLES, readConfig, settingsTable, VARIABLES } from "../config.ts";
import { readAllowList } from "../domain/forwarding/address.ts";

const START = { dev: false, deploy: false };
const ADMIN_TOKEN = "secret-admin-0123456789ab";
const READ_TOKEN = "secret-reader-0123456789a";
const GOOD = { ADMIN_TOKEN, KV_URL: "events.db" };

Deno.test("readConfig() gives every setting its default", () => {
  deepStrictEqual(readConfig(GOOD, START), {
    settings: {
      port: 8000,
      host: "127.0.0.1",
      kvUrl: "events.db",
      adminToken: ADMIN_TOKEN,
      dedupDays: 30,
      authFailuresPerMinute: 100,
      ipAddresses: "keep",
      trustedProxies: 0,
      metricsOpen: false,
      unknownEvents: "allow",
      lookupTraits: ["email", "phone", "username"],
      suppressedEvents: "drop",
      forwardAllow: readAllowList("")!,
      logLevel: "info",
    },
  });
});

Deno.test("readConfig() reads every variable", () => {
  const env = {
    PORT: "0",
    HOST: "::1",
    PUBLIC_URL: "https://events.example.com/",
    KV_URL: "https://kv.example.com",
    DENO_KV_ACCESS_TOKEN: "kv",
    ADMIN_TOKEN,
    ADMIN_TOKENS: "alice:alice-0123456789abcdef-xyz, ci:ci-token-0123456789abcdef",
    READ_TOKEN,
    WRITE_KEY: "w",
    DEDUP_DAYS: "0",
    AUTH_FAILURES_PER_MINUTE: "5",
    GEOIP_DB: "cities.mmdb",
    IP_ADDRESSES: "drop",
    TRUSTED_PROXIES: "2",
    METRICS_OPEN: "true",
    UNKNOWN_EVENTS: "reject",
    LOOKUP_TRAITS: "email, phone",
    SNIPPET_PATH: "/shop",
    PLACEHOLDER_IDS: "demo,kiosk-1",
    SUPPRESSED_EVENTS: "refuse",
    FORWARD_ALLOW: "10.0.0.0/8,intern.example",
    SECRETS_KEY: "secret-of-secrets-0123456",
    ALERT_WEBHOOK_URL: "https://alerts.example.com/",
    LOG_LEVEL: "debug",
  };
  deepStrictEqual(Object.keys(env), VARIABLES);
  deepStrictEqual(readConfig(env, START), {
    settings: {
      port: 0,
      host: "::1",
      publicUrl: "https://events.example.com",
      kvUrl: "https://kv.example.com",
      adminToken: ADMIN_TOKEN,
      adminTokens: [
        { name: "alice", token: "alice-0123456789abcdef-xyz" },
        { name: "ci", token: "ci-token-0123456789abcdef" },
      ],
      readToken: READ_TOKEN,
      writeKey: "w",
      dedupDays: 0,
      authFailuresPerMinute: 5,
      geoipDb: "cities.mmdb",
      ipAddresses: "drop",
      trustedProxies: 2,
      metricsOpen: true,
      unknownEvents: "reject",
      lookupTraits: ["email", "phone"],
      snippetPath: "/shop",
      placeholderIds: "demo,kiosk-1",
      suppressedEvents: "refuse",
      forwardAllow: readAllowList("10.0.0.0/8,intern.example")!,
      secretsKey: "secret-of-secrets-0123456",
      alertWebhookUrl: "https://alerts.example.com/",
      logLevel: "debug",
    },
  });
});

Deno.test("readConfig() has other defaults in dev and on Deno Deploy", () => {
  const dev = readConfig({ ADMIN_TOKEN }, { dev: true, deploy: false });
  strictEqual("settings" in dev && dev.settings.host, "127.0.0.1");
  strictEqual("settings" in dev && dev.settings.kvUrl, ".data/signalfold.db");
  const deploy = readConfig({ ADMIN_TOKEN }, { dev: false, deploy: true });
  strictEqual("settings" in deploy && deploy.settings.host, "0.0.0.0");
  strictEqual("settings" in deploy && "kvUrl" in deploy.settings, false);
});

Deno.test("readConfig() accepts a token of 24 characters, 8 of them different", () => {
  const read = readConfig({ ...GOOD, ADMIN_TOKEN: "abcdefghabcdefghabcdefgh" }, START);
  strictEqual("settings" in read && read.settings.adminToken, "abcdefghabcdefghabcdefgh");
});

Deno.test("readConfig() treats an empty value as unset", () => {
  const empty = Object.fromEntries(VARIABLES.map((name) => [name, ""]));
  deepStrictEqual(readConfig({ ...empty, ...GOOD }, START), readConfig(GOOD, START));
});

const BAD: [what: string, env: Record<string, string>, line: RegExp][] = [
  ["no ADMIN_TOKEN", { ADMIN_TOKEN: "" }, /^ADMIN_TOKEN must be set$/],
  ["no KV_URL", { KV_URL: "" }, /^KV_URL must be set: /],
  ["a PORT that is no number", { PORT: "http" }, /^PORT must be a whole number from 0 to 65535$/],
  ["a PORT that is too large", { PORT: "65536" }, /^PORT must be a whole number from 0 to 65535$/],
  ["a negative PORT", { PORT: "-1" }, /^PORT /],
  ["a HOST with a port", { HOST: "localhost/x" }, /^HOST must be a host name or an address$/],
  ["a METRICS_OPEN that is neither", { METRICS_OPEN: "1" }, /^METRICS_OPEN must be true or false$/],
  ["a PUBLIC_URL with a path", { PUBLIC_URL: "https://example.com/events" }, /^PUBLIC_URL must be an origin/],
  ["a PUBLIC_URL of another scheme", { PUBLIC_URL: "ftp://example.com" }, /^PUBLIC_URL must be an origin/],
  ["a KV_URL with a comma", { KV_URL: "a,b" }, /^KV_URL must not contain a comma$/],
  ["a KV_URL that is no URL", { KV_URL: "https://" }, /^KV_URL must be a file path/],
  ["an ADMIN_TOKEN with a blank", { ADMIN_TOKEN: `${ADMIN_TOKEN} b` }, /^ADMIN_TOKEN must be visible ASCII/],
  ["a READ_TOKEN that is not ASCII", { READ_TOKEN: `${READ_TOKEN}ö` }, /^READ_TOKEN must be visible ASCII/],
  ["an ADMIN_TOKEN of three dots", { ADMIN_TOKEN: "..." }, /^ADMIN_TOKEN must have at least 24 characters/],
  [
    "an ADMIN_TOKEN of 23 characters",
    { ADMIN_TOKEN: "abcdefghijklmnopqrstuvw" },
    /^ADMIN_TOKEN must have at least 24 characters/,
  ],
  [
    "a READ_TOKEN of 23 characters",
    { READ_TOKEN: "abcdefghijklmnopqrstuvw" },
    /^READ_TOKEN must have at least 24 characters/,
  ],
  [
    "an ADMIN_TOKEN of 7 different characters",
    { ADMIN_TOKEN: "abcdefgabcdefgabcdefgabcdefg" },
    /^ADMIN_TOKEN must have at least 8 distinct characters/,
  ],
  [
    "a READ_TOKEN of one character",
    { READ_TOKEN: "x".repeat(48) },
    /^READ_TOKEN must have at least 8 distinct characters/,
  ],
  ["a WRITE_KEY with a blank", { WRITE_KEY: "a key" }, /^WRITE_KEY must be visible ASCII/],
  [
    "a KV_URL with a password",
    { KV_URL: "https://kv_user:kv_password@kv.example.com/" },
    /^KV_URL must not contain a user name, a password or a query: set DENO_KV_ACCESS_TOKEN$/,
  ],
  [
    "a KV_URL with a query",
    { KV_URL: "https://kv.example.com/?token=kv_token" },
    /^KV_URL must not contain .* a query/,
  ],
  [
    "a KV_URL with a password that has a slash",
    { KV_URL: "https://kv_user:12/kv_password@kv.example.com/" },
    /^KV_URL must not contain a user name, a password/,
  ],
  ["a WRITE_KEY with a colon", { WRITE_KEY: "a:b" }, /^WRITE_KEY must not contain a colon$/],
  [
    "ADMIN_TOKENS without names",
    { ADMIN_TOKENS: "abcdefghijklmnopqrstuvwxyz" },
    /^ADMIN_TOKENS must be names and /,
  ],
  [
    "ADMIN_TOKENS with a short token",
    { ADMIN_TOKENS: "alice:short-one" },
    /^ADMIN_TOKENS has a token of alice that must have at least 24 characters/,
  ],
  [
    "ADMIN_TOKENS with a name twice",
    { ADMIN_TOKENS: "al:alice-0123456789abcdef-xyz,al:bob-0123456789abcdef-xyz1" },
    /^ADMIN_TOKENS must not have the name al twice/,
  ],
  [
    "ADMIN_TOKENS with the token of ADMIN_TOKEN",
    { ADMIN_TOKENS: `alice:${ADMIN_TOKEN}` },
    /^ADMIN_TOKENS \(alice\) must differ from ADMIN_TOKEN$/,
  ],
  ["a WRITE_KEY of a template", { WRITE_KEY: "YOUR_WRITE_KEY" }, /^WRITE_KEY must be a secret of your own/],
  [
    "a WRITE_KEY that is the ADMIN_TOKEN",
    { WRITE_KEY: ADMIN_TOKEN },
    /^WRITE_KEY must differ from ADMIN_TOKEN$/,
  ],
  [
    "a READ_TOKEN that is the ADMIN_TOKEN",
    { READ_TOKEN: ADMIN_TOKEN },
    /^READ_TOKEN must differ from ADMIN_TOKEN$/,
  ],
  [
    "a DEDUP_DAYS that is no number",
    { DEDUP_DAYS: "1.5" },
    /^DEDUP_DAYS must be a whole number from 0 to 3650$/,
  ],
  ["an AUTH_FAILURES_PER_MINUTE below 0", { AUTH_FAILURES_PER_MINUTE: "-1" }, /^AUTH_FAILURES_PER_MINUTE /],
  [
    "an AUTH_FAILURES_PER_MINUTE that is no limit",
    { AUTH_FAILURES_PER_MINUTE: "1000001" },
    /^AUTH_FAILURES_PER_MINUTE must be a whole number from 0 to 1000000$/,
  ],
  [
    "a DEDUP_DAYS of more than ten years",
    { DEDUP_DAYS: "3651" },
    /^DEDUP_DAYS must be a whole number from 0 to 3650$/,
  ],
  [
    "more TRUSTED_PROXIES than stand before any server",
    { TRUSTED_PROXIES: "11" },
    /^TRUSTED_PROXIES must be a whole number from 0 to 10$/,
  ],
  [
    "a LOG_LEVEL that is none",
    { LOG_LEVEL: "loud" },
    /^LOG_LEVEL must be one of debug, info, warn, error, off$/,
  ],
];

for (const [what, env, line] of BAD) {
  Deno.test(`readConfig() refuses ${what} in one line that names the variable and not its value`, () => {
    const read = readConfig({ ...GOOD, ...env }, START);
    const problem = "problem" in read ? read.problem : "";
    match(problem, line);
    strictEqual(problem.includes("\n"), false);
    for (const value of Object.values(env)) {
      if (value.length > 4) strictEqual(problem.includes(value), false, "the value may be a secret");
    }
  });
}

Deno.test("settingsTable() has a description and a default for each variable", () => {
  deepStrictEqual(settingsTable().map(({ name }) => name), VARIABLES);
  for (const row of settingsTable()) {
    strictEqual(row.description.length > 10, true, row.name);
    strictEqual(row.default.length > 0, true, row.name);
  }
});

for (const task of ["dev", "start"] as const) {
  Deno.test(`deno task ${task} may read the variables of the settings and no others, and never has all permissions`, () => {
    const command = taskCommand(task);
    const names = /export NAMES=(\S+)/.exec(command)?.[1]?.split(",");
    deepStrictEqual(names, [...VARIABLES, "DENO_DEPLOYMENT_ID", "DENO_DEPLOY", ...PACKAGE_VARIABLES]);
    strictEqual(
      /\s-A\b|--allow-all|--allow-run|--allow-ffi|--allow-(read|write|env)(\s|$)/.test(command),
      false,
    );
  });
}
