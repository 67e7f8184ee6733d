/** What a body may make the server do, by what its sender sent for it. */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { gzipSync } from "node:zlib";
import { type Bodies, createBodies, type Parsing } from "../../../routes/body/bodies.ts";
import type { Body } from "../../../routes/body/body.ts";
import { LIMITS, type Limits } from "../../../routes/body/limits.ts";
import { structureOf } from "../../../routes/body/load.ts";
import { orderCompleted } from "../../order_completed.ts";

const MIB = 1024 * 1024;

/** Bodies by a clock that is told. */
function open(limits: Partial<Limits> = {}) {
  const clock = { nowMs: 0 };
  const bodies = createBodies({ limits: { ...LIMITS, ...limits }, now: () => clock.nowMs, elapsed: () => 0 });
  return { bodies, clock };
}

function request(body: Uint8Array | string, isCompressed: boolean): Request {
  const bytes = isCompressed ? gzipSync(body) : body;
  return new Request("http://localhost", {
    method: "POST",
    body: bytes as BodyInit,
    headers: {
      "content-length": `${bytes.length}`,
      ...isCompressed && { "content-encoding": "gzip" },
    },
  });
}

/** Reads and parses a body, and gives the code of the refusal, or `undefined`. */
async function parse(
  bodies: Bodies,
  text: Uint8Array | string,
  { gzip = false, keyId = "k", structure }: { gzip?: boolean } & Partial<Parsing> = {},
): Promise<{ code: string | undefined; body: Body; retryAfterS?: number | undefined }> {
  const body = await bodies.read(request(text, gzip), { keyId, network: () => "192.0.2.1" });
  const parsed = await bodies.parse(body, { keyId, ...structure && { structure } });
  bodies.release(body);
  return { code: parsed.problem?.code, body, retryAfterS: parsed.problem?.retryAfterS };
}

const read = (bodies: Bodies, text: string) =>
  bodies.read(request(text, false), { keyId: "k", network: () => "192.0.2.1" });

/** An event as clients send it, with an id and a time of its own. */
const eventOf = (n: number) => ({
  ...orderCompleted(n, 100),
  context: { library: { name: "analytics-node", version: "1.2.3" }, ip: "8.8.8.8", locale: "en-US" },
});
/** The same with ids of 18 digits, as databases have them. */
const withLongId = (n: number) => ({ ...eventOf(n), userId: n, properties: { order_id: n, total: 1.5 } });
const longIdsOf = (count: number) =>
  JSON.stringify({ batch: Array.from({ length: count }, (_, n) => withLongId(n)) })
    .replaceAll(
      /"(userId|order_id)":(\d+)/g,
      (_, name, n) => `"${name}":${123456789012000000n + BigInt(n) * 7919n}`,
    );
const batchOf = (count: number) =>
  JSON.stringify({ batch: Array.from({ length: count }, (_, n) => eventOf(n)) });

Deno.test("honest batches use no credit, plain or compressed", async () => {
  const { bodies } = open({ loadCredit: 1e-9 });
  for (const count of [1, 20, 500, 2_500]) {
    for (const gzip of [false, true]) {
      for (const make of [batchOf, longIdsOf]) {
        const { code } = await parse(bodies, make(count), { gzip });
        strictEqual(code, undefined, `${make.name} ${count}, ${gzip ? "compressed" : "plain"}`);
      }
    }
  }
});

const objects = (count: number) => `{"batch":[],"x":[${"{},".repeat(count)}{}]}`;

const HEAVY: [what: string, body: string | Uint8Array][] = [
  ["objects", objects(100_000)],
  ["arrays", `[${"[],".repeat(100_000)}[]]`],
  ["nested arrays", "[".repeat(100_000) + "]".repeat(100_000)],
  ["numbers", `[${"1,".repeat(100_000)}1]`],
  ["long integers", `[${"12345678901234567890,".repeat(50_000)}1]`],
  ["events that are none", `{"batch":[${"{},".repeat(2_000)}{}]}`],
  ["events of one kind", JSON.stringify({ batch: Array(2_500).fill({ type: "page", userId: "u" }) })],
  ["text", JSON.stringify("x".repeat(3 * MIB))],
  ["blanks", " ".repeat(3 * MIB)],
  ["nothing but zeros", new Uint8Array(3 * MIB)],
];

for (const [what, body] of HEAVY) {
  Deno.test(`a few compressed bytes that become ${what} use up the credit of their key, and then are 429`, async () => {
    const { bodies, clock } = open();
    let looked = 0;
    let taken = 0;
    for (;;) {
      const tried = await parse(bodies, body, { gzip: true });
      if (tried.code === "too_dense") {
        ok(tried.retryAfterS! >= 1);
        break;
      }
      looked += tried.body.work.bytes;
      ok(taken++ < 1_000, "at some point it is refused");
    }
    ok(looked < 100 * MIB, `${looked} bytes`);
    // Other keys have their own, and honest bodies need none.
    strictEqual((await parse(bodies, objects(1000), { gzip: true, keyId: "other" })).code, undefined);
    strictEqual((await parse(bodies, batchOf(500), { gzip: true })).code, undefined);
    clock.nowMs += 3_600_000;
    strictEqual((await parse(bodies, objects(1000), { gzip: true })).code, undefined, "it comes back");
  });
}

