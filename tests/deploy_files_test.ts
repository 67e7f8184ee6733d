/** What docs/operations.md installs: the container, the units and the proxy agree with `deno.json` and with each other. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { readConfig, VARIABLES } from "../config.ts";
import { missing, testWhere } from "./needs.ts";
import { TASKS } from "./task_command.ts";

const read = (path: string) => Deno.readTextFileSync(new URL(`../${path}`, import.meta.url));
const dockerfile = read("Dockerfile");
const compose = read("compose.yaml");
const UNITS = ["signalfold.service", "signalfold-backup.service", "signalfold-backup.timer"];
const operations = read("docs/operations.md");

/** The version of Deno that the README runs. */
const DENO = /npx -y deno@(\d+\.\d+\.\d+) task dev/.exec(read("README.md"))![1]!;

/** The variables that a unit sets itself. */
function environmentOf(unit: string): Record<string, string> {
  const line = /^Environment=(.*)$/m.exec(unit)![1]!;
  return Object.fromEntries(line.split(" ").map((each) => each.split("=") as [string, string]));
}

Deno.test("the container, the documented installation and the README have one version of Deno", () => {
  match(dockerfile, new RegExp(`^FROM denoland/deno:debian-${DENO}$`, "m"));
  ok(operations.includes(`sh -s -- -y v${DENO}`));
});

Deno.test("container and units start tasks of deno.json, which name the permissions", () => {
  const started = [dockerfile, ...UNITS.map((name) => read(`deploy/${name}`))]
    .flatMap((text) => [...text.matchAll(/deno"?,? "?task"?,? "?(\w+)/g)].map(([, task]) => task!));
  deepStrictEqual(started, ["start", "start", "backup"]);
  for (const task of started) ok(task in TASKS, task);
  for (const text of [dockerfile, compose, ...UNITS.map((name) => read(`deploy/${name}`))]) {
    ok(!/--allow-|(^|\s)-A\b/.test(text), "permissions are named in deno.json alone");
  }
});

Deno.test("the settings of container, compose file and unit start a server", () => {
  const token = "0123456789abcdef01234567";
  const inImage = Object.fromEntries(
    [.../^ENV (HOST=.*)$/m.exec(dockerfile)![1]!.matchAll(/(\w+)=(\S+)/g)].map((
      [, name, value],
    ) => [name, value]),
  );
  const inCompose = Object.fromEntries(
    [.../signalfold:\n[^]*?environment:\n([^]*?)\n {4}\w/.exec(compose)![1]!.matchAll(/(\w+): (.*)/g)].map(
      (
        [, name, value],
      ) => [
        name!,
        value!.replace(/\$\{ADMIN_TOKEN.*\}/, token).replace(/\$\{DOMAIN.*\}/, "x.test").replaceAll('"', ""),
      ],
    ),
  );
  const { DENO_DIR, ...inUnit } = environmentOf(read("deploy/signalfold.service"));
  ok(DENO_DIR !== undefined);
  for (
    const environment of [
      { ...inImage, ...inCompose },
      { ...inUnit, ADMIN_TOKEN: token, PUBLIC_URL: "https://x.test" },
    ]
  ) {
    for (const name of Object.keys(environment)) ok(VARIABLES.includes(name), name);
    const config = readConfig(environment, { dev: false, deploy: false });
    ok("settings" in config, JSON.stringify(config));
    strictEqual(config.settings.trustedProxies, 1);
  }
});

Deno.test("the container is not root, reports its health, and keeps its database in a volume", () => {
  const lines = dockerfile.split("\n");
  ok(
    lines.indexOf("USER signalfold") > 0 &&
      lines.indexOf("USER signalfold") < lines.findIndex((line) => line.startsWith("CMD")),
  );
  match(dockerfile, /^HEALTHCHECK [^]*\/readyz/m);
  const [, volume] = /^VOLUME (\S+)$/m.exec(dockerfile)!;
  ok(dockerfile.includes(`KV_URL=${volume}/`) && compose.includes(`- events:${volume}`));
  match(compose, /cap_drop: \[ALL\]/);
  strictEqual(/signalfold:\n[^]*?\n {2}caddy:/.exec(compose)![0].includes("ports:"), false);
});

Deno.test("every unit may write where its database and its packages are, and the documents install each file", () => {
  for (const name of UNITS) {
    ok(
      operations.includes(
        "cp /opt/signalfold/deploy/*.service /opt/signalfold/deploy/*.timer /etc/systemd/system/",
      ),
    );
    const unit = read(`deploy/${name}`);
    if (name.endsWith(".timer")) continue;
    match(unit, /^ProtectSystem=strict$/m);
    const { KV_URL, DENO_DIR } = environmentOf(unit);
    const folders = /^ReadWritePaths=(.*)$/m.exec(unit)?.[1]?.split(" ") ??
      ["StateDirectory", "CacheDirectory"].map((each, i) =>
        `${["/var/lib", "/var/cache"][i]}/${new RegExp(`^${each}=(.*)$`, "m").exec(unit)![1]}`
      );
    for (const path of [KV_URL!, DENO_DIR!]) ok(folders.some((folder) => path.startsWith(folder)), path);
  }
});

testWhere(missing("systemd-analyze"), {
  name: "systemd accepts the units",
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      for (const name of UNITS) {
        // It looks for the program that a unit starts, which is not installed here.
        const unit = read(`deploy/${name}`).replaceAll("/usr/local/bin/deno", "/bin/true");
        await Deno.writeTextFile(`${folder}/${name}`, unit);
      }
      const { code, stderr } = await new Deno.Command("systemd-analyze", {
        args: ["verify", ...UNITS.map((name) => `${folder}/${name}`)],
      }).output();
      deepStrictEqual([code, new TextDecoder().decode(stderr)], [0, ""]);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
