/** The profiles of all users and groups, as lines of JSON or as CSV. */
import { openSystem } from "../actors/open.ts";
import type { IdsPage } from "../actors/reading/actor_ids.ts";
import type { Reader } from "../actors/reading/profiles.ts";
import { fail } from "./output.ts";
import type { TaskSettings } from "./task.ts";

/** How profiles are written. */
export interface ProfilesOptions {
  csv: boolean;
  write(lines: readonly string[], options?: { isHead?: boolean }): Promise<void>;
  onProgress(done: number, total: number): void;
}

/** Ids that are read at once. */
const PAGE = 200;

/** The kinds of profiles, in their order, and the member with the id. */
const KINDS = [["user", "userId"], ["group", "groupId"]] as const;

/** Columns before those of the traits. */
const COLUMNS = ["kind", "id", "firstSeen", "lastSeen", "eventCount"] as const;

type Profile = Record<string, unknown>;

/** Writes all profiles, each as it is when it is read, while servers run. */
export async function exportProfiles(settings: TaskSettings, options: ProfilesOptions): Promise<void> {
  const system = await openSystem({
    ...settings,
    randomBytes: (bytes) => void crypto.getRandomValues(bytes),
  }).catch((error) => fail(`failed to open storage: ${error.message}`));
  try {
    if (options.csv) await writeCsv(system.reader, options);
    else {
      for await (const profiles of pagesOf(system.reader, options)) {
        await options.write(profiles.map(({ profile }) => JSON.stringify(profile)));
      }
    }
  } finally {
    await system.close();
  }
}

interface Listed {
  kind: string;
  id: string;
  profile: Profile;
}

async function* pagesOf(reader: Reader, { onProgress }: Pick<ProfilesOptions, "onProgress">) {
  let done = 0;
  for (const [kind] of KINDS) {
    let cursor: string | undefined;
    do {
      const page: IdsPage = await reader.ids(kind, { limit: PAGE, cursor });
      const profiles: Listed[] = [];
      for (const id of page.ids) {
        // It may have been erased since.
        const profile = await reader[kind](id);
        if (profile !== null) profiles.push({ kind, id, profile });
      }
      done += profiles.length;
      onProgress(done, done);
      yield profiles;
      cursor = page.cursor ?? undefined;
    } while (cursor !== undefined);
  }
}

/** Two passes: the columns must be known before the first row. */
async function writeCsv(reader: Reader, options: ProfilesOptions): Promise<void> {
  const names = new Set<string>();
  for await (const profiles of pagesOf(reader, options)) {
    for (const { profile } of profiles) for (const name of Object.keys(traitsOf(profile))) names.add(name);
  }
  const traits = [...names].sort();
  await options.write([[...COLUMNS, ...traits.map((name) => `traits.${name}`)].map(cellOf).join(",")], {
    isHead: true,
  });
  for await (const profiles of pagesOf(reader, options)) {
    await options.write(profiles.map(({ kind, id, profile }) =>
      [
        kind,
        id,
        profile.firstSeen,
        profile.lastSeen,
        profile.eventCount,
        ...traits.map((name) => Object.hasOwn(traitsOf(profile), name) ? traitsOf(profile)[name] : undefined),
      ].map(cellOf).join(",")
    ));
  }
}

function traitsOf({ traits }: Profile): Record<string, unknown> {
  return traits as Record<string, unknown>;
}

/** A cell (RFC 4180): quoted where it must be. Objects and arrays are JSON; an absent trait is empty. */
function cellOf(value: unknown): string {
  if (value === undefined || value === null) return "";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
