import { runHistories } from "../actors/audiences/history.ts";

/** Random histories in the tests; `deno task sim:audiences` runs more. */
const HISTORIES = 500;

Deno.test("audiences are what the book says after each step of 500 random histories", async () => {
  await runHistories(1, HISTORIES);
});
