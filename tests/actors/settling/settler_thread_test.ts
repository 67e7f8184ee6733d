import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { eventWith, openOn, settle } from "../histories.ts";

Deno.test("a platform without workers settles in the server's own thread, and the fault is reported once", async () => {
  const folder = await Deno.makeTempDir();
  const Platform = globalThis.Worker;
  globalThis.Worker = class {
    constructor() {
      throw new TypeError("workers are not supported");
    }
  } as unknown as typeof Worker;
  const faults: unknown[] = [];
  let rounds = 0;
  try {
    const system = await openOn(`${folder}/own.db`, { faults, observer: { settled: () => void rounds++ } });
    try {
      await system.commit([eventWith({ type: "group", userId: "u1", groupId: "g1" })], "k");
      await settle(system);
      const { members } = (await system.reader.members("g1", { limit: 10 }))!;
      deepStrictEqual(members.map((member) => "userId" in member && member.userId), ["u1"]);
      strictEqual(rounds, 1);
    } finally {
      await system.close();
    }
  } finally {
    globalThis.Worker = Platform;
    await Deno.remove(folder, { recursive: true });
  }
  strictEqual(faults.length, 1);
  match(String(faults[0]), /^worker failed; settling continues in the server's thread: TypeError\n/);
});
