/** `deno task fuzz [--seed N] [--requests N] [--distinct N]`: the whole attack; status 1 if anything is found. */
import { attack } from "./attack.ts";
import { CROWDS } from "./crowds.ts";

/** A full run. */
const REQUESTS = 20_000;
const DISTINCT = 100_000;

const given = new Map<string, number>();
for (let i = 0; i < Deno.args.length; i += 2) {
  const [name = "", value = ""] = Deno.args.slice(i, i + 2);
  if (!/^--(seed|requests|distinct)$/.test(name) || !/^\d+$/.test(value)) {
    console.error("usage: deno task fuzz [--seed N] [--requests N] [--distinct N]");
    Deno.exit(2);
  }
  given.set(name, Number(value));
}
const seed = given.get("--seed") ?? Math.floor(Math.random() * 2 ** 31);
console.log(`seed ${seed}`);
const report = await attack({
  seed,
  requests: given.get("--requests") ?? REQUESTS,
  distinct: given.get("--distinct") ?? DISTINCT,
  crowds: Object.keys(CROWDS),
  say: (line) => console.log(line),
});
const { findings, statuses, requests, hostile, seen, rssMb, tookMs } = report;
console.log(`${requests} generated, ${hostile} by hand, in ${Math.round(tookMs / 1000)} s`);
console.log(`answers, by status: ${JSON.stringify(statuses)}`);
console.log(
  `beside them ${seen.rounds} honest rounds, slowest: health ${seen.healthMs} ms, send ${seen.sendMs} ms, ` +
    `read ${seen.readMs} ms; told to come again ${seen.retries} times`,
);
console.log(`memory, in MB: most ${seen.maxRssMb}; after each part ${JSON.stringify(rssMb)}`);
console.log(findings.length === 0 ? "no findings" : `${findings.length} findings; again by --seed ${seed}`);
Deno.exit(findings.length === 0 ? 0 : 1);
