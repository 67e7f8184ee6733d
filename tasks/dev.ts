/** `deno task dev`: creates what a first start needs, serves, and prints how to send an event. */
import { newWriteKey } from "../actors/governance/write_keys.ts";
import { DEV_KV_URL, readConfig, type Settings } from "../config.ts";
import { readEnvironment, refuse, serve } from "../main.ts";
import { printable } from "../routes/http/printable.ts";

const DATA = ".data";
const SECRETS = `${DATA}/dev.json`;

/** The secrets that the first start creates and stores. */
interface Made {
  WRITE_KEY?: string;
  ADMIN_TOKEN?: string;
}

const environment = readEnvironment();
const made = keepSecrets(environment);
const config = readConfig({ ...environment, ...made }, { dev: true, deploy: false });
if ("problem" in config) refuse(config.problem);
await serve(config.settings, (url) => console.log(greeting(url, config.settings)));

/** The secrets that the environment does not set: from their file, or created and stored there. */
function keepSecrets(env: Record<string, string | undefined>): Made {
  const missing = (["WRITE_KEY", "ADMIN_TOKEN"] as const).filter((name) => !env[name]);
  if (missing.length === 0 && env.KV_URL) return {};
  Deno.mkdirSync(DATA, { recursive: true, mode: 0o700 });
  if (missing.length === 0) return {};
  const kept = readKept();
  const needed: Made = {};
  for (const name of missing) {
    needed[name] = kept[name] ??
      (name === "WRITE_KEY" ? newWriteKey((bytes) => void crypto.getRandomValues(bytes)) : makeToken());
  }
  if (missing.every((name) => kept[name] !== undefined)) return needed;
  Deno.writeTextFileSync(SECRETS, JSON.stringify({ ...kept, ...needed }, null, 2) + "\n", { mode: 0o600 });
  return needed;
}

function readKept(): Made {
  let text: string;
  try {
    // It may have got another mode since it was made, by being copied for instance.
    if (Deno.build.os !== "windows") Deno.chmodSync(SECRETS, 0o600);
    text = Deno.readTextFileSync(SECRETS);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return {};
    throw error;
  }
  try {
    const { WRITE_KEY, ADMIN_TOKEN } = JSON.parse(text) as Record<string, unknown>;
    return {
      ...typeof WRITE_KEY === "string" && { WRITE_KEY },
      ...typeof ADMIN_TOKEN === "string" && { ADMIN_TOKEN },
    };
  } catch {
    refuse(`${SECRETS} is not valid JSON; delete it to create new secrets`);
  }
}

/** 192 bits. */
function makeToken(): string {
  return crypto.getRandomValues(new Uint8Array(24)).toHex();
}

/** The output of every start: two lines are commands to paste, one that sends and one that reads. */
function greeting(url: string, { kvUrl = DEV_KV_URL }: Settings): string {
  const ofFile = `(created on first start, stored in ${SECRETS})`;
  const keys = [
    made.WRITE_KEY && `  write key    ${made.WRITE_KEY}   ${ofFile}`,
    made.ADMIN_TOKEN && `  admin token  ${made.ADMIN_TOKEN}   ${ofFile}`,
  ].filter(Boolean);
  const user = made.WRITE_KEY === undefined ? '"$WRITE_KEY:"' : `'${made.WRITE_KEY}:'`;
  const bearer = made.ADMIN_TOKEN === undefined
    ? '"Authorization: Bearer $ADMIN_TOKEN"'
    : `'Authorization: Bearer ${made.ADMIN_TOKEN}'`;
  const event = JSON.stringify({
    type: "track",
    userId: "user_123",
    event: "Order Completed",
    properties: { total: 99.99, currency: "USD" },
  });
  // The fragment is never sent, and the page takes it out of the address at once.
  const console = `${url}/console${made.ADMIN_TOKEN === undefined ? "" : `#token=${made.ADMIN_TOKEN}`}`;
  return `signalfold listens on ${url}

Open the console: ${console}

${keys.join("\n")}${keys.length > 0 ? "\n" : ""}  database     ${printable(kvUrl)}

Send an event:

curl -X POST ${url}/api/v1/events -u ${user} -H 'Content-Type: application/json' -d '${event}'

Read the profile:

curl ${url}/api/v1/users/user_123 -H ${bearer}

The API is documented at ${url}/docs. Ctrl+C stops.`;
}
