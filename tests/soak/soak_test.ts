/** The tools of `deno task soak`, on some seconds of it: what they would have to see, they see. */
import { deepStrictEqual, ok, strictEqual, throws } from "node:assert";
import { newSeed } from "../process/ledger.ts";
import { eventually, sleep, startServer, tempDir } from "../process/server.ts";
import type { Interval } from "./generator.ts";
import { judgeMemory, type Sample } from "./memory.ts";
import { soak } from "./soak_run.ts";

const RATE = 40;
const SECONDS = 8;
const STALL_MS = 3_000;

Deno.test("a server that stalls makes each request late that arrives meanwhile, and none is an error or lost", async () => {
  await using dir = await tempDir();
  await using server = await startServer(`${dir.path}/kv.db`);
  const intervals: Interval[] = [];
  const load = soak({
    server,
    rate: RATE,
    seconds: SECONDS,
    seed: newSeed("soak"),
    onInterval: (interval) => void intervals.push(interval),
  });
  await eventually(
    "the load is under way",
    async () => (await server.ask("/api/v1/admin/stats")).body.head > 0,
  );
  Deno.kill(server.pid, "SIGSTOP");
  await sleep(STALL_MS);
  Deno.kill(server.pid, "SIGCONT");
  const samples = await load;
  strictEqual(intervals.length, 1);
  const [{ requests, events, errors, shown, p99Ms, maxMs }] = intervals as [Interval];
  deepStrictEqual([requests, errors], [RATE * SECONDS, 0], shown.join());
  // By a client that waits for its answers one request in hundreds would be late.
  ok(p99Ms > STALL_MS * 0.75, `p99 ${p99Ms} ms`);
  ok(maxMs >= STALL_MS * 0.9, `max ${maxMs} ms`);
  strictEqual((await server.ask("/api/v1/admin/stats")).body.head, events);
  ok(samples.length > 1 && samples.every(({ megabytes }) => megabytes > 20), "memory was looked at");
});

/** Samples of 5 minutes, two seconds apart. */
const samplesOf = (megabytes: (minutes: number) => number): Sample[] =>
  Array.from({ length: 151 }, (_, n) => ({ seconds: n * 2, megabytes: megabytes(n / 30) }));

const MEMORY: [what: string, megabytes: (minutes: number) => number, flat: boolean][] = [
  ["stays", () => 200, true],
  ["falls", (minutes) => 300 - 20 * minutes, true],
  ["saws", (minutes) => 200 + 40 * ((minutes * 7) % 1), true],
  ["rises at first, and then no more", (minutes) => 200 + 50 * Math.min(minutes, 2), true],
  ["rises by 6 MB a minute", (minutes) => 200 + 6 * minutes, false],
  ["rises by 6 MB a minute under a saw", (minutes) => 200 + 6 * minutes + 40 * ((minutes * 7) % 1), false],
  ["rises in the second half alone", (minutes) => 200 + 10 * Math.max(0, minutes - 2.5), false],
];

for (const [what, megabytes, flat] of MEMORY) {
  Deno.test(`memory that ${what} is ${flat ? "" : "not "}judged flat`, () => {
    const verdict = judgeMemory(samplesOf(megabytes));
    strictEqual(verdict.flat, flat, JSON.stringify(verdict));
  });
}

Deno.test("memory of which there are too few samples is not judged", () => {
  throws(() => judgeMemory([{ seconds: 0, megabytes: 1 }, { seconds: 2, megabytes: 1 }]), RangeError);
});
