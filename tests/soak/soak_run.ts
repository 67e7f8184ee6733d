/** One soak: a server, the generator in a process of its own, and the server's memory, looked at from outside. */
import { type Server, sleep } from "../process/server.ts";
import type { Interval } from "./generator.ts";
import type { Sample } from "./memory.ts";

/** The memory is looked at this often. */
const SAMPLE_MS = 2_000;

/** What a soak needs. */
export interface SoakOptions {
  server: Server;
  /** Requests a second, and for how long. */
  rate: number;
  seconds: number;
  seed: number;
  /** Told of each interval (a minute, or the whole of a shorter run), with the memory seen in it. */
  onInterval(interval: Interval, samples: Sample[]): void;
}

/** Puts load on a server and gives the looks at its memory. */
export async function soak({ server, rate, seconds, seed, onInterval }: SoakOptions): Promise<Sample[]> {
  const generator = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--allow-net",
      "--allow-env",
      "--allow-read",
      new URL("generator.ts", import.meta.url).pathname,
      server.url,
      ...[rate, seconds, seed].map(String),
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const began = performance.now();
  const samples: Sample[] = [];
  let seen = 0;
  let ended = false;

  async function sample(): Promise<void> {
    while (!ended) {
      const megabytes = await residentMegabytes(server.pid);
      samples.push({ seconds: (performance.now() - began) / 1000, megabytes });
      await sleep(SAMPLE_MS);
    }
  }

  async function read(): Promise<void> {
    let rest = "";
    for await (const text of generator.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        onInterval(JSON.parse(line), samples.slice(seen));
        seen = samples.length;
      }
    }
    const { code } = await generator.status;
    if (code !== 0) throw new Error(`the generator ended with status ${code}`);
  }

  const sampling = sample();
  try {
    await read();
  } finally {
    ended = true;
    await sampling;
  }
  return samples;
}

/** Resident memory of a process, in MB, as Linux tells it, or elsewhere `ps`. */
async function residentMegabytes(pid: number): Promise<number> {
  if (Deno.build.os === "linux") {
    const status = await Deno.readTextFile(`/proc/${pid}/status`);
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
  }
  const { stdout } = await new Deno.Command("ps", { args: ["-o", "rss=", "-p", String(pid)] }).output();
  return Number(new TextDecoder().decode(stdout)) / 1024;
}
