/**
 * The OpenAPI document is true: of every route, of every status that a route answers, of its examples.
 *
 * How it works: each answer of a test app is held against the document (`documented.ts`), in every test of the routes.
 * Here every operation is asked for what it may answer, so that a status that is documented and never comes shows too.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { Validator } from "@seriousme/openapi-schema-validator";
import { NOT_SERVING_CODES } from "../../../actors/store/errors.ts";
import { draftSchema } from "../../../domain/transformation/definition.ts";
import { EVENT_TYPES } from "../../../domain/event/event.ts";
import { definitionSchema } from "../../../domain/forwarding/definition.ts";
import { openApiDocument } from "../../../routes/openapi/document.ts";
import { VERSION } from "../../../routes/http/version.ts";
import { eventually } from "../../process/server.ts";
import { DOCUMENT, misfit, type OperationObject, pointerOf } from "./documented.ts";
import {
  AS_ADMIN,
  AS_READER,
  AS_SENDER,
  openTestApp,
  type TestApp,
  type TestOptions,
  WRITE_KEY,
} from "../test_app.ts";

const CONFIG = JSON.parse(Deno.readTextFileSync(new URL("../../../deno.json", import.meta.url)));

/** An operation with where it stands. */
interface Listed {
  route: string;
  method: string;
  path: string;
  operation: OperationObject;
}

/** In the document's order, but that what others read is deleted last. */
const OPERATIONS: Listed[] = Object.entries(DOCUMENT.paths).flatMap(([path, operations]) =>
  Object.entries(operations).map(([key, operation]) => {
    const method = key.toUpperCase();
    return { route: `${method} ${path}`, method, path, operation };
  })
).toSorted((a, b) => Number(a.method === "DELETE") - Number(b.method === "DELETE"));

/** The requests that an operation shows. */
function examplesOf({ requestBody }: OperationObject): { summary: string; value: unknown }[] {
  return requestBody === undefined ? [] : Object.values(requestBody.content["application/json"]!.examples);
}

Deno.test("the document is valid by the official schema of OpenAPI 3.1, and of the product's version", async () => {
  const validator = new Validator();
  const { valid, errors } = await validator.validate(structuredClone(DOCUMENT) as never);
  ok(valid, JSON.stringify(errors));
  strictEqual(validator.version, "3.1");
  deepStrictEqual([DOCUMENT.info.version, VERSION], [CONFIG.version, CONFIG.version]);
});

/** A route whose parameter has one value. */
const FIXED = new Map([["POST /api/v1/admin/rejected/:id", "POST /api/v1/admin/rejected/resend"]]);

Deno.test("every route of the router has an operation, and every operation has its route", async () => {
  await using test = await openTestApp();
  const nameless = (route: string) => route.replaceAll(/\{\w+\}|:\w+/g, "{}");
  deepStrictEqual(
    OPERATIONS.map(({ route }) => nameless(route)).toSorted(),
    test.app.routes.map(({ method, path }) => `${method} ${path}`)
      .map((route) => nameless(FIXED.get(route) ?? route)).toSorted(),
  );
});

Deno.test("operations have ids of their own, a group that is described, and only schemes that are defined", () => {
  const ids = OPERATIONS.map(({ operation }) => operation.operationId);
  strictEqual(new Set(ids).size, ids.length);
  const tags = DOCUMENT.tags.map(({ name }) => name);
  deepStrictEqual(
    [...new Set(OPERATIONS.flatMap(({ operation }) => operation.tags))].toSorted(),
    tags.toSorted(),
  );
});

Deno.test("the server's origin is the public URL, and without one that of the document", () => {
  deepStrictEqual(openApiDocument({ publicUrl: "https://events.example.com" }).servers, [
    { url: "https://events.example.com" },
  ]);
  deepStrictEqual(DOCUMENT.servers, [{ url: "/" }]);
});

