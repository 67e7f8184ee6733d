import { deepStrictEqual, strictEqual } from "node:assert";
import { gzipSync } from "node:zlib";
import { BODY_LIMITS, createBodies } from "../../../routes/http/body.ts";

const LIMITS = { ...BODY_LIMITS, maxBytes: 1000, drainBytes: 5000, maxHeldBytes: 1500 };

/** Where something never comes: the others take as long as they take. */
const SHORT = { ...LIMITS, idleMs: 40, totalMs: 120 };

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
  const bodies = createBodies(SHORT, Date.now);
  for (const pieces of [0, 3]) {
    const { problem } = await bodies.read(streamed(pieces, 10, "stalls").request);
    deepStrictEqual([problem?.reason, problem?.code], ["invalid", "stalled_body"]);
    deepStrictEqual(problem?.headers, { connection: "close" });
  }
});

Deno.test("a body that comes byte by byte is cut after its whole time", async () => {
  // Each byte comes sooner than it may.
  const bodies = createBodies({ ...LIMITS, totalMs: 120 }, Date.now);
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

Deno.test("large bodies leave room for small ones, and unknown senders for known ones", async () => {
  const bodies = createBodies({ ...LIMITS, maxLargeBytes: 900, maxUnknownBytes: 300 }, Date.now);
  const large = await bodies.read(streamed(9, 100, "ends").request);
  strictEqual((await bodies.read(streamed(1, 100, "ends").request)).problem?.code, "overloaded");
  const small = await bodies.read(sized(" ".repeat(200)));
  strictEqual(small.problem, undefined);
  const unknown = await bodies.read(sized(" ".repeat(250)), "unknown");
  strictEqual(unknown.problem, undefined);
  strictEqual((await bodies.read(sized(" ".repeat(60)), "unknown")).problem?.code, "overloaded");
  const known = await bodies.read(sized(" ".repeat(60)));
  strictEqual(known.problem, undefined);
  for (const body of [large, small, unknown, known]) bodies.release(body);
  for (let times = 0; times < 3; times++) {
    const again = await bodies.read(sized(" ".repeat(300)), "unknown");
    strictEqual(again.problem, undefined, "all was given back");
    bodies.release(again);
  }
});

Deno.test("small bodies that stall hold a bounded number of bytes, and others are still read", async () => {
  const bodies = createBodies({ ...SHORT, maxReadingBytes: 1000 }, Date.now);
  let cancelled = 0;
  /** Of known length, as from a server; nothing of it ever comes. */
  const stalled = () =>
    new Request("http://localhost", {
      method: "POST",
      headers: { "content-length": "600" },
      body: new ReadableStream<Uint8Array>({ cancel: () => void cancelled++ }),
    });
  const first = bodies.read(stalled());
  // Beside the first it would be over the bound, so it is counted by what comes, and can be called off.
  strictEqual((await bodies.read(stalled())).problem?.code, "stalled_body");
  strictEqual(cancelled, 1);
  strictEqual((await first).problem?.code, "stalled_body");
  strictEqual((await bodies.read(sized(" ".repeat(500)))).problem, undefined);
});

Deno.test("so many bytes are parsed at once: others wait their turn until one is released", async () => {
  const bodies = createBodies(
    { ...LIMITS, maxParsedBytes: 1500, maxParsedSmallBytes: 700, maxHeldBytes: 9000 },
    Date.now,
  );
  const plain = () => bodies.read(sized(" ".repeat(500)));
  const first = await plain();
  strictEqual(bodies.turn(first, sized("")), undefined);
  const second = await plain();
  const turn = bodies.turn(second, sized(""));
  strictEqual(turn instanceof Promise, true);

  // What is compressed has a line of its own, and counts as the most that it may become until it is inflated.
  const gzipped = async () => {
    const request = sized(gzipSync(`"${"x".repeat(900)}"`), { "content-encoding": "gzip" });
    return { request, body: await bodies.read(request) };
  };
  const bomb = await gzipped();
  strictEqual(bodies.turn(bomb.body, bomb.request), undefined);
  const other = await gzipped();
  const otherTurn = bodies.turn(other.body, other.request);
  strictEqual(otherTurn instanceof Promise, true);

  bodies.release(first);
  strictEqual(await turn, undefined);
  bodies.parse(bomb.body, bomb.request);
  strictEqual(bomb.body.turn?.weight, 902);
  bodies.release(bomb.body);
  strictEqual(await otherTurn, undefined);
});
