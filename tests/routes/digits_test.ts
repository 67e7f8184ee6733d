/** Integers keep the digits that were sent, wherever they are shown again. */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import fc from "fast-check";
import { settle } from "../actors/histories.ts";
import { longDigits, longJson } from "../domain/event/long_json.ts";
import { AS_ADMIN, AS_READER, AS_SENDER, FROM, openTestApp, type TestApp } from "./test_app.ts";

const EVENT = "/api/v1/events";
const BATCH = "/api/v1/events/batch";
const AUTHOR = { by: "admin", address: "" };

/** Room for another digit in the 256 characters of an id. */
const idDigits = longDigits.filter((digits) => digits.length < 255);

/** JSON with the text of each number in the place of the number. Not by the product's own reader. */
function digitsIn(text: string): unknown {
  const reviver = (_key: string, value: unknown, { source }: { source: string }) =>
    typeof value === "number" ? `number ${source}` : value;
  return JSON.parse(text, reviver as Parameters<typeof JSON.parse>[1]);
}

/** What the answer to a request says, as {@link digitsIn} reads it. */
async function ask(test: TestApp, path: string, init: RequestInit = {}) {
  const response = await test.app.request(path, { headers: AS_READER, ...init }, FROM);
  const text = await response.text();
  ok(response.ok, text);
  // deno-lint-ignore no-explicit-any -- a test looks at members that it names.
  return digitsIn(text) as any;
}

const post = (test: TestApp, path: string, body: string, headers: HeadersInit = AS_SENDER) =>
  ask(test, path, { method: "POST", headers, body });

/** Without the members that are `null` at the top, which a trait that is removed is. */
const withoutNulls = (text: string) =>
  Object.fromEntries(Object.entries(digitsIn(text) as object).filter(([, value]) => value !== null));

const track = (userId: string, rest: string) => `{"type":"track","event":"E","userId":${userId},${rest}}`;

Deno.test("two users whose ids differ in the last digit never merge, in one batch or alone", async () => {
  await using test = await openTestApp();
  let n = 0;
  await fc.assert(
    fc.asyncProperty(idDigits, async (digits) => {
      // Ids of runs before may come again: what counts is who has which trait of this run.
      const [one, other] = [digits, String(BigInt(digits) + 1n)];
      const trait = `t${n++}`;
      const identify = (id: string) =>
        `{"type":"identify","userId":${id},"anonymousId":${id}0,"traits":{"${trait}":"${id}"}}`;
      const { accepted } = await post(test, BATCH, `{"batch":[${identify(one)},${identify(other)}]}`);
      strictEqual(accepted, "number 2");
      for (const id of [one, other]) {
        strictEqual((await ask(test, `/api/v1/users/${id}`)).traits[trait], id);
        strictEqual((await ask(test, `/api/v1/anonymous/${id}0`)).userId, id);
      }
    }),
    { numRuns: 20 },
  );
});

Deno.test("groups, aliases and message ids that differ in the last digit are different too", async () => {
  await using test = await openTestApp();
  const [one, other] = ["1234567890123456789", "1234567890123456790"];
  for (const id of [one, other]) {
    await post(test, EVENT, `{"type":"group","userId":"u","groupId":${id},"traits":{"id":${id}}}`);
    await post(test, EVENT, `{"type":"page","anonymousId":${id}1}`);
    await post(test, EVENT, `{"type":"alias","userId":"of ${id}","previousId":${id}1}`);
    const { messageId, duplicate } = await post(test, EVENT, track('"u"', `"messageId":${id}`));
    deepStrictEqual([messageId, duplicate], [id, false]);
    strictEqual((await post(test, EVENT, track('"u"', `"messageId":${id}`))).duplicate, true);
  }
  for (const id of [one, other]) {
    deepStrictEqual((await ask(test, `/api/v1/groups/${id}`)).traits, { id: `number ${id}` });
    strictEqual((await ask(test, `/api/v1/anonymous/${id}1`)).userId, `of ${id}`);
  }
});

