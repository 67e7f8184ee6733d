/**
 * Random histories of a stream and of what is stored of it, against a model. A process dies at a random moment and another restores what the one
 * before stored last. Whatever happens, each event is settled, and each person's first deliveries are in order.
 */
import { deepStrictEqual, ok } from "node:assert";
import fc from "fast-check";
import type { Destination } from "../../../actors/delivery/destinations.ts";
import type { Follower, ReadEntry, ReadEvent } from "../../../actors/delivery/follower.ts";
import type { HeldRecord, Start } from "../../../actors/delivery/state.ts";
import { type createStream, type Item, type Stream, STREAM_LIMITS } from "../../../actors/delivery/stream.ts";
import { systemClock } from "../../../actors/store/clock.ts";
import { endOf, type Position, positionOf, stampOf } from "../../../domain/event/position.ts";
import { definitionOf, definitionSchema } from "../../../domain/forwarding/definition.ts";
import { createFilter, kindOf } from "../../../domain/forwarding/filter.ts";
import { track } from "../forwarding/receiver.ts";

const definition = definitionOf(
  definitionSchema.parse({ kind: "webhook", settings: { url: "http://127.0.0.1:9" } }),
  undefined,
);
const destination = { definition, filter: createFilter("Hook", definition) } as unknown as Destination;

/** A journal of one event per entry, which stands in memory. */
function journalOf(people: readonly string[]) {
  const entries = people.map((person, n): ReadEntry => {
    const event = track(person);
    const position = positionOf(String(n + 1).padStart(20, "0"), 0);
    const read: ReadEvent = { position, event, json: JSON.stringify(event), writeKeyId: "key" };
    return {
      end: endOf(stampOf(position)),
      at: 0,
      n: 1,
      bytes: read.json.length,
      events: [read],
      kinds: new Map([[kindOf(event), [0]]]),
    };
  });
  const follower: Pick<Follower, "read" | "generation"> = {
    generation: () => 0,
    read: (after, upTo) =>
      Promise.resolve(
        entries.filter(({ end, events: [read] }) => end > after && read!.position <= upTo).slice(0, 3),
      ),
  };
  return { end: entries.at(-1)!.end, follower: follower as Follower, entries };
}

/** The code that is tried: as it stands, or with a planted bug. */
export interface StreamCode {
  createStream: typeof createStream;
}

/** What a process has stored: what the next one begins with. */
interface Stored {
  begin: Start;
  records: HeldRecord[];
}

function open(
  { createStream }: StreamCode,
  { journal, stored: { begin, records }, heldInMemory }: {
    journal: ReturnType<typeof journalOf>;
    stored: Stored;
    heldInMemory: number;
  },
): Stream {
  const stream = createStream({
    follower: journal.follower,
    clock: systemClock,
    limits: { ...STREAM_LIMITS, heldInMemory, readAhead: 4 },
    destination: () => destination,
    keysOf: ({ userId }) => userId!.split(" "),
    onFiltered() {},
    begin,
  });
  stream.restore(records, 0);
  return stream;
}

const storedOf = (stream: Stream): Stored => ({
  begin: stream.checkpoint(),
  records: structuredClone(
    [...stream.records().values()].toSorted((a, b) => a.position < b.position ? -1 : 1),
  ),
});

const actions = fc.array(
  fc.oneof(
    ...Object.entries({ read: 4, deliver: 4, fail: 3, due: 2, refill: 1, save: 1, die: 1, "save, die": 3 })
      .map(([action, weight]) => ({ weight, arbitrary: fc.constant(action) })),
  ),
  { minLength: 10, maxLength: 80 },
);

/** The ids of each event: some link a visitor to a user. */
const people = fc.array(fc.constantFrom("u1", "u2", "u3", "v1", "u1 v1", "u2 v1"), {
  minLength: 5,
  maxLength: 30,
});

/** What must hold of every history, with room for so many held events. */
export function streamProperty(code: StreamCode, heldInMemory: number) {
  return fc.asyncProperty(people, actions, async (each, done) => {
    const journal = journalOf(each);
    const arrived: Position[] = [];
    let stored: Stored = { begin: { position: "0".repeat(24) as Position, events: 0 }, records: [] };
    let stream = open(code, { journal, stored, heldInMemory });
    const next = (): Item | undefined => stream.batch({ maxEvents: 1, maxBytes: 1_000 })[0];
    const deliver = () => {
      const item = stream.hasReady() ? next() : undefined;
      if (item === undefined) return;
      if (!arrived.includes(item.position)) arrived.push(item.position);
      stream.settle(item);
    };
    for (const action of done) {
      if (action === "read") await stream.readMore(journal.end);
      else if (action === "deliver") deliver();
      else if (action === "fail" && stream.hasReady()) {
        const item = next()!;
        item.attempts++;
        stream.retryLater(item, 1_000);
      } else if (action === "due") stream.takeDue(2_000);
      else if (action === "refill") await stream.refill();
      if (action.startsWith("save")) stored = storedOf(stream);
      if (action.endsWith("die")) stream = open(code, { journal, stored, heldInMemory });
    }
    for (let rounds = 0; !stream.isAtEnd(journal.end) || !stream.isEmpty(); rounds++) {
      ok(rounds < 1_000, "it comes to its end");
      await stream.refill();
      await stream.readMore(journal.end);
      stream.takeDue(Infinity);
      deliver();
    }
    deepStrictEqual(arrived.length, each.length, "each event arrived");
    for (const person of new Set(each.flatMap((ids) => ids.split(" ")))) {
      const own = arrived.filter((position) =>
        journal.entries.some(({ events: [read] }) =>
          read!.position === position && read!.event.userId!.split(" ").includes(person)
        )
      );
      deepStrictEqual(own, own.toSorted(), person);
    }
  });
}
