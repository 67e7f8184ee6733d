/**
 * `deno task fuzz`: requests at random, by hand and in crowds, then floods of dear bodies; status 1 if anything is found.
 * `--shapes 0` leaves out the floods, which take most of the time, and `--requests 0` all but them.
 */
import { attack } from "./attack.ts";
import { attackByCost } from "./cost.ts";
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

const OPTIONS = ["seed", "requests", "distinct", "shapes", "flood", "search"];
const USAGE = `usage: deno task fuzz ${
  OPTIONS.map((name) => `[--${name} N]`).join(" ")
} (flood and search in seconds)`;

const given = new Map<string, number>();
for (let i = 0; i < Deno.args.length; i += 2) {
  const [name = "", value = ""] = Deno.args.slice(i, i + 2);
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
  const findings: string[] = [];
  const searched = await searchShapes({ seed, ms: (given.get("search") ?? SEARCH_S) * 1000, count });
  for (const { shape, usPerByte } of searched.slice(0, 5)) {
    say(`${usPerByte.toFixed(2)} µs a byte: ${JSON.stringify(shape)}`);
  }
  const shapes = [...KNOWN_SHAPES, ...searched.map(({ shape }) => shape)].slice(0, count);
  await attackByCost({
    shapes,
    ms: (given.get("flood") ?? FLOOD_S) * 1000,
    floods: ["at once", "one address", "200 addresses"],
    isTimed: true,
    say,
    found(what) {
      findings.push(what);
      say(`found: ${what}`);
    },
  });
  return findings;
}
