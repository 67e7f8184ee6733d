/**
 * Two servers on one database are killed at random while events come in, again and again. In the end each event was
 * received, each person's in order, and a Segment destination has each once.
 *
 * `deno task crash:forwarding` runs 50 rounds; a test runs five.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { type Received, startReceiver, until } from "../actors/forwarding/receiver.ts";
import { type Server, startServer, tempDir } from "./server.ts";

const PEOPLE = 20;

/** Longest wait for the rest, once nothing is killed any more. */
const PATIENCE_MS = 120_000;

const ENV = { FORWARD_ALLOW: "127.0.0.0/8", AUTH_FAILURES_PER_MINUTE: "0" };

/** What was acknowledged of each person, in order. */
type Sent = Map<string, string[]>;

/** Runs rounds of kills, and checks what was received. */
export async function crashForwarding(
  { rounds, log }: { rounds: number; log(line: string): void },
): Promise<void> {
  await using folder = await tempDir();
  const path = `${folder.path}/events.db`;
  const [hook, segment] = [createLedger(), createLedger()];
  const ids = new Map<string, Set<string>>();
  const failed = new Set<string>();
  await using hookReceiver = startReceiver((received) => {
    const id = received.headers.get("webhook-id")!;
    for (const messageId of hook.accept(received)) {
      const known = ids.get(messageId) ?? new Set();
      ids.set(messageId, known.add(id));
    }
    // Some fail once, so that people are held when a process dies.
    const isBad = hook.requests % 29 === 0 && !failed.has(received.body);
    if (isBad) failed.add(received.body);
    return new Response(null, { status: isBad ? 500 : 200 });
  });
  await using segmentReceiver = startReceiver((received) => {
    segment.accept(received);
    return Response.json({ success: true });
  });
  const servers: Server[] = [await startServer(path, ENV), await startServer(path, ENV)];
  const sent: Sent = new Map();
  const state = { n: 0, isOver: false };
  try {
    const put = async (name: string, body: unknown) =>
      strictEqual(
        (await servers[0]!.ask(`/api/v1/admin/destinations/${name}`, { method: "PUT", body })).status,
        201,
      );
    await put("Hook", { kind: "webhook", settings: { url: hookReceiver.url } });
    await put("Segment", { kind: "segment", settings: { url: segmentReceiver.url, writeKey: "k" } });
    const sending = Array.from(
      { length: PEOPLE },
      (_, person) => sendAs(`u${person}`, { servers, sent, state }),
    );
    for (let round = 1; round <= rounds; round++) {
      await pause(500 + 1500 * Math.random());
      const victim = Math.random() < 0.5 ? 0 : 1;
      await servers[victim]!.end("SIGKILL");
      await pause(1000 * Math.random());
      servers[victim] = await startServer(path, ENV);
      log(`round ${round}: ${state.n} sent, ${hook.first.length} and ${segment.first.length} received`);
    }
    state.isOver = true;
    await Promise.all(sending);
    const acknowledged = [...sent.values()].flat();
    ok(acknowledged.length > 0);
    for (const [name, ledger] of Object.entries({ hook, segment })) {
      await until(
        `${name} has all`,
        () => acknowledged.every((id) => ledger.seen.has(id)),
        PATIENCE_MS,
      );
      const place = new Map(ledger.first.map((id, index) => [id, index]));
      for (const [person, own] of sent) {
        const places = own.map((id) => place.get(id)!);
        deepStrictEqual(places, places.toSorted((a, b) => a - b), `${name}: ${person}`);
      }
    }
    // Whoever received an event again can tell by its id.
    for (const [messageId, known] of ids) strictEqual(known.size, 1, messageId);
    const { body } = await servers[0]!.ask("/api/v1/admin/destinations");
    log(`${acknowledged.length} events, ${hook.requests} requests to the webhook`);
    for (const { name, status } of body.destinations) strictEqual(status.dead, 0, name);
  } finally {
    state.isOver = true;
    await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
  }
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
      await pause(50);
    }
    own.push(messageId);
    state.n++;
    await pause(40);
  }
}

/** What a receiver accepted: ids in the order of their first arrival. */
function createLedger() {
  const first: string[] = [];
  const seen = new Set<string>();
  const ledger = {
    first,
    seen,
    requests: 0,
    accept({ body }: Received): string[] {
      ledger.requests++;
      const { batch, ...one } = JSON.parse(body);
      const ids = (batch ?? [one]).map(({ messageId }: { messageId: string }) => messageId) as string[];
      for (const id of ids) {
        if (seen.has(id)) continue;
        seen.add(id);
        first.push(id);
      }
      return ids;
    },
  };
  return ledger;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

if (import.meta.main) {
  await crashForwarding({ rounds: Number(Deno.args[0] ?? 50), log: (line) => console.log(line) });
}
