/** `deno task import` of Segment's raw exports: JSON lines, gzipped or not, one file or many. */
import { deepStrictEqual, match, strictEqual } from "node:assert";
import { Buffer } from "node:buffer";
import { gzipSync } from "node:zlib";
import { runTask, startServer, tempDir } from "../process/server.ts";

/** Lines as Segment writes them to a bucket: an event as its destinations get it, and members of Segment's own. */
const EXPORTED = [
  {
    anonymousId: "507f191e810c19729de860ea",
    channel: "client",
    context: { ip: "8.8.8.8", library: { name: "analytics.js", version: "next-1.70.0" } },
    event: "Product Viewed",
    integrations: {},
    messageId: "ajs-next-1",
    originalTimestamp: "2025-03-15T14:29:58.000Z",
    projectId: "zzzzzzzz",
    properties: { sku: "A1" },
    receivedAt: "2025-03-15T14:30:02.000Z",
    sentAt: "2025-03-15T14:29:59.000Z",
    timestamp: "2025-03-15T14:30:01.000Z",
    type: "track",
    userId: null,
    version: 2,
    writeKey: "segments_own_key",
    _metadata: { bundled: ["Segment.io"], unbundled: [] },
  },
  {
    anonymousId: "507f191e810c19729de860ea",
    messageId: "ajs-next-2",
    receivedAt: "2025-03-15T14:31:02.000Z",
    timestamp: "2025-03-15T14:31:01.000Z",
    traits: { plan: "pro" },
    type: "identify",
    userId: "u1",
    version: 2,
  },
  {
    groupId: "g1",
    messageId: "node-3",
    receivedAt: "2025-03-15T14:32:02.000Z",
    timestamp: "2025-03-15T14:32:01.000Z",
    traits: { name: "Acme" },
    type: "group",
    userId: "u1",
    version: 2,
  },
];

const linesOf = (events: readonly unknown[]) => events.map((event) => `${JSON.stringify(event)}\n`).join("");

Deno.test("events that compress badly are imported, whatever their script", async () => {
  await using dir = await tempDir();
  // Of three bytes each, drawn evenly: zstd takes off a quarter.
  const text = () =>
    String.fromCharCode(
      ...crypto.getRandomValues(new Uint16Array(10_500)).map((unit) => 0x4e00 + unit % 20_000),
    );
  const events = Array.from({ length: 60 }, (_, n) => ({
    type: "track",
    event: "Written",
    userId: `u${n % 3}`,
    messageId: `m${n}`,
    properties: { text: text() },
  }));
  await Deno.writeTextFile(`${dir.path}/events.ndjson`, linesOf(events));
  const { code, stdout, stderr } = await runTask(`${dir.path}/kv.db`, "import", `${dir.path}/events.ndjson`);
  strictEqual(code, 0, stderr);
  match(stdout, /imported 60 events; 0 duplicates skipped; 0 lines rejected/);
});

Deno.test("Segment's raw exports are imported from many files, gzipped or not, with their own times, once", async () => {
  await using dir = await tempDir();
  const kvPath = `${dir.path}/kv.db`;
  // A gzip file without the ending, one of two members, and a plain one.
  const files = ["a", "b.gz", "c.json"].map((name) => `${dir.path}/${name}`);
  const [first, second, third] = EXPORTED;
  await Deno.writeFile(files[0]!, gzipSync(linesOf([first])));
  const members = [second, first].map((event) => gzipSync(linesOf([event])));
  await Deno.writeFile(files[1]!, Buffer.concat(members));
  await Deno.writeTextFile(files[2]!, linesOf([third]));

  const { code, stdout, stderr } = await runTask(kvPath, "import", ...files);
  strictEqual(code, 0, stderr);
  match(stdout, /^imported 3 events; 1 duplicates skipped; 0 lines rejected$/m);

  await using server = await startServer(kvPath);
  const { body } = await server.ask("/api/v1/users/u1");
  deepStrictEqual([body.eventCount, body.traits], [3, { plan: "pro" }]);
  deepStrictEqual(body.groups, [{
    groupId: "g1",
    joinedAt: "2025-03-15T14:32:01.000Z",
    traits: { name: "Acme" },
  }]);
  strictEqual(body.firstSeen, "2025-03-15T14:30:01.000Z");
  const { events } = (await server.ask("/api/v1/users/u1/events?order=asc")).body;
  const { writeKey: _, userId: __, ...kept } = first!;
  deepStrictEqual(events[0], kept);
});

