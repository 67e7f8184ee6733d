/**
 * The files that a browser loads: types stripped, compressed and named by a digest of them all. They are made at the
 * first request and stay in memory: without requests they cost nothing.
 */
import { Buffer } from "node:buffer";
import { hash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { FILES, PACKAGES } from "./files.ts";
import { loadStripTypes } from "./strip_types.ts";

/** A file as it is sent. */
export interface Asset {
  contentType: string;
  plain: Uint8Array<ArrayBuffer>;
  gzip: Uint8Array<ArrayBuffer>;
  /** The files that a module imports at once, by path. */
  imports: readonly string[];
}

/** All files. */
export interface Assets {
  /** 12 hexadecimal digits; they change with any file. */
  digest: string;
  /** By path: `shell/main.ts`, `vendor/preact.js`. */
  files: ReadonlyMap<string, Asset>;
  /** The paths of packages, by the names by which modules import them. */
  packages: Readonly<Record<string, string>>;
}

const TYPES: Record<string, string> = {
  ts: "text/javascript; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
};

/** All style sheets in one file, in the order of {@link FILES}. */
export const STYLES = "style/console.css";

/** Static imports of a module; `import()` is lazy and is not among them. */
const IMPORT = /^(?:import|export)\b[^;"'()]*?\bfrom\s*"([^"]+)"|^import\s*"([^"]+)"/gm;

/** Reads, strips and compresses every file. */
export async function loadAssets(): Promise<Assets> {
  const strip = await loadStripTypes();
  const packages = Object.fromEntries(
    Object.keys(PACKAGES).map((
      name,
    ) => [name, `vendor/${name.replaceAll(/[@/]+/g, "-").replace(/^-/, "")}.js`]),
  );
  const files = new Map<string, Asset>();
  const texts = await Promise.all(
    Object.entries(FILES).map(async ([path, load]) => {
      const { default: text } = await load();
      return [path, path.endsWith(".ts") ? strip(text) : text] as const;
    }),
  );
  const styles = texts.filter(([path]) => path.endsWith(".css")).map(([, text]) => text);
  for (const [path, text] of texts) {
    if (!path.endsWith(".css")) files.set(path, assetOf(path, { text, packages }));
  }
  // One request: a page shows nothing before it has its styles.
  files.set(STYLES, assetOf(STYLES, { text: styles.join("\n"), packages }));
  for (const [name, load] of Object.entries(PACKAGES)) {
    const text = new TextDecoder().decode((await load()).default);
    files.set(packages[name]!, assetOf(packages[name]!, { text, packages }));
  }
  const all = [...files].map(([path, { plain }]) => `${path} ${hash("sha256", plain)}`).join("\n");
  return { digest: hash("sha256", all).slice(0, 12), files, packages };
}

/** A module and everything that it imports at once, each path once. */
export function withImports({ files }: Assets, paths: readonly string[]): string[] {
  const found = new Set<string>();
  const visit = (path: string) => {
    if (found.has(path)) return;
    found.add(path);
    files.get(path)?.imports.forEach(visit);
  };
  paths.forEach(visit);
  return [...found];
}

function assetOf(path: string, { text, packages }: { text: string; packages: Assets["packages"] }): Asset {
  const plain = new TextEncoder().encode(text);
  const extension = path.slice(path.lastIndexOf(".") + 1);
  return {
    contentType: TYPES[extension]!,
    plain,
    gzip: new Uint8Array(gzipSync(Buffer.from(plain), { level: 9 })),
    imports: extension === "ts" || extension === "js" ? importsOf(path, { text, packages }) : [],
  };
}

function importsOf(
  path: string,
  { text, packages }: { text: string; packages: Assets["packages"] },
): string[] {
  const isOurs = path.endsWith(".ts");
  // Published modules are minified: an import need not begin a line.
  const pattern = isOurs ? IMPORT : /\bfrom\s*"([^"]+)"/g;
  return [...text.matchAll(pattern)].map((match) => {
    const specifier = (match[1] ?? match[2])!;
    return packages[specifier] ?? new URL(specifier, `file:///${path}`).pathname.slice(1);
  });
}