Deno.test("every example in the document fits its schema", () => {
  let examples = 0;
  for (const { method, path, operation } of OPERATIONS) {
    const at = ["paths", path, method.toLowerCase()];
    for (const { summary, value } of examplesOf(operation)) {
      const schema = pointerOf(...at, "requestBody", "content", "application/json", "schema");
      strictEqual(misfit(schema, value), undefined, `${method} ${path}: ${summary}`);
      examples++;
    }
    for (const [status, response] of Object.entries(operation.responses)) {
      if ("$ref" in response) continue;
      for (const [type, { example }] of Object.entries(response.content ?? {})) {
        if (example === undefined) continue;
        const schema = pointerOf(...at, "responses", status, "content", type, "schema");
        strictEqual(misfit(schema, example), undefined, `${method} ${path}: ${status}`);
        examples++;
      }
    }
  }
  for (const [name, { content }] of Object.entries(DOCUMENT.components.responses)) {
    const type = "application/problem+json";
    const schema = pointerOf("components", "responses", name, "content", type, "schema");
    strictEqual(misfit(schema, content![type]!.example), undefined, name);
    examples++;
  }
  ok(examples >= 90, `${examples} were found`);
});

/** The id of an event that a contract kept out, which is no more. */
async function rejectedBy({ system, send }: TestApp, userId: string): Promise<string> {
  const name = "nothing";
  await system.contracts.put(
    [{ name, type: "track", event: "Kept Out", schema: false, mode: "enforce" }],
    AUTHOR,
  );
  await send("/api/v1/events", { type: "track", userId, event: "Kept Out" });
  await system.contracts.remove(name, AUTHOR);
  const newest = async () => (await system.quarantine.list({ limit: 1 })).rejected[0];
  await eventually("what is rejected is kept", async () => await newest() !== undefined, { everyMs: 5 });
  return (await newest())!.id;
}

const AUTHOR = { by: "admin", address: "192.0.2.1" };

/** A path with values in it: those of the document's examples, but for what has to be there. */
async function filled({ path, method, operation }: Listed, test: TestApp): Promise<string> {
  const values: Record<string, string> = { writeKey: WRITE_KEY };
  if (path.includes("{keyId}")) {
    const { writeKey } = await test.system.writeKeys.create({ name: "website", allowedTypes: ["page"] });
    values.keyId = writeKey.id;
  }
  if (path.includes("{destination}")) {
    const { forwarding } = test.system;
    const draft = definitionSchema.parse({
      kind: "webhook",
      where: { event: "Order Completed" },
      settings: { url: "https://example.com/hook" },
    });
    await forwarding.put("Orders", draft, AUTHOR);
    if (path.includes("{replayId}")) values.replayId = (await forwarding.replay("Orders", {}))!;
  }
  if (path.includes("{digest}")) {
    const { body } = await test.get("/console", {});
    values.digest = /assets\/([0-9a-f]{12})\//.exec(body)![1]!;
  }
  if (path.includes("{rejectedId}")) {
    // One that is only read stays, and must not be of a person who is erased later.
    values.rejectedId = await rejectedBy(test, method === "GET" ? "somebody" : "user_123");
  }
  if (path.includes("/suppressed/users/")) {
    await test.system.suppression.add({ kind: "user", id: "user_123" });
  }
  if (path.includes("/suppressed/anonymous/")) {
    await test.system.suppression.add({ kind: "anonymous", id: "anon_1" });
  }
  return path.replaceAll(/\{(\w+)\}/g, (_, name) => {
    return encodeURIComponent(
      values[name] ?? operation.parameters!.find((each) => each.name === name)!.example!,
    );
  });
}

const credentialOf = (operation: OperationObject) =>
  operation.security.length === 0
    ? {}
    : operation.security.some((each) => "writeKey" in each)
    ? AS_SENDER
    : AS_ADMIN;

