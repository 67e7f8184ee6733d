import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { openTestApp, type TestApp } from "../test_app.ts";

const warnings = ({ logged }: TestApp) => logged.filter(({ level }) => level === "warn");

for (
  const header of [
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Prefix",
    "Forwarded",
    "Via",
  ]
) {
  Deno.test(`${header} without PUBLIC_URL is one warning, which does not quote it`, async () => {
    await using test = await openTestApp();
    await test.get("/healthz", {});
    strictEqual(warnings(test).length, 0);
    for (let n = 0; n < 3; n++) await test.get("/healthz", { [header]: "planted-value" });
    const [{ message, header: named, ...rest }, ...more] = warnings(test) as [Record<string, unknown>];
    match(String(message), /^PUBLIC_URL is not set, but this server is behind a proxy: /);
    deepStrictEqual([named, more], [header.toLowerCase(), []]);
    strictEqual(JSON.stringify(rest).includes("planted"), false);
  });
}

Deno.test("a proxy that appears later is noticed within a hundred requests", async () => {
  await using test = await openTestApp();
  for (let n = 0; n < 150; n++) await test.get("/healthz", {});
  for (let n = 0; n < 100; n++) await test.get("/healthz", { via: "1.1 x" });
  strictEqual(warnings(test).length, 1);
});

Deno.test("with PUBLIC_URL a proxy is no reason for a warning", async () => {
  await using test = await openTestApp({ publicUrl: "https://events.example.com" });
  await test.get("/healthz", { forwarded: "for=192.0.2.1", "x-forwarded-for": "192.0.2.1" });
  strictEqual(warnings(test).length, 0);
});
