/**
 * Every refusal, with all its codes, for the OpenAPI document. The codes of events are made from their members' names,
 * as in `domain/event/rejection.ts`; a test searches here for every other code of the product.
 */
import { z } from "zod";
import type { ZodOpenApiResponseObject } from "zod-openapi";
import { eventShapes } from "../../domain/event/event.ts";
import { NOT_SERVING_CODES } from "../../actors/store/errors.ts";
import { memberCode } from "../../domain/event/rejection.ts";
import { type Reason, STATUS_OF, TITLE_OF } from "../http/problem.ts";

const HOST = ["invalid_host"];
const BODY = [
  "broken_body",
  "empty_body",
  "invalid_gzip",
  "invalid_json",
  "invalid_utf8",
  "stalled_body",
  "unknown_encoding",
];
const BATCH = ["empty_batch", "missing_batch", "not_an_object", "too_many_events"];
const ID = ["invalid_id"];
const QUERY = ["invalid_query"];

const members = new Set(Object.values(eventShapes).flatMap(({ shape }) => Object.keys(shape)));

/** The problems of an event's form. */
const EVENT = [
  ...[...members].map(memberCode),
  "ill_formed_key",
  "invalid_number",
  "invalid_type",
  "missing_event",
  "missing_group_id",
  "missing_id",
  "missing_previous_id",
  "missing_type",
  "missing_user_id",
  "not_an_object",
  "too_deep",
  "too_many_properties",
  "too_many_traits",
];
const FORBIDDEN_EVENT = ["forbidden_type", "suppressed"];
const LARGE_EVENT = ["event_too_large"];
const CONTRACT = ["contract_violation", "no_contract"];
const NAME = ["invalid_name"];

/** The codes of every request: all {@link NOT_SERVING_CODES} except the one of erasures. */
const UNAVAILABLE = [
  "storage_unavailable",
  ...NOT_SERVING_CODES.filter((code) => code !== "erasure_under_way"),
];
const WHY_UNAVAILABLE =
  "Storage does not answer (`storage_unavailable`), the server is overloaded (`overloaded`), settling is behind " +
  "(`settling`) or fails (`settling_fails`), an audience is being built (`building`), other processes kept winning the race to write (`contention`), the server's " +
  "clock jumped (`clock_moved`), or the server is stopping (`stopping`).";

/** Every code of an event in a batch. */
export const EVENT_ERROR_CODES = [...EVENT, ...FORBIDDEN_EVENT, ...LARGE_EVENT, ...CONTRACT].toSorted();

interface Described {
  reason: Reason;
  description: string;
  codes: readonly string[];
}

const refusal = (reason: Reason, description: string, codes: readonly string[]) => ({
  reason,
  status: STATUS_OF[reason],
  description,
  codes: [...new Set(codes)].toSorted(),
});

