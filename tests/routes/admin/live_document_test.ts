/** The lines of the live view are as the OpenAPI document says, which can't say it of a stream. */
import { deepStrictEqual, strictEqual } from "node:assert";
import { misfit } from "../openapi/documented.ts";
import { AS_ADMIN, FROM, openTestApp } from "../test_app.ts";

Deno.test("each line of the live view is a LiveLine of the document", async () => {
  await using test = await openTestApp();
  const response = await test.app.request("/api/v1/admin/live", { headers: AS_ADMIN }, FROM);
  const lines: { status: string }[] = [];
  const reading = (async () => {
    for await (const text of response.body!.pipeThrough(new TextDecoderStream())) {
      for (const [, data] of text.matchAll(/^data: (.*)$/gm)) lines.push(JSON.parse(data!));
      if (lines.length >= 3) return;
    }
  })();
  const event = { type: "group", userId: "u1", groupId: "g1", messageId: "m1" };
  await test.send("/api/v1/events", event);
  await test.send("/api/v1/events", event);
  await test.send("/api/v1/events", { type: "track", event: 1 });
  await reading;
  deepStrictEqual(lines.map(({ status }) => status).toSorted(), ["accepted", "duplicate", "rejected"]);
  lines.push(JSON.parse('{"status":"skipped","skipped":3}'));
  for (const line of lines) strictEqual(misfit("/components/schemas/LiveLine", line), undefined);
});
