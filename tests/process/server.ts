/** A server as `deno task start` runs it: a process of its own, on a free port, over a database file; and the tasks beside it. */
import { taskCommand } from "../task_command.ts";
import { DatabaseSync } from "node:sqlite";
import { PACKAGE_VARIABLES, VARIABLES } from "../../config.ts";

/** The root of the repository. */
export const ROOT = new URL("../../", import.meta.url).pathname;

/** The credentials of every server here. */
export const ADMIN_TOKEN = "process_admin_token_0123456789";
export const WRITE_KEY = "process_write_key";

/** A server that has not started, or ended, by then has failed, in ms: no test says how fast a machine is. */
const PATIENCE_MS = 120_000;
/** A task that has not ended by then has failed, in ms: a replay of much takes its time on a machine that does other things. */
const TASK_MS = 240_000;
/** A request that is not answered by then has failed, in ms: much longer than the server's own 10 s. */
const ANSWER_MS = 120_000;

/** Everything that signalfold reads from the environment, unset: whatever the shell of the tests has set. */
const BLANK = Object.fromEntries(
  [...VARIABLES, ...PACKAGE_VARIABLES, "DENO_DEPLOYMENT_ID", "DENO_DEPLOY"].map((name) => [name, ""]),
);

/** An answer: the status and its JSON. */
export interface Answer {
  status: number;
  // deno-lint-ignore no-explicit-any -- a test looks at members that it names, and fails where they are missing.
  body: any;
}

/** How a process ended: with 0 where it did so in order, which it has less than 5 s for by its own clock (`main.ts`). */
export interface End {
  code: number;
  signal: Deno.Signal | null;
}

/** A process that serves. */
export interface Server extends AsyncDisposable {
  url: string;
  /** Of its process, as long as it runs. */
  pid: number;
  /** Sends an event, or (an array) a batch. Rejects where the connection breaks. */
  send(body: unknown, writeKey?: string): Promise<Answer>;
  /** A request of the administrator. */
  ask(path: string, init?: { method?: string; body?: unknown }): Promise<Answer>;
  /** Sends a signal and waits for the end. */
  end(signal: Deno.Signal): Promise<End>;
  /** What it wrote to standard output and standard error so far. */
  written(): string;
}

