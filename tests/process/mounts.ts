/** Disks and files that a test makes small or read-only, where it may. */

/** What a test lacks that mounts a file system: that takes root on Linux, and not every container lets it. */
export const missingMount = await mayMount() ? undefined : "a process that may mount a file system";

/** What a test lacks that makes a file read-only. */
export const missingReadOnly = await mayProtect()
  ? undefined
  : "a file system on which a file can be made read-only";

async function mayMount(): Promise<boolean> {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return false;
  const folder = await Deno.makeTempDir();
  try {
    await run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder);
    try {
      await run("mount", "-o", "remount,ro", folder);
    } finally {
      await run("umount", folder);
    }
    return true;
  } catch {
    return false;
  } finally {
    await Deno.remove(folder);
  }
}

async function mayProtect(): Promise<boolean> {
  const file = await Deno.makeTempFile();
  try {
    await protect(file, true);
    await protect(file, false);
    return true;
  } catch {
    return false;
  } finally {
    await Deno.remove(file);
  }
}

/** Makes a file so that nobody writes it, root neither, or writable again. */
export async function protect(path: string, isProtected: boolean): Promise<void> {
  if (Deno.uid() === 0) await run("chattr", isProtected ? "+i" : "-i", path);
  else await Deno.chmod(path, isProtected ? 0o444 : 0o644);
}

/** A disk in memory. */
export interface SmallDisk extends AsyncDisposable {
  path: string;
  /** Mounts it again with other options, such as `size=64m` or `ro`. */
  remount(options: string): Promise<void>;
}

/** Mounts a disk of so many megabytes; it is gone after the test. */
export async function smallDisk(megabytes: number): Promise<SmallDisk> {
  const path = await Deno.makeTempDir({ prefix: "signalfold-disk-" });
  await run("mount", "-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", path);
  return {
    path,
    remount: (options) => run("mount", "-o", `remount,${options}`, path),
    async [Symbol.asyncDispose]() {
      // Lazily: a test that fails while a process still holds the disk fails for its own reason, not for "busy".
      await run("umount", "--lazy", path);
      await Deno.remove(path);
    },
  };
}

/** Runs a program; throws with what it wrote where it fails. */
async function run(program: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args, stdin: "null" }).output();
  if (!success) throw new Error(`${program} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
}
