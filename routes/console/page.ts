/** The page of the console: one document for all its screens. */
import { hash } from "node:crypto";
import { type Assets, STYLES, withImports } from "./assets.ts";

/** The page and the headers that protect it. */
export interface Page {
  html: string;
  headers: Record<string, string>;
}

/** Makes the page of a screen. Its URLs are relative, so that a proxy may put signalfold below a path of its own. */
export function pageOf(assets: Assets, { screen, path }: { screen: string; path: string }): Page {
  const isTop = path === "/console";
  const base = `./${isTop ? "console/" : ""}assets/${assets.digest}/`;
  const map = JSON.stringify({
    imports: Object.fromEntries(Object.entries(assets.packages).map(([name, path]) => [name, base + path])),
  });
  const modules = withImports(assets, ["shell/main.ts", `screens/${screen}.ts`]);
  return {
    html: html({ base, docs: isTop ? "docs" : "../docs", map, modules }),
    headers: {
      "content-security-policy": policyOf(hash("sha256", map, "base64")),
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-resource-policy": "same-origin",
      "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    },
  };
}

/** Nothing but our own files can run: what holds a token must run nobody else's script. */
function policyOf(mapHash: string): string {
  return "default-src 'none'; " +
    `script-src 'self' 'sha256-${mapHash}'; ` +
    "style-src 'self'; img-src 'self'; connect-src 'self'; manifest-src 'none'; base-uri 'none'; " +
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
}

function html(
  { base, docs, map, modules }: { base: string; docs: string; map: string; modules: readonly string[] },
): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>signalfold</title>
<link rel="icon" href="${base}style/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="${base}${STYLES}">
<script type="importmap">${map}</script>
${modules.map((path) => `<link rel="modulepreload" href="${base}${path}">`).join("\n")}
<script type="module" src="${base}shell/main.ts"></script>
</head>
<body>
<div id="console"></div>
<noscript>The console needs JavaScript. Everything that it shows is in the HTTP API: see <a href="${docs}">its description</a>.</noscript>
</body>
</html>
`;
}
