/** What tests of storage that fails send, and what they ask a server. */
import { strictEqual } from "node:assert/strict";
import { eventually, runTask, type Server } from "./server.ts";

/** Events in a {@link batch}. */
export const BATCH = 100;

/** A batch of its own ids, whose text no compression makes small. */
export function batch(n: number, userId = "u1") {
  return Array.from({ length: BATCH }, (_, i) => ({
    type: "track",
    event: "Order Completed",
    userId,
    messageId: `${n}_${i}`,
    properties: { text: Array.from({ length: 4 }, () => crypto.randomUUID()).join("") },
  }));
}

/** Whether a server says that it is ready. */
export const isReady = async (server: Server) => (await server.ask("/readyz")).status === 200;

/** Resolves once a server has settled all events. */
export async function settled(server: Server): Promise<void> {
  await eventually(
    "all is settled",
    async () => (await server.ask("/api/v1/admin/stats")).body.unsettled === 0,
  );
}

/** Checks a database by `deno task replay --verify`. */
export async function verify(kvPath: string): Promise<void> {
  const { code, stdout, stderr } = await runTask(kvPath, "replay", "--verify");
  strictEqual(code, 0, stdout + stderr);
}
