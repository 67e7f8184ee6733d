/** The PostgreSQL rival runs on Node, with a package of its own that is installed into the folder of a run. */

const SOURCE = new URL("./postgres/", import.meta.url);

/** Installs it; false where Node or npm is missing. */
export async function installPostgresRival(dir: string): Promise<boolean> {
  const cwd = `${dir}/postgres-rival`;
  await Deno.mkdir(cwd);
  for (const name of ["package.json", "package-lock.json", "server.mjs"]) {
    await Deno.copyFile(new URL(name, SOURCE), `${cwd}/${name}`);
  }
  try {
    const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"];
    const { code } = await new Deno.Command("npm", { args, cwd, stdin: "null" }).output();
    return code === 0;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** How it is started. */
export function postgresCommand(dir: string): readonly string[] {
  return ["node", `${dir}/postgres-rival/server.mjs`];
}
