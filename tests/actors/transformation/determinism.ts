/** Prints a digest of what a transformation makes of random events, for `determinism_test.ts`: a process of its own. */
import { createHash } from "node:crypto";
import { createSandbox } from "../../../actors/transformation/sandbox.ts";
import { runnableOf } from "../../../actors/transformation/run_definition.ts";
import { systemClock } from "../../../actors/store/clock.ts";
import { definitionOf, draftSchema } from "../../../domain/transformation/definition.ts";
import type { StoredEvent } from "../../../domain/event/event.ts";
import { RULES_OF_ALL, WHIMSICAL } from "./determinism_code.ts";

const count = Number(Deno.args[0]);

/** A generator of numbers that is the same everywhere (mulberry32). */
let state = 7;
function next(limit: number): number {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) % limit;
}

function value(depth: number): unknown {
  const kind = next(depth > 3 ? 5 : 7);
  if (kind === 0) return next(2) === 0;
  if (kind === 1) return next(1_000_000) / 7;
  if (kind === 2) return `é${"x".repeat(next(20))}😀${next(1_000)}`;
  if (kind === 3) return null;
  if (kind === 4) return `user${next(50)}@Example.com`;
  if (kind === 5) return Array.from({ length: next(4) }, () => value(depth + 1));
  return Object.fromEntries(Array.from({ length: next(5) }, (_, n) => [`k${n}`, value(depth + 1)]));
}

const at = (n: number) => new Date(Date.UTC(2026, 0, 1) + n * 61_001).toISOString();
const inputs = Array.from({ length: count }, (_, n) => ({
  event: {
    type: "track",
    messageId: `m${n}`,
    userId: `u${next(100)}`,
    event: `E ${next(10)}`,
    properties: { list: [value(0), value(0)], ...value(3) === null ? {} : { more: value(1) } },
    timestamp: at(n),
    receivedAt: at(n + 1),
  } as StoredEvent,
}));

const sandbox = createSandbox({ clock: systemClock, onFault: (error) => console.error(error) });
const hash = createHash("sha256");
for (const [key, draft] of Object.entries({ code: WHIMSICAL, rules: RULES_OF_ALL })) {
  const definition = definitionOf(draftSchema.parse(draft), undefined);
  const runnable = runnableOf(definition, { key, version: `${key}@1`, sandbox });
  for (const outcome of await runnable.run(inputs)) hash.update(JSON.stringify(outcome));
}
sandbox.close();
console.log(hash.digest("hex"));
