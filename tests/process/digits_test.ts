/** Integers keep their digits on the way through files: import, export, import again, replay. */
import { match, ok, strictEqual } from "node:assert";
import fc from "fast-check";
import { longDigits, longJson } from "../domain/event/long_json.ts";
import { runTask, startServer, tempDir, WRITE_KEY } from "./server.ts";

/** Events as text, each with ids, a map and a member of its own that hold long integers. */
const events = fc.array(
  fc.tuple(longJson, longDigits.filter((digits) => digits.length <= 250)).map(([{ text }, digits]) => ({
    text,
    line: `{"type":"identify","userId":${digits},"traits":${text},"properties":${text},"custom":${digits},` +
      `"timestamp":"2025-03-15T14:30:00.000Z"`,
  })),
  { minLength: 30, maxLength: 30 },
);

Deno.test("what is sent or imported with long integers is exported, imported and folded with their digits", async () => {
  await fc.assert(
    fc.asyncProperty(events, async (drawn) => {
      await using dir = await tempDir();
      const [first, second] = [`${dir.path}/first.db`, `${dir.path}/second.db`];
      // Message ids beyond 2^53, each one more than the one before.
      const lines = drawn.map(({ line }, n) => `${line},"messageId":${10n ** 18n + BigInt(n)}}`);
      const half = lines.length / 2;
      {
        await using server = await startServer(first);
        const response = await fetch(`${server.url}/api/v1/events/batch`, {
          method: "POST",
          headers: { authorization: `Bearer ${WRITE_KEY}` },
          body: `{"batch":[${lines.slice(0, half).join()}]}`,
        });
        strictEqual((await response.json()).accepted, half);
        await server.end("SIGTERM");
      }
      const file = `${dir.path}/events.ndjson`;
      await Deno.writeTextFile(file, lines.slice(half).join("\n"));
      const imported = await runTask(first, "import", file);
      match(imported.stdout, new RegExp(`imported ${half} events; 0 duplicates skipped; 0 lines rejected`));

      const exported = (await runTask(first, "export")).stdout;
      const exportedLines = exported.trimEnd().split("\n");
      strictEqual(exportedLines.length, lines.length);
      for (const [n, { text }] of drawn.entries()) {
        const line = exportedLines[n]!;
        ok(line.includes(`"properties":${text},"custom":`) && line.includes(`"traits":${text},`), line);
        ok(line.includes(`"messageId":"${10n ** 18n + BigInt(n)}"`), line);
      }
      await Deno.writeTextFile(file, exported);
      strictEqual((await runTask(second, "import", file)).code, 0);
      strictEqual((await runTask(second, "export")).stdout, exported);
      const again = await runTask(second, "import", file);
      match(again.stdout, new RegExp(`imported 0 events; ${lines.length} duplicates skipped`));
      const verified = await runTask(second, "replay", "--verify");
      strictEqual(verified.code, 0, verified.stdout);
    }),
    { numRuns: 1 },
  );
});
