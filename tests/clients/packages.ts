/**
 * The published clients, installed into a folder of their own. Their exact versions stand in `packages/`: those for Node
 * and browsers in `deno.json`, for Go in `go.mod`, for Java in `pom.xml`, for Python in `requirements.txt`.
 */

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
  await install(Deno.execPath(), ["install", "--quiet", "--frozen"], path);
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

/** Builds `send.go` as `send`, with the modules that `go.sum` has the digests of. */
export async function installForGo({ path }: Packages): Promise<void> {
  await install("go", ["build", "-trimpath", "-o", "send", "send.go"], path);
}

/** Copies the libraries of `pom.xml` into `lib/`. */
export async function installForJava({ path }: Packages): Promise<void> {
  const output = `-DoutputDirectory=${path}/lib`;
  await install("mvn", ["--quiet", "--batch-mode", "dependency:copy-dependencies", output], path);
}

/** Runs a program that installs something. What is not in its cache comes over a network, which is not what is tested. */
async function install(program: string, args: string[], cwd: string): Promise<void> {
  for (let tries = 1;; tries++) {
    const { success, stdout, stderr } = await new Deno.Command(program, { args, cwd, stdin: "null" })
      .output();
    if (success) return;
    const decoder = new TextDecoder();
    if (tries === 3) throw new Error(`${program} fails: ${decoder.decode(stdout)}${decoder.decode(stderr)}`);
  }
}
