/** The four that are measured, each with a fresh database for each shape. */
import type { Cluster } from "../rivals/postgres_cluster.ts";
import { type Server, startServer } from "./server.ts";

/** Who can be measured, in the order in which they take turns. */
export const TARGETS = ["signalfold", "nothing", "ordinary", "postgres"] as const;

/** One of {@link TARGETS}. */
export type TargetName = typeof TARGETS[number];

const MAINS: Record<TargetName, string> = {
  signalfold: "main.ts",
  nothing: "bench/rivals/nothing.ts",
  ordinary: "bench/rivals/ordinary.ts",
  postgres: "bench/rivals/postgres.ts",
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
  if (name === "postgres") {
    if (cluster === undefined) throw new Error("PostgreSQL is not running");
    env.DATABASE_URL = await cluster.createDatabase(shape);
  }
  return startServer({
    name,
    main: MAINS[name],
    env,
    adminToken: ADMIN_TOKEN,
    logFile: `${dir}/${name}-${shape}.log`,
    ...(name === "postgres" && cluster !== undefined ? { helpers: cluster.pids } : {}),
  });
}
