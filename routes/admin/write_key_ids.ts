/** Write keys as an administrator names them in a contract or a destination: by id, or by name. */
import { DEFAULT_KEY_ID } from "../../actors/governance/key_use.ts";
import { shown } from "../../domain/event/json.ts";
import { ADMIN_KEY_ID } from "../auth/authentication.ts";
import type { Parts } from "../handler/handle.ts";
import { invalid, type Problem } from "../http/problem.ts";

/** The ids of write keys that are named by id or by name; `default` and `admin` are always some. */
export async function writeKeyIdsOf(
  { system }: Parts,
  given: readonly string[],
): Promise<{ ids: string[] } | { problem: Problem }> {
  const ids = new Set<string>();
  for (const [index, idOrName] of given.entries()) {
    const isBuiltIn = idOrName === DEFAULT_KEY_ID || idOrName === ADMIN_KEY_ID;
    const found = isBuiltIn ? [idOrName] : await system.writeKeys.named(idOrName);
    if (found.length !== 1) {
      const what = found.length === 0
        ? "must be the id or the name of a write key"
        : `must be an id: ${found.length} write keys have this name`;
      const message = `${what}; got ${shown(idOrName)}`;
      return { problem: invalid("unknown_write_key", `writeKeyIds.${index}`, message) };
    }
    ids.add(found[0]!);
  }
  return { ids: [...ids] };
}