/** Text without what differs from run to run, or from server to server. */
const masked = (value: unknown) =>
  JSON.parse(
    JSON.stringify(value)
      .replaceAll(/"[0-9A-HJKMNP-TV-Z]{26}"/g, '"ULID"')
      .replaceAll(/"c[a-z0-9]{24}"|"YOUR_WRITE_KEY"|"wk_test"/g, '"KEY"')
      .replaceAll(
        /"(receivedAt|createdAt|committedAt|updatedAt|at|apiHost|protocol)":"[^"]*"/g,
        '"$1":"MASKED"',
      )
      .replaceAll(/"position":"[0-9a-f]{24}"/g, '"position":"MASKED"')
      .replaceAll(/"settled":(true|false)/g, '"settled":"MASKED"'),
  );

/** What moves while nobody looks; what is large; all are held against their schemas. */
const NOT_COMPARED = ["GET /api/v1/admin/stats", "GET /api/v1/admin/keys", "GET /openapi.json"];

Deno.test("the document's examples, sent in their order, are answered as it shows", async () => {
  await using test = await openTestApp();
  for (const listed of OPERATIONS) {
    const { route, method, operation } = listed;
    const examples = examplesOf(operation);
    const [status, response] = Object.entries(operation.responses)[0]!;
    ok(!("$ref" in response), route);
    for (
      const [index, value] of (examples.length === 0 ? [undefined] : examples.map((each) => each.value))
        .entries()
    ) {
      const answer = await test.send(await filled(listed, test), value, {
        method,
        headers: credentialOf(operation),
      });
      strictEqual(String(answer.status), status, `${route}: ${JSON.stringify(answer.body)}`);
      const example: unknown = Object.values(response.content ?? {})[0]?.example;
      if (index > 0 || example === undefined || NOT_COMPARED.includes(route)) continue;
      deepStrictEqual(masked(answer.body), masked(example), route);
    }
  }
});

/** Statuses that no request can be made to get, and why. */
const UNREACHED: Record<string, string> = {
  500: "only a bug gives it",
  409: "only something that a destination uses gives it, or a race",
};

/** Bodies of at most so many bytes, so that one is soon too large. */
const SMALL: TestOptions = { limits: { maxBytes: 4096 } };

/** Bodies for statuses that no example gets, by route, for a name that nothing has. */
const MORE_BODIES: Record<string, unknown[]> = {
  "PUT /api/v1/admin/transformations/{transformation}": [
    {
      kind: "rules",
      rules: [{ drop: {} }],
      tests: [{ name: "stays", event: { type: "page" }, expect: { type: "page" } }],
    },
  ],
  "POST /api/v1/admin/transformations/{transformation}/try": [{ event: { type: "page" } }],
  "POST /api/v1/admin/transformations/{transformation}/check": [{}],
};

/** The name of a transformation that a destination uses. */
async function usedTransformation({ system }: TestApp): Promise<string> {
  const draft = draftSchema.parse({ kind: "rules", rules: [{ drop: {} }] });
  await system.transformations.put("used", draft, { author: AUTHOR, dryRun: false });
  const hook = { kind: "webhook", transformations: ["used"], settings: { url: "https://example.com/" } };
  await system.forwarding.put("user-of-it", definitionSchema.parse(hook), AUTHOR);
  return "used";
}

