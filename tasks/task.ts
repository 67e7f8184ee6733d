/** Shared by all tasks: settings from the environment, and one clear line for an error. */
import { monotonicFactory } from "ulid";
import { refuseOld } from "../actors/dedup/digest_secret.ts";
import { type Clock, systemClock } from "../actors/store/clock.ts";
import { otherUsersMayRead } from "../actors/store/database_file.ts";
import { openStore, type Store } from "../actors/store/store.ts";
import { DEV_KV_URL, isKvConnect, kvUrlSchema } from "../config.ts";
import { fail, warn } from "./output.ts";

/** Storage and clock of a task. */
export interface TaskSettings {
  storage: string;
  /** For ever: a task does not know the servers' window, and drops no message id that they may still need. */
  dedupMs: 0;
  onFault(error: unknown): void;
  clock: Clock;
  newId(): string;
}

/** The settings of a task: those of the server, without its secrets. Storage that no server can share ends the task. */
export function taskSettings(): TaskSettings {
  const storage = Deno.env.get("KV_URL") || DEV_KV_URL;
  if (storage === ":memory:") fail("KV_URL is :memory:, which other processes cannot reach");
  const { error } = kvUrlSchema.safeParse(storage);
  if (error !== undefined) fail(`KV_URL ${error.issues[0]?.message}`);
  const notice = otherUsersMayRead(storage);
  if (notice !== undefined) warn(`signalfold: ${notice}`);
  const ulid = monotonicFactory();
  return {
    storage,
    dedupMs: 0,
    onFault: (error) => warn(`settling failed, retrying: ${error}`),
    clock: systemClock,
    newId: () => ulid(),
  };
}

/**
 * The settings of a task on an existing database. Opening a missing file would create one, and a misspelt `KV_URL`
 * would look like an empty database.
 */
export function existingSettings(): TaskSettings {
  const settings = taskSettings();
  const { storage } = settings;
  if (isKvConnect(storage) || isThere(storage)) return settings;
  fail(
    `No database at ${storage}. Point KV_URL at the server's database (it is created on first start).`,
  );
}

/** Opens a database. One that cannot be opened, or that an older version wrote, ends the task. */
export async function openExisting(storage: string): Promise<Store> {
  try {
    const store = await openStore(storage);
    await refuseOld(store);
    return store;
  } catch (error) {
    fail(`failed to open storage: ${(error as Error).message}`);
  }
}

function isThere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    // Opening it reports everything else.
    return !(error instanceof Deno.errors.NotFound);
  }
}
