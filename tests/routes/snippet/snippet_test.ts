/** The website snippet's files, as they are sent; what a browser does with them is in `tests/clients/snippet_test.ts`. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { isSnippetPath, standardPath } from "../../../routes/http/snippet_paths.ts";
import { PARTS } from "../../../routes/snippet/script.ts";
import { openTestApp, WRITE_KEY } from "../test_app.ts";

const SCRIPT = `/analytics.js/v1/${WRITE_KEY}/analytics.min.js`;

Deno.test("the script is the same in every coding, and smaller in each", async () => {
  await using test = await openTestApp();
  const read = async (coding: string) => {
    const response = await test.app.request(SCRIPT, { headers: { "accept-encoding": coding } });
    deepStrictEqual(
      [response.status, response.headers.get("content-type"), response.headers.get("vary")],
      [200, "text/javascript; charset=utf-8", "Accept-Encoding"],
    );
    return { coding: response.headers.get("content-encoding"), bytes: await response.bytes() };
  };
  const plain = await read("identity");
  const br = await read("gzip, deflate, br, zstd");
  const gzip = await read("gzip, br;q=0");
  deepStrictEqual([plain.coding, br.coding, gzip.coding], [null, "br", "gzip"]);
  deepStrictEqual(new Uint8Array(brotliDecompressSync(br.bytes)), plain.bytes);
  deepStrictEqual(new Uint8Array(gunzipSync(gzip.bytes)), plain.bytes);
  ok(br.bytes.length < gzip.bytes.length && gzip.bytes.length < plain.bytes.length / 3);
});

Deno.test("a browser that has the script gets 304, by its digest", async () => {
  await using test = await openTestApp();
  const { headers } = await test.get(SCRIPT, {});
  const etag = headers.get("etag")!;
  match(headers.get("cache-control")!, /^public, max-age=\d+$/);
  for (const tag of [etag, `W/${etag}`, `"other", ${etag}`]) {
    const { status, body } = await test.get(SCRIPT, { "if-none-match": tag });
    deepStrictEqual([status, body], [304, ""], tag);
  }
  strictEqual((await test.get(SCRIPT, { "if-none-match": '"other"' })).status, 200);
});

Deno.test("the script of an unknown or disabled key is 404, and guessing is limited", async () => {
  await using test = await openTestApp({ authFailuresPerMinute: 2 });
  const unknown = "/analytics.js/v1/wk_unknown/analytics.min.js";
  const { status, body, headers } = await test.get(unknown, {});
  deepStrictEqual([status, body.detail], [404, "Unknown or disabled write key."]);
  strictEqual(headers.get("access-control-allow-origin"), "*");
  await test.get(unknown, {});
  strictEqual((await test.get(unknown, {})).status, 429);
  strictEqual((await test.get(SCRIPT, {})).status, 200);
});

Deno.test("every part that the script can ask for is served, for a long time, and no other", async () => {
  await using test = await openTestApp();
  const { body: script } = await test.get(SCRIPT, {});
  // webpack's table of the parts: names, and digests.
  const [, names, digests] =
    /\.u=function\(\w\)\{return\((\{[^}]*\})\[\w\]\|\|\w\)\+"\.bundle\."\+(\{[^}]*\})/.exec(script)!;
  const parsed = [names, digests].map((text) => JSON.parse(text!.replaceAll(/(\d+):/g, '"$1":')));
  const asked = Object.entries(parsed[1]).map(([id, digest]) => `${parsed[0][id] ?? id}.bundle.${digest}.js`);
  deepStrictEqual(Object.keys(PARTS).toSorted(), asked.toSorted());
  for (const name of asked) {
    const { status, headers, body } = await test.get(`/analytics-next/bundles/${name}`, {});
    deepStrictEqual([status, headers.get("content-type")], [200, "text/javascript; charset=utf-8"], name);
    ok(headers.get("cache-control")!.endsWith("immutable") && body.includes("webpackChunk"), name);
  }
  for (const name of ["standalone.js", "__proto__", "%2e%2e", "%ff", "js", ".js"]) {
    strictEqual((await test.get(`/analytics-next/bundles/${name}`, {})).status, 404, name);
  }
});

Deno.test("SNIPPET_PATH serves the script, its settings and its sending under names that no blocker knows", async () => {
  await using test = await openTestApp({ snippetPath: "/shop", undocumented: true });
  const { status, body } = await test.get(`/shop/${WRITE_KEY}.js`, {});
  strictEqual(status, 200);
  ok(!/"\/(v1\/projects|analytics-next\/bundles)\/"/.test(body));
  const settings = await test.get(`/shop/projects/${WRITE_KEY}/settings`, {});
  strictEqual(settings.body.integrations["Segment.io"].apiHost, "localhost/shop");
  for (const part of Object.keys(PARTS)) {
    const [name] = part.match(/[0-9a-f]{20}\.js$/)!;
    strictEqual((await test.get(`/shop/parts/${name}`, {})).status, 200, part);
  }
  const sent = await test.send("/shop/t", { event: "Order Completed", userId: "short" });
  deepStrictEqual([sent.status, sent.body], [200, { success: true }]);
  strictEqual(sent.headers.get("access-control-allow-origin"), "*");
  strictEqual((await test.get("/api/v1/users/short")).body.eventCount, 1);
  const preflight = await test.send("/shop/t", undefined, { method: "OPTIONS", headers: {} });
  strictEqual(preflight.status, 204);
  // The standard names stay, and nothing else moves below the path.
  strictEqual((await test.get(SCRIPT, {})).status, 200);
  strictEqual((await test.get("/shop/api/v1/users/short")).status, 404);
  strictEqual((await test.get("/shop")).status, 404);
});

Deno.test("without SNIPPET_PATH no other names exist", async () => {
  await using test = await openTestApp();
  strictEqual((await test.get(`/shop/${WRITE_KEY}.js`, {})).status, 404);
});

Deno.test("a SNIPPET_PATH hides no route of the server", () => {
  for (const path of ["/shop", "/assets/shop", "/a-b_c/D1"]) ok(isSnippetPath(path), path);
  for (
    const path of ["", "/", "shop", "/shop/", "//shop", "/v1", "/api/x", "/docs", "/a.b", "/a b", "/../x"]
  ) {
    ok(!isSnippetPath(path), path);
  }
  strictEqual(standardPath("/shopping/x", "/shop"), "/shopping/x");
});
