/** The kinds of store behind KV Connect, for the tests that run over every kind. */
import { strictEqual } from "node:assert/strict";
import { openStore } from "../../actors/store/store.ts";
import type { StoreKind } from "../actors/stores.ts";
import { newSeed, randomOf } from "../process/ledger.ts";
import { createDatabase } from "./database.ts";
import { startDenokv } from "./denokv.ts";
import { createFaults } from "./faults.ts";
import { ACCESS_TOKEN, startKvConnect } from "./server.ts";

// Deno's client takes it from the environment, and from nowhere else.
Deno.env.set("DENO_KV_ACCESS_TOKEN", ACCESS_TOKEN);

/** How much more is done than in the suite: `KVCONNECT_TIMES`, which `deno task kvconnect` sets. */
export const TIMES = Number(Deno.env.get("KVCONNECT_TIMES") || 1);

/** The server of the tests, where something befalls so many of a hundred requests. */
export function faultyKind(percent: number): StoreKind {
  const random = randomOf(newSeed(`KV Connect with ${percent} % faults`));
  return {
    name: `KV Connect with ${percent} % faults`,
    make() {
      const faults = createFaults(random, percent);
      const server = startKvConnect({ database: createDatabase(random), faults });
      return Promise.resolve({
        open: () => openStore(server.url),
        async [Symbol.asyncDispose]() {
          await server[Symbol.asyncDispose]();
          strictEqual(server.seen.doneTwice, 0, "a write that comes twice is done once");
        },
      });
    },
  };
}

/** The real server. */
export const DENOKV_KIND: StoreKind = {
  name: "denokv",
  async make() {
    const server = await startDenokv();
    return { open: () => openStore(server.url), [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
  },
};