Deno.test("a gzip file that was cut off is named, and the task ends with status 2", async () => {
  await using dir = await tempDir();
  const file = `${dir.path}/cut.gz`;
  const whole = gzipSync(
    linesOf(Array.from({ length: 2000 }, (_, n) => ({ ...EXPORTED[1], messageId: `m${n}` }))),
  );
  await Deno.writeFile(file, whole.subarray(0, whole.length / 2));
  const { code, stderr } = await runTask(`${dir.path}/kv.db`, "import", file);
  strictEqual(code, 2, stderr);
  match(
    stderr,
    /^signalfold: Failed to decompress .*cut\.gz: .*\. Events imported so far were kept; run the import again to continue\.$/m,
  );
});

Deno.test("an unreadable file is named in one line, and the task ends with status 2", async (t) => {
  await using dir = await tempDir();
  const whole = gzipSync(
    linesOf(Array.from({ length: 2000 }, (_, n) => ({ ...EXPORTED[1], messageId: `m${n}` }))),
  );
  const wrongSum = new Uint8Array(whole);
  wrongSum[whole.length - 8]! ^= 1;
  const cases: [name: string, bytes: Uint8Array | "folder", expected: RegExp][] = [
    [
      "no-gzip.gz",
      new Uint8Array([0x1f, 0x8b, 1, 2, 3]),
      /^signalfold: Failed to decompress .*no-gzip\.gz: .+ Events imported so far/,
    ],
    [
      "wrong-sum.gz",
      wrongSum,
      /^signalfold: Failed to decompress .*wrong-sum\.gz: .+ Events imported so far/,
    ],
    ["a-folder", "folder", /^signalfold: No file is in the folder .*a-folder\.$/m],
  ];
  for (const [name, bytes, expected] of cases) {
    await t.step(name, async () => {
      const path = `${dir.path}/${name}`;
      if (bytes === "folder") await Deno.mkdir(path);
      else await Deno.writeFile(path, bytes);
      const { code, stdout, stderr } = await runTask(`${dir.path}/kv.db`, "import", path);
      strictEqual(code, 2, stderr);
      strictEqual(stdout, "");
      match(stderr, expected);
      strictEqual(stderr.trimEnd().split("\n").length, 1, stderr);
    });
  }
});

Deno.test("no task accepts a KV_URL that no server shares: its work would be lost", async () => {
  await using dir = await tempDir();
  const file = `${dir.path}/events.ndjson`;
  await Deno.writeTextFile(file, linesOf([EXPORTED[0]]));
  const tasks = [["import", file], ["export"], ["replay"], ["keys", "list"], [
    "backup",
    `${dir.path}/backup.db`,
  ]];
  const urls = [[":memory:", "is :memory:, which other processes cannot reach"], [
    `${dir.path}/a,b.db`,
    "must not contain a comma",
  ]] as const;
  for (const [url, why] of urls) {
    for (const [name, ...args] of tasks) {
      const { code, stdout, stderr } = await runTask(url, name!, ...args);
      deepStrictEqual([name, code, stdout], [name, 2, ""]);
      match(stderr, new RegExp(`^signalfold: KV_URL ${why}`, "m"));
    }
  }
  const left = await Array.fromAsync(Deno.readDir(dir.path), (entry) => entry.name);
  deepStrictEqual(left, ["events.ndjson"]);
});

Deno.test("an option that import does not have is refused, and is no file", async () => {
  const { code, stderr } = await runTask(":memory:", "import", "--dry-run");
  strictEqual(code, 2);
  match(stderr, /^signalfold: unknown option --dry-run$/m);
});

Deno.test("a line that is not an event is named by its file and number if there are several files", async () => {
  await using dir = await tempDir();
  const files = ["a.json", "b.json"].map((name) => `${dir.path}/${name}`);
  await Deno.writeTextFile(files[0]!, linesOf([EXPORTED[0]]));
  await Deno.writeTextFile(files[1]!, `${linesOf([EXPORTED[1]])}{"type":"track"}\n`);
  const { code, stdout, stderr } = await runTask(`${dir.path}/kv.db`, "import", ...files);
  strictEqual(code, 1, stderr);
  match(stderr, /b\.json line 2: /);
  match(stdout, /^imported 2 events; 0 duplicates skipped; 1 lines rejected$/m);
});

