/**
 * The sender of a request and their rights: HTTP Basic (RFC 7617) with the write key as user name and an empty
 * password, Bearer (RFC 6750), `X-Write-Key`, or `writeKey` in the body, which a credential in a header outranks.
 */
import { hash, timingSafeEqual } from "node:crypto";
import { Buffer } from "node:buffer";
import type { System } from "../../actors/system.ts";
import type { EventType } from "../../domain/event/event.ts";
import type { RateLimit } from "../../domain/limits/token_bucket.ts";
import { createAuthenticationLimit } from "./authentication_limit.ts";
import type { Problem } from "../http/problem.ts";
import { DEFAULT_KEY_ID } from "../../actors/governance/key_use.ts";
import type { WriteKey } from "../../actors/governance/stored_key.ts";

/** The right that a route requires. */
export type Right = "send" | "read" | "admin";

/** The owner of a valid and enabled credential. */
export interface Caller {
  rights: readonly Right[];
  /** The id that is stored with this caller's events. */
  writeKeyId: string;
  /** The name of an administrator's token. */
  name?: string;
  /** Types that it may send; absent means all. */
  allowedTypes?: readonly EventType[];
  /** What it may send; absent means no limit. */
  rateLimit?: RateLimit;
}

/** An admin token with the name that changes are attributed to. */
export interface NamedToken {
  name: string;
  token: string;
}

/** The secrets of the environment. */
export interface Secrets {
  adminToken?: string;
  /** More admin tokens, by the names of their owners. */
  adminTokens?: readonly NamedToken[];
  readToken?: string;
  writeKey?: string;
  /** Wrong credentials a minute from one address before it is answered 429; 0 is no limit. */
  authFailuresPerMinute: number;
}

/** The id that is stored with an administrator's events in place of a write key's. */
export const ADMIN_KEY_ID = "admin";

/** Longest credential that is checked: far above any key or token, and cheap to digest. */
const MAX_CREDENTIAL_LENGTH = 1024;

/** Headers whose digests are kept, so that a busy sender is digested once; only valid ones get in. */
export const MAX_KNOWN_HEADERS = 1000;
export const MAX_KNOWN_HEADER_LENGTH = 2 * MAX_CREDENTIAL_LENGTH;

const MAY_ALL: readonly Right[] = ["send", "read", "admin"];
const MAY_READ: readonly Right[] = ["read"];
const MAY_SEND: readonly Right[] = ["send"];

/** Finds callers by their credentials. */
export interface Authentication {
  /**
   * The caller of the credential in the headers: `undefined` if there is none, `null` if it is invalid. Synchronous for
   * a credential that was valid before.
   */
  byHeaders(headers: Headers): Caller | null | undefined | Promise<Caller | null>;
  /** The caller of `writeKey` in a body: `undefined` if it is absent, `null` if it is invalid. */
  byBody(body: unknown): Caller | null | undefined | Promise<Caller | null>;
  /** The caller of a write key in a path or a query; `null` if it is invalid. */
  byKey(writeKey: string): Caller | null | Promise<Caller | null>;
  /** The caller with the id of a write key; `null` if the key is deleted or disabled. */
  byId(writeKeyId: string): Promise<Caller | null>;
  /**
   * The refusal if the caller does not have the right. `address`, the peer's, is called only if a credential is
   * invalid.
   */
  refuse(caller: Caller | null | undefined, right: Right, address: () => string): Problem | undefined;
  /** How many headers are remembered. */
  size(): number;
}

/** What the functions of an authentication share. */
interface State {
  writeKeys: System["writeKeys"];
  tokens: { digest: Buffer; caller: Caller }[];
  /** The digest of the write key of the environment. */
  given: Buffer | undefined;
  givenCaller: Caller;
  known: Map<string, string | Caller>;
}

