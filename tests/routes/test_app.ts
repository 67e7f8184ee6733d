/** What the tests of the routes share: the real routes over the real actors, in memory, and a clock that is told. */
import { monotonicFactory } from "ulid";
import { systemClock } from "../../actors/store/clock.ts";
import { type OpenOptions, openSystem } from "../../actors/open.ts";
import type { Store } from "../../actors/store/store.ts";
import type { System } from "../../actors/system.ts";
import type { AddressPolicy } from "../../domain/enrichment/location.ts";
import type { UnknownEvents } from "../../domain/contract/contract.ts";
import { type App, type AppDeps, createApp } from "../../routes/app.ts";
import { createLog, type LogLevel } from "../../routes/http/logger.ts";
import { assertDocumented } from "./openapi/documented.ts";

/** The credentials of every test app. */
export const WRITE_KEY = "wk_test";
export const READ_TOKEN = "read_token_test";
export const ADMIN_TOKEN = "admin_token_test";

/** The same as headers. */
export const AS_SENDER = { authorization: `Basic ${btoa(`${WRITE_KEY}:`)}` };
export const AS_READER = { authorization: `Bearer ${READ_TOKEN}` };
export const AS_ADMIN = { authorization: `Bearer ${ADMIN_TOKEN}` };

/** The address of every request that names no other. */
export const FROM = { remoteAddr: { transport: "tcp", hostname: "192.0.2.1", port: 4711 } } as const;

/** The real actors over a store in memory, an empty one or one that is given. */
export async function openTestSystem(
  storage: Store | ":memory:" = ":memory:",
  more: Partial<OpenOptions> = {},
): Promise<System> {
  const ulid = monotonicFactory();
  return await openSystem({
    storage,
    clock: systemClock,
    newId: () => ulid(),
    randomBytes: (bytes) => void crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>),
    dedupMs: 0,
    lookupTraits: ["email", "phone", "username"],
    onFault: (error) => console.error(error),
    // No name has an address: nothing leaves this machine.
    forwarding: {
      allow: { networks: [], hosts: new Set() },
      connections: { resolve: () => Promise.resolve([]) },
      delivers: false,
    },
    ...more,
  });
}

/** An answer with its body read: JSON where there is some. */
export interface Answer {
  status: number;
  headers: Headers;
  // deno-lint-ignore no-explicit-any -- a test looks at members that it names, and fails where they are missing.
  body: any;
}

/** The routes, what they logged, and a clock that stands still until it is moved. */
export interface TestApp extends AsyncDisposable {
  app: App;
  system: System;
  clock: { nowMs: number };
  logged: Record<string, unknown>[];
  send(
    path: string,
    body?: unknown,
    init?: { method?: string; headers?: HeadersInit; from?: string },
  ): Promise<Answer>;
  get(path: string, headers?: HeadersInit): Promise<Answer>;
}

/** What a test may have otherwise. */
export interface TestOptions
  extends Partial<Pick<AppDeps, "elapsed" | "limits" | "heartbeatMs" | "lookUp" | "metrics" | "system">> {
  /** Where the system goes by the same clock: otherwise the routes alone have one that is told. */
  clock?: TestApp["clock"];
  logLevel?: LogLevel;
  authFailuresPerMinute?: number;
  withoutWriteKey?: boolean;
  publicUrl?: string;
  trustedProxies?: number;
  ipAddresses?: AddressPolicy;
  metricsOpen?: boolean;
  unknownEvents?: UnknownEvents;
  adminTokens?: { name: string; token: string }[];
  snippetPath?: string;
  placeholderIds?: string;
  suppressedEvents?: "drop" | "refuse";
  /** For a system with parts that answer something else: its answers are not held against the OpenAPI document. */
  undocumented?: true;
}

/** Opens the routes for one test. Every answer is held against the OpenAPI document. */
export async function openTestApp(options: TestOptions = {}): Promise<TestApp> {
  const system = options.system ?? await openTestSystem();
  const clock = options.clock ?? { nowMs: Date.now() };
  const logged: Record<string, unknown>[] = [];
  const ulid = monotonicFactory();
  const now = () => clock.nowMs;
  const app = createApp({
    system,
    settings: {
      adminToken: ADMIN_TOKEN,
      ...options.adminTokens && { adminTokens: options.adminTokens },
      readToken: READ_TOKEN,
      ...!options.withoutWriteKey && { writeKey: WRITE_KEY },
      authFailuresPerMinute: options.authFailuresPerMinute ?? 100,
      ...options.trustedProxies !== undefined && { trustedProxies: options.trustedProxies },
      ...options.ipAddresses !== undefined && { ipAddresses: options.ipAddresses },
      ...options.publicUrl !== undefined && { publicUrl: options.publicUrl },
      ...options.metricsOpen !== undefined && { metricsOpen: options.metricsOpen },
      ...options.unknownEvents !== undefined && { unknownEvents: options.unknownEvents },
      ...options.snippetPath !== undefined && { snippetPath: options.snippetPath },
      ...options.placeholderIds !== undefined && { placeholderIds: options.placeholderIds },
      ...options.suppressedEvents !== undefined && { suppressedEvents: options.suppressedEvents },
    },
    log: createLog({
      level: options.logLevel ?? "info",
      write: (line) => logged.push(JSON.parse(line)),
      now,
    }),
    now,
    newId: () => ulid(),
    lookUp: options.lookUp,
    ...options.metrics && { metrics: options.metrics },
    ...options.limits && { limits: options.limits },
    ...options.elapsed && { elapsed: options.elapsed },
    ...options.heartbeatMs !== undefined && { heartbeatMs: options.heartbeatMs },
  });

  async function ask(
    path: string,
    init: RequestInit,
    hostname: string = FROM.remoteAddr.hostname,
  ): Promise<Answer> {
    const response = await app.request(path, init, { remoteAddr: { ...FROM.remoteAddr, hostname } });
    const { status, headers } = response;
    // A stream has no end: its head is all that is looked at.
    const isStream = headers.get("content-type") === "text/event-stream";
    if (isStream) await response.body?.cancel();
    const text = isStream ? "" : await response.text();
    if (!options.undocumented) assertDocumented(init.method ?? "GET", path, { status, headers, text });
    const isJson = /[/+]json/.test(headers.get("content-type") ?? "");
    return {
      status,
      headers,
      body: isJson && text !== "" ? JSON.parse(text) : text,
    };
  }

  return {
    app,
    system,
    clock,
    logged,
    send(path, body, { method = "POST", headers = AS_SENDER, from } = {}) {
      const isRaw = body === undefined || typeof body === "string" || body instanceof Uint8Array ||
        body instanceof ReadableStream;
      return ask(path, { method, headers, body: isRaw ? body as BodyInit : JSON.stringify(body) }, from);
    },
    get: (path, headers = AS_READER) => ask(path, { headers }),
    [Symbol.asyncDispose]: () => system.close(),
  };
}
