/**
 * The OpenAPI document and the page that shows it. Both are loaded at the first request: without requests they cost
 * nothing.
 */
import { Hono } from "hono";
import { ASSET_PATHS, type AssetPath, DOCS_PATH, OPENAPI_PATH } from "../http/docs_paths.ts";
import { handle, type Parts, type RouteEnv } from "../handler/handle.ts";
import { SECURITY_HEADERS } from "../http/security_headers.ts";

/** Cache time of the page's files: they change only with the version. */
const ASSET_MAX_AGE_S = 3600;

/** Scripts, styles and data from here alone, none of them in the page itself; Swagger UI's icons are `data:`. */
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export interface DocsOptions {
  /** The origin that clients reach; without it, the document names none. */
  publicUrl?: string | undefined;
}

/** `/openapi.json`, `/docs` and the page's files. */
export function docsRoutes(parts: Parts, { publicUrl }: DocsOptions): Hono<RouteEnv> {
  const routes = new Hono<RouteEnv>();
  let document: Promise<string> | undefined;
  routes.get(
    OPENAPI_PATH,
    handle(parts, async () => {
      document ??= import("../openapi/document.ts").then(({ openApiDocument }) =>
        JSON.stringify(openApiDocument({ publicUrl }))
      );
      return answer(await document, { contentType: "application/json" });
    }),
  );
  routes.get(DOCS_PATH, handle(parts, () => answer(PAGE, { contentType: "text/html", policy: PAGE_POLICY })));
  for (const [path, { contentType }] of Object.entries(ASSET_PATHS)) {
    routes.get(
      path,
      handle(parts, async () =>
        answer(await LOAD[path as AssetPath](), {
          contentType,
          cacheControl: `public, max-age=${ASSET_MAX_AGE_S}`,
        })),
    );
  }
  return routes;
}

interface Headers {
  contentType: string;
  policy?: string;
  cacheControl?: string;
}

function answer(body: BodyInit, { contentType, policy, cacheControl }: Headers): Response {
  return new Response(body, {
    headers: {
      ...SECURITY_HEADERS,
      "content-type": contentType === "application/json" ? contentType : `${contentType}; charset=utf-8`,
      ...policy !== undefined && { "content-security-policy": policy },
      ...cacheControl !== undefined && { "cache-control": cacheControl },
    },
  });
}

/** It contains no script or style, so that an injected one would not run. */
const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>signalfold: the HTTP API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<script src="/docs/swagger-ui-bundle.js" defer></script>
<script src="/docs/start.js" defer></script>
</head>
<body>
<div id="api"></div>
<noscript>This page is shown by a script. The document itself is at <a href="/openapi.json">/openapi.json</a>.</noscript>
</body>
</html>
`;

/** A typed token is lost with the page. No outside service validates the document. */
const START = `SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  docExpansion: "none",
  defaultModelsExpandDepth: 0,
  persistAuthorization: false,
  validatorUrl: null,
});
`;

/** Swagger UI from the package with its files; the bytes stay in memory after the first request. */
const LOAD: Record<AssetPath, () => BodyInit | Promise<BodyInit>> = {
  "/docs/start.js": () => START,
  "/docs/swagger-ui.css": async () => {
    const { default: bytes } = await import("swagger-ui-dist/swagger-ui.css", {
      with: { type: "bytes" },
    });
    return bytes;
  },
  "/docs/swagger-ui-bundle.js": async () => {
    const { default: bytes } = await import("swagger-ui-dist/swagger-ui-bundle.js", {
      with: { type: "bytes" },
    });
    return bytes;
  },
};
