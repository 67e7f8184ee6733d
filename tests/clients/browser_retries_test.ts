/**
 * What becomes of events when it goes wrong between a page and a server, for each published client of browsers, in a
 * real headless Chromium: what a client sends again is there once, and what it gives up is missing.
 *
 * How it works: a page counts, and the wire between it and the server refuses a request, loses its answer, or keeps it
 * back until the server is killed over it. Nothing here is timed: each step waits for what the wire, the browser and the
 * server saw of the step before.
 */
import { deepStrictEqual } from "node:assert";
import { eventually, type Server, startServer, tempDir } from "../process/server.ts";
import { missingForBrowser } from "./browser.ts";
import {
  BROWSER_CLIENTS,
  type BrowserClient,
  type OpenPage,
  openPage,
  type Then,
} from "./browser_clients.ts";
import { testWhere } from "../needs.ts";
import { readLog, sharedStage, WRITE_KEY } from "./stage.ts";
import { eventsOf, type Exchange, openWire, type Sent } from "./wire.ts";

/** A client waits between its tries, up to half a minute by itself; and machines differ. */
const PATIENCE = { ms: 180_000 };

const shared = sharedStage(missingForBrowser === undefined);

/** A test of a client, whose user bears the test's name. */
function testOf({ name }: BrowserClient, what: string, fn: (userId: string) => Promise<void>): void {
  testWhere(missingForBrowser, {
    name: `${name}, ${what}`,
    fn: () => fn(`${name}, ${what}`.replaceAll("/", " ")),
  });
}

const pathOf = (userId: string) => `users/${encodeURIComponent(userId)}`;
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
const isCounted = ({ event }: Sent) => event === "Counted";
const numberOf = ({ properties }: Sent) => properties!.n!;
const numbersOf = (body: string) => eventsOf(body).filter(isCounted).map(numberOf);
const numbersIn = (exchanges: readonly Exchange[]) =>
  new Set(exchanges.flatMap(({ body }) => numbersOf(body)));
const until = (what: string, isSo: () => boolean) =>
  eventually(what, () => Promise.resolve(isSo()), PATIENCE);

/** The counted events of a user. */
async function counted(server: Server, userId: string): Promise<Sent[]> {
  const log = await readLog(server, pathOf(userId)) as unknown as Sent[];
  return log.filter(isCounted).sort((a, b) => numberOf(a) - numberOf(b));
}

/** Waits until a user's log has these numbers. */
async function arrived(server: Server, userId: string, numbers: readonly number[]): Promise<void> {
  await eventually(`${numbers} arrive`, async () => {
    const there = (await counted(server, userId)).map(numberOf);
    return numbers.every((number) => there.includes(number));
  }, PATIENCE);
}

/** Makes a page's user known, so that what it counts is theirs. */
async function identify(server: Server, page: OpenPage, userId: string): Promise<void> {
  await page.identify(userId);
  await eventually("identified", async () => (await readLog(server, pathOf(userId))).length > 0, PATIENCE);
}

/** What a page must have come to, see {@link holds}. */
interface Outcome {
  userId: string;
  numbers: readonly number[];
  then: Then;
  exchanges: () => readonly Exchange[];
}

/**
 * Waits until a client is done, then holds that a user's log has these numbers and no other, once each: every try of an
 * event had the same message id, which is that in the log. A client that tries again is done once it was told of each.
 */
async function holds(server: Server, { userId, numbers, then, exchanges }: Outcome): Promise<void> {
  await arrived(server, userId, numbers);
  const posts = () => exchanges().filter(({ method }) => method === "POST");
  const isDone = ({ outcome }: Exchange) =>
    outcome === 200 || then === "gives up" && outcome === "lost answer";
  await until("it is done", () => numbersIn(posts().filter(isDone)).isSupersetOf(new Set(numbers)));
  const log = await counted(server, userId);
  deepStrictEqual(log.map(numberOf), numbers);
  const tries = posts().flatMap(({ body }) => eventsOf(body)).filter(isCounted);
  for (const event of log) {
    const ids = tries.filter((each) => numberOf(each) === numberOf(event)).map(({ messageId }) => messageId);
    deepStrictEqual(new Set(ids), new Set([event.messageId]));
  }
}

