/**
 * An operation of the OpenAPI document: an entry in a table next to the routes, made of the schemas that the routes
 * use. What all routes of a kind share (credentials, refusals, path parameters) is added here.
 */
import { z } from "zod";
import type {
  ZodOpenApiHeadersObject,
  ZodOpenApiOperationObject,
  ZodOpenApiResponseObject,
} from "zod-openapi";
import type { Right } from "../auth/authentication.ts";
import { pathParameters } from "./parameters.ts";
import { type Refusal, refusalResponse, REFUSALS } from "./refusals.ts";
import { SECURITY } from "./security.ts";

/** An answer that is no refusal. */
export interface Answer {
  description: string;
  /** Absent if the answer has no body. */
  schema?: z.ZodType;
  /** Default: `application/json`. */
  contentType?: string;
  /** Further types that the same answer can have. */
  alsoTypes?: readonly string[];
  headers?: ZodOpenApiHeadersObject;
  /** A real one: the tests compare it with the schema, and with the server's answer. */
  example?: unknown;
}

/** A body that a route takes, always as JSON. */
export interface Body {
  schema: z.ZodType;
  /** Whether it may be left out. */
  optional?: true;
  /** Successful requests, by their subject; the tests send them, in the document's order. */
  examples: Record<string, unknown>;
}

/** One route. */
export interface Operation {
  /** In a few words. */
  summary: string;
  description?: string;
  /** The required right; `open` needs no credential. */
  right: Right | "open";
  /** Accepted credentials, if they differ from those of the right. */
  security?: readonly Record<string, string[]>[];
  query?: z.ZodObject;
  body?: Body;
  /** By status. */
  answers: Readonly<Record<number, Answer>>;
  /** Its refusals, in addition to those of all operations and of its right. */
  refusals?: readonly Refusal[];
}

/** A method and a path with its parameters in braces. */
export type Route = `${"GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS"} /${string}`;

/** Routes that are shown together. */
export interface Group {
  name: string;
  description: string;
  operations: Readonly<Record<Route, Operation>>;
  /** Names that only texts refer to. */
  schemas?: Readonly<Record<string, z.ZodType>>;
}

/** The refusals of any request. */
const OF_ALL: readonly Refusal[] = ["InternalError", "Unavailable"];

/** The refusals of a request that needs a credential. */
const OF_RIGHT: Record<Right | "open", readonly Refusal[]> = {
  open: [],
  send: ["UnknownSender", "ForbiddenSender", "TooManyFailures", "NotAcknowledged"],
  read: ["UnknownQuery", "UnknownReader", "Forbidden", "TooManyFailures"],
  admin: ["UnknownQuery", "UnknownReader", "Forbidden", "TooManyFailures"],
};

/**
 * The refusals of an operation, one per status: its own come before the common ones, and every request can have an
 * invalid host.
 */
export function refusalsOf({ right, refusals = [] }: Operation): readonly Refusal[] {
  const byStatus = new Map<number, Refusal>();
  for (const name of ["BadRequest", ...OF_ALL, ...OF_RIGHT[right], ...refusals] as const) {
    byStatus.set(REFUSALS[name].status, name);
  }
  return [...byStatus].toSorted(([a], [b]) => a - b).map(([, name]) => name);
}

/** An operation as `zod-openapi` takes it. Its id is made of its route: `getApiV1UsersUserId`. */
export function operationObject(
  route: string,
  { operation, tag }: { operation: Operation; tag: string },
): ZodOpenApiOperationObject {
  const { summary, description, right, query, body, answers } = operation;
  const path = pathParameters(route);
  const responses: Record<string, ZodOpenApiResponseObject> = {};
  for (const [status, answer] of Object.entries(answers)) responses[status] = responseOf(answer);
  for (const name of refusalsOf(operation)) responses[REFUSALS[name].status] = refusalResponse(name);
  return {
    operationId: idOf(route),
    tags: [tag],
    summary,
    ...description !== undefined && { description },
    security: [...operation.security ?? SECURITY[right]],
    ...(query !== undefined || path !== undefined) && {
      requestParams: { ...path && { path }, ...query && { query } },
    },
    ...body && {
      requestBody: {
        required: !body.optional,
        content: { "application/json": { schema: body.schema, examples: examplesOf(body.examples) } },
      },
    },
    responses,
  };
}

function responseOf(answer: Answer): ZodOpenApiResponseObject {
  const { description, schema, contentType = "application/json", alsoTypes = [], headers, example } = answer;
  const head = { description, ...headers && { headers } };
  if (schema === undefined) return head;
  const others = alsoTypes.map((type) => [type, { schema }]);
  return {
    ...head,
    content: {
      [contentType]: { schema, ...example !== undefined && { example } },
      ...Object.fromEntries(others),
    },
  };
}

/** A query with descriptions of its values. */
export function described<Shape extends z.ZodRawShape>(
  query: z.ZodObject<Shape>,
  words: Partial<Record<keyof Shape, string>>,
): z.ZodObject {
  return z.object(
    Object.fromEntries(
      Object.entries(query.shape).map(([name, schema]) => {
        const description = words[name];
        return [name, description === undefined ? schema : (schema as z.ZodType).meta({ description })];
      }),
    ),
  );
}

function examplesOf(examples: Body["examples"]): Record<string, { summary: string; value: unknown }> {
  return Object.fromEntries(
    Object.entries(examples).map(([summary, value]) => [summary.replaceAll(/\W+/g, "_"), { summary, value }]),
  );
}

/** `GET /api/v1/users/{userId}` as one word: `getApiV1UsersUserId`. */
function idOf(route: string): string {
  const [method = "", ...words] = route.match(/\w+/g) ?? [];
  return method.toLowerCase() + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join("");
}
