import { deepStrictEqual, strictEqual } from "node:assert";
import { accept } from "../../domain/event/accept.ts";
import { createPipeline, type Refusal, type Source, type Stage } from "../../ingest/pipeline.ts";

const source: Source = { sender: { writeKeyId: "k" }, receivedAt: 0 };
const refusal: Refusal = { reason: "rate_limited", code: "x", detail: "x" };
const { event } = accept({ type: "page", userId: "u" }, { receivedAt: 0, newId: () => "m" });
const { rejection } = accept({}, { receivedAt: 0, newId: () => "m" });

Deno.test("stages are called in order, and the first that rejects decides", async () => {
  const asked: string[] = [];
  const stage = (name: string, refusal?: Refusal, waits = false): Stage => ({
    reserve() {
      asked.push(name);
      return waits ? Promise.resolve(refusal) : refusal;
    },
  });
  const { reserve } = createPipeline(
    [stage("a"), stage("b", undefined, true), {}, stage("c", refusal), stage("d")],
    [],
  );
  strictEqual(await reserve(source, 1), refusal);
  deepStrictEqual(asked, ["a", "b", "c"]);
});

Deno.test("a caller that need not wait is answered at once", () => {
  strictEqual(createPipeline([], []).reserve(source, 1), undefined);
  strictEqual(createPipeline([{ reserve: () => refusal }], []).reserve(source, 1), refusal);
});

Deno.test("a stage sees the changes of earlier stages", () => {
  const { check } = createPipeline([
    { check: (event) => void (event.context = { location: { country: "DE" } }) },
    { check: (event) => event.context?.location === undefined ? undefined : rejection },
  ], []);
  strictEqual(check(event!, source), rejection);
});

Deno.test("every observer is called", () => {
  const told: string[] = [];
  const { committed, rejected } = createPipeline([], [
    { committed: () => void told.push("a committed"), rejected: () => void told.push("a rejected") },
    { rejected: () => void told.push("b rejected") },
  ]);
  committed([event!], [{ messageId: "m", duplicate: false }], source);
  rejected({}, rejection!, source);
  deepStrictEqual(told, ["a committed", "a rejected", "b rejected"]);
});
