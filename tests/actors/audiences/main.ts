/** `deno task sim:audiences`: lives through random histories of audiences on all processors. */
import { parseArgs } from "node:util";
import { showProgress } from "../../../tasks/progress.ts";
import FOUND from "./found.json" with { type: "json" };
import type { FromWorker, ToWorker } from "./worker.ts";
import { huntBug } from "./hunted.ts";
import { AUDIENCE_BUGS } from "./planted.ts";

const HELP = `deno task sim:audiences [--histories N] [--from N] | --every-bug

A system with audiences, held against membership by the book after each step. Status 1 where they differ, with the number
of the history.

  --histories N   20,000 by default
  --from N        the number of the first, 1 by default
  --every-bug     plants each bug in turn and writes the history that finds it to tests/actors/audiences/found.json
  --help          this text`;

/** Histories that a worker lives through before it asks for more. */
const AT_ONCE = 40;

const values = readOptions();
if (values.help) console.log(HELP);
else if (values["every-bug"]) await huntEveryBug();
else await runAll(wholeNumber("from", values.from), wholeNumber("histories", values.histories));

function readOptions() {
  try {
    return parseArgs({
      options: {
        histories: { type: "string", default: "20000" },
        from: { type: "string", default: "1" },
        "every-bug": { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    fail((error as Error).message);
  }
}

function wholeNumber(name: string, text: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(number) && number >= 1) return number;
  fail(`--${name} must be a whole number of 1 or more, found ${JSON.stringify(text)}`);
}

function fail(problem: string): never {
  console.error(`sim:audiences: ${problem} (--help lists the options)`);
  Deno.exit(2);
}

async function runAll(first: number, histories: number): Promise<void> {
  const progress = showProgress("sim:audiences", "histories");
  const began = performance.now();
  const end = first + histories;
  let next = first;
  let done = 0;
  let problem: string | undefined;
  const work = async () => {
    const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
    while (next < end && problem === undefined) {
      const job: ToWorker = { first: next, count: Math.min(AT_ONCE, end - next) };
      next += job.count;
      const told = await answerOf(worker, job);
      problem ??= told.problem;
      done += job.count;
      progress.update(done, histories);
    }
    worker.terminate();
  };
  await Promise.all(Array.from({ length: navigator.hardwareConcurrency }, work));
  progress.end();
  const seconds = ((performance.now() - began) / 1_000).toFixed(0);
  if (problem === undefined) {
    return console.log(`${done} histories from ${first} on in ${seconds} s: no difference`);
  }
  console.log(problem);
  Deno.exitCode = 1;
}

function answerOf(worker: Worker, job: ToWorker): Promise<FromWorker> {
  return new Promise((resolve) => {
    worker.onmessage = ({ data }: MessageEvent<FromWorker>) => resolve(data);
    worker.onerror = (event) => {
      event.preventDefault();
      resolve({ problem: event.message });
    };
    worker.postMessage(job);
  });
}

async function huntEveryBug(): Promise<void> {
  const found: Record<string, number> = {};
  const progress = showProgress("sim:audiences", "bugs");
  for (const [index, bug] of AUDIENCE_BUGS.entries()) {
    const hunted = await huntBug(bug);
    if (hunted !== undefined) found[bug.name] = hunted.seed;
    else Deno.exitCode = 1;
    console.log(`${hunted?.seed ?? "not found"}  ${bug.name}`);
    progress.update(index + 1, AUDIENCE_BUGS.length);
  }
  progress.end();
  const kept = { ...FOUND, ...found };
  await Deno.writeTextFile(new URL("found.json", import.meta.url), `${JSON.stringify(kept, null, 2)}\n`);
}
