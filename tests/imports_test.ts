/**
 * The rules of the house that a reader of one file can't see, held by reading all of them: imports go one way, nothing
 * goes in circles, and a few words stand in one file or in none.
 *
 * How it works: product files are read as text, without comments, and (for the words) without strings. That is enough
 * for code that `deno fmt` has laid out and `deno lint` has passed.
 */
import { deepStrictEqual, ok } from "node:assert";

const ROOT = new URL("../", import.meta.url);

/** The places, from left to right: each may import from itself and from any to its right, types too. */
const PLACES = ["top", "routes", "console", "ingest", "actors", "domain"] as const;
type Place = typeof PLACES[number];

/** The packages that each place may import; what a place may, all to its left may too. Node's own modules count as one. */
const PACKAGES: Record<Place, readonly string[]> = {
  top: ["cli-progress", "diff"],
  routes: [
    "hono",
    "zod-openapi",
    "swagger-ui-dist",
    "prom-client",
    "@opentelemetry/api",
    "@segment/analytics-next",
    "amaro",
  ],
  console: ["preact", "@preact/signals", "@preact/signals-core"],
  ingest: ["mmdb-lib", "@ip-location-db/geo-whois-asn-country-mmdb"],
  actors: [
    "fzstd",
    "undici",
    "pg",
    "aws4fetch",
    "quickjs-emscripten-core",
    "@jitl/quickjs-singlefile-mjs-release-sync",
  ],
  domain: ["zod", "ajv", "re2js", "ipaddr.js", "ulid", "acorn", "node"],
};

/**
 * The rooms of each place, which are its only folders, in their order: each may import from itself and from those before
 * it. The files beside the rooms join them: they may import from all, and no room may import from them.
 */
const ROOMS: Record<Place, readonly string[]> = {
  top: [],
  routes: [
    "http",
    "body",
    "auth",
    "handler",
    "profiles",
    "ingest",
    "admin",
    "operation",
    "openapi",
    "service",
    "snippet",
    "console",
  ],
  // It runs in a browser: the server imports its files as text.
  console: ["core", "app", "parts", "screens", "shell", "style"],
  // What a stage and an observer are comes before them.
  ingest: ["pipeline.ts", "stages", "observers"],
  actors: [
    "store",
    "configuration",
    "lanes",
    "dedup",
    "journal",
    "appending",
    "settling",
    "reading",
    "erasure",
    "replay",
    "lookup",
    "governance",
    "live",
    "stats",
    "transformation",
    "destinations",
    "audiences",
    "delivery",
    "forwarding",
  ],
  domain: [
    "event",
    "profile",
    "contract",
    "enrichment",
    "stats",
    "limits",
    "condition",
    "transformation",
    "recipe",
    "audience",
    "forwarding",
  ],
};

interface Source {
  path: string;
  place: Place;
  /** Without comments. */
  code: string;
  /** Without comments and strings. */
  words: string;
  imports: string[];
}