/** By the names that they have in the document. */
export const REFUSALS = {
  BadRequest: refusal("invalid", "Invalid Host header.", HOST),
  UnknownQuery: refusal("invalid", "Unknown query parameter.", [
    ...HOST,
    ...QUERY,
  ]),
  BadEvent: refusal("invalid", "The body is not a valid event.", [...HOST, ...BODY, ...EVENT]),
  BadBatch: refusal(
    "invalid",
    "The body is not a batch. (Invalid events in a batch are reported in `errors` of a 200.)",
    [
      ...HOST,
      ...BODY,
      ...BATCH,
    ],
  ),
  BadBeacon: refusal("invalid", "The body is not a batch, or the query is invalid.", [
    ...HOST,
    ...BODY,
    ...BATCH,
    ...QUERY,
  ]),
  BadQuery: refusal("invalid", "Invalid value in the path or query.", [
    ...HOST,
    ...ID,
    ...QUERY,
  ]),
  BadBody: refusal("invalid", "Invalid body.", [
    ...HOST,
    ...QUERY,
    ...BODY,
    "invalid_body",
  ]),
  BadKey: refusal("invalid", "Invalid body, or the key cannot be created or changed.", [
    ...HOST,
    ...QUERY,
    ...BODY,
    "invalid_body",
    "ambiguous_name",
    "key_of_environment",
    "too_many_keys",
  ]),
  KeyOfEnvironment: refusal(
    "invalid",
    "The key is set in the server's environment and can only be changed there; or several keys have this name.",
    [
      ...HOST,
      ...QUERY,
      "ambiguous_name",
      "key_of_environment",
    ],
  ),
  BadErasure: refusal(
    "invalid",
    "Invalid id or query, or the suppression limit is reached.",
    [
      ...HOST,
      ...ID,
      ...QUERY,
      "too_many_suppressed",
    ],
  ),
  BadLive: refusal("invalid", "Invalid query value or Last-Event-ID.", [
    ...HOST,
    ...QUERY,
    "invalid_last_event_id",
  ]),
  BadName: refusal("invalid", "Invalid name in the path, or invalid query value.", [
    ...HOST,
    ...NAME,
    ...QUERY,
  ]),
  BadContract: refusal(
    "invalid",
    "Invalid name or draft, or too many contracts.",
    [
      ...HOST,
      ...QUERY,
      ...NAME,
      ...BODY,
      "invalid_body",
      "invalid_schema",
      "unknown_write_key",
      "too_many_contracts",
    ],
  ),
  BadAudience: refusal("invalid", "Invalid name or definition, or too many audiences.", [
    ...HOST,
    ...QUERY,
    ...NAME,
    ...BODY,
    "invalid_audience",
    "invalid_body",
    "too_many_audiences",
  ]),
  AudienceInUse: refusal("conflict", "Another audience uses it.", ["audience_in_use"]),
  BadTransformation: refusal("invalid", "Invalid name or draft, or too many transformations.", [
    ...HOST,
    ...QUERY,
    ...NAME,
    ...BODY,
    "invalid_body",
    "invalid_code",
    "too_many_transformations",
    "transformation_too_large",
  ]),
  FailedTests: refusal("contract", "Tests of the transformation fail. Nothing was saved.", ["tests_failed"]),
  InUse: refusal("conflict", "Destinations use it.", ["transformation_in_use"]),
  BadDestination: refusal("invalid", "Invalid name or body, a forbidden address, or too many destinations.", [
    ...HOST,
    ...QUERY,
    ...NAME,
    ...BODY,
    "forbidden_address",
    "invalid_body",
    "no_secret",
    "too_many_destinations",
    "unknown_transformation",
    "unknown_write_key",
  ]),
  BadDraft: refusal("invalid", "Invalid name, draft or query.", [
    ...HOST,
    ...NAME,
    ...BODY,
    ...QUERY,
    "invalid_body",
    "invalid_schema",
    "unknown_write_key",
  ]),
  BadResend: refusal("invalid", "The event is invalid, or was too large to be stored whole.", [
    ...HOST,
    ...QUERY,
    ...EVENT,
    "event_cut",
  ]),
  BadTestEvent: refusal("invalid", "Invalid body, unknown or disabled write key, or invalid event.", [
    ...HOST,
    ...QUERY,
    ...BODY,
    ...EVENT,
    "invalid_body",
    "unknown_write_key",
  ]),
  UnknownSender: refusal("unauthorized", "Missing, unknown or disabled write key.", [
    "unauthorized",
  ]),
  UnknownReader: refusal("unauthorized", "Missing or unknown token.", ["unauthorized"]),
  ForbiddenSender: refusal("forbidden", "The credential cannot send events, or not of this type.", [
    "forbidden",
    ...FORBIDDEN_EVENT,
  ]),
  Forbidden: refusal("forbidden", "The credential is not authorized for this operation.", ["forbidden"]),
  ForbiddenTestEvent: refusal(
    "forbidden",
    "The credential is not authorized for this operation, or the write key cannot send this event.",
    ["forbidden", ...FORBIDDEN_EVENT],
  ),
  ForbiddenResend: refusal(
    "forbidden",
    "The write key that sent the event is deleted, disabled or not authorized.",
    [
      "forbidden",
      ...FORBIDDEN_EVENT,
      "write_key_gone",
    ],
  ),
  Contract: refusal("contract", "The event violates a contract.", CONTRACT),
  NotFound: refusal("not_found", "Unknown id or name.", ["not_found"]),
  EventTooLarge: refusal("too_large", "The event or the body is too large.", [
    "batch_too_large",
    "body_too_large",
    "too_much_structure",
    ...LARGE_EVENT,
  ]),
  BatchTooLarge: refusal("too_large", "The body is too large. Send fewer events per request.", [
    "batch_too_large",
    "body_too_large",
    "too_much_structure",
  ]),
  BodyTooLarge: refusal("too_large", "The body is too large.", ["body_too_large", "too_much_structure"]),
  TooManyFailures: refusal(
    "rate_limited",
    "Too many failed authentication attempts from this address, or the body has too much structure for its size.",
    ["too_dense", "too_many_failures"],
  ),
  TooManyEvents: refusal(
    "rate_limited",
    "The write key's rate limit is exceeded; or there were too many failed authentication attempts or rejected requests " +
      "from this address (valid credentials in a header are still accepted); or the body has too much structure for its " +
      "size.",
    ["batch_over_burst", "rate_limited", "too_dense", "too_many_failures", "too_much_refused"],
  ),
  InternalError: refusal("internal", "An internal error occurred.", ["internal"]),
  TooManyListeners: refusal("unavailable", `Too many live listeners. Or: ${WHY_UNAVAILABLE}`, [
    ...UNAVAILABLE,
    "too_many_listeners",
  ]),
  SearchUnfinished: refusal(
    "unavailable",
    `The search stopped before reaching the beginning. Or: ${WHY_UNAVAILABLE}`,
    [
      ...UNAVAILABLE,
      "search_unfinished",
    ],
  ),
  ErasureGoesOn: refusal(
    "unavailable",
    `The erasure is still in progress, or too many are pending. Or: ${WHY_UNAVAILABLE}`,
    [...UNAVAILABLE, "erasure_under_way"],
  ),
  Unavailable: refusal("unavailable", WHY_UNAVAILABLE, UNAVAILABLE),
  NotAcknowledged: refusal(
    "unavailable",
    `Nothing was acknowledged; a retry with the same messageId is safe. ${WHY_UNAVAILABLE}`,
    UNAVAILABLE,
  ),
} as const satisfies Record<string, Described & { status: number }>;

