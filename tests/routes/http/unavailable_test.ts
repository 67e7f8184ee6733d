/** 503: each says what happened, and what became of events where some were sent. */
import { deepStrictEqual, strictEqual } from "node:assert/strict";
import {
  NOT_SERVING_CODES,
  NotServing,
  type NotServingCode,
  StorageFault,
  StorageUnavailable,
} from "../../../actors/store/errors.ts";
import { AS_ADMIN, openTestApp, openTestSystem, type TestApp, WRITE_KEY } from "../test_app.ts";

const SAFE = "Nothing was acknowledged; a retry with the same messageId is safe.";
const EVENT = { type: "page", userId: "u" };

/** An app in which commits, reads and changes of keys fail so. */
async function failing(error: Error): Promise<TestApp> {
  const system = await openTestSystem();
  const fail = () => Promise.reject(error);
  return await openTestApp({
    system: {
      ...system,
      commit: fail,
      ready: fail,
      reader: { ...system.reader, user: fail },
      writeKeys: { ...system.writeKeys, create: fail },
      erasure: { ...system.erasure, erase: fail },
    },
  });
}

const REASONS: [error: Error, code: string, detail: string, retryAfter: string][] = [
  [new StorageUnavailable("secret of a driver"), "storage_unavailable", "Storage does not answer.", "1"],
  [
    new StorageFault("storage: disk is full at /secret"),
    "storage_unavailable",
    "Storage failed: the disk may be full, or the database read-only or damaged.",
    "5",
  ],
  ...NOT_SERVING_CODES.filter((code) => code !== "erasure_under_way").map((
    code,
  ): [Error, NotServingCode, string, string] => {
    const error = new NotServing("It is so.", code);
    return [error, code, "It is so.", String(error.retryAfterS)];
  }),
];

for (const [error, code, detail, retryAfter] of REASONS) {
  Deno.test(`${code} has its own detail (${detail}), and the outcome of events only on routes that accept events`, async () => {
    await using test = await failing(error);
    const show = ({ status, headers, body }: Awaited<ReturnType<TestApp["get"]>>) => [
      status,
      body.code,
      body.detail,
      headers.get("retry-after"),
    ];
    for (
      const [path, body] of [["/api/v1/events", EVENT], ["/v1/page", EVENT], ["/v1/batch", {
        batch: [EVENT],
      }]] as const
    ) {
      deepStrictEqual(show(await test.send(path, body)), [503, code, `${detail} ${SAFE}`, retryAfter], path);
    }
    const plain = [503, code, detail, retryAfter];
    deepStrictEqual(show(await test.get("/api/v1/users/u")), plain);
    deepStrictEqual(show(await test.get("/readyz")), plain);
    const created = await test.send("/api/v1/admin/keys", { name: "x" }, { headers: AS_ADMIN });
    deepStrictEqual(show(created), plain);
    const erased = await test.send("/api/v1/users/u", undefined, { method: "DELETE", headers: AS_ADMIN });
    deepStrictEqual(show(erased), plain);
  });
}

Deno.test("a stopping server says so, and that a retry of events is safe", async () => {
  await using test = await openTestApp();
  await test.app.stop();
  const sent = (await test.send("/v1/page", EVENT)).body;
  deepStrictEqual([sent.code, sent.detail, sent.message], [
    "stopping",
    ...Array(2).fill(`The server is stopping. ${SAFE}`),
  ]);
  for (
    const path of [
      "/api/v1/users/u",
      `/v1/projects/${WRITE_KEY}/settings`,
      `/sourceConfig?writeKey=${WRITE_KEY}`,
    ]
  ) {
    strictEqual((await test.get(path)).body.detail, "The server is stopping.", path);
  }
});

Deno.test("an erasure that continues has a code of its own", async () => {
  await using test = await failing(new NotServing("It goes on.", "erasure_under_way"));
  const { status, body } = await test.send("/api/v1/users/u", undefined, {
    method: "DELETE",
    headers: AS_ADMIN,
  });
  deepStrictEqual([status, body.code, body.detail], [503, "erasure_under_way", "It goes on."]);
});
