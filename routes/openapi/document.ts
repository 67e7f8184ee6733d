/** The OpenAPI document: all groups of operations together. */
import { createDocument, type ZodOpenApiPathsObject } from "zod-openapi";
import { admin } from "./admin.ts";
import { audienceGroup } from "./audiences.ts";
import { audit } from "./audit.ts";
import { contracts } from "./contracts.ts";
import { destinations } from "./destinations.ts";
import { erasure } from "./erasure.ts";
import { live } from "./live.ts";
import { type Group, operationObject } from "../operation/operation.ts";
import { preflights } from "./preflights.ts";
import { quarantine } from "./quarantine.ts";
import { reading } from "./reading.ts";
import { replays } from "./replays.ts";
import { SECURITY_SCHEMES } from "../operation/security.ts";
import { jitsu, segment } from "./segment.ts";
import { sending } from "./sending.ts";
import { service } from "./service.ts";
import { snippet } from "./snippet.ts";
import { stats } from "./stats.ts";
import { testEvents } from "./test_events.ts";
import { traces } from "./traces.ts";
import { transformations } from "./transformations.ts";
import { VERSION } from "../http/version.ts";

const forBrowsers = [sending, segment, jitsu, snippet];

/** All operations, in the order in which they are shown. */
export const GROUPS: readonly Group[] = [
  sending,
  reading,
  admin,
  audienceGroup,
  contracts,
  destinations,
  quarantine,
  testEvents,
  transformations,
  live,
  traces,
  stats,
  replays,
  erasure,
  audit,
  segment,
  jitsu,
  snippet,
  service,
  preflights(forBrowsers),
];

const DESCRIPTION = `
Customer events in Segment's format: stored in an append-only journal, from which profiles of users, anonymous visitors
and groups are computed.

- Bodies and answers are JSON in UTF-8; times are ISO 8601 in UTC with milliseconds.
- Refusals are problem details (RFC 9457) with a \`code\` for programs. An unsupported method answers 405 with
  \`Allow\`, an unknown path 404; every \`GET\` also works as \`HEAD\`.
- 429 and 503 say in \`Retry-After\` when to retry. Nothing was accepted, and a retry with the same \`messageId\`
  is safe: an event counts once.
`.trim();

export interface DocumentOptions {
  /** The origin that clients reach. */
  publicUrl?: string | undefined;
}

/** Makes the document: OpenAPI 3.1, whose schemas are JSON Schema 2020-12. */
export function openApiDocument({ publicUrl }: DocumentOptions): ReturnType<typeof createDocument> {
  return createDocument({
    openapi: "3.1.1",
    info: {
      title: "signalfold",
      version: VERSION,
      description: DESCRIPTION,
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: publicUrl ?? "/" }],
    tags: GROUPS.map(({ name, description }) => ({ name, description })),
    paths: pathsOf(GROUPS),
    components: {
      schemas: Object.assign({}, ...GROUPS.map(({ schemas }) => schemas)),
      securitySchemes: SECURITY_SCHEMES,
    },
  });
}

function pathsOf(groups: readonly Group[]): ZodOpenApiPathsObject {
  const paths: ZodOpenApiPathsObject = {};
  for (const { name: tag, operations } of groups) {
    for (const [route, operation] of Object.entries(operations)) {
      const [method, path] = route.split(" ") as [string, string];
      paths[path] = { ...paths[path], [method.toLowerCase()]: operationObject(route, { operation, tag }) };
    }
  }
  return paths;
}