/** Creates the authentication for the secrets of the environment and the stored write keys. */
export function createAuthentication(
  secrets: Secrets,
  writeKeys: System["writeKeys"],
  now: () => number,
): Authentication {
  const limit = createAuthenticationLimit(secrets.authFailuresPerMinute, now);
  const { adminToken, adminTokens = [] } = secrets;
  const named = [
    ...adminToken === undefined ? [] : [{ name: ADMIN_KEY_ID, token: adminToken }],
    ...adminTokens,
  ];
  const tokens: State["tokens"] = named.map(({ name, token }) => ({
    digest: digestOf(token),
    caller: { rights: MAY_ALL, writeKeyId: ADMIN_KEY_ID, name },
  }));
  if (secrets.readToken !== undefined) {
    tokens.push({ digest: digestOf(secrets.readToken), caller: { rights: MAY_READ, writeKeyId: "" } });
  }
  const given = secrets.writeKey === undefined ? undefined : digestOf(secrets.writeKey);
  const givenCaller: Caller = { rights: MAY_SEND, writeKeyId: DEFAULT_KEY_ID };
  /** Valid header values: a token's caller, or the digest of a write key, which is looked up each time. */
  const known = new Map<string, Caller | string>();
  const state: State = {
    writeKeys,
    tokens,
    given,
    givenCaller,
    known,
  };
  return {
    byHeaders(headers) {
      const authorization = headers.get("authorization");
      const key = authorization === null ? headers.get("x-write-key") : null;
      // No scheme has a colon in its name (RFC 9110, section 11.1), so the two cannot be confused.
      const header = authorization ?? (key === null ? undefined : `:${key}`);
      if (header === undefined || header === "" || header === ":") return undefined;

      const identity = known.get(header);
      if (typeof identity === "string") return find(state, identity);
      if (identity !== undefined) return identity;
      if (authorization === null) return lookUp(state, header, key, false);

      const bearer = /^bearer +(\S+) *$/i.exec(authorization);
      if (bearer !== null) return lookUp(state, header, bearer[1]!, true);
      const basic = readBasic(authorization);
      return basic === undefined ? undefined : lookUp(state, header, basic, false);
    },

    byBody(body) {
      if (typeof body !== "object" || body === null || !Object.hasOwn(body, "writeKey")) return undefined;
      const { writeKey } = body as { writeKey?: unknown };
      if (writeKey === null || writeKey === "") return undefined;
      return typeof writeKey === "string" ? byKey(state, writeKey) : null;
    },

    byKey: (writeKey) => byKey(state, writeKey),

    async byId(writeKeyId) {
      if (writeKeyId === ADMIN_KEY_ID) return { rights: MAY_ALL, writeKeyId };
      if (writeKeyId === DEFAULT_KEY_ID) return given === undefined ? null : givenCaller;
      return callerOf((await writeKeys.list()).find(({ id }) => id === writeKeyId));
    },

    refuse(caller, right, address) {
      if (caller?.rights.includes(right)) return undefined;
      if (caller) return right === "send" ? MAY_NOT_SEND : MAY_NOT_READ;
      const retryAfterS = caller === null ? limit.fail(address()) : undefined;
      if (retryAfterS !== undefined) return { ...TOO_MANY_FAILURES, retryAfterS };
      return right === "send" ? UNKNOWN_SENDER : UNKNOWN_READER;
    },

    size: () => known.size,
  };
}

function find(state: State, digestHex: string): Caller | null | Promise<Caller | null> {
  const found = state.writeKeys.find(digestHex);
  return found instanceof Promise ? found.then(callerOf) : callerOf(found);
}

/** The caller or the digest of a stored key; all comparisons are made, whichever of them is equal. */
function identify(state: State, secret: string, mayBeToken: boolean): Caller | string {
  const digest = digestOf(secret);
  let caller: Caller | undefined;
  for (const token of mayBeToken ? state.tokens : []) {
    if (timingSafeEqual(digest, token.digest)) caller = token.caller;
  }
  if (state.given !== undefined && timingSafeEqual(digest, state.given)) caller = state.givenCaller;
  return caller ?? digest.toString("hex");
}

