import { missingDenokv } from "../kvconnect/denokv.ts";
import { testWhere } from "../needs.ts";
import { missingPostgres } from "./crash_receivers.ts";
import { crashForwarding } from "./forwarding_crash.ts";
import { missingS3 } from "./s3_server.ts";

Deno.test("forwarding: two processes on a file are killed, and each destination holds each event in order", async () => {
  await crashForwarding({ rounds: 5, on: "file", log() {} });
});

testWhere(missingDenokv, {
  name: "forwarding: two processes on denokv are killed, and each destination holds each event in order",
  fn: async () => await crashForwarding({ rounds: 2, on: "denokv", log() {} }),
});

// Without them the tests above do with fewer destinations.
for (const missing of [missingPostgres, missingS3]) {
  if (missing !== undefined) {
    testWhere(missing, { name: `forwarding: rounds of kills with ${missing}`, fn() {} });
  }
}
