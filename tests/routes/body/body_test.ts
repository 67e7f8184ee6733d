import { deepStrictEqual, strictEqual } from "node:assert";
import { createBodies } from "../../../routes/body/bodies.ts";
import type { BodySender } from "../../../routes/body/body_memory.ts";
import * as defaults from "../../../routes/body/limits.ts";

const LIMITS = { ...defaults.LIMITS, maxBytes: 1000, drainBytes: 5000, maxHeldBytes: 1500 };

const KNOWN: BodySender = { keyId: "k", network: () => "192.0.2.1" };
const UNKNOWN: BodySender = { network: () => "192.0.2.2" };

/** The bodies of a process, by the clock of this one, read from a sender who is known where nothing else is said. */
function open(limits = LIMITS) {
  const bodies = createBodies({ limits, now: Date.now, elapsed: () => performance.now() });
  return { ...bodies, read: (request: Request, sender = KNOWN) => bodies.read(request, sender) };
}

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
  const bodies = open();
  for (
    const request of [
      sized(" ".repeat(900)),
      streamed(9, 100, "ends").request,
      streamed(1, 900, "ends").request,
    ]
  ) {
    const body = await bodies.read(request);
    deepStrictEqual([body.bytes.length, body.hold.bytes, body.problem], [900, 900, undefined]);
    bodies.release(body);
  }
  strictEqual((await bodies.read(new Request("http://localhost", { method: "POST" }))).bytes.length, 0);
});

Deno.test("a body of exactly the limit is accepted, one byte more is too large", async () => {
  const bodies = open();
  const taken = await bodies.read(streamed(10, 100, "ends").request);
  strictEqual(taken.bytes.length, 1000);
  bodies.release(taken);
  strictEqual((await bodies.read(streamed(1001, 1, "ends").request)).problem?.code, "body_too_large");
});

Deno.test("a body that is too large is drained, but not for ever, and not held", async () => {
  const bodies = open();
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
  const bodies = open({ ...defaults.LIMITS, maxBytes: 70_000 });
  const body = await bodies.read(sized("x".repeat(70_001)));
  deepStrictEqual([body.problem?.code, body.hold.bytes], ["body_too_large", 0]);
});

Deno.test("a body that stalls is cut, at first or in the middle", async () => {
  const bodies = open(SHORT);
  for (const pieces of [0, 3]) {
    const { problem } = await bodies.read(streamed(pieces, 10, "stalls").request);
    deepStrictEqual([problem?.reason, problem?.code], ["invalid", "stalled_body"]);
    deepStrictEqual(problem?.headers, { connection: "close" });
  }
});

Deno.test("a body that comes byte by byte is cut after its whole time", async () => {
  // Each byte comes sooner than it may.
  const bodies = open({ ...LIMITS, totalMs: 120 });
  const slow = streamed(1e9, 1, "ends", 5);
  strictEqual((await bodies.read(slow.request)).problem?.code, "stalled_body");
});

Deno.test("a body that breaks off is distinguished from an invalid one", async () => {
  const bodies = open();
  strictEqual((await bodies.read(streamed(3, 10, "breaks").request)).problem?.code, "broken_body");
});

Deno.test("bytes of all bodies are bounded until they are released", async () => {
  const bodies = open();
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

Deno.test("small bodies that stall hold a bounded number of bytes, and others are still read", async () => {
  const bodies = open({ ...SHORT, maxReadingBytes: 1000 });
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

Deno.test("of an unknown sender's body that is too large the beginning is kept, and all of it is drained", async () => {
  const bodies = open({ ...LIMITS, maxUnknownBytes: 500 });
  const body = await bodies.read(streamed(10, 100, "ends").request, UNKNOWN);
  deepStrictEqual([body.problem?.code, body.bytes.length, body.work.bytes], ["body_too_large", 500, 1000]);
  bodies.release(body);
  strictEqual(body.hold.bytes, 0);
});

/** A body that comes in pieces, as a clock that is told goes on. */
function paced(clock: { nowMs: number }, pieces: [bytes: number, afterMs: number][]) {
  const left = [...pieces];
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const [bytes, afterMs] = left.shift() ?? [0, 0];
      if (bytes === 0) return controller.close();
      // In steps, as each deadline is looked at by a timer of its own.
      clock.nowMs += afterMs;
      await new Promise((resolve) => setTimeout(resolve, afterMs === 0 ? 0 : 600));
      controller.enqueue(new Uint8Array(bytes));
    },
  }, { highWaterMark: 0 });
  return new Request("http://localhost", { method: "POST", body });
}

const PACES: [what: string, pieces: [number, number][], code: string | undefined][] = [
  ["that comes at twice the least rate", [[100_000, 0], [20_000, 9_000], [20_000, 9_000]], undefined],
  [
    "of a byte every 8 s, after much at once",
    [[100_000, 0], [1, 8_000], [1, 8_000], [1, 8_000]],
    "stalled_body",
  ],
];

for (const [what, pieces, code] of PACES) {
  Deno.test(`a body ${what} is ${code === undefined ? "read" : "given up"}`, async () => {
    const clock = { nowMs: 0 };
    const bodies = createBodies({ limits: defaults.LIMITS, now: () => clock.nowMs, elapsed: () => 0 });
    strictEqual((await bodies.read(paced(clock, pieces), KNOWN)).problem?.code, code);
  });
}
