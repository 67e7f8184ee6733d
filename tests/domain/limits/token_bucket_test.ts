import { deepStrictEqual } from "node:assert";
import { refilled } from "../../../domain/limits/token_bucket.ts";

const rate = { perSecond: 10, most: 100 };

Deno.test("a bucket up to a minute ahead is waited for; one further ahead continues from now, no fuller", () => {
  const now = 1_000_000;
  const ahead = { level: 5, at: now + 60_000 };
  deepStrictEqual(refilled(ahead, { ...rate, now }), ahead);
  deepStrictEqual(refilled({ level: 5, at: now + 60_001 }, { ...rate, now }), { level: 5, at: now });
});
