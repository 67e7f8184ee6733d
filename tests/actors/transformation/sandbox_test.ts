/** Threads of engines: what a stuck or failing thread does to others, and what remains of them. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { memoryUsage } from "node:process";
import type { SandboxCode } from "../../../actors/transformation/engine_thread.ts";
import {
  createSandbox,
  type EngineThread,
  type SandboxOptions,
} from "../../../actors/transformation/sandbox.ts";
import { systemClock } from "../../../actors/store/clock.ts";
import { ATTEMPTS, transforming } from "./hostile.ts";

const line = JSON.stringify([
  { type: "track", messageId: "m", properties: {} },
  null,
  "2026-01-01T00:00:00.000Z",
]);
const events = { lines: [line], hasLong: false };
const codeOf = (key: string, code: string): SandboxCode => ({ key, version: key, params: {}, code });
const FINE = codeOf("fine@1", "export default (event) => ({ ...event, properties: { fine: true } })");

/** A sandbox that is closed at the end, and the faults of its threads. */
function open(more: Partial<SandboxOptions> = {}) {
  const faults: string[] = [];
  const sandbox = createSandbox({
    clock: systemClock,
    onFault: (error) => void faults.push(String(error)),
    ...more,
  });
  return { sandbox, faults, [Symbol.dispose]: sandbox.close };
}

async function until(what: string, isTrue: () => boolean): Promise<void> {
  const end = performance.now() + 60_000;
  while (!isTrue()) {
    if (performance.now() > end) throw new Error(`it never came that ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

Deno.test("code runs in a thread that has no permissions, and whose local time is UTC", async () => {
  using test = open();
  const code = codeOf(
    "t@1",
    transforming("event.properties = [new Date(2026, 0, 1).toISOString(), typeof Deno];"),
  );
  deepStrictEqual(await test.sandbox.load(code), { usesPerson: true });
  const [output] = await test.sandbox.run(code, events);
  deepStrictEqual(JSON.parse(output!.slice(1)).properties, ["2026-01-01T00:00:00.000Z", "undefined"]);
});

Deno.test("a stuck thread holds up its own version only; the status says so, and it comes back", async () => {
  using test = open({ limits: { stuckMs: 50, patienceMs: 600_000 } });
  // Comparisons of huge texts are steps that take long, which nothing can stop in the middle.
  const slow = codeOf(
    "slow@1",
    transforming(
      'const a = "x".repeat(4e6), b = "x".repeat(4e6); for (let i = 0; i < 300; i++) if (a !== b) return null;',
    ),
  );
  await test.sandbox.load(FINE);
  let isDone = false;
  const running = test.sandbox.run(slow, events).finally(() => isDone = true);
  const again = test.sandbox.run(slow, events);
  await until("it is stuck", () => test.sandbox.status().stuck.includes("slow@1"));
  const [output] = await test.sandbox.run(FINE, events);
  match(output!, /"fine":true/);
  deepStrictEqual([isDone, test.sandbox.status().threads], [false, 2]);
  match((await running)[0]!, /^=/);
  match((await again)[0]!, /^=/);
  await until("it is no longer stuck", () => test.sandbox.status().stuck.length === 0);
});

Deno.test("after hostile code the engine runs again, and its memory is given back", async () => {
  using test = open();
  const hostile = codeOf("hostile@1", ATTEMPTS["texts without end"]!.code);
  match((await test.sandbox.run(hostile, events))[0]!, /out of memory/);
  const before = memoryUsage.rss();
  for (let n = 0; n < 10; n++) match((await test.sandbox.run(hostile, events))[0]!, /out of memory/);
  match((await test.sandbox.run(FINE, events))[0]!, /"fine":true/);
  const grownMb = (memoryUsage.rss() - before) / 1024 / 1024;
  // Ten engines of 34 MB, two for each, would be 680 MB.
  ok(grownMb < 200, `${grownMb} MB`);
});

Deno.test("a thread holds a bounded number of engines, and lets idle ones go", async () => {
  using test = open({ limits: { engines: 3, idleMs: 300 } });
  for (let n = 0; n < 6; n++) await test.sandbox.run(codeOf(`t${n}@1`, FINE.code), events);
  strictEqual(test.sandbox.status().engines, 3);
  // One that was let go is loaded again.
  match((await test.sandbox.run(codeOf("t0@1", FINE.code), events))[0]!, /"fine":true/);
  await until("all are let go, and the thread, too", () => test.sandbox.status().threads === 0);
  match((await test.sandbox.run(FINE, events))[0]!, /"fine":true/);
});

/** A thread that fails at each run. */
function failing(): EngineThread {
  const thread: EngineThread = {
    onmessage: null,
    onerror: null,
    terminate() {},
    postMessage({ type }) {
      queueMicrotask(() => {
        if (type === "load") thread.onmessage?.({ data: { type: "loaded", usesPerson: false } });
        if (type === "run") thread.onerror?.({ preventDefault() {}, message: "broken" });
      });
    },
  };
  return thread;
}

Deno.test("a run whose thread fails is tried once more, and then its events fail", async () => {
  using test = open({ beginThread: failing });
  const [output] = await test.sandbox.run(FINE, events);
  strictEqual(output, '!{"message":"The engine failed."}');
  deepStrictEqual(test.faults.length, 2);
});

Deno.test("without threads the code runs in this one", async () => {
  using test = open({
    beginThread() {
      throw new Error("no workers here");
    },
  });
  deepStrictEqual(await test.sandbox.load(FINE), { usesPerson: false });
  match((await test.sandbox.run(FINE, events))[0]!, /"fine":true/);
  match(test.faults[0]!, /run in the server's thread/);
});