/** An event whose text has what some readers take for the end of a line, in a value, in a key, and in an id. */
const SEPARATED = {
  type: "track",
  userId: "u\u2028one",
  event: "Note\u2029Added",
  messageId: "separated-1",
  properties: { "a\u2028b": "c\u2029d", "next\u0085line": "\v\f\u001c", cr: "e\rf" },
  timestamp: "2025-03-15T14:30:01.000Z",
  receivedAt: "2025-03-15T14:30:02.000Z",
};

Deno.test("an event with U+2028 or U+2029 in a value or a key survives export and import, plain and gzipped", async () => {
  await using dir = await tempDir();
  const first = `${dir.path}/first.db`;
  {
    await using server = await startServer(first);
    strictEqual((await server.send(SEPARATED)).status, 200);
    await server.end("SIGTERM");
  }
  const exported = await runTask(first, "export");
  strictEqual(exported.code, 0, exported.stderr);
  // As other writers of JSON write it: the characters themselves.
  const raw = `${JSON.stringify(JSON.parse(exported.stdout))}\n`;
  match(raw, /\u2028.*\u2029/);
  for (
    const [name, bytes] of [["a.ndjson", exported.stdout], ["b.ndjson", raw], [
      "c.gz",
      gzipSync(raw),
    ]] as const
  ) {
    const file = `${dir.path}/${name}`;
    if (typeof bytes === "string") await Deno.writeTextFile(file, bytes);
    else await Deno.writeFile(file, bytes);
    const kvPath = `${dir.path}/${name}.db`;
    const { code, stdout, stderr } = await runTask(kvPath, "import", file);
    deepStrictEqual([code, stderr], [0, ""], name);
    match(stdout, /^imported 1 events; 0 duplicates skipped; 0 lines rejected$/m);
    const again = await runTask(kvPath, "export");
    deepStrictEqual(JSON.parse(again.stdout), JSON.parse(exported.stdout), name);
  }
});

const BOM = "\ufeff";
const LINES = EXPORTED.map((event) => JSON.stringify(event));

const TAKEN: [what: string, bytes: Uint8Array | string][] = [
  ["that begins with a byte-order mark", `${BOM}${LINES.join("\n")}\n`],
  ["with CRLF, without one at its end", LINES.join("\r\n")],
  ["with blank lines, one with a byte-order mark alone", `${BOM}\n\r\n \n${LINES.join("\n\n")}`],
  [
    "that joins files which each begin with a byte-order mark",
    LINES.map((line) => `${BOM}${line}\r\n`).join(""),
  ],
  ["gzipped, with a byte-order mark", gzipSync(`${BOM}${LINES.join("\r\n")}`)],
  [
    "of several gzip members, each with a byte-order mark",
    Buffer.concat(LINES.map((line) => gzipSync(`${BOM}${line}\n`))),
  ],
  [
    "of several gzip members, cut within a line and within a character",
    Buffer.concat([...chunksOf(Buffer.from(`${LINES.join("\n")}\n`), 7)].map((chunk) => gzipSync(chunk))),
  ],
];

function* chunksOf(bytes: Buffer, length: number) {
  for (let from = 0; from < bytes.length; from += length) yield bytes.subarray(from, from + length);
}

Deno.test("byte-order marks and CRLF are no part of a line", async (t) => {
  await using dir = await tempDir();
  for (const [index, [what, bytes]] of TAKEN.entries()) {
    await t.step(`a file ${what}`, async () => {
      const file = `${dir.path}/${index}`;
      await Deno.writeFile(file, Buffer.from(bytes));
      const { code, stdout, stderr } = await runTask(`${file}.db`, "import", file);
      deepStrictEqual([code, stderr], [0, ""]);
      match(stdout, /^imported 3 events; 0 duplicates skipped; 0 lines rejected$/m);
    });
  }
});

Deno.test("a CR alone ends no line: two events with just that between them are refused as one line", async () => {
  await using dir = await tempDir();
  const file = `${dir.path}/cr.ndjson`;
  await Deno.writeTextFile(file, `${LINES[0]}\r${LINES[1]}\n${LINES[2]}\n`);
  const { code, stdout, stderr } = await runTask(`${dir.path}/kv.db`, "import", file);
  strictEqual(code, 1);
  match(stderr, /cr\.ndjson line 1: invalid JSON: /);
  match(stdout, /^imported 1 events; 0 duplicates skipped; 1 lines rejected$/m);
});

