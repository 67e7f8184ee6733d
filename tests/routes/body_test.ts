import { deepStrictEqual, strictEqual } from "node:assert";
import { gzipSync } from "node:zlib";
import { BODY_LIMITS, createBodies } from "../../routes/body.ts";

const LIMITS = {
  ...BODY_LIMITS,
  maxBytes: 1000,
  drainBytes: 5000,
  maxHeldBytes: 1500,
  idleMs: 40,
  totalMs: 120,
};

/** A body in pieces, which then ends, breaks, or stays as it is for ever. */
function streamed(pieces: number, size: number, end: "ends" | "breaks" | "stalls", pauseMs = 0) {
  let sent = 0;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
      if (sent++ < pieces) controller.enqueue(new Uint8Array(size).fill(32));
      else if (end === "ends") controller.close();
      else if (end === "breaks") controller.error(new TypeError("connection reset"));
      else await new Promise(() => {});
    },
  });
  return { request: new Request("http://localhost", { method: "POST", body }), sent: () => sent };
}

/** A request whose length is known, as it is from a server. */
function sized(text: string | Uint8Array, headers: Record<string, string> = {}) {
  const length = typeof text === "string" ? text.length : text.byteLength;
  const body = text as BodyInit;
  return new Request("http://localhost", {
    method: "POST",
    body,
    headers: { "content-length": `${length}`, ...headers },
  });
}

Deno.test("a body is read whole, in one piece or many, with its length known or not", async () => {
  const bodies = createBodies(LIMITS, Date.now);
  for (
    const request of [
      sized(" ".repeat(900)),
      streamed(9, 100, "ends").request,
      streamed(1, 900, "ends").request,
    ]
  ) {
    const body = await bodies.read(request);
    deepStrictEqual([body.bytes.length, body.held, body.problem], [900, 900, undefined]);
    bodies.release(body);
  }
  strictEqual((await bodies.read(new Request("http://localhost", { method: "POST" }))).bytes.length, 0);
});

Deno.test("a body of just the bound is taken, one byte more is too large", async () => {
  const bodies = createBodies(LIMITS, Date.now);
  const taken = await bodies.read(streamed(10, 100, "ends").request);
  strictEqual(taken.bytes.length, 1000);
  bodies.release(taken);
  strictEqual((await bodies.read(streamed(1001, 1, "ends").request)).problem?.code, "body_too_large");
});

Deno.test("a body that is too large is drained, but not for ever, and not held", async () => {
  const bodies = createBodies(LIMITS, Date.now);
  const drained = streamed(40, 100, "ends");
  const body = await bodies.read(drained.request);
  deepStrictEqual([body.problem?.code, body.problem?.headers, drained.sent()], [
    "body_too_large",
    undefined,
    41,
  ]);
  const endless = streamed(1e9, 100, "ends");
  const cut = await bodies.read(endless.request);
  deepStrictEqual([cut.problem?.code, cut.problem?.headers], ["body_too_large", { connection: "close" }]);
  strictEqual(endless.sent() < 60, true);
});

Deno.test("a body that declares too much is refused before it is held", async () => {
  const bodies = createBodies({ ...BODY_LIMITS, maxBytes: 70_000 }, Date.now);
  const body = await bodies.read(sized("x".repeat(70_001)));
  deepStrictEqual([body.problem?.code, body.held], ["body_too_large", 0]);
});

Deno.test("a body that stalls is cut, at first or in the middle", async () => {
  const bodies = createBodies(LIMITS, Date.now);
  for (const pieces of [0, 3]) {
    const { problem } = await bodies.read(streamed(pieces, 10, "stalls").request);
    deepStrictEqual([problem?.reason, problem?.code], ["invalid", "stalled_body"]);
    deepStrictEqual(problem?.headers, { connection: "close" });
  }
});

Deno.test("a body that comes byte by byte is cut after its whole time", async () => {
  const bodies = createBodies(LIMITS, Date.now);
  const slow = streamed(1e9, 1, "ends", 5);
  strictEqual((await bodies.read(slow.request)).problem?.code, "stalled_body");
});

Deno.test("a body that breaks off is told from one that is bad", async () => {
  const bodies = createBodies(LIMITS, Date.now);
  strictEqual((await bodies.read(streamed(3, 10, "breaks").request)).problem?.code, "broken_body");
});

Deno.test("bytes of all bodies are bounded until they are released", async () => {
  const bodies = createBodies(LIMITS, Date.now);
  const first = await bodies.read(sized(" ".repeat(1000)));
  for (const request of [sized(" ".repeat(600)), streamed(6, 100, "ends").request]) {
    const { problem } = await bodies.read(request);
    deepStrictEqual([problem?.reason, problem?.code], ["unavailable", "overloaded"]);
  }
  bodies.release(first);
  bodies.release(first);
  const again = await bodies.read(sized(" ".repeat(1000)));
  strictEqual(again.problem, undefined);
  strictEqual((await bodies.read(sized(" ".repeat(501)))).problem?.code, "overloaded");
});

Deno.test("what is inflated counts, and a bomb is not inflated beyond the bound", async () => {
  const bodies = createBodies(LIMITS, Date.now);
  const request = sized(gzipSync(`"${"x".repeat(900)}"`), { "content-encoding": "gzip" });
  const body = await bodies.read(request);
  const parsed = bodies.parse(body, request);
  deepStrictEqual("bytes" in parsed && parsed.bytes, 902);
  strictEqual(body.held > 902, true);
  bodies.release(body);
  const bomb = sized(gzipSync(new Uint8Array(1_000_000)), { "content-encoding": "gzip" });
  const refused = bodies.parse(await bodies.read(bomb), bomb);
  strictEqual("problem" in refused && refused.problem.code, "body_too_large");
});
