/** A server under load: a child process on a free port, watched from outside. */
import { taskCommand } from "../../tests/task_command.ts";

/** How to start one. */
export interface Start {
  name: string;
  /** The module that serves, seen from the root of the repository; or the words of a command. */
  main: string | readonly string[];
  env: Record<string, string>;
  adminToken: string;
  /** Where its standard output and error go. */
  logFile: string;
  /** Other processes that work for it, such as a database server's. */
  helpers?: () => number[];
}

/** A started server. */
export interface Server {
  name: string;
  port: number;
  /** Numbers of events by `GET /api/v1/admin/stats`. */
  stats(): Promise<{ head: number; unsettled: number }>;
  /** Processor time used so far by it and its helpers, in seconds. */
  cpuS(): number;
  /** The most memory it ever held, in MB; its helpers not counted. */
  peakRssMb(): number;
  /** The last lines that it wrote. */
  logTail(): Promise<string>;
  stop(): Promise<void>;
}

/** A server that takes longer to start or to stop has failed, in ms. */
const PATIENCE_MS = 30_000;

/** The kernel's clock ticks of /proc, a second: 100 on every Linux that Deno runs on. */
const TICKS_PER_S = 100;

const ROOT = new URL("../../", import.meta.url);

/** V8's flags of all targets: those of `deno task start`, from `deno.json` itself. */
const V8_FLAGS = /--v8-flags=\S+/.exec(
  taskCommand("start"),
)![0];

/** Starts a server and waits until `GET /healthz` answers. Throws with the end of its log where it does not. */
export async function startServer(start: Start): Promise<Server> {
  const port = freePort();
  const log = await Deno.open(start.logFile, { write: true, create: true, append: true });
  const args = ["run", "--frozen", "--quiet", "--allow-net", "--allow-env", "--allow-read", "--allow-write"];
  const [program, ...words] = typeof start.main === "string"
    ? [Deno.execPath(), ...args, "--allow-sys", V8_FLAGS, start.main]
    : start.main;
  const child = new Deno.Command(program!, {
    args: words,
    cwd: ROOT,
    env: { ...start.env, ADMIN_TOKEN: start.adminToken, HOST: "127.0.0.1", PORT: String(port) },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const logged = Promise.all([child.stdout, child.stderr].map((stream) => writeAll(stream, log)))
    .finally(() => log.close());
  let ended = false;
  const status = child.status.then(() => ended = true);
  const until = Date.now() + PATIENCE_MS;
  while (!await answers(port)) {
    if (ended || Date.now() > until) {
      if (!ended) child.kill("SIGKILL");
      await logged;
      throw new Error(`${start.name} did not start:\n${await logTail(start.logFile)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    name: start.name,
    port,
    stats: () => readStats(port, start.adminToken),
    cpuS: () => [child.pid, ...start.helpers?.() ?? []].reduce((sum, pid) => sum + processCpuS(pid), 0),
    peakRssMb: () => peakRssMb(child.pid),
    logTail: () => logTail(start.logFile),
    stop: async () => {
      if (!ended) child.kill("SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS);
      await status;
      clearTimeout(late);
      await logged;
    },
  };
}

async function writeAll(stream: ReadableStream<Uint8Array>, file: Deno.FsFile): Promise<void> {
  for await (const chunk of stream) await file.write(chunk);
}

/** A port that was free a moment ago. */
export function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  return port;
}

async function answers(port: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/healthz`);
    await response.body?.cancel();
    return response.ok;
  } catch {
    // Not listening yet.
    return false;
  }
}

/** The last lines of a log, for a message. */
export async function logTail(path: string): Promise<string> {
  return (await Deno.readTextFile(path)).trimEnd().split("\n").slice(-20).join("\n");
}

async function readStats(port: number, adminToken: string): Promise<{ head: number; unsettled: number }> {
  const response = await fetch(`http://127.0.0.1:${port}/api/v1/admin/stats`, {
    headers: { authorization: `Bearer ${adminToken}` },
  });
  if (!response.ok) throw new Error(`stats answered ${response.status}: ${await response.text()}`);
  return response.json();
}

/** User and system time of a process, and of its children that have ended: proc(5), /proc/pid/stat. */
export function processCpuS(pid: number): number {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    // The name in parentheses may hold spaces; utime is the 12th field after it.
    const ticks = stat.slice(stat.lastIndexOf(")") + 2).split(" ").slice(11, 15);
    return ticks.reduce((sum, count) => sum + Number(count), 0) / TICKS_PER_S;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

function peakRssMb(pid: number): number {
  const kb = /^VmHWM:\s+(\d+) kB$/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1];
  if (kb === undefined) throw new Error(`/proc/${pid}/status does not say VmHWM`);
  return Number(kb) / 1024;
}
