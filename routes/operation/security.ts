/** The kinds of credential, as the OpenAPI document names them. */
import type { ZodOpenApiComponentsObject } from "zod-openapi";
import type { Right } from "../auth/authentication.ts";

/** All ways to authenticate, except `writeKey` in the body, which OpenAPI cannot express. */
export const SECURITY_SCHEMES = {
  writeKey: {
    type: "http",
    scheme: "basic",
    description: "A write key as user name, with an empty password.",
  },
  bearer: {
    type: "http",
    scheme: "bearer",
    description: "A write key to send; a read token to read; the admin token for everything.",
  },
  writeKeyHeader: { type: "apiKey", in: "header", name: "X-Write-Key", description: "A write key." },
  writeKeyQuery: {
    type: "apiKey",
    in: "query",
    name: "writeKey",
    description: "A write key, for requests that cannot set headers.",
  },
} as const satisfies ZodOpenApiComponentsObject["securitySchemes"];

const only = (...names: (keyof typeof SECURITY_SCHEMES)[]) => names.map((name) => ({ [name]: [] }));

/** The accepted credentials for a right; `{}` is no credential in the head, since the body may have the key. */
export const SECURITY = {
  open: [],
  send: [...only("writeKey", "bearer", "writeKeyHeader"), {}],
  read: only("bearer"),
  admin: only("bearer"),
} satisfies Record<Right | "open", Record<string, string[]>[]>;

/** Of the beacon. */
export const KEY_IN_QUERY = [...only("writeKeyQuery"), ...SECURITY.send];

/** Of RudderStack's question before it sends. */
export const KEY_IN_QUERY_OR_BASIC = only("writeKey", "writeKeyQuery");

/** Of figures, which a setting opens to everybody. */
export const OPEN_OR_BEARER = [...only("bearer"), {}];
