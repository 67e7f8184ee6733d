import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { createTickets } from "../../../actors/journal/tickets.ts";
import { placed } from "../../domain/profile/facts.ts";

const ids = (...words: number[]) => Uint32Array.from(words.flatMap((word) => [word, 0, 0, 1]));

Deno.test("own commits are taken in by the order of their stamps, and none before an earlier one can come", () => {
  const tickets = createTickets();
  const taken: number[] = [];
  const finish = (ticket: ReturnType<typeof tickets.begin>, n: number) =>
    tickets.finish(ticket, placed(n), () => void taken.push(n));
  const first = tickets.begin(ids(1));
  const second = tickets.begin(ids(2));
  finish(second, 20);
  // The first may have an earlier stamp.
  deepStrictEqual(taken, []);
  const third = tickets.begin(ids(3));
  finish(first, 10);
  deepStrictEqual(taken, [10, 20]);
  finish(third, 30);
  deepStrictEqual(taken, [10, 20, 30]);
});

Deno.test("ids are under way, then in the journal but not in the tail, then neither", () => {
  const tickets = createTickets();
  const [first, second] = [tickets.begin(ids(1)), tickets.begin(ids(2))];
  deepStrictEqual([tickets.isUnderWay(ids(1), 0), tickets.isPending(ids(1), 0)], [true, false]);
  tickets.finish(first, placed(1), () => {});
  deepStrictEqual([tickets.isUnderWay(ids(1), 0), tickets.isPending(ids(1), 0)], [false, true]);
  tickets.drop(second);
  strictEqual(tickets.isPending(ids(1), 0) || tickets.isUnderWay(ids(2), 0), false);
});
