/** `deno task keys`: write keys from the command line, on the database of the servers, while they run. */
import { DEFAULT_KEY_ID } from "../actors/governance/key_use.ts";
import type { WriteKey } from "../actors/governance/stored_key.ts";
import { openWriteKeys, type WriteKeys } from "../actors/governance/write_keys.ts";
import { keyPatchSchema, newKeySchema, rotationSchema } from "../routes/admin/write_keys.ts";
import { readArguments } from "./arguments.ts";
import { fail, say } from "./output.ts";
import { existingSettings, openExisting } from "./task.ts";
import { StorageUnavailable, TooManyWriteKeys } from "../actors/store/errors.ts";

const HELP = `deno task keys COMMAND [--json]

Manages write keys on the servers' database (KV_URL). Servers pick up a change within 5 s. KEY is the id of a write key,
or its name if no other key has it.

  list
  create NAME [--types track,page] [--rate N --burst N]
  change KEY [--name NAME] [--types track,page | --all-types] [--rate N --burst N | --no-limit]
  disable KEY
  enable KEY
  rotate KEY [--grace SECONDS]  new secret; the previous one stays valid this long (default: a day)
  delete KEY

  --rate N --burst N   average events per second, and the largest burst
  --json               one JSON value instead of text
  --help               this text

A key is shown only once, by create and rotate. The key from the environment (WRITE_KEY) is not in the database and
not in this list.`;

const OPTIONS = {
  name: { type: "string" },
  types: { type: "string" },
  "all-types": { type: "boolean" },
  rate: { type: "string" },
  burst: { type: "string" },
  "no-limit": { type: "boolean" },
  grace: { type: "string" },
  json: { type: "boolean" },
} as const;

/** The argument and the options of each command. */
const COMMANDS: Record<string, { argument?: string; options: readonly (keyof typeof OPTIONS)[] }> = {
  list: { options: [] },
  create: { argument: "NAME", options: ["types", "rate", "burst"] },
  change: { argument: "KEY", options: ["name", "types", "all-types", "rate", "burst", "no-limit"] },
  disable: { argument: "KEY", options: [] },
  enable: { argument: "KEY", options: [] },
  rotate: { argument: "KEY", options: ["grace"] },
  delete: { argument: "KEY", options: [] },
};

/** The options as people call them, by the members of the API. */
const OPTION_OF: Record<string, string> = {
  name: "the name",
  allowedTypes: "--types",
  perSecond: "--rate",
  burst: "--burst",
  graceSeconds: "--grace",
};

/** The author of changes made by this task. */
const TASK = { by: "deno task keys", address: "" };

/** The output of a command: a value for programs, and lines for people. */
interface Said {
  value: unknown;
  lines: string[];
}

const { values, positionals } = readArguments({ help: HELP, options: OPTIONS, names: ["COMMAND", "..."] });
const [command = "", argument] = readCommand();
// Before the database is opened: invalid arguments change nothing.
const act = plan();
const { storage, clock, newId } = existingSettings();
const store = await openExisting(storage);
try {
  const randomBytes = (bytes: Uint8Array) => void crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>);
  const { value, lines } = await act(await openWriteKeys({ store, clock, newId, randomBytes }));
  for (const line of values.json ? JSON.stringify(value, null, 2).split("\n") : lines) say(line);
} catch (error) {
  if (error instanceof StorageUnavailable || error instanceof TooManyWriteKeys) fail(error.message);
  throw error;
} finally {
  store.close();
}

/** The command and its argument, if it is one, with no more and no other options than it takes. */
function readCommand(): [string, string?] {
  const [name = "", ...rest] = positionals;
  const takes = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (takes === undefined) {
    const known = `The commands are ${Object.keys(COMMANDS).join(", ")}.`;
    fail(`${name === "" ? "no command given" : `there is no command ${name}`}. ${known}`, HELP);
  }
  const wanted = takes.argument === undefined ? 0 : 1;
  if (rest.length !== wanted) fail(`${name} takes ${takes.argument ?? "no argument"}; got ${rest.length}`);
  for (const option of Object.keys(values)) {
    const isTaken = option === "json" || (takes.options as readonly string[]).includes(option);
    if (!isTaken) fail(`${name} does not accept --${option}`);
  }
  return [name, ...rest] as [string, string?];
}