/** A folder that is deleted when it goes out of scope. */
export async function tempDir(): Promise<AsyncDisposable & { path: string }> {
  const path = await Deno.makeTempDir({ prefix: "signalfold-process-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

/** What the start task allows: the file; or, where there is none, a file that nobody uses. */
function databaseOf(kvPath: string): string {
  return /^https?:/.test(kvPath) ? ".data/signalfold.db" : kvPath;
}

/** The arguments with which `deno task start` runs `main.ts`, from `deno.json` itself: the same permissions for ever. */
function startArguments(
  kvPath: string,
  { heapMb, geoipDb }: { heapMb: number | undefined; geoipDb: string | undefined },
): string[] {
  const start = taskCommand("start");
  const names = /export NAMES=(\S+)/.exec(start)?.[1];
  const run = start.split("&&").at(-1)!.trim();
  if (names === undefined || !/^deno run .* main\.ts$/.test(run)) {
    throw new Error(`the start task is not what this reads: ${start}`);
  }
  const words: string[] = run.split(/\s+/).slice(1);
  return words.map((word) =>
    word.replaceAll('"', "").replace("$NAMES", names).replace("$DATABASE", databaseOf(kvPath))
      .replace("$READS", geoipDb === undefined ? "actors,domain" : `actors,domain,${geoipDb}`)
      .replace(/^main\.ts$/, "./main.ts")
      .replace(/(max-old-space-size=)\d+/, (found, flag) => heapMb === undefined ? found : `${flag}${heapMb}`)
  );
}

/** Starts a server on a database file, and waits until it listens. `heapMb` is less than the task gives it, for a test. */
export async function startServer(
  kvPath: string,
  env: Record<string, string> = {},
  { heapMb }: { heapMb?: number } = {},
): Promise<Server> {
  const child = new Deno.Command(Deno.execPath(), {
    args: startArguments(kvPath, { heapMb, geoipDb: env.GEOIP_DB }),
    cwd: ROOT,
    env: { ...BLANK, PORT: "0", HOST: "127.0.0.1", KV_URL: kvPath, ADMIN_TOKEN, WRITE_KEY, ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  return await serverOf(child);
}

/** Starts a server by another entry of `tests/`, with all permissions. */
export async function startEntry(
  entry: string,
  { kvPath, env = {} }: { kvPath: string; env?: Record<string, string> },
): Promise<Server> {
  return await startAs(Deno.execPath(), { entry, env: { HOST: "127.0.0.1", KV_URL: kvPath, ...env } });
}

/** Starts an entry by some Deno, with all permissions and no other flags. */
export async function startAs(
  deno: string,
  { entry, env }: { entry: string; env: Record<string, string> },
): Promise<Server> {
  const child = new Deno.Command(deno, {
    args: ["run", "--no-prompt", "--allow-all", entry],
    cwd: ROOT,
    env: { ...BLANK, PORT: "0", ADMIN_TOKEN, WRITE_KEY, ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  return await serverOf(child);
}

/** A process that will say where it listens. */
async function serverOf(child: Deno.ChildProcess): Promise<Server> {
  let written = "";
  let ended = false;
  const listening = Promise.withResolvers<string>();
  // Also when nobody waits for it any more.
  listening.promise.catch(() => {});
  const reading = [child.stdout, child.stderr].map(async (stream) => {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      written += text;
      const url = /^signalfold listens on (\S+)$/m.exec(written)?.[1];
      if (url !== undefined) listening.resolve(url);
    }
  });
  const gone = Promise.all([child.status, ...reading]).then(([status]) => {
    ended = true;
    listening.reject(new Error(`the server ended with status ${status.code}:\n${written}`));
    return status;
  });
  const client = Deno.createHttpClient({ poolMaxIdlePerHost: 64 });
  const closeClient = once(() => client.close());

  async function end(signal: Deno.Signal): Promise<End> {
    if (!ended) child.kill(signal);
    const { code, signal: by } = await within(PATIENCE_MS, gone, "the server's end");
    return { code, signal: by };
  }

  const url = await within(PATIENCE_MS, listening.promise, "the server's start").catch(async (error) => {
    if (!ended) child.kill("SIGKILL");
    await gone;
    closeClient();
    throw error;
  });

  async function request(path: string, init: RequestInit): Promise<Answer> {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const response = await fetch(url + path, { ...init, client, signal });
    const text = await response.text();
    return { status: response.status, body: text === "" ? undefined : JSON.parse(text) };
  }

  return {
    url,
    pid: child.pid,
    send: (body, writeKey = WRITE_KEY) =>
      request(Array.isArray(body) ? "/api/v1/events/batch" : "/api/v1/events", {
        method: "POST",
        headers: { authorization: `Basic ${btoa(`${writeKey}:`)}`, "content-type": "application/json" },
        body: JSON.stringify(Array.isArray(body) ? { batch: body } : body),
      }),
    ask: (path, { method = "GET", body } = {}) =>
      request(path, {
        method,
        headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
        ...body !== undefined && { body: JSON.stringify(body) },
      }),
    end,
    written: () => written,
    async [Symbol.asyncDispose]() {
      if (!ended) await end("SIGKILL");
      closeClient();
    },
  };
}

function once(work: () => void): () => void {
  let done = false;
  return () => {
    if (!done) work();
    done = true;
  };
}

/** How a task ended, and what it wrote. */
export interface TaskEnd {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a task of `deno.json` on a database file, beside whatever server runs on it. */
export async function runTask(kvPath: string, ...args: string[]): Promise<TaskEnd> {
  return await runCommand(Deno.execPath(), ["task", "--quiet", ...args], { KV_URL: kvPath });
}

/** Runs a program to its end in the root of the repository. */
export async function runCommand(
  program: string,
  args: string[],
  env: Record<string, string>,
): Promise<TaskEnd> {
  const child = new Deno.Command(program, {
    args,
    cwd: ROOT,
    env: { ...BLANK, ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const output = child.output();
  try {
    const { code, stdout, stderr } = await within(TASK_MS, output, `${program} ${args.join(" ")}`);
    const decoder = new TextDecoder();
    return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  } catch (error) {
    child.kill("SIGKILL");
    await output;
    throw error;
  }
}

/** A promise's outcome, or an error that says what did not come in time. */
export async function within<T>(ms: number, promise: Promise<T>, what: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Resolves after so many ms. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** What never comes is given up after so long, in ms. */
const NEVER_MS = 120_000;

/**
 * Asks again, every `everyMs`, until it is so; throws where it was not so when asked `ms` after the beginning or later,
 * however long the machine takes to ask.
 */
export async function eventually(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  { ms = NEVER_MS, everyMs = 50 } = {},
): Promise<void> {
  const began = performance.now();
  for (;;) {
    const askedMs = performance.now() - began;
    if (await isSo()) return;
    if (askedMs > ms) throw new Error(`${what}: not within ${ms} ms`);
    await sleep(everyMs);
  }
}

/** Waits until a server has written something: a pipe is read a while after it was written to. */
export async function writes(server: Pick<Server, "written">, text: RegExp): Promise<void> {
  await eventually(`${text} is written`, () => text.test(server.written())).catch((error) => {
    throw new Error(`${error.message}: ${server.written()}`);
  });
}

/** Closes a database of a server that ended in order or not, as SQLite does it: what its log holds goes into the file. */
export function closeInOrder(kvPath: string): void {
  // Deno KV closes behind the answer, whenever; this has closed the file, and deleted the log, when it returns.
  const database = new DatabaseSync(kvPath);
  database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  database.close();
}

/**
 * A port that the system gives nobody by itself, free when it was looked at: for what listens on it later, or twice. A port
 * that was given for 0 and let go may be given to somebody else before.
 */
export function freePort(): number {
  for (;;) {
    // Linux gives from 32768 on, others from 49152; and no browser refuses one of these, as it does 10080.
    const port = 11_000 + Math.floor(Math.random() * 21_000);
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}

/** A request on a connection of its own, which the server has begun to read: it asked for the body. */
export interface Begun extends Disposable {
  connection: Deno.Conn;
  /** Sends more of the body. */
  write(text: string): Promise<void>;
  /** All that comes until the server closes. */
  answer(): Promise<string>;
}

/** Posts an event's head, and resolves when the server reads the body, of which nothing is sent yet. */
export async function beginEvent(
  url: string,
  { writeKey, length }: { writeKey: string; length: number },
): Promise<Begun> {
  const { hostname, port } = new URL(url);
  const connection = await Deno.connect({ hostname, port: Number(port) });
  const write = async (text: string) => void await connection.write(new TextEncoder().encode(text));
  const lines = [
    "POST /api/v1/events HTTP/1.1",
    "host: x",
    `x-write-key: ${writeKey}`,
    "expect: 100-continue",
    "connection: close",
    `content-length: ${length}`,
  ];
  await write(`${lines.join("\r\n")}\r\n\r\n`);
  // Which is sent when the body is first asked for (RFC 9110, section 10.1.1), and ends in an empty line.
  let asked = "";
  for (const byte = new Uint8Array(1); !asked.endsWith("\r\n\r\n");) {
    if (await connection.read(byte) === null) break;
    asked += String.fromCharCode(byte[0]!);
  }
  if (!/^HTTP\/1\.1 100 /.test(asked)) throw new Error(`the body was not asked for: ${asked}`);
  return {
    connection,
    write,
    answer: () => new Response(connection.readable).text(),
    [Symbol.dispose]() {
      try {
        connection.close();
      } catch {
        // Closed already, by the end of its stream.
      }
    },
  };
}