function keep(state: State, header: string, identity: Caller | string): void {
  // With blanks a valid header can be as long as the runtime allows: a thousand of these would be hundreds of MB.
  if (header.length > MAX_KNOWN_HEADER_LENGTH) return;
  if (state.known.size >= MAX_KNOWN_HEADERS) state.known.delete(state.known.keys().next().value!);
  state.known.set(header, identity);
}

function lookUp(
  state: State,
  header: string,
  secret: string | null,
  mayBeToken: boolean,
): Caller | null | Promise<Caller | null> {
  if (secret === null || secret === "" || secret.length > MAX_CREDENTIAL_LENGTH) return null;
  const identity = identify(state, secret, mayBeToken);
  if (typeof identity !== "string") {
    keep(state, header, identity);
    return identity;
  }
  const found = find(state, identity);
  const learn = (caller: Caller | null) => {
    if (caller !== null) keep(state, header, identity);
    return caller;
  };
  return found instanceof Promise ? found.then(learn) : learn(found);
}

function byKey(state: State, writeKey: string): Caller | null | Promise<Caller | null> {
  if (writeKey.length > MAX_CREDENTIAL_LENGTH) return null;
  const identity = identify(state, writeKey, false);
  return typeof identity === "string" ? find(state, identity) : identity;
}

/** One refusal for missing, unknown and disabled credentials, so that it does not reveal which. */
const UNKNOWN_SENDER: Problem = {
  reason: "unauthorized",
  code: "unauthorized",
  detail:
    "A valid write key is required: as HTTP Basic user name with an empty password, as Bearer token, in X-Write-Key, " +
    "or as writeKey in the body.",
  headers: { "www-authenticate": 'Basic realm="signalfold", charset="UTF-8"' },
};
/** Not Basic: a browser that opens a page of this origin would ask its user for a name and a password. */
const UNKNOWN_READER: Problem = {
  reason: "unauthorized",
  code: "unauthorized",
  detail: "A valid token is required, as Authorization: Bearer.",
  headers: { "www-authenticate": 'Bearer realm="signalfold"' },
};
const MAY_NOT_SEND: Problem = {
  reason: "forbidden",
  code: "forbidden",
  detail: "This credential cannot send events; use a write key.",
};
const MAY_NOT_READ: Problem = {
  reason: "forbidden",
  code: "forbidden",
  detail: "This credential is not authorized for this operation.",
};
const TOO_MANY_FAILURES: Problem = {
  reason: "rate_limited",
  code: "too_many_failures",
  detail: "Too many failed authentication attempts from this address. Valid credentials are still accepted.",
};

function digestOf(secret: string): Buffer {
  return hash("sha256", secret, "buffer");
}

function callerOf(key: WriteKey | undefined): Caller | null {
  if (key === undefined || !key.enabled) return null;
  const { id: writeKeyId, allowedTypes, rateLimit } = key;
  const caller: Caller = { rights: MAY_SEND, writeKeyId };
  if (allowedTypes !== undefined) caller.allowedTypes = allowedTypes;
  if (rateLimit !== undefined) caller.rateLimit = rateLimit;
  return caller;
}

/**
 * The user name; `null` for an invalid credential, `undefined` for an empty one: some clients send `:` if they have no
 * key. A password is refused, by the letter of the specification ("write key as username, empty password"), so that a
 * key in the wrong field is noticed.
 */
export function readBasic(authorization: string): string | null | undefined {
  const encoded = /^basic +([A-Za-z0-9+/_-]+={0,2}) *$/i.exec(authorization)?.[1];
  if (encoded === undefined || encoded.length > 2 * MAX_CREDENTIAL_LENGTH) return null;
  const text = Buffer.from(encoded, "base64").toString("utf8");
  const colon = text.indexOf(":");
  if (text === ":" || text === "") return undefined;
  // Without a colon it is not Basic to the letter; curl and others always send one, some hand-made clients forget it.
  if (colon === -1) return text;
  return colon === text.length - 1 ? text.slice(0, -1) : null;
}
