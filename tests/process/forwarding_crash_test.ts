import { crashForwarding } from "./forwarding_crash.ts";

Deno.test("forwarding: two processes are killed at random, and each event is received, in order", async () => {
  await crashForwarding({ rounds: 5, log() {} });
});
