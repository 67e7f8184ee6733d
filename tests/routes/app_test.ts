import { deepStrictEqual, match, strictEqual } from "node:assert";
import { AS_ADMIN, AS_READER, AS_SENDER, openTestApp, openTestSystem, WRITE_KEY } from "./test_app.ts";
import { StorageUnavailable } from "../../actors/store/errors.ts";

const SENDING = ["/api/v1/events", "/api/v1/events/batch", "/api/v1/events/", "/api/v1/events/batch/"];

const ALLOW: [path: string, allow: string][] = [
  ["/api/v1/events", "POST, OPTIONS"],
  ["/api/v1/events/batch/", "POST, OPTIONS"],
  ["/v1/t", "POST, OPTIONS"],
  ["/v1/batch", "POST, OPTIONS"],
  ["/beacon/v1/batch/", "POST, OPTIONS"],
  ["/v1/projects/k1/settings", "GET, HEAD, OPTIONS"],
  ["/sourceConfig/", "GET, HEAD, OPTIONS"],
  ["/api/v1/users/u1", "GET, HEAD, DELETE"],
  ["/api/v1/anonymous/a1/events", "GET, HEAD"],
  ["/api/v1/groups/g1/members", "GET, HEAD"],
  ["/api/v1/admin/keys", "GET, HEAD, POST"],
  ["/api/v1/admin/keys/k1", "PATCH, DELETE"],
  ["/api/v1/admin/stats", "GET, HEAD"],
  ["/api/v1/users", "GET, HEAD"],
  ["/healthz", "GET, HEAD"],
  ["/readyz", "GET, HEAD"],
];

for (const [path, allow] of ALLOW) {
  Deno.test(`another method at ${path} is 405 and allows ${allow}`, async () => {
    await using test = await openTestApp();
    for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"]) {
      if (allow.split(", ").includes(method)) continue;
      const { status, headers, body } = await test.send(path, undefined, { method });
      deepStrictEqual([method, status, headers.get("allow")], [method, 405, allow]);
      deepStrictEqual([body.status, body.success, "errors" in body], [405, false, false]);
    }
  });
}

for (
  const path of [
    "/",
    "/api",
    "/api/v1/event",
    "/api/v1/user",
    "/api/v1/users/u1/x",
    "/api/v1/events/batch/x",
    "/%",
  ]
) {
  Deno.test(`${path} is 404, whatever the method`, async () => {
    await using test = await openTestApp();
    for (const method of ["GET", "POST", "DELETE"]) {
      const { status, headers, body } = await test.send(path, undefined, { method });
      deepStrictEqual([status, body.code], [404, "no_such_path"]);
      strictEqual(headers.get("content-type"), "application/problem+json");
    }
    strictEqual((await test.send(path, undefined, { method: "HEAD" })).body, "");
  });
}

Deno.test("a preflight of a sending route is allowed, with its requested headers, for two hours", async () => {
  await using test = await openTestApp();
  for (const path of SENDING) {
    const { status, headers } = await test.send(path, undefined, {
      method: "OPTIONS",
      headers: {
        "origin": "https://shop.example.com",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-anything",
      },
    });
    strictEqual(status, 204);
    strictEqual(headers.get("access-control-allow-origin"), "*");
    strictEqual(headers.get("access-control-allow-methods"), "POST");
    strictEqual(headers.get("access-control-allow-headers"), "authorization,content-type,x-anything");
    strictEqual(headers.get("access-control-max-age"), "7200");
  }
});

const track = { type: "track", userId: "u1", event: "x" };
const CROSS_ORIGIN: [
  what: string,
  path: string,
  status: number,
  init: { method?: string; headers?: HeadersInit },
  body: unknown,
][] = [
  ["an event", "/api/v1/events", 200, {}, track],
  ["a batch", "/api/v1/events/batch/", 200, {}, { batch: [track] }],
  ["a bad event", "/api/v1/events", 400, {}, {}],
  ["no credential", "/api/v1/events/", 401, { headers: {} }, track],
  ["a token that may not send", "/api/v1/events/batch", 403, { headers: AS_READER }, { batch: [track] }],
  ["another method", "/api/v1/events", 405, { method: "DELETE" }, undefined],
  ["a body that is too large", "/api/v1/events", 413, {}, "x".repeat(4 * 1024 * 1024 + 1)],
];

for (const [what, path, status, init, body] of CROSS_ORIGIN) {
  Deno.test(`a page of any origin can read the answer to ${what}`, async () => {
    await using test = await openTestApp();
    const answer = await test.send(path, body, init);
    strictEqual(answer.status, status);
    strictEqual(answer.headers.get("access-control-allow-origin"), "*");
    strictEqual(answer.headers.get("access-control-expose-headers"), "Retry-After");
  });
}

