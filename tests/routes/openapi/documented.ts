/**
 * Answers held against the OpenAPI document: the status of each must be one that its operation names, its headers and
 * its body as the document says, by a validator of JSON Schema 2020-12.
 */
import { ok, strictEqual } from "node:assert";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { openApiDocument } from "../../../routes/openapi/document.ts";
import { isSendingPath } from "../../../routes/http/paths.ts";

/** A parsed OpenAPI document, as far as tests look at it. */
export interface Document {
  openapi: string;
  info: { version: string };
  servers: { url: string }[];
  tags: { name: string }[];
  paths: Record<string, Record<string, OperationObject>>;
  components: { responses: Record<string, ResponseObject>; schemas: Record<string, unknown> };
}

/** An operation of it. */
export interface OperationObject {
  operationId: string;
  tags: string[];
  summary: string;
  security: Record<string, string[]>[];
  parameters?: { in: string; name: string; example?: string }[];
  requestBody?: {
    content: Record<string, { examples: Record<string, { summary: string; value: unknown }> }>;
  };
  responses: Record<string, ResponseObject | { $ref: string }>;
}

interface ResponseObject {
  headers?: Record<string, { required?: boolean }>;
  content?: Record<string, { schema: unknown; example?: unknown }>;
}

/** The document as a reader gets it. */
export const DOCUMENT: Document = JSON.parse(JSON.stringify(openApiDocument({})));

const ajv = new Ajv2020({ strict: false, allErrors: true, validateSchema: false, validateFormats: false });
ajv.addSchema(DOCUMENT, "openapi");
const validators = new Map<string, ValidateFunction>();

/** What is wrong with a value by the schema at a place of the document, a JSON pointer; nothing where it fits. */
export function misfit(pointer: string, value: unknown): string | undefined {
  let validate = validators.get(pointer);
  if (validate === undefined) {
    validators.set(pointer, validate = ajv.compile({ $ref: `openapi#${encodeURI(pointer)}` }));
  }
  return validate(value) ? undefined : ajv.errorsText(validate.errors);
}

/** A JSON pointer (RFC 6901) of names. */
export function pointerOf(...names: string[]): string {
  return names.map((name) => `/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}

/** Paths without parameters first, as they outrank those with some. */
const templates = Object.keys(DOCUMENT.paths).toSorted((a, b) =>
  Number(a.includes("{")) - Number(b.includes("{"))
).map((path) => ({
  path,
  pattern: RegExp(`^${path.replaceAll(".", "\\.").replaceAll(/\{\w+\}/g, "[^/]+")}$`),
}));

/** The documented path that a request's is one of, and has its method. */
function templateOf(method: string, url: string): string | undefined {
  const path = new URL(url, "http://localhost").pathname;
  // Only a path that takes events has other names.
  const tolerated = path.replace(/^\/+/, "/").replace(/(?<=.)\/$/, "");
  const single = isSendingPath(tolerated) ? tolerated : path;
  const named = templates.filter(({ path }) => method in DOCUMENT.paths[path]!);
  return (named.find(({ pattern }) => pattern.test(path)) ??
    named.find(({ pattern }) => pattern.test(single)))
    ?.path;
}

/** An answer, its body as text; a stream's is empty here, as it has no end. */
export interface Answered {
  status: number;
  headers: Headers;
  text: string;
}

/** Throws where an answer is not as the document says. Gives the operation, as `GET /path`, where there is one. */
export function assertDocumented(method: string, url: string, answer: Answered): string | undefined {
  const { status, headers, text } = answer;
  const what = `${method} ${url}: ${status} ${text.slice(0, 500)}`;
  const key = method === "HEAD" ? "get" : method.toLowerCase();
  const path = templateOf(key, url);
  const operation = path === undefined ? undefined : DOCUMENT.paths[path]![key];
  if (operation === undefined) {
    // Nothing is there, or not by this method: or it was not looked at.
    if (method === "HEAD") return undefined;
    ok([400, 404, 405, 503].includes(status), `no operation is documented: ${what}`);
    strictEqual(misfit(pointerOf("components", "schemas", "Problem"), JSON.parse(text)), undefined, what);
    strictEqual(headers.has("allow"), status === 405, what);
    return undefined;
  }
  const found = operation.responses[status];
  ok(found !== undefined, `the status is not documented: ${what}`);
  const isShared = "$ref" in found;
  const response = isShared ? DOCUMENT.components.responses[found.$ref.split("/").at(-1)!]! : found;
  const pointer = isShared
    ? found.$ref.slice(1)
    : pointerOf("paths", path!, key, "responses", String(status));
  for (const [name, { required }] of Object.entries(response.headers ?? {})) {
    if (required) ok(headers.has(name), `${name} is missing: ${what}`);
  }
  const route = `${key.toUpperCase()} ${path}`;
  if (response.content === undefined || method === "HEAD") {
    strictEqual(text, "", what);
    return route;
  }
  const type = headers.get("content-type")?.split(";")[0] ?? "";
  ok(type in response.content, `${type} is not documented: ${what}`);
  const body = /[/+]json$/.test(type) ? JSON.parse(text) : text;
  const wrong = misfit(pointer + pointerOf("content", type, "schema"), body);
  ok(wrong === undefined, `${wrong}: ${what}`);
  return route;
}
