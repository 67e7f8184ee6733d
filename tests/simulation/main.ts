/** `deno task sim`: lives through histories and reports, with status 1 where something happened that must not. */
import { parseArgs } from "node:util";
import { showProgress } from "../../tasks/progress.ts";
import FOUND from "./bugs/found.json" with { type: "json" };
import { live } from "./history.ts";
import { hunt, type Totals } from "./hunt.ts";
import { bugNamed, BUGS } from "./planted.ts";
import { loadProducts } from "./product.ts";

const HELP =
  `deno task sim [--histories N] [--from N] [--bug NAME | --every-bug] | --seed N [--bug NAME] | --bugs

Processes of the real code over a store in which everything goes wrong, each history made by its number alone. Status 1
at a violation, and its number.

  --histories N   50,000 by default
  --from N        the number of the first, 1 by default
  --seed N        lives through history N again, and prints all that happens in it
  --bug NAME      plants a bug
  --every-bug     plants each bug in turn and writes the history that finds it to tests/simulation/bugs/found.json, where
                  it and the tests look first; status 1 if one is not found
  --bugs          lists those that can be planted
  --help          this text`;

const values = readOptions();
if (values.help) {
  console.log(HELP);
  Deno.exit(0);
}
const histories = wholeNumber("histories", values.histories);
const from = wholeNumber("from", values.from);
if (values.bug !== undefined && !BUGS.some(({ name }) => name === values.bug)) {
  fail(`no bug is called ${JSON.stringify(values.bug)}: --bugs lists them`);
}

if (values.bugs) {
  for (const { name, rule } of BUGS) console.log(`${name}\n    ${rule}`);
} else if (values["every-bug"]) await huntEveryBug();
else if (values.seed !== undefined) await liveAgain(wholeNumber("seed", values.seed));
else await huntAll();

function readOptions() {
  try {
    return parseArgs({
      options: {
        histories: { type: "string", default: "50000" },
        from: { type: "string", default: "1" },
        seed: { type: "string" },
        bug: { type: "string" },
        "every-bug": { type: "boolean", default: false },
        bugs: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    fail((error as Error).message);
  }
}

/** What is no number would be no history, and no history has a violation. */
function wholeNumber(name: string, text: string): number {
  const number = Number(text);
  if (text.trim() !== "" && Number.isSafeInteger(number) && number >= (name === "histories" ? 1 : 0)) {
    return number;
  }
  fail(`--${name} must be a whole number, found ${text}`);
}

function fail(problem: string): never {
  console.error(`sim: ${problem}\n\n${HELP}`);
  Deno.exit(2);
}

async function liveAgain(seed: number): Promise<void> {
  const products = await loadProducts(values.bug === undefined ? [] : bugNamed(values.bug).patches);
  const told = await live(seed, products, { trace: true });
  for (const line of told.trace) console.log(line);
  console.log(
    `\nseed ${seed}: ${told.processes} processes, ${told.events} events over ${told.actors} actors, ` +
      `${(told.lastedMs / 1000).toFixed(1)} s of virtual time, digest ${told.digest}`,
  );
  if (told.violation === undefined) return console.log("no violation");
  console.log(told.violation);
  Deno.exitCode = 1;
}

async function huntAll(): Promise<void> {
  const progress = showProgress("simulation", "histories");
  const began = performance.now();
  const { totals, find } = await hunt({
    from,
    histories,
    ...(values.bug === undefined ? {} : { bug: values.bug }),
    onProgress: (done) => progress.update(done, histories),
  });
  progress.end();
  report(totals, (performance.now() - began) / 1000);
  if (find === undefined) return console.log("\nno violation");
  const planted = values.bug === undefined ? "" : ` --bug ${JSON.stringify(values.bug)}`;
  console.log(
    `\n${find.violation}\n\nseed ${find.seed}, digest ${find.digest}: deno task sim --seed ${find.seed}${planted}`,
  );
  Deno.exitCode = 1;
}

async function huntEveryBug(): Promise<void> {
  const last: Readonly<Record<string, number>> = FOUND;
  const found: Record<string, number> = {};
  for (const { name: bug } of BUGS) {
    const began = performance.now();
    let { find } = await hunt({ from: last[bug] ?? from, histories: 1, bug });
    if (find === undefined) ({ find } = await hunt({ from, histories, bug }));
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    console.log(`${String(find?.seed ?? "not found").padStart(9)}  ${seconds.padStart(6)} s  ${bug}`);
    if (find === undefined) Deno.exitCode = 1;
    else found[bug] = find.seed;
  }
  await Deno.writeTextFile(
    new URL("bugs/found.json", import.meta.url),
    `${JSON.stringify(found, null, 2)}\n`,
  );
}

function report(totals: Totals, seconds: number): void {
  const number = (n: number) => Math.round(n).toLocaleString("en");
  const rows: [string, number][] = [
    ["histories", totals.histories],
    ["events in journals", totals.events],
    ["requests of senders", totals.requests],
    ["reads held against the oracle", totals.reads],
    ["people erased", totals.erasures],
    ["fewest processes in a history", totals.fewestProcesses],
    ["fewest events in a history", totals.fewestEvents],
    ["fewest actors in a history", totals.fewestActors],
    ["virtual hours", totals.lastedMs / 3_600_000],
    ["longest wait for an answer, ms", totals.waitedMs],
    ...Object.entries(totals.counts),
  ];
  for (const [name, n] of rows) console.log(`${number(n).padStart(12)}  ${name}`);
  console.log(`in ${number(seconds)} s`);
}
