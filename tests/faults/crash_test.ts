/**
 * How it works: one short history is lived through again and again; each time something befalls the n-th write, for
 * every n: it is lost, its answer is lost, it is denied though done, or the process dies before or after it. A process
 * that lives must go on by itself; after a death another is opened over the same data, and what was not acknowledged is
 * sent again. In the end everything must be as if nothing had happened.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import type { System } from "../../actors/system.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import { compareAll, compareLogs, comparePeople, compareProfiles } from "../actors/compare.ts";
import { runs } from "../domain/profile/facts.ts";
import { BEGIN_MS, eventWith, openOn, settle } from "../actors/histories.ts";
import { createOracle } from "../actors/oracle.ts";
import { FAULTS, MEMORY, withFault } from "../actors/stores.ts";
import type { Receipt } from "../../actors/appending/commit_group.ts";

/** Traits of so many bytes that a state stands in pieces. */
const large = (letter: string) => ({ large: letter.repeat(28_000), [letter]: letter.repeat(3000) });

const identify = (userId: string, atMs: number, more: Partial<StoredEvent> = {}) =>
  eventWith({ type: "identify", userId, atMs, ...more });
const seen = (anonymousId: string, atMs: number) => eventWith({ anonymousId, atMs });
const join = (who: Partial<StoredEvent>, groupId: string, atMs: number) =>
  eventWith({ type: "group", ...who, groupId, atMs, traits: { last: atMs } });

/**
 * Requests, settled one after the other: links, moves, late links that cut anew, late events, members who are
 * linked, a state that grows into pieces, shrinks and grows again.
 */
const REQUESTS: StoredEvent[][] = [
  [
    seen("a1", 1000),
    join({ anonymousId: "a1" }, "g1", 2000),
    join({ userId: "u2" }, "g1", 2000),
    identify("u1", 3000, { traits: large("x") }),
    identify("u1", 3000, { traits: large("y") }),
    identify("u1", 3000, { traits: { large2: "z".repeat(28_000) } }),
  ],
  [
    identify("u1", 5000, { anonymousId: "a1", traits: { plan: "pro" } }),
    join({ anonymousId: "a2" }, "g1", 1000),
    seen("a1", 7000),
    eventWith({ type: "alias", userId: "u2", previousId: "a2", atMs: 8000 }),
    join({ anonymousId: "a1" }, "constructor", 9000),
  ],
  [
    identify("u2", 6000, { anonymousId: "a1" }),
    seen("a1", 4000),
    seen("a1", 7500),
    join({ userId: "u1" }, "g1", 500),
    identify("u1", 100, { traits: { plan: "late", early: true } }),
    identify("u1", 9000, { traits: { large: null, x: null, large2: "w".repeat(27_000) } }),
  ],
  [
    identify("u1", 9500, { traits: large("v") }),
    identify("u3", 100, { anonymousId: "a1" }),
    seen("a2", 1),
  ],
];

interface Life {
  nth: number;
  fault: typeof FAULTS[number];
}