for (const client of BROWSER_CLIENTS) {
  for (const status of [429, 503] as const) {
    const then = client.whenRefused;
    testOf(client, `after ${status} with Retry-After: it ${then}, and nothing is doubled`, async (userId) => {
      const { wire, server } = shared.stage;
      await using page = await openPage(shared.packages, client, { url: wire.url });
      await identify(server, page, userId);
      const before = wire.exchanges.length;
      const exchanges = () => wire.exchanges.slice(before);
      wire.mishaps.push(status);
      await page.track(1);
      await until("it is refused", () => exchanges().some(({ outcome }) => outcome === status));
      await page.track(2);
      await holds(server, { userId, numbers: then === "tries again" ? [1, 2] : [2], then, exchanges });
      if (then === "gives up") {
        const tries = exchanges().filter(({ method, body }) =>
          method === "POST" && numbersOf(body).includes(1)
        );
        deepStrictEqual(tries.map(({ outcome }) => outcome), [status]);
      }
    });
  }

  const then = client.whenBroken;
  const what = then === "tries again" ? "sends all, once" : "gives up what was not answered";
  testOf(client, `over a kill of the server in mid-flight: it ${what}`, async (userId) => {
    await using dir = await tempDir();
    await using wire = await openWire();
    const kvPath = `${dir.path}/kv.db`;
    let server = await startServer(kvPath, { WRITE_KEY, PUBLIC_URL: wire.url });
    try {
      wire.target = server.url;
      await using page = await openPage(shared.packages, client, { url: wire.url });
      await identify(server, page, userId);

      // The server takes two, and the client is not told.
      wire.keepsBack = (body) => numbersOf(body).length > 0;
      await page.track(1, 2);
      await arrived(server, userId, [1, 2]);

      // Two that the server does not look at: it stands still. Then it is killed over all four.
      Deno.kill(server.pid, "SIGSTOP");
      await page.track(3, 4);
      await until("four are under way", () => {
        const numbers = new Set([...wire.unanswered].flatMap(numbersOf));
        return numbers.isSupersetOf(new Set(upTo(4)));
      });
      wire.down();
      await server.end("SIGKILL");

      // Two more while it is down, until the page knows that what it sent has failed. What a client sends again then
      // may already wait for the server, and have these two in one batch with it.
      await page.track(5, 6);
      const tried = new Set(upTo(then === "tries again" ? 4 : 6));
      await eventually("the page knows", async () => {
        const lost = wire.exchanges.filter(({ outcome }) => typeof outcome !== "number");
        const { failures } = await page.browser.seen();
        return numbersIn(lost).isSupersetOf(tried) && failures >= new Set(lost.map(({ body }) => body)).size;
      }, PATIENCE);
      wire.keepsBack = () => false;
      server = await startServer(kvPath, { WRITE_KEY, PUBLIC_URL: wire.url });
      wire.target = server.url;
      wire.up();
      await page.track(7);
      const numbers = then === "tries again" ? upTo(7) : [1, 2, 7];
      await holds(server, { userId, numbers, then, exchanges: () => wire.exchanges });
    } finally {
      await server[Symbol.asyncDispose]();
    }
  });
}

for (const client of BROWSER_CLIENTS.filter(({ whenRefused }) => whenRefused === "tries again")) {
  testOf(client, "beyond its key's rate limit: it waits, and sends all, once", async (userId) => {
    const { wire, server } = shared.stage;
    const body = { name: userId, rateLimit: { perSecond: 2, burst: 20 } };
    const { body: { key } } = await server.ask("/api/v1/admin/keys", { method: "POST", body });
    await using page = await openPage(shared.packages, client, { url: wire.url, key });
    await identify(server, page, userId);
    const before = wire.exchanges.length;
    const exchanges = () => wire.exchanges.slice(before).filter(({ method }) => method === "POST");
    const numbers: number[] = [];
    while (!exchanges().some(({ outcome }) => outcome === 429)) {
      // Somebody else spends what is there.
      while ((await server.send({ type: "page", userId: "somebody else" }, key)).status === 200);
      const more = upTo(8).map((n) => numbers.length + n);
      await page.track(...more);
      numbers.push(...more);
      await until("all are sent", () => numbersIn(exchanges()).isSupersetOf(new Set(numbers)));
    }
    await holds(server, { userId, numbers, then: "tries again", exchanges });
  });
}
