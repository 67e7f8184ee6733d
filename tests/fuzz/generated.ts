/**
 * Requests made at random from the zod schemas: mostly as they should be, some with a member that should not be as it is,
 * some broken as text. One seed makes the same requests again.
 */
import fc from "fast-check";
import { z } from "zod";
import { EVENT_TYPES, eventSchema } from "../../domain/event/event.ts";
import { keyPatchSchema, newKeySchema } from "../../routes/admin/write_keys.ts";
import { BATCH_PATH, EVENT_PATH } from "../../routes/http/paths.ts";
import { ADMIN_TOKEN, WRITE_KEY } from "../process/server.ts";
import type { Ask } from "./answers.ts";

/** What a JSON Schema says that is made use of here. */
interface Shape {
  type?: string;
  const?: unknown;
  enum?: unknown[];
  anyOf?: Shape[];
  oneOf?: Shape[];
  properties?: Record<string, Shape>;
  required?: string[];
  items?: Shape;
  minLength?: number;
  maxLength?: number;
}

/** Strings that have broken programs. */
export const HOSTILE_TEXT = [
  "",
  ".",
  "..",
  "/",
  "../../etc/passwd",
  "%2e%2e%2f",
  "%00",
  "\0",
  "a\0b",
  "\r\nX-Injected: 1\r\n\r\n",
  "\u001b[2J",
  "\u2028\u2029",
  "\ufeff",
  "\ufffd",
  "\ufffe\uffff",
  "\ud800",
  "\udc00\ud800",
  "👩‍👩‍👧‍👦",
  "e\u0301",
  "\u202eabc",
  "İıſK",
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "hasOwnProperty",
  "then",
  "undefined",
  "null",
  "NaN",
  "0",
  "-1",
  "00000000-0000-0000-0000-000000000000",
  "#" + "0".repeat(64),
  "user/u1",
  "anonymous",
  "' OR 1=1 --",
  "<script>alert(1)</script>",
  "${7*7}",
  "x".repeat(255),
  "x".repeat(256),
  "x".repeat(257),
  "\u{1f600}".repeat(256),
  "2025-03-15T14:30:00Z",
  "9999-12-31T23:59:59.999Z",
  "-000001-01-01T00:00:00Z",
] as const;

const hostileNumber = fc.constantFrom(0, -0, 1e308, -1e308, 5e-324, 2 ** 53, -(2 ** 53) - 2, 1e21, 0.1, NaN);
const ordinaryText = fc.stringMatching(/^[a-z]{1,6}_[0-9]{1,3}$/);
const anyText = fc.oneof(
  { weight: 5, arbitrary: ordinaryText },
  { weight: 2, arbitrary: fc.constantFrom(...HOSTILE_TEXT) },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 40 }) },
);
const anyTime = fc.oneof(
  fc.date({ noInvalidDate: true, min: new Date(0), max: new Date("2030-01-01") }).map((date) =>
    date.toISOString()
  ),
  fc.constantFrom("2025-03-15", "2025-03-15T10:00+02:00", "2025-02-30", "yesterday", "1742000000"),
);
/** Any JSON value, with hostile keys and values, not deep. */
const anyValue: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small", maxDepth: 4 },
    anyText,
    fc.oneof(hostileNumber, fc.integer(), fc.double()),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(anyText, tie("value"), { maxKeys: 4 }),
  ),
})).value;
const anyMap = fc.dictionary(anyText, anyValue, { maxKeys: 6 });

/** Values of a schema. `name` is that of the member, as a schema does not say of a string that it is a time. */
function valuesOf(shape: Shape, name = ""): fc.Arbitrary<unknown> {
  if (shape.const !== undefined) return fc.constant(shape.const);
  if (shape.enum !== undefined) return fc.constantFrom(...shape.enum);
  const either = shape.anyOf ?? shape.oneOf;
  if (either !== undefined) return fc.oneof(...either.map((each) => valuesOf(each, name)));
  switch (shape.type) {
    case "string":
      return /timestamp|At$/i.test(name) ? anyTime : anyText;
    case "number":
    case "integer":
      return fc.oneof(fc.integer(), hostileNumber);
    case "boolean":
      return fc.boolean();
    case "null":
      return fc.constant(null);
    case "array":
      return fc.array(valuesOf(shape.items ?? {}), { maxLength: 7 });
    case "object":
      return shape.properties === undefined ? anyMap : membersOf(shape);
    default:
      return anyValue;
  }
}

