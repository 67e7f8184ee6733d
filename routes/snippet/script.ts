/**
 * The files of the website snippet, from the pinned package of Segment's browser client: its `standalone` build, and the
 * parts that it loads when a page needs them. Each is read, compressed and digested at its first request, and then kept.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { brotliCompress, gzip } from "node:zlib";
import { PART_PREFIX } from "../http/snippet_paths.ts";

/** A file in each coding that browsers ask for. */
export interface ScriptFile {
  /** The entity tag (RFC 9110, section 8.8.3): a digest of the content. */
  etag: string;
  plain: Uint8Array<ArrayBuffer>;
  br: Uint8Array<ArrayBuffer>;
  gzip: Uint8Array<ArrayBuffer>;
}

/**
 * The script. `short` is the one for `SNIPPET_PATH`: it asks for settings and parts by names that no list of ad blockers
 * contains.
 */
export async function scriptFile(form: "standard" | "short"): Promise<ScriptFile> {
  return await kept(form, async () => {
    const { default: bytes } = await import("@segment/analytics-next/dist/umd/standalone.js", {
      with: { type: "bytes" },
    });
    const text = new TextDecoder().decode(bytes).replace(SOURCE_MAP, "");
    return FIRST_LINE + (form === "short" ? shortened(text) : text);
  });
}

/** A part by its name, or by the digest in it; `undefined` if the script has none of that name. */
export function partFile(name: string): Promise<ScriptFile> | undefined {
  const [, load] =
    Object.entries(PARTS).find(([part]) => part === name || part.endsWith(`.bundle.${name}`)) ?? [];
  return load &&
    kept(name, async () => new TextDecoder().decode((await load()).default).replace(SOURCE_MAP, ""));
}

/** The package has source maps, but the server does not serve them. */
const SOURCE_MAP = /\n?\/\/# sourceMappingURL=\S+\s*$/;

/**
 * Tells the client where it came from, before it runs: it looks for `https://…/analytics.js/v1/` in the page, so that
 * over `http://` or from another path it would ask Segment's own hosts. A host that the page has set itself stays.
 */
const FIRST_LINE =
  `!function(){var s=document.currentScript;if(s&&s.src){var k=s.getAttribute("data-global-segment-analytics-key")` +
  `||"analytics",a=window[k]=window[k]||[];a._cdn=a._cdn||s.src.replace(/[?#].*/,"")` +
  `.replace(/\\/analytics\\.js\\/v1\\/[^\\/]*\\/[^\\/]*$|\\/[^\\/]*\\.js$/,"")}}();\n`;

/** Names in the script that lists of ad blockers contain, and those that `SNIPPET_PATH` has for them. */
const SHORT_NAMES: readonly (readonly [name: RegExp, short: string])[] = [
  [/"\/v1\/projects\/"/g, '"/projects/"'],
  [RegExp(`"${PART_PREFIX}/"`, "g"), '"/parts/"'],
  // webpack's names of the parts: their digests are enough.
  [/\(\{\d+:"[^}]*\}\[\w\]\|\|\w\)\+"\.bundle\."(?=\+\{)/g, '""'],
];

function shortened(text: string): string {
  return SHORT_NAMES.reduce((script, [from, to]) => {
    const renamed = script.replace(from, to);
    if (renamed === script) throw new Error(`the script does not contain ${from}`);
    return renamed;
  }, text);
}

const files = new Map<string, Promise<ScriptFile>>();

function kept(name: string, read: () => Promise<string>): Promise<ScriptFile> {
  let file = files.get(name);
  if (file === undefined) {
    file = read().then(compressed);
    file.catch(() => files.delete(name));
    files.set(name, file);
  }
  return file;
}

async function compressed(text: string): Promise<ScriptFile> {
  const plain = Buffer.from(text);
  const [br, gz] = await Promise.all([
    promisify(brotliCompress)(plain),
    promisify(gzip)(plain, { level: 9 }),
  ]);
  const digest = createHash("sha256").update(plain).digest("base64url").slice(0, 22);
  return { etag: `"${digest}"`, plain: bytesOf(plain), br: bytesOf(br), gzip: bytesOf(gz) };
}

function bytesOf(buffer: Buffer): Uint8Array<ArrayBuffer> {
  return new Uint8Array(buffer);
}

type Load = () => Promise<{ default: Uint8Array }>;

/**
 * The parts, by the names that the script asks for; a test compares them with the package.
 */
export const PARTS: Readonly<Record<string, Load>> = {
  "407.bundle.61efa1acb302134c434b.js": () =>
    import("@segment/analytics-next/dist/umd/407.bundle.61efa1acb302134c434b.js", {
      with: { type: "bytes" },
    }),
  "ajs-destination.bundle.40628baed746e9904edc.js": () =>
    import("@segment/analytics-next/dist/umd/ajs-destination.bundle.40628baed746e9904edc.js", {
      with: { type: "bytes" },
    }),
  "auto-track.bundle.f131ce01a05e3a33a8c1.js": () =>
    import("@segment/analytics-next/dist/umd/auto-track.bundle.f131ce01a05e3a33a8c1.js", {
      with: { type: "bytes" },
    }),
  "legacyVideos.bundle.c8148be87c48a2b6537a.js": () =>
    import("@segment/analytics-next/dist/umd/legacyVideos.bundle.c8148be87c48a2b6537a.js", {
      with: { type: "bytes" },
    }),
  "queryString.bundle.34b193ada8fe288d1bd1.js": () =>
    import("@segment/analytics-next/dist/umd/queryString.bundle.34b193ada8fe288d1bd1.js", {
      with: { type: "bytes" },
    }),
  "remoteMiddleware.bundle.063bbf80c88cda449d9c.js": () =>
    import("@segment/analytics-next/dist/umd/remoteMiddleware.bundle.063bbf80c88cda449d9c.js", {
      with: { type: "bytes" },
    }),
  "schemaFilter.bundle.a6a77355d52c20e3a83d.js": () =>
    import("@segment/analytics-next/dist/umd/schemaFilter.bundle.a6a77355d52c20e3a83d.js", {
      with: { type: "bytes" },
    }),
  "tsub-middleware.bundle.89bf07058b3d3b126984.js": () =>
    import("@segment/analytics-next/dist/umd/tsub-middleware.bundle.89bf07058b3d3b126984.js", {
      with: { type: "bytes" },
    }),
};