/** The action, after all arguments were checked by the rules of the API. */
function plan(): (keys: WriteKeys) => Promise<Said> {
  const id = argument ?? "";
  switch (command) {
    case "list":
      return async (keys) => {
        const list = await keys.list();
        return { value: { keys: list }, lines: list.length === 0 ? ["no write keys"] : list.map(lineOf) };
      };
    case "create": {
      const { name, allowedTypes, rateLimit } = checked(newKeySchema, { name: id, ...restrictions() });
      const input = { name, ...allowedTypes && { allowedTypes }, ...rateLimit && { rateLimit } };
      return async (keys) => withSecret(await keys.create(input, TASK));
    }
    case "rotate": {
      const given = values.grace === undefined ? {} : { graceSeconds: numberOf(values.grace) };
      const { graceSeconds } = checked(rotationSchema, given);
      return async (keys) =>
        withSecret(await keys.rotate(await idOf(keys), graceSeconds * 1000, TASK) ?? noSuchKey(id));
    }
    case "delete":
      return async (keys) => {
        const deleted = await idOf(keys);
        return await keys.remove(deleted, TASK)
          ? { value: { deleted }, lines: [`deleted ${deleted}`] }
          : noSuchKey(id);
      };
    default:
      return changing(id);
  }
}

function changing(id: string): (keys: WriteKeys) => Promise<Said> {
  const isSwitch = command !== "change";
  const given = isSwitch
    ? { enabled: command === "enable" }
    : { ...values.name !== undefined && { name: values.name }, ...restrictions() };
  if (Object.keys(given).length === 0) fail("change needs at least one option");
  const { name, allowedTypes, rateLimit, enabled } = checked(keyPatchSchema, given);
  const patch = {
    ...name !== undefined && { name },
    ...allowedTypes !== undefined && { allowedTypes },
    ...rateLimit !== undefined && { rateLimit },
    ...enabled !== undefined && { enabled },
  };
  return async (keys) => {
    const changed = await keys.change(await idOf(keys), patch, TASK) ?? noSuchKey(id);
    return { value: changed, lines: [lineOf(changed)] };
  };
}

/** The given types and limit; `null` for one that is removed. */
function restrictions(): Record<string, unknown> {
  const { types, rate, burst } = values;
  if (types !== undefined && values["all-types"]) fail("use either --types or --all-types");
  const isLimited = rate !== undefined || burst !== undefined;
  if (isLimited && values["no-limit"]) fail("use either --rate and --burst, or --no-limit");
  if (isLimited && (rate === undefined || burst === undefined)) {
    fail("--rate and --burst must be given together");
  }
  return {
    ...types !== undefined && { allowedTypes: types.split(",") },
    ...values["all-types"] && { allowedTypes: null },
    ...isLimited && { rateLimit: { perSecond: numberOf(rate!), burst: numberOf(burst!) } },
    ...values["no-limit"] && { rateLimit: null },
  };
}

/** A number, or NaN, which the schema rejects. */
function numberOf(text: string): number {
  return text.trim() === "" ? NaN : Number(text);
}

interface Schema<Value> {
  safeParse(value: unknown): {
    success: boolean;
    data?: Value;
    error?: { issues: { path: PropertyKey[]; message: string }[] };
  };
}

function checked<Value>(schema: Schema<Value>, value: unknown): Value {
  const { success, data, error } = schema.safeParse(value);
  if (success) return data!;
  const { path, message } = error!.issues[0]!;
  const option = path.map((part) => OPTION_OF[String(part)]).findLast((found) => found !== undefined);
  fail(`${option ?? path.join(".")} ${message}`);
}

function withSecret({ key, writeKey }: { key: string; writeKey: WriteKey }): Said {
  const { id, ...rest } = writeKey;
  return { value: { id, key, ...rest }, lines: [`${key}   (shown only once)`, lineOf(writeKey)] };
}

function noSuchKey(key: string): never {
  if (key === DEFAULT_KEY_ID || key === "WRITE_KEY") {
    fail(
      `The key ${key} is not in the database: it comes from the server's environment (WRITE_KEY), or from .data/dev.json ` +
        "under deno task dev. Change it there and restart the server.",
    );
  }
  fail(
    `Unknown write key ${key}: it is neither the id nor the name of one. "deno task keys list" shows all.`,
  );
}

/** The id of the key that the argument names. */
async function idOf(keys: WriteKeys): Promise<string> {
  const [id, ...others] = await keys.named(argument!);
  if (id === undefined) noSuchKey(argument!);
  if (others.length > 0) {
    fail(`Several write keys have the name ${argument}; use an id: ${[id, ...others].join(", ")}.`);
  }
  return id;
}

function lineOf(key: WriteKey): string {
  const { id, name, allowedTypes, rateLimit, enabled, lastUsedAt, previousValidUntil } = key;
  return [
    id,
    JSON.stringify(name),
    enabled ? "enabled" : "disabled",
    allowedTypes?.join(",") ?? "all types",
    rateLimit === undefined ? "no limit" : `${rateLimit.perSecond} a second, ${rateLimit.burst} at once`,
    lastUsedAt === undefined ? "never used" : `last used ${lastUsedAt}`,
    ...previousValidUntil === undefined ? [] : [`previous key valid until ${previousValidUntil}`],
  ].join("  ");
}
