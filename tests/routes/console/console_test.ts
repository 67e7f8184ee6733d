/** The console as it is sent: what a browser makes of it is in `tests/console/`. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { hash } from "node:crypto";
import { loadAssets, STYLES, withImports } from "../../../routes/console/assets.ts";
import { FILES } from "../../../routes/console/files.ts";
import { loadAmaro, loadStripTypes } from "../../../routes/console/strip_types.ts";
import { CONSOLE_PATHS } from "../../../routes/http/docs_paths.ts";
import { openTestApp } from "../test_app.ts";

const FOLDER = new URL("../../../console/", import.meta.url);

/** The files in `console/`, but for its settings. */
const ownFiles = [...Deno.readDirSync(FOLDER)].flatMap(({ name, isDirectory }) =>
  isDirectory ? [...Deno.readDirSync(new URL(`${name}/`, FOLDER))].map((file) => `${name}/${file.name}`) : []
);

const textOf = (file: string) => Deno.readTextFileSync(new URL(file, FOLDER));

Deno.test("every file of the console is served, and no other", () => {
  deepStrictEqual(Object.keys(FILES).toSorted(), ownFiles.toSorted());
});

Deno.test("every screen is a page that nothing foreign can run in, with the policy of its import map", async () => {
  await using test = await openTestApp();
  for (const path of Object.values(CONSOLE_PATHS)) {
    const { status, headers, body } = await test.get(path, {});
    const map = /<script type="importmap">([^<]*)<\/script>/.exec(body)![1]!;
    deepStrictEqual(
      [status, headers.get("content-type"), headers.get("cache-control")],
      [200, "text/html; charset=utf-8", "no-store"],
    );
    strictEqual(
      headers.get("content-security-policy"),
      `default-src 'none'; script-src 'self' 'sha256-${hash("sha256", map, "base64")}'; style-src 'self'; ` +
        "img-src 'self'; connect-src 'self'; manifest-src 'none'; base-uri 'none'; form-action 'none'; " +
        "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    );
    deepStrictEqual(
      ["cross-origin-opener-policy", "cross-origin-resource-policy", "permissions-policy", "referrer-policy"]
        .map((name) => headers.get(name)),
      [
        "same-origin",
        "same-origin",
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        "no-referrer",
      ],
    );
    const urls = [...body.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, url]) => url!);
    ok(urls.every((url) => url.startsWith("./") || url.endsWith("docs")), urls.join());
    ok(!/<style|\son\w+=|\sstyle=|<script(?! type="(importmap|module)")/.test(body));
    for (const url of [...urls, ...Object.values<string>(JSON.parse(map).imports)]) {
      const { pathname } = new URL(url, `http://localhost${path}`);
      strictEqual((await test.get(pathname, {})).status, 200, pathname);
    }
  }
});

Deno.test("a file never changes, is compressed for those who take it, and is 404 under another digest", async () => {
  await using test = await openTestApp();
  const { digest, files } = await loadAssets();
  for (const [path, { contentType }] of files) {
    const { status, headers } = await test.get(`/console/assets/${digest}/${path}`, {
      "accept-encoding": "gzip",
    });
    deepStrictEqual(
      [status, headers.get("content-type"), headers.get("content-encoding"), headers.get("cache-control")],
      [200, contentType, "gzip", "public, max-age=31536000, immutable"],
      path,
    );
  }
  strictEqual((await test.get("/console/assets/000000000000/shell/main.ts", {})).status, 404);
  strictEqual((await test.get(`/console/assets/${digest}/app/nothing.ts`, {})).status, 404);
  const plain = await test.get(`/console/assets/${digest}/shell/main.ts`, {});
  strictEqual(plain.headers.get("content-encoding"), null);
  match(plain.body, /^\/\*\* Starts the console/);
});

