/** The servers that are measured, each with a fresh database for each shape. */
import type { Cluster } from "../rivals/postgres_cluster.ts";
import { postgresCommand } from "../rivals/postgres_install.ts";
import { type Server, startServer } from "./server.ts";

/** Who can be measured, in the order in which they take turns. */
export const TARGETS = ["signalfold", "bare", "ordinary", "postgres", "postgres-grouped"] as const;

/** One of {@link TARGETS}. */
export type TargetName = typeof TARGETS[number];

/** Those that need a PostgreSQL server. */
export const ON_POSTGRES: readonly TargetName[] = ["postgres", "postgres-grouped"];

/** Modules, or words of a command for the folder of a run. */
const MAINS: Record<TargetName, string | ((dir: string) => readonly string[])> = {
  signalfold: "main.ts",
  bare: "bench/rivals/bare.ts",
  ordinary: "bench/rivals/ordinary.ts",
  postgres: postgresCommand,
  "postgres-grouped": postgresCommand,
};

/** The secrets that every target is started with. */
export const WRITE_KEY = "cbenchbenchbenchbenchbench";
export const ADMIN_TOKEN = "bench-admin-token-of-one-run";

/** What starting needs. */
export interface Place {
  /** Folder of the run. */
  dir: string;
  shape: string;
  cluster: Cluster | undefined;
}

/** Starts a target on an empty database. */
export async function startTarget(name: TargetName, { dir, shape, cluster }: Place): Promise<Server> {
  const env: Record<string, string> = { WRITE_KEY, KV_URL: `${dir}/${name}-${shape}.db` };
  if (ON_POSTGRES.includes(name)) {
    if (cluster === undefined) throw new Error("PostgreSQL is not running");
    env.DATABASE_URL = await cluster.createDatabase(`${name}-${shape}`);
  }
  if (name === "postgres-grouped") env.GROUPED = "true";
  const main = MAINS[name];
  return startServer({
    name,
    main: typeof main === "string" ? main : main(dir),
    env,
    adminToken: ADMIN_TOKEN,
    logFile: `${dir}/${name}-${shape}.log`,
    ...(ON_POSTGRES.includes(name) && cluster !== undefined ? { helpers: cluster.pids } : {}),
  });
}
