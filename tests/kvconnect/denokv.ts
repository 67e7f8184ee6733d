/** The real self-hosted server, `denokv`, where this machine has it: `cargo install denokv --locked`. */
import { eventually, freePort } from "../process/server.ts";
import { ACCESS_TOKEN } from "./server.ts";

/** A `denokv` that runs on a folder of its own. */
export interface Denokv extends AsyncDisposable {
  url: string;
  /** SIGKILL, and at once another process on the same file and port. */
  killAndRestart(): Promise<void>;
}

/** Where `denokv` is: `DENOKV` names it, or it is on the path, or where cargo installs; `undefined` where it is not. */
const DENOKV = find();

/** What a test over it lacks. */
export const missingDenokv = DENOKV === undefined ? "denokv (cargo install denokv --locked)" : undefined;

function find(): string | undefined {
  const named = Deno.env.get("DENOKV");
  const folders = [...(Deno.env.get("PATH") ?? "").split(":"), `${Deno.env.get("HOME")}/.cargo/bin`];
  const candidates = named ? [named] : folders.map((folder) => `${folder}/denokv`);
  return candidates.find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
}

/** Starts `denokv` on an empty database. */
export async function startDenokv(): Promise<Denokv> {
  const folder = await Deno.makeTempDir({ prefix: "signalfold-denokv-" });
  const port = freePort();
  const url = `http://127.0.0.1:${port}/`;
  let child = await start();

  async function start(): Promise<Deno.ChildProcess> {
    const started = new Deno.Command(DENOKV!, {
      args: ["--sqlite-path", `${folder}/kv.sqlite`, "serve", "--addr", `127.0.0.1:${port}`],
      env: { DENO_KV_ACCESS_TOKEN: ACCESS_TOKEN, RUST_LOG: "error" },
      stdin: "null",
      stdout: "null",
      stderr: "inherit",
    }).spawn();
    await eventually("denokv listens", async () => {
      try {
        await (await fetch(url, { method: "POST" })).body?.cancel();
        return true;
      } catch {
        return false;
      }
    });
    return started;
  }

  async function kill(): Promise<void> {
    child.kill("SIGKILL");
    await child.status;
  }

  return {
    url,
    async killAndRestart() {
      await kill();
      child = await start();
    },
    async [Symbol.asyncDispose]() {
      await kill();
      await Deno.remove(folder, { recursive: true });
    },
  };
}
