/** Cursors that no page gave: every route that takes one answers 200, or says that it is none, and never fails. */
import { ok, strictEqual } from "node:assert/strict";
import { encodeCursor } from "../../../actors/store/cursor.ts";
import { AS_ADMIN, openTestApp } from "../test_app.ts";

/** What a cursor may say that somebody makes up; the store takes no key of more than 2 KiB. */
const SAID: Record<string, unknown> = {
  "nothing": "",
  "a long id": "x".repeat(5_000),
  "a long id of three bytes each": "€".repeat(1_000),
  "half a character": "\ud800",
  "NUL": "\0",
  "the last text of all": "\uffff",
  "a number": 5,
  "no JSON that is short": null,
  "a member": ["user", "u"],
  "a member of a long id": ["user", "x".repeat(5_000)],
  "a member of half a character": ["anonymous", "\udc00"],
  "a member that is empty": ["user", ""],
  "a place": [0, 0, 0, "desc"],
  "a place far away": [Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER, -1, "desc"],
  "an object": { id: "u" },
};

const ROUTES = [
  "/api/v1/admin/rejected",
  "/api/v1/users/u/events",
  "/api/v1/anonymous/a/events",
  "/api/v1/groups/g/events",
  "/api/v1/groups/g/members",
];

for (const route of ROUTES) {
  Deno.test(`GET ${route} answers 200 or 400 to a cursor that no page gave`, async () => {
    await using test = await openTestApp();
    await test.send("/api/v1/events/batch", {
      batch: [
        { type: "group", userId: "u", groupId: "g" },
        { type: "page", anonymousId: "a" },
        { type: "page" },
      ],
    });
    for (const [what, value] of Object.entries(SAID)) {
      const { status, body } = await test.get(`${route}?cursor=${encodeCursor(value)}`, AS_ADMIN);
      ok(status === 200 || status === 400, `${what}: ${status} ${JSON.stringify(body)}`);
    }
  });
}

Deno.test("a page of rejected events after a cursor with a long id is refused with the name of the value", async () => {
  await using test = await openTestApp();
  const path = `/api/v1/admin/rejected?cursor=${encodeCursor("x".repeat(3_000))}`;
  const { status, body } = await test.get(path, AS_ADMIN);
  strictEqual(status, 400);
  strictEqual(body.errors[0].path, "cursor");
});
