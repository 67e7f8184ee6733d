/** The transformations and destinations of a server, over its API. */
import { isObject, type JsonObject } from "../domain/event/json.ts";
import { parseExact } from "../domain/event/exact_json.ts";
import { fail } from "./output.ts";
import type { Defined, Kind } from "./transform_files.ts";

/** Members of an answer that are no part of a definition. */
const ADDED: Record<Kind, readonly string[]> = {
  transformations: ["name", "version", "updatedAt"],
  destinations: ["name", "status"],
};

/** A server, and the token of its administrator. */
export interface Server {
  url: string;
  token: string;
}

/** The server of the environment; ends the task where it says none. */
export function serverOf(): Server {
  const url = Deno.env.get("SIGNALFOLD_URL") || "http://127.0.0.1:8000";
  const token = Deno.env.get("ADMIN_TOKEN");
  if (!token) fail("ADMIN_TOKEN must be set to the server's admin token");
  return { url: url.replace(/\/+$/, ""), token };
}

/** All definitions of a server. A server without destinations has none of them. */
export async function readServer(server: Server): Promise<Defined[]> {
  const found: Defined[] = [];
  for (const kind of Object.keys(ADDED) as Kind[]) {
    const { status, body } = await ask(server, { method: "GET", path: `/api/v1/admin/${kind}` });
    if (status === 404) continue;
    if (status !== 200) refuse(`cannot list ${kind}`, body);
    for (const each of body[kind] as JsonObject[]) {
      found.push({ kind, name: String(each.name), body: definitionOf(kind, each) });
    }
  }
  return found;
}

/** An answer as a definition: of params, whose values no answer has, each is `***`, which keeps the stored value. */
function definitionOf(kind: Kind, shown: JsonObject): JsonObject {
  const entries = Object.entries(shown).filter(([name]) => !ADDED[kind].includes(name));
  const body = Object.fromEntries(entries);
  if (kind !== "transformations" || !Array.isArray(body.params)) return body;
  const { params, ...rest } = body;
  return params.length === 0
    ? rest
    : { ...rest, params: Object.fromEntries(params.map((name) => [name, "***"])) };
}

/** Saves a definition; with `dryRun` a transformation is only checked and tested. Ends the task where it is refused. */
export async function save(
  server: Server,
  { kind, name, body }: Defined,
  { dryRun }: { dryRun: boolean },
): Promise<void> {
  const query = dryRun ? "?dryRun=true" : "";
  const path = `/api/v1/admin/${kind}/${encodeURIComponent(name)}${query}`;
  const answer = await ask(server, { method: "PUT", path, body });
  if (answer.status > 201) refuse(`${kind}/${name} is refused`, answer.body);
}

function refuse(what: string, { detail, errors }: JsonObject): never {
  const places = Array.isArray(errors) ? errors.filter(isObject) : [];
  const lines = places.map(({ path, message }) => `${path} ${message}`.trim());
  fail(`${what}: ${[detail, ...lines.filter((line) => line !== detail)].join("; ")}`);
}

async function ask(
  { url, token }: Server,
  { method, path, body }: { method: string; path: string; body?: JsonObject },
): Promise<{ status: number; body: JsonObject }> {
  try {
    const response = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${token}` },
      ...body !== undefined && { body: JSON.stringify(body) },
    });
    const text = await response.text();
    const read = text === "" ? {} : parseExact(text);
    return { status: response.status, body: isObject(read) ? read : {} };
  } catch (error) {
    fail(`${url} does not answer: ${(error as Error).message}`);
  }
}
