/**
 * A folder of transformations and destinations, as it stands in somebody's repository: `transformations/NAME.json`, with the
 * code of JavaScript in `NAME.js` beside it, and `destinations/NAME.json`. Names are percent-encoded.
 */
import { parseExact } from "../domain/event/exact_json.ts";
import { isObject, type JsonObject } from "../domain/event/json.ts";
import { type Draft, draftSchema } from "../domain/transformation/definition.ts";
import { fail } from "./output.ts";

/** The kinds of files, which are the names of their folders, too. */
export const KINDS = ["transformations", "destinations"] as const;
export type Kind = typeof KINDS[number];

/** Something that a folder or a server defines. */
export interface Defined {
  kind: Kind;
  name: string;
  /** As the API takes it. */
  body: JsonObject;
}

/** The definitions in a folder. A file that cannot be read ends the task. */
export async function readFolder(folder: string): Promise<Defined[]> {
  const found: Defined[] = [];
  for (const kind of KINDS) {
    const names = await definedIn(`${folder}/${kind}`);
    for (const name of names) {
      found.push({ kind, name, body: await readDefinition(kind, pathOf(folder, kind, name)) });
    }
  }
  if (found.length === 0) fail(`${folder} has no files in transformations/ or destinations/`);
  return found;
}

async function definedIn(folder: string): Promise<string[]> {
  const names = new Set<string>();
  try {
    for await (const { name, isFile } of Deno.readDir(folder)) {
      const base = /^(.+)\.(json|js)$/.exec(name)?.[1];
      if (isFile && base !== undefined) names.add(nameOf(base, folder));
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return [...names].sort();
}

function nameOf(base: string, folder: string): string {
  try {
    return decodeURIComponent(base);
  } catch {
    fail(`${folder}/${base}: the name must be percent-encoded`);
  }
}

/** The path of a definition without its ending. */
function pathOf(folder: string, kind: Kind, name: string): string {
  return `${folder}/${kind}/${encodeURIComponent(name)}`;
}

/** A transformation at a path with or without its ending. A file that cannot be read, or is invalid, ends the task. */
export async function readTransformation(path: string): Promise<Draft> {
  const body = await readDefinition("transformations", path.replace(/\.(json|js)$/, ""));
  const { data, error } = draftSchema.safeParse(body);
  if (data !== undefined) return data;
  const { path: at, message } = error.issues[0]!;
  fail(`${path}: ${at.join(".")} ${message}`);
}

async function readDefinition(kind: Kind, path: string): Promise<JsonObject> {
  const text = await textAt(`${path}.json`);
  const code = kind === "transformations" ? await textAt(`${path}.js`) : undefined;
  if (text === undefined && code === undefined) fail(`${path}.json does not exist`);
  const body = text === undefined ? { kind: "javascript" } : objectOf(text, `${path}.json`);
  return code === undefined ? body : { ...body, code };
}

async function textAt(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    fail(`${path} cannot be read: ${(error as Error).message}`);
  }
}

function objectOf(text: string, path: string): JsonObject {
  try {
    const value = parseExact(text);
    if (isObject(value)) return value;
  } catch (error) {
    fail(`${path}: ${(error as Error).message}`);
  }
  fail(`${path} must contain a JSON object`);
}

/** The files of a definition, by their paths. */
export function filesOf(folder: string, { kind, name, body }: Defined): Map<string, string> {
  const path = pathOf(folder, kind, name);
  const { code, ...rest } = body;
  const files = new Map<string, string>();
  files.set(`${path}.json`, `${JSON.stringify(rest, null, 2)}\n`);
  if (kind === "transformations" && typeof code === "string") files.set(`${path}.js`, code);
  return files;
}

/** Writes files; folders are created. */
export async function writeFiles(files: ReadonlyMap<string, string>): Promise<void> {
  for (const [path, text] of files) {
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    await Deno.writeTextFile(path, text);
  }
}
