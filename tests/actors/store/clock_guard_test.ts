import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { systemClock } from "../../../actors/store/clock.ts";
import { createClockGuard, startNotice } from "../../../actors/store/clock_guard.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** A guard over clocks that are told: time passes for both, and somebody moves one. */
function told() {
  const told: string[] = [];
  let wallMs = Date.parse("2025-03-15T12:00:00.000Z");
  let monotonicMs = 0;
  const guard = createClockGuard({
    clock: { ...systemClock, now: () => wallMs, monotonic: () => monotonicMs },
    onMoved: (message) => told.push(message),
  });
  return {
    told,
    fault: guard.fault,
    pass(ms: number) {
      wallMs += ms;
      monotonicMs += ms;
    },
    move: (ms: number) => void (wallMs += ms),
  };
}

Deno.test("a clock that runs is trusted, and so are the small steps of one that is kept in step, however many", () => {
  const clock = told();
  for (let n = 0; n < 1000; n++) {
    clock.pass(HOUR_MS);
    clock.move(n % 3 === 0 ? -20_000 : 30_000);
    strictEqual(clock.fault(), undefined);
  }
  deepStrictEqual(clock.told, []);
});

for (
  const [what, ms] of [["an hour", HOUR_MS], ["minus an hour", -HOUR_MS], ["31 days", 31 * DAY_MS]] as const
) {
  Deno.test(`a clock moved by ${what} is not trusted, is reported once, and is trusted when it comes back`, () => {
    const clock = told();
    clock.move(ms);
    match(clock.fault()!, /^The clock of this server jumped (60 minutes|31 days) (ahead|back) while/);
    clock.pass(50_000);
    match(clock.fault()!, /jumped/);
    strictEqual(clock.told.length, 1);
    clock.move(-ms);
    strictEqual(clock.fault(), undefined);
    deepStrictEqual(clock.told.slice(1), ["The clock is correct again; accepting events."]);
  });
}

Deno.test("a move of up to 3 days is believed after a minute in which both clocks keep step, as after a sleep", () => {
  for (const ms of [HOUR_MS, -HOUR_MS, 3 * DAY_MS]) {
    const clock = told();
    clock.move(ms);
    match(clock.fault()!, /jumped/);
    clock.pass(59_000);
    match(clock.fault()!, /jumped/);
    clock.pass(1_000);
    strictEqual(clock.fault(), undefined);
    clock.pass(DAY_MS);
    strictEqual(clock.fault(), undefined);
    strictEqual(clock.told.length, 2);
  }
});

Deno.test("a clock that is moved again within the minute is not believed yet", () => {
  const clock = told();
  clock.move(HOUR_MS);
  match(clock.fault()!, /jumped/);
  clock.pass(59_000);
  clock.move(HOUR_MS);
  match(clock.fault()!, /2 hours ahead/);
  clock.pass(59_000);
  match(clock.fault()!, /jumped/);
  clock.pass(1_000);
  strictEqual(clock.fault(), undefined);
});

Deno.test("a larger move is never believed while the process runs", () => {
  const clock = told();
  clock.move(3 * DAY_MS + 1);
  for (let n = 0; n < 100; n++) {
    match(clock.fault()!, /jumped 3 days ahead/);
    clock.pass(HOUR_MS);
  }
  match(clock.told[0]!, /if the clock is correct now, restart this process\.$/);
});

Deno.test("a start reports a clock that does not fit the newest event, and nothing otherwise", () => {
  const nowMs = Date.parse("2025-03-15T12:00:00.000Z");
  strictEqual(startNotice(nowMs, 0), undefined);
  strictEqual(startNotice(nowMs, nowMs - 20 * HOUR_MS), undefined);
  strictEqual(startNotice(nowMs, nowMs + MINUTE_MS), undefined);
  match(startNotice(nowMs, nowMs + 31 * DAY_MS)!, /31 days behind the newest event/);
  match(startNotice(nowMs, nowMs - 31 * DAY_MS)!, /newest event of the database is 31 days old/);
});
