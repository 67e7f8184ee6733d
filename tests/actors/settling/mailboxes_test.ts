import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { columnsOf, decodeHeader, encodeHeader } from "../../../actors/journal/header.ts";
import { createMail } from "../../../actors/settling/mailboxes.ts";
import type { StoredEvent } from "../../../domain/event/event.ts";
import { ACTOR_KINDS, actorsOf, type Fact, factOf } from "../../../domain/profile/fact.ts";
import { placed, runs } from "../../domain/profile/facts.ts";
import { batches, createStamper, eventWith } from "../histories.ts";

/** What a fold sees of a fact in an actor's log: whom else the event named says nothing, unless it joins or links. */
function folded(fact: Fact): unknown {
  const isPlain = fact.type === "track" || fact.type === "page" || fact.type === "screen";
  if (!isPlain) return fact;
  return { ...fact, anonymousId: fact.userId === undefined ? fact.anonymousId : undefined };
}

function mailOf(events: StoredEvent[]) {
  const mail = createMail();
  const columns = columnsOf(events);
  const digests = new Uint32Array(4 * events.length);
  const facts = { commit: "c", at: 0, total: 0, known: undefined, senders: [], bodies: [] };
  const header = decodeHeader(encodeHeader(facts, columns, digests));
  events.forEach((_, n) => mail.add(header, n, { place: placed(n) }));
  return mail;
}

Deno.test("each actor gets the facts that name it, whole and in order", () => {
  fc.assert(
    fc.property(batches(8), (drafts) => {
      const stamp = createStamper();
      const events = drafts.flat().map(stamp);
      const facts = events.map((event, n) => factOf(event, placed(n)));
      const mail = mailOf(events);
      let actors = 0;
      for (const kind of ACTOR_KINDS) {
        for (const id of mail.ids(kind)) {
          actors++;
          const mine = facts.filter((fact) => actorsOf(fact).includes(`${kind}/${id}`));
          deepStrictEqual(mail.facts(kind, id), mine.map(folded));
        }
        deepStrictEqual(mail.facts(kind, "nobody"), []);
      }
      strictEqual(actors, mail.actors());
      deepStrictEqual(mail.events(), events.length);
      deepStrictEqual(new Set(facts.flatMap(actorsOf)).size, actors);
    }),
    runs(200),
  );
});

Deno.test("a mail of many actors and letters grows, and says about how much memory it takes", () => {
  const events = Array.from(
    { length: 20_000 },
    (_, i) => eventWith({ userId: `user_${i % 9000}`, event: `name ${i % 7}` }),
  );
  const mail = mailOf(events);
  strictEqual(mail.actors(), 9000);
  deepStrictEqual(mail.facts("user", "user_17").map(({ place, name }) => [place, name]), [
    [placed(17), "name 3"],
    [placed(9017), "name 1"],
    [placed(18017), "name 6"],
  ]);
  ok(mail.bytes() > 1_000_000 && mail.bytes() < 5_000_000, `${mail.bytes()}`);
});
