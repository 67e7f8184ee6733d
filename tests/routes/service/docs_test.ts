/** The page of the OpenAPI document, as it is sent: what a browser makes of it is in `tests/clients/docs_page_test.ts`. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { ASSET_PATHS, DOCS_PATH, OPENAPI_PATH } from "../../../routes/http/docs_paths.ts";
import { openTestApp } from "../test_app.ts";

Deno.test("the document and its page are open to anybody, by GET and HEAD, with their media types", async () => {
  await using test = await openTestApp();
  const types = {
    [OPENAPI_PATH]: "application/json",
    [DOCS_PATH]: "text/html; charset=utf-8",
    ...Object.fromEntries(
      Object.entries(ASSET_PATHS).map(([path, { contentType }]) => [path, `${contentType}; charset=utf-8`]),
    ),
  };
  for (const [path, type] of Object.entries(types)) {
    for (const method of ["GET", "HEAD"]) {
      const { status, headers } = await test.send(path, undefined, { method, headers: {} });
      deepStrictEqual([status, headers.get("content-type")], [200, type], `${method} ${path}`);
      strictEqual(headers.get("x-content-type-options"), "nosniff", path);
    }
    const { status, headers } = await test.send(path, {});
    deepStrictEqual([status, headers.get("allow")], [405, "GET, HEAD"], path);
  }
});

Deno.test("the page loads only files of this server, and its policy allows nothing else", async () => {
  await using test = await openTestApp();
  const { body, headers } = await test.get(DOCS_PATH, {});
  const asked = [...body.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, url]) => url);
  deepStrictEqual(asked.toSorted(), [...Object.keys(ASSET_PATHS), OPENAPI_PATH, "data:,"].toSorted());
  ok(!/<style|<script(?! src)|\son\w+=|\sstyle=/.test(body));
  const policy = headers.get("content-security-policy") ?? "";
  ok(!/unsafe|https?:|\*/.test(policy), policy);
  match(
    policy,
    /^default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; /,
  );
});

Deno.test("each file of the page has the media type of its path", async () => {
  await using test = await openTestApp();
  for (
    const [path, part] of Object.entries({
      "/docs/start.js": "SwaggerUIBundle({",
      "/docs/swagger-ui-bundle.js": "exports.SwaggerUIBundle=",
      "/docs/swagger-ui.css": ".swagger-ui{",
    })
  ) {
    ok((await test.get(path, {})).body.includes(part), path);
  }
});