function membersOf({ properties = {}, required = [] }: Shape): fc.Arbitrary<Record<string, unknown>> {
  const members = Object.entries(properties).map(([name, shape]) => {
    const value = valuesOf(shape, name);
    const isRare = !required.includes(name) && !/^(userId|anonymousId|groupId)$/.test(name);
    const presence = fc.option(value, { nil: undefined, freq: isRare ? 1 : 6 });
    return [name, required.includes(name) ? value : presence] as const;
  });
  const known = fc.record(Object.fromEntries(members));
  const more = fc.option(anyMap, { freq: 1, nil: {} });
  return fc.tuple(known, more).map(([some, others]) => ({ ...others, ...some }));
}

const shapeOf = (schema: z.ZodType) =>
  z.toJSONSchema(schema, { unrepresentable: "any", io: "input" }) as Shape;

/** Takes the place of one member with anything, or takes it away. */
function spoiled(value: unknown, at: number, by: unknown): unknown {
  if (typeof value !== "object" || value === null) return by;
  const names = Object.keys(value);
  const name = names[at % (names.length + 1)];
  if (name === undefined) return by;
  return { ...value, [name]: at % 3 === 0 ? undefined : by };
}

const mostlySpared = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<unknown> =>
  fc.oneof(
    { weight: 4, arbitrary: values },
    {
      weight: 1,
      arbitrary: fc.tuple(values, fc.nat(30), anyValue).map(([value, at, by]) => spoiled(value, at, by)),
    },
  );

const event = mostlySpared(valuesOf(shapeOf(eventSchema)));
const batch = mostlySpared(
  fc.record({
    batch: fc.array(event, { minLength: 1, maxLength: 12 }),
    context: fc.option(anyMap, { nil: undefined }),
    integrations: fc.option(anyMap, { nil: undefined }),
    sentAt: fc.option(anyTime, { nil: undefined }),
  }),
);

/** JSON as text, one in some broken in a way that no value can be. */
const asText = (values: fc.Arbitrary<unknown>): fc.Arbitrary<string> =>
  fc.tuple(values, fc.nat(99), fc.nat(1000)).map(([value, how, at]) => {
    const text = JSON.stringify(value) ?? "";
    const place = at % (text.length + 1);
    if (how < 90) return text;
    if (how < 92) return text.slice(0, place);
    if (how < 94) return text.slice(0, place) + "\0" + text.slice(place);
    if (how < 96) return text.replace(/:\d+/, ":1e999");
    if (how < 98) {
      return text.replace("{", '{"userId":"first","userId":"second","__proto__":{"userId":"third"},');
    }
    return text.replace(/^/, "\ufeff");
  });

const basic = (key: string) => ({ authorization: `Basic ${btoa(`${key}:`)}` });
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

const sending: fc.Arbitrary<Ask> = fc.constantFrom(EVENT_PATH, BATCH_PATH).chain((path) =>
  asText(path.endsWith("/batch") ? batch : event).map((body) => ({
    method: "POST",
    path,
    headers: basic(WRITE_KEY),
    body,
  }))
);

const cursor = fc.oneof(
  fc.array(fc.oneof(anyValue, fc.integer(), fc.constantFrom("asc", "desc", "user", "anonymous")), {
    maxLength: 5,
  }),
  fc.tuple(fc.maxSafeInteger(), fc.maxSafeInteger(), fc.maxSafeInteger(), fc.constantFrom("asc", "desc")),
  fc.tuple(fc.constantFrom("user", "anonymous"), anyText),
).map((value) =>
  new TextEncoder().encode(JSON.stringify(value)).toBase64({ alphabet: "base64url", omitPadding: true })
);

