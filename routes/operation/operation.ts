/**
 * What the OpenAPI document says of one route: an entry in a table beside the routes, made of the schemas that the
 * routes check by. What all routes of a kind share (credentials, refusals, parameters of the path) is added here.
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
  /** None where the answer has no body. */
  schema?: z.ZodType;
  /** Default: `application/json`. */
  contentType?: string;
  headers?: ZodOpenApiHeadersObject;
  /** A real one: the tests hold it against the schema, and against what the server says. */
  example?: unknown;
}

/** A body that a route takes, always as JSON. */
export interface Body {
  schema: z.ZodType;
  /** Whether it may be left out. */
  optional?: true;
  /** Requests that succeed, by what they show; the tests send them, in the document's order. */
  examples: Record<string, unknown>;
}

/** One route. */
export interface Operation {
  /** In a few words. */
  summary: string;
  description?: string;
  /** What a credential must allow; `open` asks for none. */
  right: Right | "open";
  /** Credentials that are taken, where they are not those of the right. */
  security?: readonly Record<string, string[]>[];
  query?: z.ZodObject;
  body?: Body;
  /** By status. */
  answers: Readonly<Record<number, Answer>>;
  /** Its refusals, besides those that all have and those of its right. */
  refusals?: readonly Refusal[];
}

/** A method and a path with its parameters in braces. */
export type Route = `${"GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS"} /${string}`;

/** Routes that are shown together. */
export interface Group {
  name: string;
  description: string;
  operations: Readonly<Record<Route, Operation>>;
  /** What no operation refers to, as it stands in a text. */
  schemas?: Readonly<Record<string, z.ZodType>>;
}

/** What any request can get. */
const OF_ALL: readonly Refusal[] = ["InternalError", "Unavailable"];

/** What a request gets that must show who sends it. */
const OF_RIGHT: Record<Right | "open", readonly Refusal[]> = {
  open: [],
  send: ["UnknownSender", "ForbiddenSender", "TooManyFailures", "NotAcknowledged"],
  read: ["UnknownQuery", "UnknownReader", "Forbidden", "TooManyFailures"],
  admin: ["UnknownQuery", "UnknownReader", "Forbidden", "TooManyFailures"],
};

/** The refusals of an operation, one a status: its own outrank those of all, and every request can have a bad host. */
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
  const { description, schema, contentType = "application/json", headers, example } = answer;
  const head = { description, ...headers && { headers } };
  if (schema === undefined) return head;
  return { ...head, content: { [contentType]: { schema, ...example !== undefined && { example } } } };
}

/** A query with words for its values, where the route that reads it needs none. */
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
