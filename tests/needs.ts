/**
 * Tests that need more than Deno and Node. Each says what it needs: where that is missing, it is ignored, and its name
 * says why. No other test starts a program that is not Deno itself.
 */

/** The programs of a list that are not on the path, in words; `undefined` where all are. A path is looked for as it is. */
export function missing(...programs: string[]): string | undefined {
  const folders = (Deno.env.get("PATH") ?? "").split(Deno.build.os === "windows" ? ";" : ":");
  const isThere = (program: string) =>
    program.includes("/") ? isFile(program) : folders.some((folder) => isFile(`${folder}/${program}`));
  const absent = programs.filter((program) => !isThere(program));
  return absent.length === 0 ? undefined : absent.join(" and ");
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** Whether a program can be started here, and ends with status 0. */
export function runs(program: string, ...args: string[]): boolean {
  try {
    return new Deno.Command(program, { args, stdin: "null", stdout: "null", stderr: "null" }).outputSync()
      .success;
  } catch {
    return false;
  }
}

/** What a test of file modes or of signals lacks on this system. */
export const missingPosix = Deno.build.os === "windows" ? "a system other than Windows" : undefined;

/** Registers a test where nothing is missing; elsewhere it is ignored, and its name says what is missing. */
export function testWhere(
  missing: string | undefined,
  { name, fn }: { name: string; fn: (test: Deno.TestContext) => void | Promise<void> },
): void {
  if (missing === undefined) Deno.test(name, fn);
  else Deno.test({ name: `${name} [skipped, as it needs ${missing}]`, ignore: true, fn() {} });
}