Deno.test("without credit a compressed body is inflated only as far as its own bytes pay for", async () => {
  const { bodies } = open({ loadCredit: 1e-9 });
  const bytes = gzipSync(new Uint8Array(3 * MIB)).length;
  const { code, body } = await parse(bodies, new Uint8Array(3 * MIB), { gzip: true });
  strictEqual(code, "too_dense");
  ok(body.work.bytes <= bytes + 16 * (500 + 4 * bytes) + 1, `${body.work.bytes}`);
});

Deno.test("no body has more structure than 2,500 large events need, whoever pays", async () => {
  const { bodies } = open({ loadCredit: 1e9 });
  for (const gzip of [false, true]) {
    strictEqual((await parse(bodies, objects(299_990), { gzip })).code, undefined);
    strictEqual((await parse(bodies, objects(300_000), { gzip })).code, "too_much_structure");
  }
  const text = JSON.stringify({ x: ":{[".repeat(1_000_000) });
  strictEqual((await parse(bodies, text)).code, undefined, "texts hold no structure");
  const escaped = JSON.stringify({ x: '":{['.repeat(500_000) });
  strictEqual((await parse(bodies, escaped)).code, undefined, "nor are those behind an escaped quote");
});

Deno.test("a body that holds a long integer may have fewer values, as it is parsed twice", async () => {
  const { bodies } = open({ loadCredit: 1e9 });
  const numbers = (count: number) => `[${"1,".repeat(count)}12345678901234567890]`;
  strictEqual((await parse(bodies, numbers(269_990))).code, undefined);
  strictEqual((await parse(bodies, numbers(270_000))).code, "too_much_structure");
  strictEqual(
    (await parse(bodies, objects(150_000).replace("{}]", "12345678901234567890]"))).code,
    "too_much_structure",
  );
  strictEqual((await parse(bodies, `[${"1,".repeat(1_000_000)}1]`)).code, undefined);
});

Deno.test("a route may allow less structure", async () => {
  const { bodies } = open();
  const problem = { reason: "too_large", code: "event_too_large", detail: "x" } as const;
  const structure = { most: 1000, problem };
  strictEqual((await parse(bodies, objects(100), { structure })).code, undefined);
  strictEqual((await parse(bodies, objects(2000), { structure })).code, "event_too_large");
});

Deno.test("structure is counted outside strings where it matters", () => {
  const count = (text: string, enough = 0) =>
    structureOf(new TextEncoder().encode(text), { enough, most: 100 });
  strictEqual(count('{"a":[1,2],"b":{}}'), 5);
  strictEqual(count('{"a:[{":"\\":[{"}'), 2);
  strictEqual(count('{"a:[{":"\\\\":[{'), 5);
  strictEqual(count("[1,2]", 100), 5, "a bound where there is no need to count");
  strictEqual(count("[".repeat(1_000)), 101, "no further than is needed to refuse it");
});

Deno.test("large bodies are parsed one at a time; small plain ones do not wait for them", async () => {
  const { bodies } = open({ maxParsedBytes: 8_000 });
  const sender = { keyId: "k", network: () => "192.0.2.1" };
  const read = (bytes: number) => bodies.read(request(" ".repeat(bytes - 2) + "{}", false), sender);
  const first = await read(6_000);
  ok(!(bodies.parse(first, { keyId: "k" }) instanceof Promise));
  const second = await read(6_000);
  const turn = bodies.parse(second, { keyId: "k" });
  ok(turn instanceof Promise, "there is no room beside the first");
  strictEqual(bodies.waiting(), 1);
  const small = await read(1_000);
  ok(!(bodies.parse(small, { keyId: "k" }) instanceof Promise));
  bodies.release(first);
  strictEqual((await turn).problem, undefined);
  for (const body of [second, small]) bodies.release(body);
  strictEqual(bodies.waiting(), 0);
});

Deno.test("many small events that are not answered yet let the next body wait, though they have few bytes", async () => {
  const { bodies } = open();
  const small = JSON.stringify({ batch: Array.from({ length: 2_500 }, () => ({ n: 1 })) });
  const [held, next] = [await read(bodies, small), await read(bodies, small)];
  const others = await Promise.all(Array.from({ length: 3 }, () => read(bodies, small)));
  for (const body of [held, ...others]) await bodies.parse(body, { keyId: "k" });
  let isParsed = false;
  const parsing = Promise.resolve(bodies.parse(next, { keyId: "k" })).then(() => isParsed = true);
  await new Promise((resolve) => setTimeout(resolve, 200));
  strictEqual(isParsed, false, "10,000 events are under way");
  bodies.release(held);
  await parsing;
  for (const body of [next, ...others]) bodies.release(body);
});

Deno.test("inflated bytes count until the body is released", async () => {
  const { bodies } = open();
  const body = await bodies.read(request(JSON.stringify("x".repeat(9_000)), true), {
    keyId: "k",
    network: () => "192.0.2.1",
  });
  const sent = body.hold.bytes;
  const parsed = await bodies.parse(body, { keyId: "k" });
  deepStrictEqual([parsed.problem, body.hold.bytes], [undefined, sent + 9_002]);
  bodies.release(body);
  strictEqual(body.hold.bytes, 0);
});