Deno.test("numbers are shown digit for digit in profile, log, trace and provenance, settled or not", async () => {
  await using test = await openTestApp();
  let n = 0;
  await fc.assert(
    fc.asyncProperty(longJson, longDigits, async ({ text }, digits) => {
      const userId = `7${String(n++).padStart(20, "0")}`;
      const traits = text === "{}" ? `{"long":${digits}}` : text.replace("{", `{"long":${digits},`);
      const { messageId } = await post(
        test,
        EVENT,
        `{"type":"identify","userId":${userId},"traits":${traits},"context":${text}}`,
      );
      await post(test, EVENT, track(userId, `"properties":${text}`));
      await post(test, EVENT, `{"type":"group","userId":${userId},"groupId":${userId},"traits":${traits}}`);
      for (const isSettled of [false, true]) {
        if (isSettled) await settle(test.system);
        const profile = await ask(test, `/api/v1/users/${userId}`);
        strictEqual(profile.userId, userId);
        deepStrictEqual({ ...profile.traits }, withoutNulls(traits));
        deepStrictEqual(profile.context, digitsIn(text));
        deepStrictEqual({ ...profile.groups[0].traits }, withoutNulls(traits));
        deepStrictEqual({ ...(await ask(test, `/api/v1/groups/${userId}`)).traits }, withoutNulls(traits));
        const { events } = await ask(test, `/api/v1/users/${userId}/events?type=track`);
        deepStrictEqual(events.map(({ properties }: Record<string, unknown>) => properties), [
          digitsIn(text),
        ]);
        const why = await ask(test, `/api/v1/users/${userId}/traits/long/why`);
        strictEqual(why.value, `number ${digits}`);
        const trace = await ask(test, `/api/v1/admin/events/${messageId}`, { headers: AS_ADMIN });
        deepStrictEqual(trace.event.traits, digitsIn(traits));
        deepStrictEqual(trace.changed.traits.long, { from: null, to: `number ${digits}` });
      }
    }),
    { numRuns: 15 },
  );
});

Deno.test("an event that is refused, kept, and sent again has the digits that were sent", async () => {
  await using test = await openTestApp();
  let n = 0;
  await fc.assert(
    fc.asyncProperty(longJson, longDigits, async ({ text }, digits) => {
      const userId = `-7${String(n++).padStart(20, "0")}`;
      const properties = text === "{}" ? `{"long":${digits}}` : text.replace("{", `{"long":${digits},`);
      const refusing = { type: "object", properties: { properties: { not: { required: ["long"] } } } };
      await test.system.contracts.put(
        [{ name: "refusing", type: "track", schema: refusing, mode: "enforce" }],
        AUTHOR,
      );
      const answer = await test.send(
        EVENT,
        track(userId, `"messageId":${userId},"properties":${properties}`),
      );
      strictEqual(answer.status, 422);
      const { rejected: [kept] } = await ask(test, "/api/v1/admin/rejected", { headers: AS_ADMIN });
      strictEqual(kept.event.userId, `number ${userId}`);
      deepStrictEqual(kept.event.properties, digitsIn(properties));
      await test.system.contracts.remove("refusing", AUTHOR);
      const sent = await post(test, `/api/v1/admin/rejected/${kept.id}/resend`, "", AS_ADMIN);
      deepStrictEqual([sent.messageId, sent.duplicate], [userId, false]);
      const { events } = await ask(test, `/api/v1/users/${userId}/events`);
      deepStrictEqual(events.map((event: Record<string, unknown>) => event.properties), [
        digitsIn(properties),
      ]);
    }),
    { numRuns: 15 },
  );
});

Deno.test("a contract sees a long integer as a number, in force and when it is tried", async () => {
  await using test = await openTestApp();
  const contract = (id: string) =>
    `{"type":"track","mode":"enforce","schema":{"properties":{"properties":{"properties":{"id":${id}}}}}}`;
  const path = "/api/v1/admin/contracts/ids";
  const put = (id: string) => ask(test, path, { method: "PUT", headers: AS_ADMIN, body: contract(id) });
  const sent = track('"u"', '"properties":{"id":1234567890123456789}');
  await put('{"type":"integer","minimum":0,"maximum":9223372036854775807,"multipleOf":1}');
  await post(test, EVENT, sent);
  await put('{"not":{"type":"number"}}');
  strictEqual((await test.send(EVENT, sent)).body.code, "contract_violation");
  for (const [id, failed] of [['{"type":"integer"}', 0], ['{"type":"string"}', 1]] as const) {
    const tried = await post(test, `${path}/check`, contract(id), AS_ADMIN);
    deepStrictEqual([tried.checked, tried.failed], ["number 1", `number ${failed}`]);
  }
});

Deno.test("an erasure knows a rejected event by the digits that were sent", async () => {
  await using test = await openTestApp();
  const [one, other] = ["1234567890123456789", "1234567890123456790"];
  for (const id of [one, other]) {
    const { status } = await test.send(EVENT, `{"type":"track","userId":${id},"event":1}`);
    strictEqual(status, 400);
  }
  await test.send(`/api/v1/users/${one}`, undefined, { method: "DELETE", headers: AS_ADMIN });
  const { rejected } = await ask(test, "/api/v1/admin/rejected", { headers: AS_ADMIN });
  deepStrictEqual(rejected.map(({ event }: { event: { userId: string } }) => event.userId), [
    `number ${other}`,
  ]);
});