Deno.test("no other route has CORS headers, and none is redirected or sets a cookie", async () => {
  await using test = await openTestApp();
  const paths = [
    "/api/v1/users/u1",
    "/api/v1/groups/g1",
    "/api/v1/admin/keys",
    "/api/v1/admin/stats",
    "/healthz",
    "/x",
  ];
  for (const path of paths) {
    for (const method of ["GET", "OPTIONS", "POST"]) {
      const { status, headers } = await test.send(path, undefined, { method, headers: AS_ADMIN });
      for (const name of headers.keys()) {
        strictEqual(/^access-control-|^location$|^set-cookie$/.test(name), false, name);
      }
      strictEqual(status >= 300 && status < 400, false);
    }
  }
});

Deno.test("every answer has nosniff, and every one but an event's receipt forbids caching and scripts", async () => {
  await using test = await openTestApp();
  const answers = [
    await test.get("/healthz"),
    await test.get("/api/v1/users/u1"),
    await test.get("/api/v1/admin/keys", AS_ADMIN),
    await test.get("/nowhere"),
    await test.send("/api/v1/events", {}),
    await test.send("/api/v1/events", undefined, { method: "OPTIONS" }),
    await test.send("/api/v1/admin/keys/k1", undefined, { method: "DELETE", headers: AS_ADMIN }),
  ];
  for (const { headers } of answers) {
    strictEqual(headers.get("x-content-type-options"), "nosniff");
    strictEqual(headers.get("cache-control"), "no-store");
    strictEqual(headers.get("referrer-policy"), "no-referrer");
    match(headers.get("content-security-policy") ?? "", /^default-src 'none'/);
  }
  const receipt = await test.send("/api/v1/events", track);
  strictEqual(receipt.headers.get("x-content-type-options"), "nosniff");
});

Deno.test("/healthz and /readyz answer GET and HEAD without a credential", async () => {
  await using test = await openTestApp();
  for (const path of ["/healthz", "/readyz"]) {
    strictEqual((await test.get(path, {})).status, 200);
    const head = await test.send(path, undefined, { method: "HEAD", headers: {} });
    deepStrictEqual([head.status, head.body], [200, ""]);
  }
});

Deno.test("/readyz is 503 with Retry-After while storage does not answer, and /healthz is not", async () => {
  const system = await openTestSystem();
  const ready = () => Promise.reject(new StorageUnavailable("busy"));
  await using test = await openTestApp({ system: { ...system, ready } });
  const { status, headers } = await test.get("/readyz");
  deepStrictEqual([status, headers.get("retry-after")], [503, "1"]);
  strictEqual((await test.get("/healthz")).status, 200);
});

Deno.test("/readyz checks storage once for simultaneous requests, and again for later ones", async () => {
  const system = await openTestSystem();
  let looks = 0;
  const ready = () => {
    looks++;
    return system.ready();
  };
  await using test = await openTestApp({ system: { ...system, ready } });
  const answers = await Promise.all(Array.from({ length: 100 }, () => test.get("/readyz")));
  deepStrictEqual([answers.every(({ status }) => status === 200), looks], [true, 1]);
  await test.get("/readyz");
  strictEqual(looks, 2);
});

Deno.test("a body that nobody reads is drained before the answer", async () => {
  await using test = await openTestApp();
  for (const path of ["/nowhere", "/healthz", "/api/v1/admin/keys"]) {
    let pulled = 0;
    const body = new ReadableStream({
      pull(controller) {
        controller.enqueue(new Uint8Array(1000));
        if (++pulled === 50) controller.close();
      },
    });
    const request = new Request(`http://localhost${path}`, { method: "POST", headers: AS_SENDER, body });
    await test.app.fetch(request, {});
    strictEqual(pulled, 50, path);
  }
});

Deno.test("a Host header with a path, a query or a user is 400, and does not replace the path", async () => {
  await using test = await openTestApp();
  for (const host of ["x/healthz?", "x/healthz#", "a@b", "x\\y", "x y", "\u00ff"]) {
    const { status, body } = await test.get("/api/v1/admin/stats", { ...AS_ADMIN, host });
    deepStrictEqual([status, body.code], [400, "invalid_host"], host);
  }
  // Of the characters of a host, and none: no URL can be made with them.
  for (const host of ["x:999999", "[", "[::1", "%zz", "a:b", "a%00b", "xn--", "1.2.3.4.5"]) {
    for (
      const path of ["/api/v1/admin/stats", `/v1/projects/${WRITE_KEY}/settings`, "/v1/projects/x/settings"]
    ) {
      const { status, body } = await test.get(path, { ...AS_ADMIN, host });
      deepStrictEqual([status, body.code], [400, "invalid_host"], `${host} ${path}`);
    }
  }
  for (const host of ["x", "events.example.com:8000", "[::1]:8000", "127.0.0.1", "a_b.test"]) {
    strictEqual((await test.get("/api/v1/admin/stats", { ...AS_ADMIN, host })).status, 200, host);
  }
});
