/** A real server on a real port, and a wire before it that clients are pointed at. */
import { type Server, startServer, tempDir } from "../process/server.ts";
import { installPackages, type Packages } from "./packages.ts";
import { openWire, type Wire } from "./wire.ts";

/** A write key as the product makes them: one client of the family takes no other shape. */
export const WRITE_KEY = "cabcdefghijklmnopqrstuvwx";

/** See {@link openStage}. */
export interface Stage extends AsyncDisposable {
  server: Server;
  wire: Wire;
  /** The events of a user or an anonymous id, oldest first. */
  log(path: string): Promise<Record<string, unknown>[]>;
}

/** Starts both. The server is told that clients reach it by the wire. */
export async function openStage(): Promise<Stage> {
  const stack = new AsyncDisposableStack();
  try {
    const dir = stack.use(await tempDir());
    const wire = stack.use(await openWire());
    const server = stack.use(await startServer(`${dir.path}/kv.db`, { WRITE_KEY, PUBLIC_URL: wire.url }));
    wire.target = server.url;
    return {
      server,
      wire,
      log: (path) => readLog(server, path),
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/** The events at `/api/v1/{path}/events`, oldest first; up to 500. */
export async function readLog(server: Server, path: string): Promise<Record<string, unknown>[]> {
  const { body } = await server.ask(`/api/v1/${path}/events?order=asc&limit=500`);
  return body.events ?? [];
}

/** What the tests of a file share: see {@link openStage} and {@link installPackages}. */
export interface SharedStage {
  readonly stage: Stage;
  readonly packages: Packages;
}

/** Before the tests of a file the clients are installed and a stage is opened, if any test is run; after them both go. */
export function sharedStage(
  isNeeded: boolean,
  install: (packages: Packages) => Promise<void> = () => Promise.resolve(),
): SharedStage {
  const stack = new AsyncDisposableStack();
  let packages: Packages | undefined;
  let stage: Stage | undefined;
  Deno.test.beforeAll(async () => {
    if (!isNeeded) return;
    packages = stack.use(await installPackages());
    await install(packages);
    stage = stack.use(await openStage());
  });
  Deno.test.afterAll(() => stack.disposeAsync());
  return {
    get stage() {
      return stage!;
    },
    get packages() {
      return packages!;
    },
  };
}