/** The name of a refusal. */
export type Refusal = keyof typeof REFUSALS;

const fieldErrors = z.array(z.object({
  path: z.string().meta({
    description:
      'Dotted path from the root of the body (`""`: the whole body), or the name of a query parameter.',
  }),
  message: z.string(),
}));

/** Problem details (RFC 9457), as every refusal has them. */
export const problemSchema = z.object({
  type: z.literal("about:blank"),
  title: z.enum(TITLE_OF),
  status: z.literal(Object.values(STATUS_OF)),
  detail: z.string().meta({ description: "An explanation for people." }),
  success: z.literal(false),
  code: z.string().meta({ description: "Stable, for programs." }),
  message: z.string().optional().meta({ description: "The detail again, on paths of Segment's family." }),
  errors: fieldErrors.optional().meta({ description: "On 400 and 422: what is wrong, and where." }),
  rejected: z.array(z.looseObject({ id: z.string() })).optional().meta({
    description: "On the 404 of an event's trace: rejected events with its `messageId`, if there are any.",
  }),
  requestId: z.string().meta({ description: "As in `X-Request-Id`, and in the server's log." }),
}).meta({ id: "Problem", description: "Why a request is refused: problem details for HTTP (RFC 9457)." });

const REQUEST_ID = { "X-Request-Id": { schema: { type: "string" }, required: true } } as const;
const RETRY_AFTER = {
  "Retry-After": {
    description: "Whole seconds, at least 1.",
    schema: { type: "integer", minimum: 1 },
    required: true,
  },
} as const;
/** On every answer to a write key that has a limit (draft-ietf-httpapi-ratelimit-headers-10). */
export const RATE_LIMIT_HEADERS = {
  "RateLimit": {
    description: "What remains of the key's limit. Only for keys with a limit.",
    schema: { type: "string" },
  },
  "RateLimit-Policy": {
    description: "The key's limit. Only for keys with a limit.",
    schema: { type: "string" },
  },
} as const;
const WWW_AUTHENTICATE = { "WWW-Authenticate": { schema: { type: "string" }, required: true } } as const;

const HEADERS: Partial<Record<Reason, object>> = {
  unauthorized: WWW_AUTHENTICATE,
  rate_limited: RETRY_AFTER,
  unavailable: RETRY_AFTER,
};

/** A refusal as a response that all operations share: the same object each time, as its id requires. */
export function refusalResponse(name: Refusal): ZodOpenApiResponseObject {
  let response = responses.get(name);
  if (response === undefined) responses.set(name, response = makeResponse(name));
  return response;
}

const responses = new Map<Refusal, ZodOpenApiResponseObject>();

function makeResponse(id: Refusal): ZodOpenApiResponseObject {
  const { reason, status, description, codes } = REFUSALS[id];
  const title = TITLE_OF[reason];
  const listsErrors = reason === "invalid" || reason === "contract";
  const schema = z.intersection(
    problemSchema,
    z.looseObject({
      title: z.literal(title),
      status: z.literal(status),
      code: z.enum(codes),
      ...listsErrors && { errors: fieldErrors.min(1) },
    }),
  );
  const example = {
    type: "about:blank",
    title,
    status,
    detail: description,
    success: false,
    code: codes[0],
    ...listsErrors && { errors: [{ path: "", message: description }] },
    requestId: "01M84NYA09JNNE65BQ3GBSTT6Y",
  };
  const listed = codes.map((code) => `\`${code}\``).join(", ");
  return {
    id,
    description: `${description}\n\n\`code\`: ${listed}.`,
    headers: { ...REQUEST_ID, ...HEADERS[reason], ...id === "TooManyEvents" && RATE_LIMIT_HEADERS },
    content: { "application/problem+json": { schema, example } },
  };
}