/** Comments, and the strings that must not be taken for any; a slash before a regular expression's end is escaped. */
const COMMENT_OR_STRING =
  /(?<![\\:])\/\/.*|\/\*[^]*?\*\/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`/g;

function readSource(path: string): Source {
  const text = Deno.readTextFileSync(new URL(path, ROOT));
  const code = text.replaceAll(COMMENT_OR_STRING, (found) => found.startsWith("/") ? "" : found);
  const words = code.replaceAll(
    COMMENT_OR_STRING,
    // What a template computes is code.
    (found) => [...found.matchAll(/\$\{([^}]*)\}/g)].map(([, inner]) => inner).join(" "),
  );
  // A text that is imported is data.
  const imports = [...code.matchAll(/(?:^import |\bfrom |\bimport\(\s*)"([^"\s]+)"(?! with)/gm)].map((
    match,
  ) => match[1]!);
  return { path, place: placeOf(path), code, words, imports };
}

function placeOf(path: string): Place {
  return PLACES.find((place) => path.startsWith(`${place}/`)) ?? "top";
}

/** Everything that the product is made of: the files at the top, `tasks/`, and the places with their rooms. */
function productFiles(): Source[] {
  const top = [...Deno.readDirSync(ROOT)];
  const paths = top.flatMap(({ name, isFile }) => isFile ? [name] : []);
  const rooms = [
    "tasks/import_files",
    "tasks/import_old",
    ...PLACES.flatMap((place) => ROOMS[place].map((room) => `${place}/${room}`)),
  ];
  const visit = (folder: string) => {
    for (const { name, isFile } of Deno.readDirSync(new URL(folder, ROOT))) {
      const path = `${folder}/${name}`;
      ok(isFile || rooms.includes(path), `${path} is a folder, but not a room: add it to ROOMS`);
      if (isFile) paths.push(path);
      else visit(path);
    }
  };
  for (const folder of ["tasks", ...PLACES.slice(1)]) {
    visit(folder);
  }
  return paths.filter((path) => path.endsWith(".ts")).sort().map(readSource);
}

const SOURCES = productFiles();

/** The path of an imported file from the root, `undefined` for a package. */
function fileOf(specifier: string, from: string): string | undefined {
  if (!specifier.startsWith(".")) return undefined;
  return new URL(specifier, new URL(from, ROOT)).href.slice(ROOT.href.length);
}

/** `path: what` of each source in which a pattern is found. */
function found(pattern: RegExp, sources: readonly Source[], of: "code" | "words" = "words"): string[] {
  return sources.flatMap((source) =>
    [...source[of].matchAll(new RegExp(pattern, "g"))].map((match) => `${source.path}: ${match[0]}`)
  );
}

Deno.test("imports go one way: top and tasks, routes, ingest, actors, domain", () => {
  const wrong: string[] = [];
  for (const { path, place, imports } of SOURCES) {
    for (const specifier of imports) {
      const file = fileOf(specifier, path);
      if (file === undefined) continue;
      const isProduct = SOURCES.some((source) => source.path === file) || /^console\/style\//.test(file);
      const goesRight = PLACES.indexOf(placeOf(file)) >= PLACES.indexOf(place);
      if (!isProduct || !goesRight) wrong.push(`${path} imports ${file}`);
    }
  }
  deepStrictEqual(wrong, []);
  ok(SOURCES.flatMap(({ imports }) => imports).length > 100, "imports are found");
});

Deno.test("within a layer, imports follow the order of the rooms", () => {
  const wrong: string[] = [];
  for (const { path, place, imports } of SOURCES) {
    const rank = roomRank(path, place);
    for (const specifier of imports) {
      const file = fileOf(specifier, path);
      if (file === undefined || placeOf(file) !== place || place === "top") continue;
      if (roomRank(file, place) > rank) wrong.push(`${path} imports ${file}`);
    }
  }
  deepStrictEqual(wrong, []);
});

/** The number of a file's room; a file beside the rooms is above them all. */
function roomRank(path: string, place: Place): number {
  const rank = ROOMS[place].indexOf(path.split("/")[1]!);
  return rank === -1 ? Infinity : rank;
}

Deno.test("each layer imports its own packages and those of the layers below, by names without versions", () => {
  const wrong: string[] = [];
  for (const { path, place, imports } of SOURCES) {
    const allowed = PLACES.slice(PLACES.indexOf(place)).flatMap((each) => PACKAGES[each]);
    for (const specifier of imports) {
      if (specifier.startsWith(".")) continue;
      const [name] = /^(@[^/]+\/)?[^:/]+/.exec(specifier)!;
      if (!allowed.includes(name)) wrong.push(`${path} imports ${specifier}`);
    }
  }
  deepStrictEqual(wrong, []);
});

Deno.test("the console imports nothing from the server but types: browsers load its files alone", () => {
  const files = SOURCES.filter(({ place }) => place === "console");
  ok(files.length > 0);
  const wrong = files.flatMap(({ path, code }) =>
    [...code.matchAll(/^(?:import|export) (?!type\b)[^;]*?from "([^"]+)"/gm)]
      .filter(([, specifier]) =>
        specifier!.startsWith(".") && !fileOf(specifier!, path)!.startsWith("console/")
      )
      .map(([, specifier]) => `${path} imports ${specifier}`)
  );
  deepStrictEqual(wrong, []);
});

Deno.test("no imports go in circles", () => {
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (path: string, way: string[]): void => {
    if (way.includes(path)) circles.push([...way.slice(way.indexOf(path)), path].join(" -> "));
    if (way.includes(path) || done.has(path)) return;
    const source = SOURCES.find((each) => each.path === path);
    for (const specifier of source?.imports ?? []) {
      const file = fileOf(specifier, path);
      if (file !== undefined) visit(file, [...way, path]);
    }
    done.add(path);
  };
  for (const { path } of SOURCES) visit(path, []);
  deepStrictEqual(circles, []);
});

Deno.test("the OpenAPI document is loaded on the first request, and not before", () => {
  const outside = SOURCES.filter(({ path }) => !/^routes\/(operation|openapi)\//.test(path));
  deepStrictEqual(
    found(
      /\bfrom "[^"]*\/(operation|openapi)\/[^"]*"|\bfrom "(zod-openapi|swagger-ui)[^"]*"/,
      outside,
      "code",
    ),
    [],
  );
});

Deno.test("only actors/store/store.ts names Deno.Kv", () => {
  deepStrictEqual(
    found(/\bDeno\.(Kv|openKv|AtomicOperation)\w*/, SOURCES.filter(outside("actors/store/store.ts"))),
    [],
  );
});

Deno.test("output of tasks passes through tasks/output.ts, except for help, progress and paths for the shell", () => {
  const writers = ["output", "check_settings", "dev", "paths", "progress", "read_paths"].map((name) =>
    `tasks/${name}.ts`
  );
  const others = SOURCES.filter(({ path }) => path !== "main.ts" && !writers.includes(path));
  deepStrictEqual(found(/\bconsole\.\w+\((?!HELP\))/, others), []);
});

Deno.test("JSON of events and states is read by parseExact alone: JSON.parse would round long integers", () => {
  // Of these none holds what a sender gave as a number.
  const others = ["stats/counts_values", "governance/contracts", "store/cursor", "live/note_windows"].map((
    name,
  ) => `actors/${name}.ts`);
  const ofConsole = [
    "core/json",
    "app/preferences",
    "app/session",
    "parts/id_search",
  ].map((name) => `console/${name}.ts`);
  const parsers = ["domain/event/exact_json.ts", "tasks/dev.ts", ...others, ...ofConsole];
  deepStrictEqual(found(/\bJSON\.parse\b/, SOURCES.filter(({ path }) => !parsers.includes(path))), []);
});

Deno.test("only keys.ts of a room spells a key, and no two the same; those of 0.3 are in the format of its import", () => {
  const isOfKeys = ({ path }: Source) => /^actors\/\w+\/keys\.ts$/.test(path);
  const names = new Set<string>();
  for (const { path, code } of SOURCES.filter(isOfKeys)) {
    // A type such as ["user" | "anonymous", string] spells none.
    const spelled = new Set([...code.matchAll(/\[\s*"(\w+)"(?! \|)/g)].map((match) => match[1]!));
    for (const name of spelled) {
      ok(!names.has(name), `${path} spells ${name}, which another room has`);
      names.add(name);
    }
  }
  ok(
    ["head", "settled", "journal", "actor", "log", "seen", "lookup"].every((name) => names.has(name)),
    [...names].join(),
  );
  deepStrictEqual(
    found(
      RegExp(`(?<![\\w\\]])\\[\\s*"(${[...names].join("|")})"`),
      SOURCES.filter((source) => !isOfKeys(source)).filter(outside("tasks/import_old/format.ts"))
        .filter(({ path }) => !path.startsWith("console/")),
      "code",
    ),
    [],
  );
});

Deno.test("the domain is pure and synchronous", () => {
  const domain = SOURCES.filter(({ place }) => place === "domain");
  ok(domain.length > 5);
  const impure =
    /\bawait\b|\basync\b|\bPromise\b|\bDeno\.\w+|\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\bperformance\b|\bcrypto\b|\bset(Timeout|Interval)\b|\bfetch\b/;
  deepStrictEqual(found(impure, domain), []);
});

Deno.test("actors, ingest and domain read no clock and no randomness: a clock is an argument", () => {
  const handed = SOURCES.filter(({ path, place }) =>
    ["ingest", "actors", "domain"].includes(place) && path !== "actors/store/clock.ts"
  );
  const own =
    /\bperformance\b|\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\bset(Timeout|Interval|Immediate)\b|\bqueueMicrotask\b|\bAbortSignal\.timeout\b|\bDeno\.cron\b/;
  deepStrictEqual(found(own, handed), []);
  deepStrictEqual(found(/"node:timers[^"]*"/, handed, "code"), []);
});

Deno.test("nothing is exported by default or on behalf of another file, and nothing is any", () => {
  deepStrictEqual(
    found(/\bexport default\b|\bas default\b|\bexport (type )?(\*|\{[^}]*\}) from\b/, SOURCES),
    [],
  );
  deepStrictEqual(found(/(?<!\.)\bany\b/, SOURCES), []);
});

function outside(path: string): (source: Source) => boolean {
  return (source) => source.path !== path;
}