/** Asks every operation for all that it may answer, in as many ways as there are statuses. */
async function askForAll(note: (route: string, status: number) => void): Promise<void> {
  await using test = await openTestApp({ ...SMALL, authFailuresPerMinute: 0 });
  await using limited = await openTestApp({ authFailuresPerMinute: 1 });
  await using stopped = await openTestApp();
  await stopped.app.stop();
  await using strict = await openTestApp();
  await strict.system.contracts.put(
    EVENT_TYPES.map((type) => ({ name: type, type, schema: false, mode: "enforce" })),
    AUTHOR,
  );

  for (const listed of OPERATIONS) {
    const { route, method, operation, path } = listed;
    const examples = examplesOf(operation);
    const example = examples[0]?.value;
    const targets = new Map<TestApp, string>();
    const ask = async (
      { of = test, at, query = "", ...init }: {
        of?: TestApp;
        at?: string;
        query?: string;
        body?: unknown;
        headers?: Record<string, string>;
      },
    ) => {
      const { body = example, headers = credentialOf(operation) } = init;
      const target = (at ?? targets.get(of) ?? await filled(listed, of)) + query;
      if (at === undefined) targets.set(of, target.slice(0, target.length - query.length));
      const answer = await of.send(target, body, { method, headers });
      note(route, answer.status);
      return answer;
    };
    const etag = (await ask({})).headers.get("etag");
    if (etag !== null) await ask({ headers: { ...credentialOf(operation), "if-none-match": etag } });
    for (const { value } of examples) await ask({ body: value });
    await ask({ headers: { ...credentialOf(operation), host: "x/y" } });
    await ask({ of: stopped, at: await filled(listed, test) });
    await ask({ of: strict });
    if (operation.requestBody !== undefined) {
      await ask({ body: "{" });
      await ask({ body: "" });
      await ask({ body: "[]" });
      await ask({ body: { name: 1, batch: 1 } });
      await ask({ body: `"${"x".repeat(5000)}"` });
    }
    for (const query of ["?at=then", "?limit=0", "?limit=%", "?cursor=x", "?writeKey=%"]) {
      await ask({ query });
    }
    if (path.includes("{")) {
      await ask({ at: path.replaceAll(/\{\w+\}/g, `nobody-${method}`) });
      await ask({ at: path.replaceAll(/\{\w+\}/g, "default") });
      await ask({ at: path.replaceAll(/\{\w+\}/g, "%ff") });
    }
    if (route === "DELETE /api/v1/admin/transformations/{transformation}") {
      await ask({ at: path.replace("{transformation}", await usedTransformation(test)) });
    }
    for (const body of MORE_BODIES[route] ?? []) {
      await ask({ at: path.replaceAll(/\{\w+\}/g, `nobody-${method}`), body });
    }
    for (const headers of [{}, AS_SENDER, AS_READER, AS_ADMIN, { authorization: "Basic dW5rbm93bjo=" }]) {
      await ask({ headers });
      await ask({ of: limited, headers });
      await ask({ of: limited, at: path.replaceAll(/\{\w+\}/g, `nobody-${method}`), headers });
    }
  }
}

Deno.test("every operation answers every status that it documents, and no other", async () => {
  const reached = new Map(OPERATIONS.map(({ route }) => [route, new Set<string>()]));
  await askForAll((route, status) => reached.get(route)!.add(String(status)));
  const never = OPERATIONS.flatMap(({ route, operation }) =>
    Object.keys(operation.responses)
      .filter((status) => !reached.get(route)!.has(status) && !(status in UNREACHED))
      .map((status) => `${route}: ${status}`)
  );
  deepStrictEqual(never, []);
});

/** The source files of a folder and of the folders in it. */
function sourcesIn(folder: URL): URL[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) => {
    if (isDirectory) return sourcesIn(new URL(`${name}/`, folder));
    return name.endsWith(".ts") ? [new URL(name, folder)] : [];
  });
}

Deno.test("every code in the product's sources is documented", () => {
  const documented = JSON.stringify(DOCUMENT);
  const codes = new Set<string>(NOT_SERVING_CODES);
  for (const folder of ["routes", "domain", "actors"]) {
    for (const url of sourcesIn(new URL(`../../../${folder}/`, import.meta.url))) {
      const text = Deno.readTextFileSync(url);
      for (
        const [, code] of text.matchAll(/(?:\bcode: |\binvalid\(\s*|\bcode = )"([a-z]+(?:_[a-z0-9]+)*)"/g)
      ) {
        codes.add(code!);
      }
    }
  }
  ok(codes.size > 30, [...codes].join());
  // Of zod; of the log; of a path that has no operation, or none of the method.
  const others = ["custom", "live", "refused_work", "no_such_path", "method_not_allowed"];
  deepStrictEqual(
    [...codes].filter((code) => !others.includes(code) && !documented.includes(`"${code}"`)),
    [],
  );
});
