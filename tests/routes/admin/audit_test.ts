/** The audit log: changes by name, without secrets and without people. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { AS_ADMIN, AS_READER, openTestApp, type TestApp } from "../test_app.ts";

const AUDIT = "/api/v1/admin/audit";
const ALICE = { authorization: "Bearer alice_token_test" };
const NAMED = { adminTokens: [{ name: "alice", token: "alice_token_test" }] };

async function entriesOf(test: TestApp) {
  return (await test.get(AUDIT, AS_ADMIN)).body.entries;
}

Deno.test("a change of a write key is noted with the token's name and what changed, without the secret", async () => {
  await using test = await openTestApp(NAMED);
  const made = await test.send("/api/v1/admin/keys", { name: "web" }, { headers: ALICE });
  const { id, key } = made.body;
  const path = `/api/v1/admin/keys/${id}`;
  await test.send(path, { enabled: false, allowedTypes: ["page"] }, { method: "PATCH", headers: ALICE });
  const rotated = await test.send(`${path}/rotate`, {}, { headers: AS_ADMIN });
  await test.send(path, undefined, { method: "DELETE", headers: ALICE });
  const entries = await entriesOf(test);
  deepStrictEqual(
    entries.map(({ action, by, target }: Record<string, string>) => [action, by, target]),
    [
      ["write_key.deleted", "alice", id],
      ["write_key.changed", "admin", id],
      ["write_key.changed", "alice", id],
      ["write_key.created", "alice", id],
    ],
  );
  deepStrictEqual(entries[1].changes, { credential: { from: "(secret)", to: "(secret)" } });
  deepStrictEqual(entries[2].changes, {
    allowedTypes: { to: ["page"] },
    enabled: { from: true, to: false },
  });
  match(entries[0].at, /^\d{4}-.*Z$/);
  strictEqual(entries[0].address, "192.0.2.1");
  const text = JSON.stringify(entries);
  for (const secret of [key, rotated.body.key, "alice_token_test"]) ok(!text.includes(secret));
});

Deno.test("a change of a contract is noted, and an equal contract is none", async () => {
  await using test = await openTestApp(NAMED);
  const put = (mode: string) =>
    test.send("/api/v1/admin/contracts/orders", { type: "track", event: "Order", schema: true, mode }, {
      method: "PUT",
      headers: ALICE,
    });
  await put("monitor");
  await put("monitor");
  await put("enforce");
  const entries = await entriesOf(test);
  deepStrictEqual(entries.map(({ action }: { action: string }) => action), [
    "contract.changed",
    "contract.created",
  ]);
  deepStrictEqual(entries[0].changes, { mode: { from: "monitor", to: "enforce" } });
});

Deno.test("an erasure and the end of a suppression are noted, and the person is a digest", async () => {
  await using test = await openTestApp(NAMED);
  await test.send("/api/v1/events", { type: "identify", userId: "jane@example.com" });
  const user = "users/jane%40example.com";
  await test.send(`/api/v1/${user}?suppress=true`, undefined, { method: "DELETE", headers: ALICE });
  await test.send(`/api/v1/admin/suppressed/${user}`, undefined, { method: "DELETE", headers: ALICE });
  // A preview and an unknown id change nothing.
  await test.send(`/api/v1/${user}?dryRun=true`, undefined, { method: "DELETE", headers: ALICE });
  await test.send(`/api/v1/admin/suppressed/${user}`, undefined, { method: "DELETE", headers: ALICE });
  const entries = await entriesOf(test);
  deepStrictEqual(entries.map(({ action }: { action: string }) => action), [
    "suppression.lifted",
    "erasure.requested",
  ]);
  match(entries[1].target, /^user\/[0-9a-f]+$/);
  ok(!JSON.stringify(entries).includes("jane"));
});

Deno.test("the audit log is read in pages, newest first, by administrators only", async () => {
  await using test = await openTestApp();
  for (const name of ["a", "b", "c"]) await test.send("/api/v1/admin/keys", { name }, { headers: AS_ADMIN });
  const first = (await test.get(`${AUDIT}?limit=2`, AS_ADMIN)).body;
  const second = (await test.get(`${AUDIT}?limit=2&cursor=${first.cursor}`, AS_ADMIN)).body;
  deepStrictEqual([first.entries.length, second.entries.length, second.cursor], [2, 1, null]);
  strictEqual(second.entries[0].changes.name.to, "a");
  strictEqual((await test.get(AUDIT, AS_READER)).status, 403);
  strictEqual((await test.get(`${AUDIT}?cursor=x`, AS_ADMIN)).status, 400);
});
