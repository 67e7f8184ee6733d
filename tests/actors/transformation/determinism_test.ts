/** The same version gives the same results: twice, in processes of different time zones. */
import { deepStrictEqual } from "node:assert";
import { digestOf } from "./digest.ts";

Deno.test("10,000 random events give the same results in two processes of different time zones", async () => {
  const [one, other] = [
    await digestOf(Deno.execPath(), "America/New_York"),
    await digestOf(Deno.execPath(), "Asia/Kolkata"),
  ];
  deepStrictEqual(one, other);
});
