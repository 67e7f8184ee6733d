/** Takes the types off TypeScript, so that browsers can run it: there is no build step. */

/** Removes the types of a source; lines and columns stay where they are. Throws if a type cannot be erased. */
export type StripTypes = (source: string) => string;

/**
 * The runtime's own function where it has one (Deno 2.9). Deno Deploy runs 2.5, which has none: there it is `amaro`,
 * the package that Node itself uses, at the price of 45 MB of memory.
 */
export async function loadStripTypes(): Promise<StripTypes> {
  const module = await import("node:module") as { stripTypeScriptTypes?: StripTypes };
  return module.stripTypeScriptTypes ?? await loadAmaro();
}

/** The package; tests compare the two. */
export async function loadAmaro(): Promise<StripTypes> {
  const { transformSync } = await import("amaro");
  return (source) => transformSync(source, { mode: "strip-only" }).code;
}
