/** The published clients, installed where Node finds them: `packages/deno.json` names their exact versions. */

/** A folder with `node_modules` and the programs of `programs/`. */
export interface Packages extends AsyncDisposable {
  path: string;
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
