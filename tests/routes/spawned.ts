/** Starts signalfold as its users do, by a task, in a copy of the repository, so that no test leaves anything in it. */

/** What a copy does not need. */
const LEFT_OUT = new Set([".git", ".data", "tests", "bench", "docs", "coverage", "node_modules"]);

/** What the task needs of this process's environment: the settings of signalfold are not among it. */
const KEPT = [
  "PATH",
  "HOME",
  "DENO_DIR",
  "NPM_CONFIG_REGISTRY",
  "HTTPS_PROXY",
  "HTTP_PROXY",
  "NO_PROXY",
  "DENO_CERT",
  "DENO_TLS_CA_STORE",
  "NODE_EXTRA_CA_CERTS",
];

/** A start that takes longer has failed, on a machine that does other things too. */
const START_MS = 120_000;

/** Copies the repository into a new directory. */
export async function copyRepository(): Promise<string> {
  const to = await Deno.makeTempDir({ prefix: "signalfold-" });
  await copy(new URL("../../", import.meta.url).pathname, to, LEFT_OUT);
  return to;
}

async function copy(from: string, to: string, leftOut: ReadonlySet<string>): Promise<void> {
  for await (const { name, isDirectory, isFile } of Deno.readDir(from)) {
    if (leftOut.has(name)) continue;
    if (isFile) await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
    if (!isDirectory) continue;
    await Deno.mkdir(`${to}/${name}`);
    await copy(`${from}/${name}`, `${to}/${name}`, new Set());
  }
}

/** A task that was started; `output` and `errors` are what it printed so far. */
export interface Spawned extends AsyncDisposable {
  process: Deno.ChildProcess;
  output(): string;
  errors(): string;
  /** Waits, so many ms at most, for the line that says where it listens, and gives its first group; throws with what it wrote. */
  url(line?: RegExp, ms?: number): Promise<string>;
  /** Waits for its end. */
  status: Promise<Deno.CommandStatus>;
  /** Stops it as an operator would, and waits. */
  stop(signal?: Deno.Signal): Promise<Deno.CommandStatus>;
}

/** Starts a task with these variables and no other settings. */
export function spawnTask(directory: string, task: string, env: Record<string, string> = {}): Spawned {
  const kept = KEPT.flatMap((name) => {
    const value = Deno.env.get(name);
    return value === undefined ? [] : [[name, value]];
  });
  const process = new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", task],
    cwd: directory,
    clearEnv: true,
    env: { ...Object.fromEntries(kept), NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let output = "";
  let errors = "";
  const reading = Promise.all([
    read(process.stdout, (text) => output += text),
    read(process.stderr, (text) => errors += text),
  ]);
  const status = process.status.then(async (ended) => {
    await reading;
    return ended;
  });
  let hasEnded = false;
  status.then(() => hasEnded = true);

  async function stop(signal: Deno.Signal = "SIGTERM"): Promise<Deno.CommandStatus> {
    if (!hasEnded) process.kill(signal);
    return await status;
  }

  return {
    process,
    status,
    stop,
    output: () => output,
    errors: () => errors,
    async url(line = /^signalfold listens on (\S+)$/m, ms = START_MS) {
      const latest = Date.now() + ms;
      while (!hasEnded && Date.now() < latest) {
        const found = line.exec(output);
        if (found !== null) return found[1]!;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      throw new Error(`${task} did not start:\n${output}\n${errors}`);
    },
    async [Symbol.asyncDispose]() {
      await stop();
    },
  };
}

async function read(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  take: (text: string) => void,
): Promise<void> {
  for await (const text of stream.pipeThrough(new TextDecoderStream())) take(text);
}
