/** Who waits in a line for others' reads, and for how long. */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import type { System } from "../../../actors/system.ts";
import { PROFILE_WEIGHT, READS_AT_ONCE } from "../../../routes/profiles/read_turns.ts";
import { TRACES_AT_ONCE } from "../../../routes/profiles/explain.ts";
import { AS_ADMIN, openTestApp, openTestSystem } from "../test_app.ts";

/** A route whose reads wait in a line, how many are under way at once, and what in the system reads for it. */
interface Line {
  path: string;
  atOnce: number;
  over(system: System, read: () => Promise<null>): System;
}

const PROFILES_AT_ONCE = Math.floor(READS_AT_ONCE / PROFILE_WEIGHT);

const LINES: Line[] = [
  {
    path: "/api/v1/users/u1",
    atOnce: PROFILES_AT_ONCE,
    over: (system, user) => ({ ...system, reader: { ...system.reader, user } }),
  },
  {
    path: "/api/v1/groups/g1",
    atOnce: PROFILES_AT_ONCE,
    over: (system, group) => ({ ...system, reader: { ...system.reader, group } }),
  },
  {
    path: "/api/v1/users/u1/traits/plan/why",
    atOnce: PROFILES_AT_ONCE,
    over: (system, trait) => ({ ...system, reader: { ...system.reader, trait } }),
  },
  {
    path: "/api/v1/admin/events/m1",
    atOnce: TRACES_AT_ONCE,
    over: (system, find) => ({ ...system, traces: { ...system.traces, find } }),
  },
];

for (const { path, atOnce, over } of LINES) {
  Deno.test(`a read of ${path} is 503 after 30 s in line; one that came 1 ms later still waits then, and gets its turn`, async () => {
    const { promise, resolve: end } = Promise.withResolvers<null>();
    let underWay = 0;
    const read = () => {
      underWay++;
      return promise;
    };
    await using test = await openTestApp({ system: over(await openTestSystem(), read) });
    const reads = Array.from({ length: atOnce }, () => test.get(path, AS_ADMIN));
    while (underWay < atOnce) await new Promise((resolve) => setTimeout(resolve));
    const first = test.get(path, AS_ADMIN);
    // Whoever asks has come as far as the line.
    await new Promise((resolve) => setTimeout(resolve, 20));
    test.clock.nowMs += 1;
    const second = test.get(path, AS_ADMIN);
    await new Promise((resolve) => setTimeout(resolve, 20));
    strictEqual(underWay, atOnce);
    test.clock.nowMs += 29_999;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const never = new Promise<void>((resolve) => timer = setTimeout(resolve, 20_000));
    const refused = await Promise.race([first, never]);
    clearTimeout(timer);
    ok(refused instanceof Object, "who came first still waits");
    const { status, headers, body } = refused;
    deepStrictEqual([status, headers.get("retry-after"), body.code], [503, "1", "overloaded"]);
    end(null);
    for (const answer of await Promise.all([...reads, second])) strictEqual(answer.status, 404);
    strictEqual(underWay, atOnce + 1);
  });
}
