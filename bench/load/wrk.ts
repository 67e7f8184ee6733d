/** Load by wrk: writes its script, runs it, reads what it says. */
import { TEMPLATES } from "./events.ts";
import type { Shape } from "./shapes.ts";

/** What one run of wrk saw. */
export interface Load {
  /** When the last answer counted came, in ms since 1970. */
  endedMs: number;
  /** Processor time of wrk itself, in seconds. */
  cpuS: number;
  requests: number;
  durationS: number;
  non2xx: number;
  socketErrors: number;
  p50Us: number;
  p99Us: number;
  maxUs: number;
  /** At 0.5, 1.5 … 98.5, and then at 99.05, 99.15 … 99.95 percent. */
  quantilesUs: number[];
}

/** Where a load goes. */
export interface Aim {
  port: number;
  writeKey: string;
  /** Folder for the script. */
  dir: string;
}

/** An answer later than this counts as an error, in seconds: longer than any server here lets one wait. */
const TIMEOUT_S = 60;

const SCRIPT = new URL("./events.lua", import.meta.url);

/** Whether wrk can be started. */
export async function hasWrk(): Promise<boolean> {
  try {
    await new Deno.Command("wrk", { args: ["-v"], stdout: "null", stderr: "null" }).output();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/**
 * Sends requests of a shape for some seconds; one thread of wrk makes several times what the servers take. `ended`
 * is called as soon as the last answer has come, before wrk has worked out its percentiles.
 */
export async function sendLoad(aim: Aim, shape: Shape, seconds: number, ended: () => void): Promise<Load> {
  const script = `${aim.dir}/load.lua`;
  await Deno.writeTextFile(script, `${prelude(aim, shape)}\n${await Deno.readTextFile(SCRIPT)}`);
  const args = ["-t1", `-c${shape.connections}`, `-d${seconds}s`, "--timeout", `${TIMEOUT_S}s`, "-s", script];
  const child = new Deno.Command("wrk", {
    args: [...args, `http://127.0.0.1:${aim.port}`],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let [text, hasEnded] = ["", false];
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (hasEnded || !/^ENDED$/m.test(text)) continue;
    hasEnded = true;
    ended();
  }
  const { code } = await child.status;
  const said = /^LOAD (.*)$/m.exec(text)?.[1];
  if (code !== 0 || said === undefined) throw new Error(`wrk failed with status ${code}: ${text}`);
  return JSON.parse(said);
}

function prelude(aim: Aim, shape: Shape): string {
  const path = shape.batch === 0 ? "/api/v1/events" : "/api/v1/events/batch";
  const head = [
    `POST ${path} HTTP/1.1`,
    `Host: 127.0.0.1:${aim.port}`,
    `Authorization: Basic ${btoa(`${aim.writeKey}:`)}`,
    "Content-Type: application/json",
    "Content-Length: ",
  ].join("\r\n");
  const fields = {
    head,
    templates: TEMPLATES,
    users: shape.users,
    batch: shape.batch,
    distinct: shape.distinct,
    hot: shape.hot,
    seed: Math.floor(Math.random() * 2 ** 31),
  };
  return `local load = ${lua(fields)}`;
}

/** A value as a Lua literal. */
function lua(value: unknown): string {
  if (Array.isArray(value)) return `{${value.map(lua).join(",")}}`;
  if (typeof value === "object" && value !== null) {
    return `{${Object.entries(value).map(([name, of]) => `${name}=${lua(of)}`).join(",")}}`;
  }
  // The escapes of JSON that our strings hold (\" \\ \r \n) are Lua's too.
  return JSON.stringify(value);
}
