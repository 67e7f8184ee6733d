/** The clients that run outside of a browser: what each has, and how its program is started. */
import { missing, runs } from "../needs.ts";
import type { Packages } from "./packages.ts";
import { WRITE_KEY } from "./stage.ts";

/** The Python that has the clients for it: `CLIENTS_PYTHON`, or the one on the path. */
export const PYTHON = Deno.env.get("CLIENTS_PYTHON") || "python3";

/** A program may take so long: a client waits between its tries. */
const PROGRAM_MS = 300_000;

/** A client, and what it can do. */
export interface Sender {
  name: string;
  /** What is missing on this machine, in a word; `undefined` where it can run. */
  missing: string | undefined;
  /** Calls that it does not have. */
  lacks: readonly string[];
  /** Whether it tries again by itself. */
  retries: boolean;
  /** Whether it sends batches. */
  batches: boolean;
  /** Its module in Python; one without is for Node. */
  module?: string;
}

const withNode = { missing: missing("node") };

/** The clients for Python all grew from Segment's. */
const inPython = (name: string, module: string): Sender => ({
  name,
  module,
  missing: runs(PYTHON, "-c", `import ${module}`) ? undefined : `a Python with ${name} in CLIENTS_PYTHON`,
  lacks: [],
  retries: true,
  batches: true,
});

/** Every client, by its name on its registry. */
export const SENDERS: readonly Sender[] = [
  { name: "@segment/analytics-node", ...withNode, lacks: [], retries: true, batches: true },
  { name: "analytics-node", ...withNode, lacks: [], retries: true, batches: true },
  { name: "@rudderstack/rudder-sdk-node", ...withNode, lacks: [], retries: true, batches: true },
  { name: "@customerio/cdp-analytics-node", ...withNode, lacks: [], retries: true, batches: true },
  { name: "@dittofeed/sdk-node", ...withNode, lacks: ["group", "alias"], retries: false, batches: true },
  { name: "@jitsu/js", ...withNode, lacks: ["screen", "alias"], retries: false, batches: false },
  inPython("segment-analytics-python", "segment.analytics"),
  inPython("rudder-sdk-python", "rudderstack.analytics"),
  inPython("customerio-cdp-analytics", "customerio.analytics"),
  inPython("events-sdk-python", "hightouch.htevents"),
];

/** What a program is told. */
export interface Sending {
  url: string;
  userId: string;
  key?: string;
  count?: number;
  paceMs?: number;
}

/** Runs a scenario of `programs/send` to its end, and gives what the client says has failed. */
export async function send(
  { path }: Packages,
  { name, module }: Sender,
  scenario: "every" | "bad" | "many" | "twice",
  { url, userId, key = WRITE_KEY, count = 0, paceMs = 0 }: Sending,
): Promise<string[]> {
  const command = new Deno.Command(module === undefined ? "node" : PYTHON, {
    args: module === undefined ? ["send.mjs", name, scenario] : ["send.py", module, scenario],
    cwd: path,
    env: { URL: url, KEY: key, USER_ID: userId, COUNT: String(count), PACE_MS: String(paceMs) },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(PROGRAM_MS),
  });
  const { success, stdout, stderr } = await command.output();
  const [printed, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  if (!success) throw new Error(`${name} ${scenario} ended with an error:\n${errors}`);
  return JSON.parse(printed!.trimEnd().split("\n").at(-1)!).failures;
}
