/** Requests to the API of this server, and nothing else. */
import { type Json, parseJson } from "../core/json.ts";
import { prefixOf } from "../core/place.ts";
import { type About, about, currentToken, enter, lock, sessionState } from "./session.ts";

/** The types of events. */
export const TYPES = ["track", "identify", "page", "screen", "group", "alias"] as const;

/** The origin and path below which signalfold answers. */
const BASE = location.origin + prefixOf(location.pathname);

/** The URL of a path of the API: `users/jane`. */
export const apiUrl = (path: string): string => `${BASE}/api/v1/${path}`;

/** Joins parts of a path, each percent-encoded: ids may have any characters. */
export const apiPath = (...parts: string[]): string => parts.map(encodeURIComponent).join("/");

/** A query string of the values that are given. */
export function apiQuery(values: Record<string, string | number | boolean | undefined>): string {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== "");
  return given.length === 0
    ? ""
    : `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`;
}

/** Why a request has no answer of use. `status` 0: the server cannot be reached. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly requestId: string | undefined;
  readonly retryAfterS: number | undefined;
  /** The problem details. */
  readonly body: Json;
  /** What was asked. */
  readonly asked: string;

  constructor(
    asked: string,
    { status, body, retryAfter }: { status: number; body: unknown; retryAfter?: string | null },
  ) {
    const { detail, code, requestId } = (body ?? {}) as Record<string, string | undefined>;
    super(detail ?? (status === 0 ? "The server cannot be reached." : `The server answered ${status}.`));
    this.asked = asked;
    this.status = status;
    this.code = code ?? (status === 0 ? "unreachable" : "unknown");
    this.requestId = requestId;
    this.retryAfterS = retryAfter ? Number(retryAfter) : undefined;
    this.body = body;
  }
}

/** A request. */
export interface ApiRequest {
  method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  body?: unknown;
  signal?: AbortSignal | undefined;
}

/**
 * Asks the API, and gives the answer's JSON (`null` if it has none). Throws {@link ApiError}. If the token is no longer
 * known, it waits until the reader has signed in again, and then repeats the request.
 */
export async function api(path: string, { method = "GET", body, signal }: ApiRequest = {}): Promise<Json> {
  for (;;) {
    const response = await send(path, { method, body, signal });
    if (response.status === 401 && sessionState.value !== "out") {
      lock();
      await signedIn(signal);
      continue;
    }
    return await read(response, `${method} /api/v1/${path}`);
  }
}

/** A response whose body is read by the caller: a stream. A body makes it a POST. Throws {@link ApiError}. */
export async function openStream(
  path: string,
  { headers, signal, body }: { headers: Record<string, string>; signal: AbortSignal; body?: unknown },
): Promise<Response> {
  const response = await fetch(apiUrl(path), {
    headers: {
      ...headers,
      ...body !== undefined && { "content-type": "application/json" },
      authorization: `Bearer ${currentToken()}`,
    },
    signal,
    cache: "no-store",
    ...body !== undefined && { method: "POST", body: JSON.stringify(body) },
  });
  if (response.ok) return response;
  return await read(response, `${body === undefined ? "GET" : "POST"} /api/v1/${path}`);
}

/** Throws if a value has another version than the one that the reader saw: somebody saved it meanwhile. */
export async function refuseChanged(path: string, version: number): Promise<void> {
  const { version: now } = await api(path);
  if (now === version) return;
  throw new ApiError(`PUT /api/v1/${path}`, {
    status: 409,
    body: {
      code: "changed_meanwhile",
      detail: `Version ${now} was saved meanwhile: reload to see it. Your text stays.`,
    },
  });
}

/** Tries a token: begins a session, or throws {@link ApiError}. */
export async function signIn(token: string): Promise<void> {
  const response = await send("admin/about", { method: "GET", token });
  const who = await read(response, "GET /api/v1/admin/about") as About;
  enter(token, who);
}

/** Whether the server is ready, and if not, why. */
export async function readiness(): Promise<{ isReady: boolean; code: string; detail: string }> {
  try {
    const response = await fetch(`${BASE}/readyz`, { cache: "no-store" });
    if (response.ok) return { isReady: true, code: "ready", detail: "" };
    const { code = `status ${response.status}`, detail = "" } = await response.json().catch(() => ({}));
    return { isReady: false, code, detail };
  } catch {
    return { isReady: false, code: "unreachable", detail: "The server cannot be reached." };
  }
}

async function send(
  path: string,
  { method, body, signal, token = currentToken() }: ApiRequest & { token?: string | undefined },
): Promise<Response> {
  try {
    return await fetch(apiUrl(path), {
      method: method ?? "GET",
      headers: {
        ...token !== undefined && { authorization: `Bearer ${token}` },
        ...body !== undefined && { "content-type": "application/json" },
      },
      cache: "no-store",
      ...body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) },
      ...signal && { signal },
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(`${method} /api/v1/${path}`, { status: 0, body: null });
  }
}

async function read(response: Response, asked: string): Promise<Json> {
  const text = await response.text();
  const isJson = /\bjson\b/.test(response.headers.get("content-type") ?? "");
  const body = isJson && text !== "" ? parseJson(text) : null;
  if (response.ok) return body;
  throw new ApiError(asked, {
    status: response.status,
    body,
    retryAfter: response.headers.get("retry-after"),
  });
}

/** Resolves when a session has begun again. */
function signedIn(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = sessionState.subscribe((state) => {
      if (state === "locked") return;
      queueMicrotask(() => end());
      if (state === "in" && about.value !== undefined) resolve();
      else reject(new DOMException("signed out", "AbortError"));
    });
    signal?.addEventListener("abort", () => reject(signal.reason));
  });
}
