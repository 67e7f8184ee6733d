/**
 * Two servers on one database are killed at random while events come in, again and again. Four destinations get them: a
 * webhook, a second signalfold, PostgreSQL and S3. In the end each holds each event, each person's in order, and all but
 * the webhook hold each once. The webhook may get an event again, with the same `webhook-id`.
 *
 * `deno task crash:forwarding [rounds] [file|denokv]` runs 50 rounds on each kind of database; tests run some.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { missingDenokv, startDenokv } from "../kvconnect/denokv.ts";
import { ACCESS_TOKEN } from "../kvconnect/server.ts";
import { type CrashReceiver, startReceivers } from "./crash_receivers.ts";
import { eventually, type Server, sleep, startServer, tempDir } from "./server.ts";

const PEOPLE = 20;

const ENV = {
  FORWARD_ALLOW: "127.0.0.0/8",
  AUTH_FAILURES_PER_MINUTE: "0",
  DENO_KV_ACCESS_TOKEN: ACCESS_TOKEN,
};

/** What was acknowledged of each person, in order. */
type Sent = Map<string, string[]>;

/** What to run. */
export interface CrashRun {
  rounds: number;
  on: "file" | "denokv";
  log(line: string): void;
}

/** Runs rounds of kills, and checks what was received. */
export async function crashForwarding({ rounds, on, log }: CrashRun): Promise<void> {
  await using folder = await tempDir();
  await using denokv = on === "denokv" ? await startDenokv() : undefined;
  const kvPath = denokv?.url ?? `${folder.path}/events.db`;
  const receivers = await startReceivers(folder.path);
  const servers: Server[] = [];
  const sent: Sent = new Map();
  const state = { n: 0, isOver: false };
  try {
    for (let n = 0; n < 2; n++) servers.push(await startServer(kvPath, ENV));
    for (const { name, definition: body } of receivers) {
      const path = `/api/v1/admin/destinations/${name}`;
      const answer = await servers[0]!.ask(path, { method: "PUT", body });
      strictEqual(answer.status, 201, JSON.stringify(answer.body));
    }
    const sending = Array.from(
      { length: PEOPLE },
      (_, person) => sendAs(`u${person}`, { servers, sent, state }),
    );
    for (let round = 1; round <= rounds; round++) {
      await sleep(500 + 1500 * Math.random());
      const victim = Math.random() < 0.5 ? 0 : 1;
      await servers[victim]!.end("SIGKILL");
      await sleep(1000 * Math.random());
      servers[victim] = await startServer(kvPath, ENV);
      log(`${on}, round ${round}: ${state.n} sent`);
    }
    state.isOver = true;
    await Promise.all(sending);
    const statuses = async () => (await servers[0]!.ask("/api/v1/admin/destinations")).body.destinations;
    for (const receiver of receivers) {
      await checkReceiver(receiver, { sent, log }).catch(async (error) => {
        throw new Error(`${error.message}\n${JSON.stringify(await statuses())}`, { cause: error });
      });
    }
    for (const { name, status } of await statuses()) strictEqual(status.dead, 0, name);
  } finally {
    state.isOver = true;
    for (const server of servers) await server[Symbol.asyncDispose]();
    for (const receiver of receivers) await receiver[Symbol.asyncDispose]();
  }
}

/** Nothing is missing, nothing is held twice, and each person's events are in order. */
async function checkReceiver(
  receiver: CrashReceiver,
  { sent, log }: { sent: Sent; log(line: string): void },
): Promise<void> {
  const acknowledged = [...sent.values()].flat();
  ok(acknowledged.length > 0);
  let held: string[] = [];
  let missing: string[] = [];
  await eventually(`${receiver.name} has all`, async () => {
    held = await receiver.held();
    const there = new Set(held);
    missing = acknowledged.filter((id) => !there.has(id));
    return missing.length === 0;
  }, { everyMs: 300 }).catch((error) => {
    throw new Error(`${error.message}: ${missing.length} are missing: ${rangesOf(sent, missing)}`);
  });
  strictEqual(held.length, new Set(held).size, `${receiver.name} holds an event twice`);
  const place = new Map(held.map((id, index) => [id, index]));
  for (const [person, own] of sent) {
    const places = own.map((id) => place.get(id)!);
    deepStrictEqual(places, places.toSorted((a, b) => a - b), `${receiver.name}: ${person}`);
  }
  receiver.check?.();
  const requests = receiver.requests();
  log(`${receiver.name} holds ${held.length} events${requests > 0 ? ` after ${requests} requests` : ""}`);
}

/** What is missing of whom, in ranges. */
function rangesOf(sent: Sent, missing: readonly string[]): string {
  const absent = new Set(missing);
  const ranges: string[] = [];
  for (const own of sent.values()) {
    for (const [n, id] of own.entries()) {
      if (!absent.has(id)) continue;
      if (n === 0 || !absent.has(own[n - 1]!)) ranges.push(id);
      else if (n === own.length - 1 || !absent.has(own[n + 1]!)) ranges.push(`to ${id} of ${own.length}`);
    }
  }
  return ranges.join(" ");
}

/** One person sends one event after another, each until it is acknowledged by some server. */
async function sendAs(
  userId: string,
  { servers, sent, state }: { servers: Server[]; sent: Sent; state: { n: number; isOver: boolean } },
): Promise<void> {
  const own: string[] = [];
  sent.set(userId, own);
  for (let n = 0; !state.isOver; n++) {
    const messageId = `${userId}-${n}`;
    const event = { type: "track", event: "Step", userId, messageId, properties: { n } };
    for (let tries = 0;; tries++) {
      const answer = await servers[tries % 2]!.send(event).catch(() => undefined);
      if (answer?.status === 200) break;
      await sleep(50);
    }
    own.push(messageId);
    state.n++;
    await sleep(40);
  }
}

if (import.meta.main) {
  const kinds = (["file", "denokv"] as const).filter((kind) => (Deno.args[1] ?? kind) === kind);
  if (kinds.includes("denokv") && missingDenokv !== undefined) {
    throw new Error(`the rounds on denokv need ${missingDenokv}`);
  }
  for (const on of kinds) {
    await crashForwarding({ rounds: Number(Deno.args[0] ?? 50), on, log: (line) => console.log(line) });
  }
}