/** In a query or a path, well-formed or as it is. */
const encoded = (text: string) => text.isWellFormed() ? encodeURIComponent(text) : "%ed%a0%80";
const queryValue: Record<string, fc.Arbitrary<string>> = {
  limit: fc.oneof(fc.integer({ min: -1, max: 600 }).map(String), anyText),
  cursor: fc.oneof(cursor, anyText),
  order: fc.oneof(fc.constantFrom("asc", "desc"), anyText),
  type: fc.oneof(fc.constantFrom(...EVENT_TYPES), anyText),
  event: anyText,
  at: fc.oneof(anyTime, anyText),
  asOf: anyTime,
};
const query = fc.subarray(Object.keys(queryValue), { maxLength: 3 }).chain((names) =>
  fc.tuple(...names.map((name) => queryValue[name]!.map((value) => `${name}=${encoded(value)}`)))
).map((values) => values.length === 0 ? "" : `?${values.join("&")}`);

const reading: fc.Arbitrary<Ask> = fc.tuple(
  fc.constantFrom("users", "anonymous", "groups"),
  anyText,
  fc.constantFrom("", "/events", "/members", "/"),
  query,
  fc.constantFrom("GET", "GET", "GET", "HEAD"),
).map(([kind, id, more, values, method]) => ({
  method,
  path: `/api/v1/${kind}/${encoded(id)}${more}${values}`,
  headers: bearer(ADMIN_TOKEN),
}));

const administration: fc.Arbitrary<Ask> = fc.oneof(
  asText(mostlySpared(valuesOf(shapeOf(newKeySchema)))).map((body) => ({ method: "POST", body, id: "" })),
  fc.tuple(asText(mostlySpared(valuesOf(shapeOf(keyPatchSchema)))), anyText)
    .map(([body, id]) => ({ method: "PATCH", body, id })),
  anyText.map((id) => ({ method: "DELETE", id })),
  fc.constant({ method: "GET", id: "" }),
).map(({ id, ...rest }) => ({
  ...rest,
  path: `/api/v1/admin/keys${id === "" ? "" : `/${encoded(id)}`}`,
  headers: bearer(ADMIN_TOKEN),
}));

/** Visible and other Latin-1, but for what a header can't hold at all. */
const headerText = fc.string({
  unit: fc.integer({ min: 32, max: 255 }).map((code) => String.fromCharCode(code)),
})
  .map((text) => text.replaceAll("\x7f", "").trim());
const anywhere: fc.Arbitrary<Ask> = fc.tuple(
  fc.constantFrom("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"),
  fc.oneof(
    fc.array(anyText, { maxLength: 6 }).map((parts) => `/${parts.map(encoded).join("/")}`),
    fc.constantFrom(
      "/healthz",
      "/readyz",
      "/api/v1/admin/stats",
      "/api/v1/admin/keys",
      EVENT_PATH,
      BATCH_PATH,
    ),
  ),
  fc.record({
    "authorization": fc.oneof(headerText, headerText.map((text) => `Basic ${btoa(text)}`)),
    "x-write-key": headerText,
    "content-encoding": fc.constantFrom("gzip", "br", "", "identity", "gzip, gzip"),
    "access-control-request-headers": headerText,
    "origin": headerText,
  }, { requiredKeys: [] }),
  fc.oneof(fc.uint8Array({ maxLength: 200 }).map((bytes) => new Uint8Array(bytes)), asText(event)),
).map(([method, path, headers, body]) => ({ method, path, headers, ...method !== "GET" && { body } }));

const request: fc.Arbitrary<Ask> = fc.oneof(
  { weight: 12, arbitrary: sending },
  { weight: 4, arbitrary: reading },
  { weight: 1, arbitrary: administration },
  { weight: 3, arbitrary: anywhere },
);

/** Requests made at once. */
const MADE_AT_ONCE = 250;

/** So many requests of a seed, one after another. */
export function* generated(seed: number, count: number): Generator<Ask> {
  for (let made = 0; made < count; made += MADE_AT_ONCE) {
    const numRuns = Math.min(MADE_AT_ONCE, count - made);
    yield* fc.sample(request, { seed: (seed + made) | 0, numRuns });
  }
}
