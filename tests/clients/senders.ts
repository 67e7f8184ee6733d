/** The clients that run outside of a browser: what each has, and how its program is started. */
import { missing, runs } from "../needs.ts";
import { installForGo, installForJava, type Packages } from "./packages.ts";
import { WRITE_KEY } from "./stage.ts";

/** The Python that has the clients for it: `CLIENTS_PYTHON`, or the one on the path. */
export const PYTHON = Deno.env.get("CLIENTS_PYTHON") || "python3";

/** A program may take so long: a client waits between its tries. */
const PROGRAM_MS = 300_000;

/** A client, and what it can do. */
export interface Sender {
  name: string;
  /** Which of the programs of `programs/` sends by it. */
  runtime: "node" | "python" | "go" | "java";
  /** What is missing on this machine, in words; `undefined` where it can run. */
  missing: string | undefined;
  /** Calls that it does not have. */
  lacks: readonly string[];
  /** Whether it tries again by itself; `slowly` is after half a minute and more. */
  retries: boolean | "slowly";
  /** Whether it sends batches. */
  batches: boolean;
  /** Its module in Python. */
  module?: string;
  /** Its key is only in its bodies, which may then not be compressed: compression stays off. */
  keyInBody?: true;
}

const withNode = { runtime: "node", missing: missing("node") } as const;
const complete = { lacks: [], retries: true, batches: true } as const;

/** The clients for Python all grew from Segment's. */
const inPython = (name: string, module: string): Sender => ({
  ...complete,
  name,
  module,
  runtime: "python",
  missing: runs(PYTHON, "-c", `import ${module}`) ? undefined : `a Python with ${name} in CLIENTS_PYTHON`,
});

/** Every client, by its name on its registry. */
export const SENDERS: readonly Sender[] = [
  { name: "@segment/analytics-node", ...withNode, ...complete },
  { name: "analytics-node", ...withNode, ...complete },
  { name: "@rudderstack/rudder-sdk-node", ...withNode, ...complete },
  { name: "@customerio/cdp-analytics-node", ...withNode, ...complete },
  { name: "@dittofeed/sdk-node", ...withNode, lacks: ["group", "alias"], retries: false, batches: true },
  { name: "@jitsu/js", ...withNode, lacks: ["screen", "alias"], retries: false, batches: false },
  inPython("segment-analytics-python", "segment.analytics"),
  inPython("rudder-sdk-python", "rudderstack.analytics"),
  inPython("customerio-cdp-analytics", "customerio.analytics"),
  { ...inPython("events-sdk-python", "hightouch.htevents"), keyInBody: true },
  { name: "github.com/segmentio/analytics-go/v3", runtime: "go", missing: missing("go"), ...complete },
  {
    name: "com.segment.analytics.java:analytics",
    runtime: "java",
    missing: missing("mvn", "java", "javac"),
    ...complete,
    retries: "slowly",
  },
];

/** What `java` is called with before the file to run: the libraries, and no more memory than a small program needs. */
export const javaOptions = (
  { path }: Packages,
) => ["-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", `${path}/lib/*`];

/** Installs and builds what the clients for Go and Java need, where those are. */
export async function installSenders(packages: Packages): Promise<void> {
  const isThere = (wanted: Sender["runtime"]) =>
    SENDERS.some(({ runtime, missing }) => runtime === wanted && missing === undefined);
  if (isThere("go")) await installForGo(packages);
  if (isThere("java")) await installForJava(packages);
}

function commandOf(
  packages: Packages,
  { name, runtime, module }: Sender,
  scenario: string,
): [string, string[]] {
  if (runtime === "node") return ["node", ["send.mjs", name, scenario]];
  if (runtime === "python") return [PYTHON, ["send.py", module!, scenario]];
  if (runtime === "go") return [`${packages.path}/send`, [scenario]];
  return ["java", [...javaOptions(packages), "Send.java", scenario]];
}

/** What a program is told. */
export interface Sending {
  url: string;
  userId: string;
  key?: string;
  count?: number;
  paceMs?: number;
  /** Whether bodies are compressed, where the client has a choice; by default where the server takes it. */
  gzip?: boolean;
}

/** Runs a scenario of `programs/send` to its end, and gives what the client says has failed. */
export async function send(
  packages: Packages,
  sender: Sender,
  scenario: "every" | "bad" | "many" | "twice",
  { url, userId, key = WRITE_KEY, count = 0, paceMs = 0, gzip = !sender.keyInBody }: Sending,
): Promise<string[]> {
  const [program, args] = commandOf(packages, sender, scenario);
  const command = new Deno.Command(program, {
    args,
    cwd: packages.path,
    env: {
      URL: url,
      KEY: key,
      USER_ID: userId,
      COUNT: String(count),
      PACE_MS: String(paceMs),
      GZIP: String(gzip),
    },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(PROGRAM_MS),
  });
  const { success, stdout, stderr } = await command.output();
  const [printed, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  if (!success) throw new Error(`${sender.name} ${scenario} ended with an error:\n${errors}`);
  return JSON.parse(printed!.trimEnd().split("\n").at(-1)!).failures;
}
