/** Parameters of paths. */
import { deepStrictEqual } from "node:assert/strict";
import { Hono } from "hono";
import { pathParam } from "../../../routes/http/path_params.ts";

/** What a route reads of the path of a request. */
async function read(path: string): Promise<unknown> {
  const parts = new Hono().get(
    "/users/:id/traits/:name/why",
    (c) => c.json([pathParam(c, "id") ?? null, pathParam(c, "name") ?? null]),
  );
  const getPath = (request: Request) => request.url.slice("http://localhost".length);
  return await (await new Hono({ getPath }).route("/", parts).request(path)).json();
}

const CASES: [path: string, params: (string | null)[]][] = [
  ["/users/u1/traits/email/why", ["u1", "email"]],
  ["/users/a%2Fb/traits/%C3%A9/why", ["a/b", "é"]],
  ["/users/%2561/traits/%25/why", ["%61", "%"]],
  ["/users/%ff/traits/%/why", [null, null]],
  ["/users/%/traits/a%20b/why", [null, "a b"]],
];

for (const [path, params] of CASES) {
  Deno.test(`the parameters of ${path} are decoded once, and undefined if they are malformed`, async () => {
    deepStrictEqual(await read(path), params);
  });
}
