/** Why a request is not served, as the actors tell it: an outage of storage, and everything that is none. */
import { rejects, strictEqual } from "node:assert/strict";
import { LIMITS, type Limits } from "../../actors/limits.ts";
import { createCommitter } from "../../actors/appending/appender.ts";
import { createJournal } from "../../actors/journal/journal_state.ts";
import { createMembership } from "../../actors/lanes/membership.ts";
import { openSystem } from "../../actors/open.ts";
import { type Clock, systemClock } from "../../actors/store/clock.ts";
import {
  NotServing,
  type NotServingCode,
  StorageFault,
  StorageUnavailable,
} from "../../actors/store/errors.ts";
import { openStore, type Store, type Write } from "../../actors/store/store.ts";
import type { System } from "../../actors/system.ts";
import { eventually } from "../process/server.ts";
import { BEGIN_MS, eventWith } from "./histories.ts";

/** A clock that a test can move on; waiting by it takes no time, and counts, unless it stands still. */
function movableClock({ isStill = false } = {}) {
  let movedMs = 0;
  const clock: Clock = {
    ...systemClock,
    now: () => BEGIN_MS,
    monotonic: () => performance.now() + movedMs,
    sleep(ms) {
      if (!isStill) movedMs += ms;
      return systemClock.turn();
    },
  };
  return { clock, move: (ms: number) => void (movedMs += ms) };
}

/** A system whose writes to keys that begin with a part go another way. */
async function openWith(
  part: string,
  commit: (write: Write, store: Store) => Promise<string | null>,
  { isStill = false, movesByFault = 0, limits = {} as Partial<Limits> } = {},
) {
  const store = await openStore(":memory:");
  const { clock, move } = movableClock({ isStill });
  const storage: Store = {
    ...store,
    commit: (write) =>
      [...write.sets, ...write.stamped ?? []].some(([key]) => key[0] === part)
        ? commit(write, store)
        : store.commit(write),
  };
  const system = await openSystem({
    storage,
    clock,
    newId: () => crypto.randomUUID(),
    randomBytes: (bytes) => void crypto.getRandomValues(bytes),
    dedupMs: 0,
    limits,
    onFault: () => move(movesByFault),
  });
  return { system, move };
}

async function refused(
  work: Promise<unknown>,
  code: NotServingCode | "storage_unavailable",
  message: RegExp,
) {
  await rejects(work, (error) => {
    strictEqual(error instanceof StorageUnavailable, true, String(error));
    strictEqual(error instanceof NotServing ? error.code : "storage_unavailable", code, String(error));
    strictEqual(message.test((error as Error).message), true, (error as Error).message);
    return true;
  });
}

Deno.test("a commit that storage does not answer for 10 s is an outage of storage", async () => {
  const { system, move } = await openWith("journal", () => {
    move(4_000);
    return Promise.reject(new StorageUnavailable("gone"));
  });
  await refused(
    system.commit([eventWith()], "k"),
    "storage_unavailable",
    /^storage did not accept the events in time$/,
  );
  await system.close();
});

Deno.test("a commit that storage denies for 10 s is an outage of storage", async () => {
  const { system, move } = await openWith("journal", () => {
    move(4_000);
    return Promise.resolve(null);
  });
  await refused(
    system.commit([eventWith()], "k"),
    "storage_unavailable",
    /^storage did not accept the events in time$/,
  );
  await system.close();
});

Deno.test("a request that waits for 10 s behind others is overload", async () => {
  const [begun, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const { system, move } = await openWith("journal", async (write, store) => {
    begun.resolve();
    await gate.promise;
    return await store.commit(write);
  }, { limits: { slots: 1 } });
  const first = system.commit([eventWith()], "k");
  await begun.promise;
  const second = refused(system.commit([eventWith()], "k"), "overloaded", /^The request waited longer/);
  move(10_001);
  gate.resolve();
  await first;
  await second;
  await system.close();
});

Deno.test("a commit that finds no room for 10 s, as settling is behind, is settling", async () => {
  const store = await openStore(":memory:");
  const { clock, move } = movableClock();
  const journal = createJournal(store, LIMITS);
  await journal.sync();
  const appender = createCommitter({
    store,
    journal,
    secret: "",
    clock,
    limits: LIMITS,
    newId: () => crypto.randomUUID(),
    // As room() of a tail that stays full.
    room: () => Promise.resolve(move(10_000)),
    membership: createMembership({
      store,
      clock,
      limits: LIMITS,
      newId: () => crypto.randomUUID(),
      isServer: false,
      readOn: journal.sync,
      requestedErasures: () => Promise.resolve(0),
      learnErasures: () => Promise.resolve(0),
      onFault(error) {
        throw error;
      },
    }),
  });
  await refused(appender.commit([eventWith()], "k"), "settling", /^Settling is too far behind/);
  store.close();
});

/** A system that has a group which never settles. */
async function openUnsettled(): Promise<System> {
  const { system } = await openWith("settled", () => Promise.resolve(null));
  await system.commit([eventWith({ type: "group", groupId: "g" })], "k");
  return system;
}

Deno.test("reading members reports settling that does not finish in time", async () => {
  const system = await openUnsettled();
  await refused(system.reader.members("g", { limit: 1 }), "settling", /^Settling did not catch up/);
  await system.close();
});

Deno.test("reading members reports that the server is stopping", async () => {
  const system = await openUnsettled();
  const waiting = refused(system.reader.members("g", { limit: 1 }), "stopping", /^The server is stopping/);
  await system.close();
  await waiting;
});

Deno.test("repeated failures of settling make the process not ready", async () => {
  const fail = () => Promise.reject(new StorageFault("storage: damaged"));
  const { system } = await openWith("actor", fail, { isStill: true, movesByFault: 1_000 });
  await system.commit([eventWith()], "k");
  await eventually("it says so", async () => {
    const error = await system.ready().catch((error) => error);
    return error instanceof NotServing && error.code === "settling_fails";
  }, { everyMs: 1 });
  await system.close();
});

Deno.test("an empty journal has nothing to settle, so that nobody waits for it", async () => {
  const { system } = await openWith("nothing", (write, store) => store.commit(write));
  await system.tick!();
  await system.close();
});

const PERSON = { kind: "user", id: "u1" } as const;

const CHANGES: [what: string, part: string, change: (system: System) => Promise<unknown>][] = [
  ["write keys", "writeKeysChanged", ({ writeKeys }) => writeKeys.create({ name: "x" })],
  [
    "contracts",
    "contractsChanged",
    ({ contracts }) =>
      contracts.put([{ name: "c", type: "page", schema: false, mode: "enforce" }], {
        by: "admin",
        address: "",
      }),
  ],
  ["the list of erasures", "erasing", ({ erasure }) => erasure.erase(PERSON, { suppress: false })],
  ["the suppression list", "suppressed", ({ erasure }) => erasure.erase(PERSON, { suppress: "id" })],
];

for (const [what, part, change] of CHANGES) {
  Deno.test(`a change of ${what} that other processes always overtake is contention`, async () => {
    const { system } = await openWith(part, () => Promise.resolve(null));
    await refused(change(system), "contention", new RegExp(`^Other processes keep changing ${what}`));
    await system.close();
  });
}
