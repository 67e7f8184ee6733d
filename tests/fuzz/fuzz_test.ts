/** A short run of `deno task fuzz`: fewer requests at random, all by hand, and the crowds that don't wait. */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { newSeed } from "../process/ledger.ts";
import { runCommand } from "../process/server.ts";
import { faultOf, type Got } from "./answers.ts";
import { attack } from "./attack.ts";
import { generated } from "./generated.ts";
import { hostile } from "./hostile.ts";

Deno.test("hostile requests are refused, and honest ones are served beside them", async () => {
  const report = await attack({
    seed: newSeed("fuzz"),
    requests: 500,
    distinct: 1_000,
    crowds: ["distinct users and names", "expensive reads", "bombs at once"],
    say() {},
  });
  deepStrictEqual(report.findings, []);
  ok(report.seen.rounds > 0, "the honest sender was served");
  for (const status of [200, 201, 204, 400, 401, 404]) {
    ok(report.statuses[status]! > 0, `${status} was answered`);
  }
});

Deno.test("there are at least 300 attacks by hand, each with a name of its own", () => {
  const names = hostile().map(({ name }) => name);
  ok(names.length >= 300, `${names.length}`);
  deepStrictEqual(names.filter((name, index) => names.indexOf(name) !== index), []);
});

Deno.test("one seed makes the same requests again", () => {
  const made = (seed: number) => JSON.stringify([...generated(seed, 300)]);
  strictEqual(made(7), made(7));
  ok(made(7) !== made(8));
});

const GOOD: Got = {
  status: 404,
  headers: new Headers({ "x-content-type-options": "nosniff", "content-type": "application/problem+json" }),
  text: '{"title":"Not Found","status":404,"detail":"x","success":false,"code":"x","requestId":"x"}',
};
const headers = (more: Record<string, string>) => new Headers([...GOOD.headers, ...Object.entries(more)]);

const FAULTS: [what: string, got: Partial<Got>, path?: string][] = [
  ["500", { status: 500 }],
  ["503", { status: 503 }],
  ["a redirect", { status: 302 }],
  ["a status that is not known", { status: 418 }],
  ["a cookie", { headers: headers({ "set-cookie": "a=b" }) }],
  ["no nosniff", { headers: new Headers() }],
  ["CORS on a reading route", { headers: headers({ "access-control-allow-origin": "*" }) }],
  ["no CORS on a sending route", {}, "/api/v1/events"],
  ["no JSON", { text: "<html>" }],
  ["a problem of another status", { status: 403 }],
  ["a problem without a code", { text: GOOD.text.replace("code", "kode") }],
];

for (const [what, got, path = "/x"] of FAULTS) {
  Deno.test(`the fuzzer finds ${what}`, () => {
    strictEqual(faultOf({ method: "GET", path: "/x" }, GOOD), undefined);
    ok(faultOf({ method: "GET", path }, { ...GOOD, ...got }) !== undefined);
  });
}

Deno.test("the task says how it is used, with status 2", async () => {
  const args = ["run", "--frozen", "--allow-all", "tests/fuzz/fuzz.ts", "--seed", "x"];
  const { code, stderr } = await runCommand(Deno.execPath(), args, {});
  strictEqual(code, 2);
  ok(stderr.includes("usage: deno task fuzz"));
});
