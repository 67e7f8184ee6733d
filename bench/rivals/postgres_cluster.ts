/** A PostgreSQL server of our own for one run, from the binaries that Debian (or anyone) installed. */
import { freePort, logTail } from "../load/server.ts";

/** A running PostgreSQL server. */
export interface Cluster {
  version: string;
  /** What differs from the defaults of PostgreSQL. */
  settings: string[];
  /** Makes an empty database and gives its URL. */
  createDatabase(name: string): Promise<string>;
  /** Writes out what is dirty, so that it is not written while another target is measured. */
  checkpoint(): Promise<void>;
  /** The processes of the server. */
  pids(): number[];
  stop(): Promise<void>;
}

/**
 * Durability is as PostgreSQL ships it (`fsync`, `synchronous_commit` and `full_page_writes` on). Memory and
 * distance between checkpoints are what one sets on a small server of its own, and `jit` only costs with
 * statements as short as these.
 */
const SETTINGS = [
  "shared_buffers=512MB",
  "max_wal_size=4GB",
  "wal_buffers=16MB",
  "max_connections=64",
  "jit=off",
];

const USER = "bench";

/** Starts PostgreSQL with its data under `dir`; `undefined` where it is not installed. */
export async function startCluster(dir: string): Promise<Cluster | undefined> {
  const bin = await findBinaries();
  if (bin === undefined) return undefined;
  const owner = await unprivileged();
  const home = `${dir}/postgres`;
  await Deno.mkdir(home);
  // PostgreSQL refuses to run as root, so its folder belongs to another user, who must be able to enter ours.
  await Deno.chmod(dir, 0o711);
  if (owner.uid !== undefined) await Deno.chown(home, owner.uid, owner.gid ?? null);
  const data = `${home}/data`;
  const run = (tool: string, args: string[]) => runTool(`${bin}${tool}`, args, owner);
  const version = await run("postgres", ["--version"]);
  await run("initdb", ["-D", data, "-U", USER, "--auth=trust", "--encoding=UTF8", "--locale=C"]);
  const port = freePort();
  const options = [...SETTINGS, "listen_addresses=127.0.0.1", `unix_socket_directories=${home}`];
  const log = `${home}/log`;
  const flags = options.map((option) => `-c ${option}`).join(" ");
  try {
    await run("pg_ctl", ["start", "-w", "-D", data, "-l", log, "-o", `-p ${port} ${flags}`]);
  } catch (error) {
    throw new Error(`PostgreSQL did not start:\n${await logTail(log)}`, { cause: error });
  }
  const pid = Number((await Deno.readTextFile(`${data}/postmaster.pid`)).split("\n")[0]);
  const psql = ["-h", home, "-p", String(port), "-U", USER, "-q", "-d", "postgres", "-c"];
  return {
    version: version.trim(),
    settings: SETTINGS,
    createDatabase: async (name) => {
      await run("psql", [...psql, `create database "${name}"`]);
      return `postgres://${USER}@127.0.0.1:${port}/${name}`;
    },
    checkpoint: async () => void await run("psql", [...psql, "checkpoint"]),
    pids: () => [pid, ...childrenOf(pid)],
    stop: async () => void await run("pg_ctl", ["stop", "-w", "-m", "fast", "-D", data]),
  };
}

/** The folder of `initdb`, with a slash, or "" where it is on the path; `undefined` where there is none. */
async function findBinaries(): Promise<string | undefined> {
  const debian = "/usr/lib/postgresql";
  const versions: string[] = [];
  try {
    for await (const { name } of Deno.readDir(debian)) versions.push(name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  versions.sort((a, b) => Number(b) - Number(a));
  for (const place of ["", ...versions.map((version) => `${debian}/${version}/bin/`)]) {
    try {
      await runTool(`${place}initdb`, ["--version"], {});
      return place;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return undefined;
}

/** Whom to run PostgreSQL as: the current user, or where that is root the user `postgres` or `nobody`. */
async function unprivileged(): Promise<{ uid?: number; gid?: number }> {
  if (Deno.uid() !== 0) return {};
  const lines = (await Deno.readTextFile("/etc/passwd")).split("\n").map((line) => line.split(":"));
  const user = ["postgres", "nobody"].map((name) => lines.find((line) => line[0] === name)).find(Boolean);
  if (user === undefined) {
    throw new Error("PostgreSQL can't run as root, and there is no user postgres or nobody");
  }
  return { uid: Number(user[2]), gid: Number(user[3]) };
}

async function runTool(tool: string, args: string[], owner: { uid?: number; gid?: number }): Promise<string> {
  const child = new Deno.Command(tool, { args, ...owner, cwd: "/", stdin: "null" });
  // pg_ctl leaves a server behind that would hold a pipe open for as long as it runs.
  if (args[0] === "start") {
    const { code } = await new Deno.Command(tool, {
      args,
      ...owner,
      cwd: "/",
      stdout: "null",
      stderr: "null",
    }).output();
    if (code !== 0) throw new Error(`${tool} ended with status ${code}`);
    return "";
  }
  const { code, stdout, stderr } = await child.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  if (code !== 0) throw new Error(`${tool} ended with status ${code}: ${text(stderr)}`);
  return text(stdout);
}

function childrenOf(parent: number): number[] {
  const children: number[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = Deno.readTextFileSync(`/proc/${name}/stat`);
      if (Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) === parent) children.push(Number(name));
    } catch (error) {
      // It ended while we were looking.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return children;
}
