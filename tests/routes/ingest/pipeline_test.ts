import { deepStrictEqual, strictEqual } from "node:assert";
import { accept } from "../../../domain/event/accept.ts";
import { createIntake, type Gate, type Source } from "../../../routes/ingest/pipeline.ts";
import type { Problem } from "../../../routes/http/problem.ts";

const source: Source = {
  caller: { rights: ["send"], writeKeyId: "k" },
  receivedAt: 0,
  request: new Request("http://localhost"),
  address: () => "",
};
const problem: Problem = { reason: "rate_limited", code: "x", detail: "x" };
const { event } = accept({ type: "page", userId: "u" }, { receivedAt: 0, newId: () => "m" });
const { rejection } = accept({}, { receivedAt: 0, newId: () => "m" });

Deno.test("gates are asked in their order, and the first that refuses decides", async () => {
  const asked: string[] = [];
  const gate = (name: string, refusal?: Problem, waits = false): Gate => ({
    admit() {
      asked.push(name);
      return waits ? Promise.resolve(refusal) : refusal;
    },
  });
  const { admit } = createIntake(
    [gate("a"), gate("b", undefined, true), {}, gate("c", problem), gate("d")],
    [],
  );
  strictEqual(await admit(source, 1), problem);
  deepStrictEqual(asked, ["a", "b", "c"]);
});

Deno.test("who need not wait is answered at once", () => {
  strictEqual(createIntake([], []).admit(source, 1), undefined);
  strictEqual(createIntake([{ admit: () => problem }], []).admit(source, 1), problem);
});

Deno.test("a gate sees what one before it put into the event", () => {
  const { judge } = createIntake([
    { judge: (event) => void (event.context = { location: { country: "DE" } }) },
    { judge: (event) => event.context?.location === undefined ? undefined : rejection },
  ], []);
  strictEqual(judge(event!, source), rejection);
});

Deno.test("every witness is told", () => {
  const told: string[] = [];
  const { committed, rejected } = createIntake([], [
    { committed: () => void told.push("a committed"), rejected: () => void told.push("a rejected") },
    { rejected: () => void told.push("b rejected") },
  ]);
  committed([event!], [{ messageId: "m", duplicate: false }], source);
  rejected({}, rejection!, source);
  deepStrictEqual(told, ["a committed", "a rejected", "b rejected"]);
});
