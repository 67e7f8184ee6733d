/**
 * docs/live.md is true: its commands, run in order against a server of its own, print what it says.
 *
 * How it works: each `sh` block is run by bash, with the address, the key and the token that it expects, and what it prints
 * is held against the block after it, without what differs from run to run: ids of our making and times of receipt. JSON
 * is compared as JSON, so that it may be laid out for reading.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { missing, testWhere } from "../needs.ts";
import { ADMIN_TOKEN, ROOT, runCommand, startServer, tempDir, WRITE_KEY } from "./server.ts";

const DOCUMENT = Deno.readTextFileSync(`${ROOT}docs/live.md`);

/** Each command, and what it prints. */
const COMMANDS = [...DOCUMENT.matchAll(/^```sh\n([^]*?)^```\n\n```(text|json)\n([^]*?)^```$/gm)].map((
  match,
) => ({
  command: match[1]!,
  language: match[2]!,
  output: match[3]!,
}));

/** Times of a command, so many times as long: a machine may take seconds for what is done in between. */
const STRETCH = 5;
const stretched = (command: string) =>
  command.replaceAll(/(\bsleep |--max-time )([\d.]+)/g, (_, what, seconds) => what + STRETCH * seconds);

/** Text without what differs from run to run. */
function masked(text: string): string {
  return text
    .replaceAll(/\b[0-9A-HJKMNP-TV-Z]{26}\b/g, "ULID")
    // Of an event: the journal begins with other stamps in each database.
    .replaceAll(/\b0*[1-9a-f][0-9a-f]{8,23}(?=[-"])/g, "POSITION")
    .replaceAll(/"(receivedAt|committedAt)": ?"[^"]*"/g, '"$1":"NOW"')
    .replaceAll(/"settled": ?(true|false)/g, '"settled":"SOON"')
    .trim();
}

testWhere(missing("bash", "curl"), {
  name: "the commands of docs/live.md print what it says",
  async fn() {
    await using dir = await tempDir();
    await using server = await startServer(`${dir.path}/kv.db`);
    const env = { URL: server.url, KEY: WRITE_KEY, TOKEN: ADMIN_TOKEN, PATH: Deno.env.get("PATH") ?? "" };
    strictEqual(COMMANDS.length, 3);
    strictEqual(DOCUMENT.match(/^```sh$/gm)?.length, COMMANDS.length, "each has its output beside it");
    for (const { command, language, output } of COMMANDS) {
      const { code, stdout, stderr } = await runCommand("bash", ["-c", stretched(command)], env);
      deepStrictEqual([code, stderr], [0, ""]);
      if (Deno.env.get("SHOW_OUTPUT") !== undefined) console.log(stdout);
      if (language === "text") strictEqual(masked(stdout), masked(output));
      else deepStrictEqual(JSON.parse(masked(stdout)), JSON.parse(masked(output)));
    }
  },
});

Deno.test("the figures that docs/live.md states are those of the code", async () => {
  const { MAX_BEHIND_EVENTS, MAX_LISTENERS, STALLED_MS } = await import("../../actors/live/live_feed.ts");
  const { HEARTBEAT_MS } = await import("../../routes/admin/live.ts");
  const { SEARCH_LIMITS } = await import("../../actors/reading/find_event.ts");
  const { CHANGED_EVENTS } = await import("../../actors/reading/event_trace.ts");
  const { MAX_REPLACED, PROVENANCE_ENTRIES, PROVENANCE_EVENTS } = await import(
    "../../actors/reading/trait_provenance.ts"
  );
  const text = DOCUMENT.replaceAll(/\s+/g, " ");
  const written = (count: number) => count.toLocaleString("en-US");
  for (
    const sentence of [
      `more than ${written(MAX_BEHIND_EVENTS)} events behind`,
      `at most ${MAX_LISTENERS} listeners`,
      `reads nothing for ${STALLED_MS / 1_000} s`,
      `After ${HEARTBEAT_MS / 1_000} s without data`,
      `reads at most ${written(SEARCH_LIMITS.searchEntries)} entries`,
      `more than ${written(CHANGED_EVENTS)} events would have to be folded`,
      `newest first by \`timestamp\`, at most ${MAX_REPLACED}.`,
      `at most ${written(PROVENANCE_ENTRIES)} entries and ${written(PROVENANCE_EVENTS)} \`identify\` events`,
    ]
  ) ok(text.includes(sentence), sentence);
});
