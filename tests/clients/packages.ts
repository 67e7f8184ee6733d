/** The published clients, installed where Node finds them: `packages/deno.json` names their exact versions. */

/** A folder with `node_modules` and the programs of `programs/`. */
export interface Packages extends AsyncDisposable {
  path: string;
}

/** Whether a program can be started here. */
export function has(program: string, ...args: string[]): boolean {
  try {
    return new Deno.Command(program, { args, stdin: "null", stdout: "null", stderr: "null" }).outputSync()
      .success;
  } catch {
    return false;
  }
}

/**
 * Copies the programs into a new folder and installs the packages there, from the cache of Deno or the registry, as
 * the lock file has them. They are no dependencies of the project itself: Deno would download them on every start.
 */
export async function installPackages(): Promise<Packages> {
  const path = await Deno.makeTempDir({ prefix: "signalfold-clients-" });
  for (const folder of ["packages", "programs"]) {
    const from = new URL(`${folder}/`, import.meta.url);
    for await (const { name } of Deno.readDir(from)) {
      await Deno.copyFile(new URL(name, from), `${path}/${name}`);
    }
  }
  // What is not in the cache comes over a network, which is not what is tested.
  for (let tries = 1;; tries++) {
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["install", "--quiet", "--frozen"],
      cwd: path,
    }).output();
    if (success) break;
    if (tries === 3) throw new Error(`the clients can't be installed: ${new TextDecoder().decode(stderr)}`);
  }
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

const told = new Set<string>();

/** Registers a test where nothing is missing on this machine; else one line, and no more, says what is not run and why. */
export function testWhere(missing: string | undefined, { what, name, fn }: WhereTest): void {
  if (missing === undefined) return void Deno.test(name, fn);
  if (told.has(what)) return;
  told.add(what);
  Deno.test({ name: `tests of ${what} are not run here: they need ${missing}`, ignore: true, fn() {} });
}

/** A test that needs more than Deno. */
export interface WhereTest {
  /** What is tested by it and by others like it, in words. */
  what: string;
  name: string;
  fn: () => Promise<void>;
}
