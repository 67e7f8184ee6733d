/**
 * `deno task fuzz`: requests at random, by hand and in crowds, then floods of dear bodies; status 1 if anything is found.
 * `--shapes 0` leaves out the floods, which take most of the time, and `--requests 0` all but them. `--results FILE` keeps
 * what each flood came to; with the file of a run that was stopped, its shapes are taken and its floods left out.
 */
import { attack } from "./attack.ts";
import { attackByCost, type CostResult, FLOODS, type How, p99 } from "./cost.ts";
import { addResult, beginRun, readRun } from "./cost_results.ts";
import { searchShapes } from "./cost_search.ts";
import { KNOWN_SHAPES } from "./cost_shapes.ts";
import { CROWDS } from "./crowds.ts";

/** A full run. */
const REQUESTS = 20_000;
const DISTINCT = 100_000;
/** Shapes of dear bodies, how long each floods from one address and from 200, and how long they are searched for, in s. */
const SHAPES = 50;
const FLOOD_S = 20;
const SEARCH_S = 120;
/** No flood begins after so long: the whole takes some 45 minutes. */
const MINUTES = 90;

const OPTIONS = ["seed", "requests", "distinct", "shapes", "flood", "search", "minutes"];
const USAGE = `usage: deno task fuzz ${
  OPTIONS.map((name) => `[--${name} N]`).join(" ")
} [--results FILE] (flood and search in seconds)`;

let resultsPath: string | undefined;
const given = new Map<string, number>();
for (let i = 0; i < Deno.args.length; i += 2) {
  const [name = "", value = ""] = Deno.args.slice(i, i + 2);
  if (name === "--results" && value !== "") {
    resultsPath = value;
    continue;
  }
  if (!name.startsWith("--") || !OPTIONS.includes(name.slice(2)) || !/^\d+$/.test(value)) {
    console.error(USAGE);
    Deno.exit(2);
  }
  given.set(name.slice(2), Number(value));
}
const seed = given.get("seed") ?? Math.floor(Math.random() * 2 ** 31);
console.log(`seed ${seed}`);
const say = (line: string) => console.log(line);
const requests = given.get("requests") ?? REQUESTS;
const found = [
  ...requests > 0 ? await attackByRequests(requests) : [],
  ...(given.get("shapes") ?? SHAPES) > 0 ? await attackByBodies(given.get("shapes") ?? SHAPES) : [],
];
console.log(found.length === 0 ? "no findings" : `${found.length} findings; again by --seed ${seed}`);
Deno.exit(found.length === 0 ? 0 : 1);

/** Requests at random, by hand, and in crowds. */
async function attackByRequests(requests: number): Promise<string[]> {
  const report = await attack({
    seed,
    requests,
    distinct: given.get("distinct") ?? DISTINCT,
    crowds: Object.keys(CROWDS),
    say,
  });
  const { findings, statuses, hostile, seen, rssMb, tookMs } = report;
  say(`${requests} generated, ${hostile} by hand, in ${Math.round(tookMs / 1000)} s`);
  say(`answers, by status: ${JSON.stringify(statuses)}`);
  say(
    `beside them ${seen.rounds} honest rounds, slowest: health ${seen.healthMs} ms, send ${seen.sendMs} ms, ` +
      `read ${seen.readMs} ms; told to come again ${seen.retries} times`,
  );
  say(`memory, in MB: most ${seen.maxRssMb}; after each part ${JSON.stringify(rssMb)}`);
  return findings;
}

/** Floods of bodies that are dear for their size: those that are known, and those that a search finds. */
async function attackByBodies(count: number): Promise<string[]> {
  const before = resultsPath === undefined ? undefined : await readRun(resultsPath);
  const shapes = before?.shapes ?? await shapesOf(count);
  const done = before?.results ?? [];
  if (resultsPath !== undefined) await beginRun(resultsPath, { shapes, results: done });
  if (done.length > 0) say(`${done.length} floods were run before`);
  const findings = done.flatMap((result) => result.findings);
  const results = await attackByCost({
    shapes,
    ms: (given.get("flood") ?? FLOOD_S) * 1000,
    floods: Object.keys(FLOODS) as How[],
    isTimed: true,
    done,
    mostMs: (given.get("minutes") ?? MINUTES) * 60_000,
    say,
    found(what) {
      findings.push(what);
      say(`found: ${what}`);
    },
    ...resultsPath !== undefined && { ended: (result) => addResult(resultsPath!, result) },
  });
  for (const line of summaryOf(results)) say(line);
  return findings;
}

/** The known shapes, and as many as a search finds. */
async function shapesOf(count: number) {
  const searched = await searchShapes({ seed, ms: (given.get("search") ?? SEARCH_S) * 1000, count });
  for (const { shape, usPerByte } of searched.slice(0, 5)) {
    say(`${usPerByte.toFixed(2)} µs a byte: ${JSON.stringify(shape)}`);
  }
  return [...KNOWN_SHAPES, ...searched.map(({ shape }) => shape)].slice(0, count);
}

/** The worst of each kind of flood. */
function summaryOf(results: readonly CostResult[]): string[] {
  return (Object.keys(FLOODS) as How[]).map((how) => {
    const all = results.filter((result) => result.how === how);
    const worst = (of: (result: CostResult) => number) => Math.max(0, ...all.map(of));
    const requests = all.reduce((sum, result) => sum + result.requests, 0);
    const events = (of: (result: CostResult) => readonly number[]) => p99(all.flatMap(of));
    const named = all.filter(({ logS }) => logS !== undefined);
    return [
      `${how}: ${all.length} floods, ${requests} requests`,
      `/healthz at most ${worst(({ healthNetMs }) => healthNetMs)} ms (${
        worst(({ healthMs }) => healthMs)
      } by the clock)`,
      `an event ${events(({ eventNetMs }) => eventNetMs)} ms (${
        events(({ eventMs }) => eventMs)
      } by the clock) at p99`,
      `bytes bought at most ${worst(({ timesHonest }) => timesHonest)} times what honest ones do`,
      `memory at most ${worst(({ rssMb }) => rssMb)} MB`,
      `the log named ${named.length}, at most ${worst(({ logS = 0 }) => logS)} s after they began`,
    ].join("; ");
  });
}
