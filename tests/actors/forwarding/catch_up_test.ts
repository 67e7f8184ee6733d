import { catchUp } from "./catch_up.ts";

Deno.test("forwarding: a destination from the start catches up with 5,000 events and goes on with live ones", async () => {
  await catchUp({ events: 5_000, log() {} });
});
