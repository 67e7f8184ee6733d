/**
 * `deno task sim`: lives through histories and reports. `--seed N` lives through one again, and prints all that happens in it.
 *
 * Options: `--histories N` (50,000 if it is not said), `--from N` (the first seed), `--seed N`, `--bug NAME` plants a bug,
 * `--bugs` lists them. Ends with status 1 where something happened that must not.
 */
import { parseArgs } from "node:util";
import { showProgress } from "../../tasks/progress.ts";
import { live } from "./history.ts";
import { hunt, type Totals } from "./hunt.ts";
import { bugNamed, BUGS } from "./planted.ts";
import { loadProducts } from "./product.ts";

const HISTORIES = 50_000;

const { values } = parseArgs({
  options: {
    histories: { type: "string", default: String(HISTORIES) },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    bug: { type: "string" },
    bugs: { type: "boolean", default: false },
  },
});

if (values.bugs) {
  for (const { name, rule } of BUGS) console.log(`${name}\n    ${rule}`);
} else if (values.seed !== undefined) await liveAgain(Number(values.seed));
else await huntAll();

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
  const histories = Number(values.histories);
  const from = Number(values.from);
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
