/** Contracts and quarantine of servers that share one database file: a change holds in each, and outlives them. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { eventually, startServer, tempDir, writes } from "./server.ts";

/** A change of a contract holds everywhere within this time, says the contract of the API. */
const CHANGE_MS = 5_000;

const CONTRACT = "/api/v1/admin/contracts/order";
const draft = (mode: string) => ({
  type: "track",
  event: "Order Completed",
  schema: { required: ["properties"] },
  mode,
});
const order = { type: "track", event: "Order Completed", userId: "u" };

Deno.test("a contract that is put, changed or deleted holds in the other server within 5 s, and outlives both", async () => {
  await using dir = await tempDir();
  const kvPath = `${dir.path}/kv.db`;
  {
    await using one = await startServer(kvPath);
    await using two = await startServer(kvPath);
    strictEqual((await two.send(order)).status, 200, "two knows that there is none");
    const change = async (method: string, status: number, body?: unknown) => {
      const { status: changed } = await one.ask(CONTRACT, { method, ...body !== undefined && { body } });
      ok(changed === 200 || changed === 204);
      strictEqual((await one.send(order)).status, status, "at once where it was changed");
      await eventually(
        `${method} holds in the other`,
        async () => (await two.send(order)).status === status,
        { ms: CHANGE_MS },
      );
    };
    await change("PUT", 422, draft("enforce"));
    await change("PUT", 200, draft("monitor"));
    await change("DELETE", 200);
    await change("PUT", 422, draft("enforce"));

    // What either refused is in one quarantine, and either sends it again.
    const kept = async () => (await one.ask("/api/v1/admin/rejected")).body.rejected;
    await eventually("one shows what two refused", async () => (await kept()).length >= 2);
    const [{ id }] = await kept();
    await one.ask(CONTRACT, { method: "PUT", body: draft("monitor") });
    await eventually("it can be sent again by the other", async () => {
      const { status } = await two.ask(`/api/v1/admin/rejected/${id}/resend`, { method: "POST" });
      return status === 200;
    }, { ms: CHANGE_MS });
    strictEqual((await one.ask(`/api/v1/admin/rejected/${id}/resend`, { method: "POST" })).status, 404);
    await one.ask(CONTRACT, { method: "PUT", body: draft("enforce") });
  }
  await using three = await startServer(kvPath, { UNKNOWN_EVENTS: "reject" });
  strictEqual((await three.send(order)).status, 422, "from its first event on");
  const { status, body } = await three.send({ type: "page", userId: "u" });
  deepStrictEqual([status, body.code], [422, "no_contract"], "the setting reaches the server");
  const { body: { versions } } = await three.ask(`${CONTRACT}/versions`);
  deepStrictEqual(
    versions.map((
      { version, contract }: { version: number; contract: { mode: string } | null },
    ) => [version, contract?.mode ?? null]),
    [[6, "enforce"], [5, "monitor"], [4, "enforce"], [3, null], [2, "monitor"], [1, "enforce"]],
  );
});

Deno.test("a contract that two servers change at once is one of both, with a version for each change", async () => {
  await using dir = await tempDir();
  const kvPath = `${dir.path}/kv.db`;
  await using one = await startServer(kvPath);
  await using two = await startServer(kvPath);
  const changes = Array.from({ length: 10 }, (_, n) =>
    [one, two][n % 2]!.ask(CONTRACT, {
      method: "PUT",
      body: { ...draft("monitor"), schema: { title: `change ${n}` } },
    }));
  for (const { status, body } of await Promise.all(changes)) strictEqual(status, 200, JSON.stringify(body));
  const { body: { versions } } = await one.ask(`${CONTRACT}/versions`);
  deepStrictEqual(
    versions.map(({ version }: { version: number }) => version),
    [10, 9, 8, 7, 6, 5, 4, 3, 2, 1],
  );
  const titles = versions.map(({ contract }: { contract: { schema: { title: string } } }) =>
    contract.schema.title
  );
  strictEqual(new Set(titles).size, 10);
  deepStrictEqual((await two.ask(CONTRACT)).body.schema, versions[0].contract.schema);
});

Deno.test("a server says when it starts which contracts it cannot check", async () => {
  await using dir = await tempDir();
  const kvPath = `${dir.path}/kv.db`;
  {
    await using first = await startServer(kvPath);
    await first.ask(CONTRACT, { method: "PUT", body: draft("enforce") });
  }
  {
    // As 0.3 stored it.
    using kv = await Deno.openKv(kvPath);
    const { value } = await kv.get<{ contract: Uint8Array }>(["contract", "order"]);
    const contract = { name: "order", ...draft("enforce"), schema: { unevaluatedProperties: false } };
    await kv.set(["contract", "order"], {
      ...value,
      contract: new TextEncoder().encode(JSON.stringify(contract)),
    });
  }
  await using server = await startServer(kvPath);
  await writes(server, /contract_unsupported/);
  const line = server.written().split("\n").find((each) => each.includes("contract_unsupported"))!;
  const { level, message, contract } = JSON.parse(line);
  deepStrictEqual([level, contract], ["warn", "order"]);
  match(message, /^This contract checks no events: schema\.unevaluatedProperties is not supported/);
  strictEqual((await server.send(order)).status, 200);
});
