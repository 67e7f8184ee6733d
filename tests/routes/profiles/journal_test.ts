/** The journal as a feed over HTTP: order, positions, filters, waiting. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import * as fc from "fast-check";
import { AS_SENDER, openTestApp, type TestApp } from "../test_app.ts";

const PATH = "/api/v1/journal";

interface Line {
  messageId: string;
  position: string;
}

async function read(test: TestApp, query = ""): Promise<{ lines: Line[]; next: string }> {
  const { status, body, headers } = await test.get(PATH + query);
  strictEqual(status, 200, JSON.stringify(body));
  strictEqual(headers.get("content-type"), "application/x-ndjson");
  const lines = String(body).split("\n").slice(0, -1).map((line) => JSON.parse(line));
  return { lines, next: /^<\?after=([0-9a-f]{24})>; rel="next"$/.exec(headers.get("link")!)![1]! };
}

const send = (test: TestApp, ...events: Record<string, unknown>[]) =>
  test.send("/api/v1/events/batch", { batch: events });
const track = (messageId: string, more = {}) => ({
  type: "track",
  event: "A",
  userId: "u",
  messageId,
  ...more,
});

Deno.test("the feed has every event once, in order, however it is cut into pages", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 1, max: 9 }),
      async (sizes, limit) => {
        await using test = await openTestApp();
        const sent: string[] = [];
        let after = "";
        const seen: Line[] = [];
        const readOn = async (isLast: boolean) => {
          for (;;) {
            const { lines } = await read(test, `?limit=${limit}${after && `&after=${after}`}`);
            seen.push(...lines);
            after = lines.at(-1)?.position ?? after;
            if (lines.length === 0 || !isLast) return;
          }
        };
        for (const size of sizes) {
          const ids = Array.from({ length: size }, (_, n) => `m${sent.length + n}`);
          sent.push(...ids);
          await send(test, ...ids.map((id) => track(id)));
          await readOn(false);
        }
        await readOn(true);
        deepStrictEqual(seen.map(({ messageId }) => messageId), sent);
        deepStrictEqual(
          seen.map(({ position }) => position),
          seen.map(({ position }) => position).toSorted(),
        );
      },
    ),
    { numRuns: 15 },
  );
});

Deno.test("type and event select lines, and Link leads past those that were left out", async () => {
  await using test = await openTestApp();
  await send(test, track("m1"), { type: "page", userId: "u", messageId: "m2" }, track("m3", { event: "B" }));
  deepStrictEqual((await read(test, "?type=page")).lines.map(({ messageId }) => messageId), ["m2"]);
  deepStrictEqual((await read(test, "?event=B")).lines.map(({ messageId }) => messageId), ["m3"]);
  const none = await read(test, "?event=C");
  deepStrictEqual(none.lines, []);
  deepStrictEqual((await read(test, `?after=${none.next}`)).lines, []);
});

Deno.test("a line is the stored event with its digits, and its own position is not what the sender says", async () => {
  await using test = await openTestApp();
  await test.send(
    "/api/v1/events",
    '{"type":"track","event":"A","userId":"u","position":"mine","properties":{"n":12345678901234567890}}',
    { headers: AS_SENDER },
  );
  const { body } = await test.get(PATH);
  match(body, /"n":12345678901234567890\b/);
  match(JSON.parse(body).position, /^[0-9a-f]{24}$/);
});

Deno.test("wait holds the request until an event comes, and a stop ends it", async () => {
  await using test = await openTestApp();
  const waiting = read(test, "?wait=60");
  await send(test, track("m1"));
  const { lines: [line] } = await waiting;
  strictEqual(line!.messageId, "m1");
  // With a filter, another event does not end it.
  const filtered = read(test, `?wait=60&event=B&after=${line!.position}`);
  await send(test, track("m2"));
  await send(test, track("m3", { event: "B" }));
  strictEqual((await filtered).lines[0]!.messageId, "m3");
  const stopped = test.get(`${PATH}?wait=60&event=never`);
  await test.app.stop();
  ok([200, 503].includes((await stopped).status));
});

Deno.test("an erased event is no longer in the feed", async () => {
  await using test = await openTestApp();
  await send(test, track("m1"), track("m2", { userId: "v" }));
  await test.system.erasure.erase({ kind: "user", id: "u" }, { suppress: false });
  deepStrictEqual((await read(test)).lines.map(({ messageId }) => messageId), ["m2"]);
});

for (
  const query of [
    "after=x",
    "after=0",
    "limit=0",
    "limit=10001",
    "type=click",
    "wait=61",
    "wait=-1",
    "before=1",
  ]
) {
  Deno.test(`the feed refuses ?${query}`, async () => {
    await using test = await openTestApp();
    const { status, body } = await test.get(`${PATH}?${query}`);
    deepStrictEqual([status, body.errors[0].path], [400, query.split("=")[0]]);
  });
}
