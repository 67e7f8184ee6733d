/**
 * /metrics of a server as it is started in production: held against the rules of OpenMetrics by a reader of our own, and by
 * Prometheus's own for Python where there is one; and docs/operations.md against it.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { PYTHON } from "../clients/senders.ts";
import { missing, runs, testWhere } from "../needs.ts";
import { type Family, readOpenMetrics } from "../routes/service/openmetrics.ts";
import { eventually, ROOT, type Server, startServer, tempDir } from "./server.ts";

const OPERATIONS = Deno.readTextFileSync(`${ROOT}docs/operations.md`);
const READ_TOKEN = "process_read_token_0123456789";

async function scrape(server: Server): Promise<{ text: string; families: Map<string, Family> }> {
  const response = await fetch(`${server.url}/metrics`, {
    headers: { authorization: `Bearer ${READ_TOKEN}` },
  });
  strictEqual(
    response.headers.get("content-type"),
    "application/openmetrics-text; version=1.0.0; charset=utf-8",
  );
  const text = await response.text();
  return { text, families: readOpenMetrics(text) };
}

function valueOf(families: Map<string, Family>, family: string, suffix = ""): number {
  return families.get(family)!.samples.find(({ name }) => name === family + suffix)?.value ?? NaN;
}

/** Runs a program to its end, with an input. */
async function run(
  program: string,
  args: string[],
  input: string,
): Promise<{ code: number; output: string }> {
  const child = new Deno.Command(program, { args, stdin: "piped", stdout: "piped", stderr: "piped" }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code, output: decoder.decode(stdout) + decoder.decode(stderr) };
}

/** Prints the name and type of each family, or fails. */
const PARSE = `
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
for family in text_string_to_metric_families(sys.stdin.read()):
    print(family.name, family.type, len(family.samples))
`;

/** The yaml block of operations.md that begins with a word. */
function yamlOf(word: string): string {
  const block = [...OPERATIONS.matchAll(/^```yaml\n([^]*?)^```$/gm)].find(([, text]) =>
    text!.startsWith(word)
  );
  ok(block, `a block of ${word}`);
  return block[1]!;
}

/** Names of series that an expression or a table may use, of a family. */
function seriesOf(name: string, { type }: Family): string[] {
  const suffixes = type === "counter"
    ? ["_total"]
    : type === "histogram"
    ? ["_bucket", "_sum", "_count"]
    : [""];
  return suffixes.map((suffix) => name + suffix);
}

Deno.test("/metrics of a server shows what it does, commits and settling too, as OpenMetrics says", async () => {
  await using dir = await tempDir();
  await using server = await startServer(`${dir.path}/kv.db`, { READ_TOKEN });
  for (let n = 0; n < 3; n++) {
    await server.send(Array.from({ length: 100 }, (_, i) => ({ type: "page", userId: `u${i}` })));
  }
  await server.send({ type: "page" });
  // The thread that settles tells of a round a while after what it has written can be read.
  await eventually("a round, and what is told of it", async () => {
    const { families } = await scrape(server);
    return valueOf(families, "signalfold_unsettled_events") === 0 &&
      valueOf(families, "signalfold_settle_events", "_sum") === 300 &&
      valueOf(families, "signalfold_seen_ids") === 300;
  });
  const { families } = await scrape(server);
  const values = Object.fromEntries([
    ["signalfold_commit_duration_seconds", "_count"],
    ["signalfold_commit_events", "_sum"],
    ["signalfold_settle_events", "_sum"],
    ["signalfold_journal_events"],
    ["signalfold_settled_events"],
    ["signalfold_seen_ids"],
    ["signalfold_storage_up"],
    ["signalfold_settle_failures", "_total"],
  ].map(([family, suffix = ""]) => [family, valueOf(families, family!, suffix)]));
  deepStrictEqual(values, {
    signalfold_commit_duration_seconds: 3,
    signalfold_commit_events: 300,
    signalfold_settle_events: 300,
    signalfold_journal_events: 300,
    signalfold_settled_events: 300,
    signalfold_seen_ids: 300,
    signalfold_storage_up: 1,
    signalfold_settle_failures: 0,
  });
  const settled = valueOf(families, "signalfold_settle_duration_seconds", "_sum");
  ok(settled > 0 && settled < 60, "durations come from the thread that settles");
  ok(valueOf(families, "signalfold_seen_filter_bytes") > 0);
  ok(valueOf(families, "process_resident_memory_bytes") > 1e7);
  ok(Math.abs(valueOf(families, "process_start_time_seconds") - Date.now() / 1000) < 120);

  // Each alert rule and each row of the table names what is there; and the table has all that is.
  const known = new Set([...families].flatMap(([name, family]) => seriesOf(name, family)));
  const rules = yamlOf("groups:");
  const used = new Set(rules.match(/\b(signalfold|process)_\w+/g));
  ok(used.size > 5 && (rules.match(/expr:/g) ?? []).length > 8);
  for (const name of used) ok(known.has(name), `a rule names ${name}`);
  const table = OPERATIONS.slice(
    OPERATIONS.indexOf("\n## Metrics\n"),
    OPERATIONS.indexOf("Alert rules to start with"),
  );
  const rows = [...table.matchAll(/`((?:signalfold|process|…)_?\w+)[`{]/g)]
    .map(([, name]) => name!.replace("…_", "signalfold_").replace("…", "signalfold"));
  deepStrictEqual(
    rows.map((name) => name.replace(/_total$/, "")).toSorted(),
    [...families.keys()].toSorted(),
  );
});

testWhere(
  runs(PYTHON, "-c", "import prometheus_client")
    ? undefined
    : "a Python with prometheus_client in CLIENTS_PYTHON",
  {
    name: "/metrics is read by Prometheus's own parser of OpenMetrics as by ours",
    async fn() {
      await using dir = await tempDir();
      await using server = await startServer(`${dir.path}/kv.db`, { READ_TOKEN });
      await server.send({ type: "page", userId: "u" });
      await server.send({ type: "page" });
      const { text, families } = await scrape(server);
      const parsed = await run(PYTHON, ["-c", PARSE], text);
      strictEqual(parsed.code, 0, parsed.output);
      deepStrictEqual(
        parsed.output.trim().split("\n"),
        [...families].map(([name, { type, samples }]) => `${name} ${type} ${samples.length}`),
      );
    },
  },
);

testWhere(missing("promtool"), {
  name: "the alert rules of docs/operations.md are such that promtool takes them",
  async fn() {
    const { code, output } = await run("promtool", ["check", "rules", "/dev/stdin"], yamlOf("groups:"));
    strictEqual(code, 0, output);
  },
});