Deno.test("the error about a line that is not JSON does not quote it", async () => {
  await using dir = await tempDir();
  const file = `${dir.path}/broken.ndjson`;
  const lines = ["jane@example.com", '{"email":"jane@example.com","n":NaN}', '{"email":"jane@example.com"'];
  await Deno.writeTextFile(file, `${lines.join("\n")}\n`);
  const { code, stderr } = await runTask(`${dir.path}/kv.db`, "import", file);
  strictEqual(code, 1);
  deepStrictEqual(stderr.trim().split("\n"), [
    `${file} line 1: invalid JSON: it contains an invalid token`,
    `${file} line 2: invalid JSON: it contains an invalid token`,
    `${file} line 3: invalid JSON: invalid at position 27 (line 1, column 28)`,
  ]);
});

Deno.test("a line of 700 MB is rejected in one clear line with the limit, and the lines around it are imported", async () => {
  await using dir = await tempDir();
  const file = `${dir.path}/huge.gz`;
  const megabyte = gzipSync("x".repeat(1024 * 1024));
  const members = [
    gzipSync(`${LINES[0]}\n{"type":"`),
    ...Array(700).fill(megabyte),
    gzipSync(`\n${LINES[1]}\n`),
  ];
  await Deno.writeFile(file, Buffer.concat(members));
  const { code, stdout, stderr } = await runTask(`${dir.path}/kv.db`, "import", file);
  strictEqual(code, 1, stderr);
  const lines = stderr.trimEnd().split("\n").filter((line) => !/^import: \d+ of \d+ bytes$/.test(line));
  deepStrictEqual(lines, [
    `${file} line 2: line exceeds 1048576 bytes; an event has at most 32 KiB, and LF must end its line`,
  ]);
  match(stdout, /^imported 2 events; 0 duplicates skipped; 1 lines rejected$/m);
});

Deno.test("a line that is not UTF-8 is refused, and not stored with other characters", async () => {
  await using dir = await tempDir();
  const file = `${dir.path}/latin1.ndjson`;
  await Deno.writeFile(
    file,
    Buffer.from(`${LINES[0]!.replace("Product", "Pr\u00f6duct")}\n${LINES[1]}\n`, "latin1"),
  );
  const { code, stdout, stderr } = await runTask(`${dir.path}/kv.db`, "import", file);
  deepStrictEqual([code, stderr], [1, `${file} line 1: invalid UTF-8\n`]);
  match(stdout, /^imported 1 events; 0 duplicates skipped; 1 lines rejected$/m);
});

Deno.test("import takes folders in Segment's layout and globs, names file and line, and settles what it brought", async () => {
  await using dir = await tempDir();
  const event = (messageId: string) => ({ ...EXPORTED[0], messageId });
  const put = async (path: string, lines: unknown[]) => {
    await Deno.mkdir(`${dir.path}/logs/${path.slice(0, path.lastIndexOf("/"))}`, { recursive: true });
    await Deno.writeFile(`${dir.path}/logs/${path}`, gzipSync(linesOf(lines)));
  };
  await put("web/1400000000000/a.gz", [event("m1"), { nonsense: true }]);
  await put("web/1500000000000/a.gz", [event("m2"), event("m3")]);
  await put("app/1400000000000/a.gz", [event("m4")]);
  await put("app/.hidden/a.gz", [event("m5")]);
  const kvPath = `${dir.path}/kv.db`;
  await using server = await startServer(kvPath);

  const globbed = await runTask(kvPath, "import", `${dir.path}/logs/*/15*/*.gz`);
  strictEqual(globbed.stdout.trim(), "imported 2 events; 0 duplicates skipped; 0 lines rejected");
  const { code, stdout, stderr } = await runTask(kvPath, "import", `${dir.path}/logs`);
  strictEqual(code, 1);
  match(stdout, /^imported 2 events; 2 duplicates skipped; 1 lines rejected$/m);
  match(stderr, /logs\/web\/1400000000000\/a\.gz line 2: /);
  const { body } = await server.ask("/api/v1/admin/stats");
  deepStrictEqual([body.head, body.unsettled], [4, 0]);
  const none = await runTask(kvPath, "import", `${dir.path}/logs/*.csv`);
  deepStrictEqual([none.code, none.stderr.trim()], [
    2,
    `signalfold: No file matches ${dir.path}/logs/*.csv.`,
  ]);
});