/** Lives through the history once; gives whether the fault came about. */
async function live({ nth, fault }: Life, afterwards: Promise<unknown>[]): Promise<boolean> {
  await using place = await MEMORY.make();
  const clock = { ms: BEGIN_MS + 1e9 };
  const store = await place.open();
  const faulty = withFault(store, { nth, fault });
  const oracle = createOracle();
  let isDead = false;
  let system: System = await openOn(faulty, { clock }).catch((error) => {
    if (!fault.endsWith("dead")) throw error;
    isDead = true;
    return openOn(store, { clock });
  });

  /** Does something with the system; where it dies meanwhile, again with the next one. */
  async function surviving<T>(act: () => Promise<T>): Promise<T> {
    const outcome = act();
    outcome.catch(() => {});
    const first = await Promise.race([outcome.then((value) => ({ value }), () => undefined), faulty.died]);
    if (first !== undefined) return first.value;
    if (isDead || !fault.endsWith("dead")) return await outcome;
    isDead = true;
    afterwards.push(outcome.catch(() => {}), system.close().catch(() => {}));
    clock.ms += 60_000;
    system = await openOn(store, { clock });
    return await act();
  }

  for (const request of REQUESTS) {
    const receipts: Receipt[] = await surviving(() => system.commit(request, "key"));
    const duplicates = receipts.filter(({ duplicate }) => duplicate).length;
    // A batch is there whole or not at all; only a process that died may not know that it was its own.
    ok(duplicates === 0 || (isDead && duplicates === request.length), `${duplicates} duplicates`);
    for (const event of request) ok(oracle.accept(event));
    await surviving(() => compareProfiles(system, oracle));
    await surviving(() => settle(system));
  }
  await surviving(() => compareAll(system, oracle));
  // Ids are seen, each event stands in the journal once, and nothing is left over.
  const again = await surviving(() => system.commit(REQUESTS.flat(), "key"));
  deepStrictEqual(again.filter(({ duplicate }) => !duplicate), []);
  await surviving(() => settle(system));
  const { head, settled } = await surviving(() => system.stats());
  strictEqual(settled, head);
  let pieces = 0;
  for await (const _ of store.list({ prefix: ["piece"] })) pieces++;
  strictEqual(pieces, await piecesNamed(), "orphans among the pieces");
  await system.close();
  return faulty.writes() >= nth;

  /** How many pieces there are where nothing befalls. */
  async function piecesNamed(): Promise<number> {
    return usualPieces ??= await usual();
  }
}

let usualPieces: number | undefined;

/** The number of pieces that the history leaves where nothing befalls it. */
async function usual(): Promise<number> {
  await using place = await MEMORY.make();
  const store = await place.open();
  const system = await openOn(store);
  for (const request of REQUESTS) {
    await system.commit(request, "key");
    await settle(system);
  }
  await system.close();
  let pieces = 0;
  for await (const _ of store.list({ prefix: ["piece"] })) pieces++;
  ok(pieces > 0);
  return pieces;
}

for (const [index, fault] of FAULTS.entries()) {
  Deno.test(`whatever write is ${fault}, in the end everything is as if nothing had happened`, async () => {
    const afterwards: Promise<unknown>[] = [];
    // A death before each write; the rest now and then, unless a longer hunt is asked for.
    const step = fault === "dead" || runs(1).numRuns > 1 ? 1 : 5;
    let nth = step === 1 ? 1 : 1 + index;
    while (
      await live({ nth, fault }, afterwards).catch((error) => {
        throw new Error(`where write ${nth} is ${fault}`, { cause: error });
      })
    ) nth += step;
    ok(nth > 20, `${nth} writes`);
    await Promise.all(afterwards);
  });
}

Deno.test("before and after every write of settling, another process tells its readers the same", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  const oracle = createOracle();
  const clock = { ms: BEGIN_MS + 1e9 };
  // Opened while nothing is there: it has nothing to settle, and never begins to.
  const other = await openOn(store, { clock });
  let looks = 0;
  let isSettling = false;
  let failure: unknown;
  let looking = Promise.resolve();
  const look = () => looking = looking.then(lookOnce);
  const lookOnce = async () => {
    if (!isSettling || failure !== undefined) return;
    looks++;
    try {
      await comparePeople(other, oracle);
      await compareLogs(other, oracle, 7);
      await compareProfiles(other, oracle, { at: BEGIN_MS + 1e9 });
    } catch (error) {
      // Kept, or settling would try again for ever.
      failure = error;
    }
  };
  const system = await openOn({
    ...store,
    async commit(write) {
      await look();
      const written = await store.commit(write);
      await look();
      return written;
    },
  }, { clock });
  for (const request of REQUESTS) {
    await system.commit(request, "key");
    for (const event of request) oracle.accept(event);
    isSettling = true;
    await settle(system);
    isSettling = false;
    // A write behind the last of a round may still be looked at: the oracle must not go on before that.
    await looking;
  }
  ok(looks > 40, `${looks}`);
  strictEqual(failure, undefined);
  await system.close();
  await other.close();
});