Deno.test("the root leads a browser to the console, and is 404 for programs; other paths stay 404", async () => {
  await using test = await openTestApp({ undocumented: true });
  const html = { accept: "text/html,application/xhtml+xml" };
  for (const method of ["GET", "HEAD"]) {
    const { status, headers } = await test.send("/", undefined, { method, headers: html });
    deepStrictEqual([status, headers.get("location")], [303, "console"]);
  }
  strictEqual((await test.get("/", {})).status, 404);
  strictEqual((await test.send("/", {}, { headers: html })).status, 404);
  for (const path of ["/console/", "/console/nothing", "/console/assets", "/consoles", "/console/live/x"]) {
    strictEqual((await test.get(path, html)).status, 404, path);
  }
});

Deno.test("the framework has at most 12 KB, the first screen 82 KB in 30 files, everything 160 KB, compressed", async () => {
  const assets = await loadAssets();
  const bytes = (paths: readonly string[]) =>
    paths.reduce((sum, path) => sum + assets.files.get(path)!.gzip.length, 0);
  const vendor = Object.values(assets.packages);
  ok(bytes(vendor) <= 12 * 1024, `${bytes(vendor)} bytes of framework`);
  ok(bytes([STYLES]) <= 12 * 1024, `${bytes([STYLES])} bytes of styles`);
  for (const screen of Object.keys(CONSOLE_PATHS)) {
    const scripts = withImports(assets, ["shell/main.ts", `screens/${screen}.ts`]);
    ok(bytes(scripts) <= 70 * 1024, `${screen}: ${bytes(scripts)} bytes of scripts`);
    // And the page itself, its styles and its icon.
    ok(scripts.length + 3 <= 30, `${screen}: ${scripts.length + 3} requests`);
  }
  const all = bytes([...assets.files.keys()]);
  ok(all <= 160 * 1024, `${all} bytes in all`);
});

Deno.test("both ways to strip types give the same script, which has the lines and columns of the source", async () => {
  const [strip, amaro] = [await loadStripTypes(), await loadAmaro()];
  for (const file of ownFiles.filter((name) => name.endsWith(".ts"))) {
    const source = textOf(file);
    strictEqual(strip(source), amaro(source), file);
    strictEqual(strip(source).split("\n").length, source.split("\n").length, file);
  }
});

Deno.test("the console makes no HTML and no code of texts", () => {
  for (const file of ownFiles.filter((name) => name.endsWith(".ts"))) {
    const source = textOf(file);
    const found =
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|javascript:|setAttribute\("on/
        .exec(source);
    strictEqual(found, null, `${file}: ${found?.[0]}`);
  }
});

/** Relative luminance (WCAG 2.2). */
function luminance(color: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16) / 255)
    .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}

Deno.test("texts have a contrast of 4.5 on every ground they stand on, lines and bars of 3, light and dark", () => {
  const css = textOf("style/console.css");
  const tokens = new Map(
    [...css.matchAll(/--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)/g)].map((
      [, name, light, dark],
    ) => [name!, [light!, dark!]] as const),
  );
  const pairs: [string, string, number][] = [
    ...["text", "soft", "faint", "accent"].flatMap((text): [string, string, number][] =>
      ["bg", "surface", "raised", "sunken", "hover"].map((ground) => [text, ground, 4.5])
    ),
    ...["good", "warn", "bad", "accent"].map((tone): [string, string, number] => [tone, `${tone}-soft`, 4.5]),
    ...["good", "warn", "bad"].map((tone): [string, string, number] => [tone, "surface", 4.5]),
    ...["soft", "text"].flatMap((text): [string, string, number][] =>
      ["good-soft", "warn-soft", "bad-soft", "accent-soft"].map((ground) => [text, ground, 4.5])
    ),
    ["edge", "surface", 3],
    ...["accepted", "duplicate", "rejected"].map((
      bar,
    ): [string, string, number] => [`bar-${bar}`, "surface", 3]),
  ];
  for (const [name, ground, least] of pairs) {
    for (const theme of [0, 1]) {
      const [a, b] = [luminance(tokens.get(name)![theme]!), luminance(tokens.get(ground)![theme]!)];
      const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      ok(
        contrast >= least,
        `${name} on ${ground}: ${contrast.toFixed(2)} (${theme === 0 ? "light" : "dark"})`,
      );
    }
  }
});
