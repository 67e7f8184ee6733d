/** The pure parts of the console: laws that hold for any text. */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { createParser } from "eventsource-parser";
import fc from "fast-check";
import {
  blank,
  fieldText,
  growthOf,
  type Kind,
  KIND_NAMES,
  kindOf,
  sentence,
  valueOf,
} from "../../console/core/audience.ts";
import { differences, lineChanges, rowsOf } from "../../console/core/diff.ts";
import { outline, parseJson, spotOf } from "../../console/core/json.ts";
import { readPlace, type Screen, SCREENS, writePlace } from "../../console/core/place.ts";
import { createRing, createSseParser } from "../../console/core/stream.ts";
import { curl, percent, quoted, shortened, visible } from "../../console/core/text.ts";
import { fieldValue, fromField, spanOf } from "../../console/core/time.ts";
import { missing, testWhere } from "../needs.ts";

/** Lines of a stream: fields, comments, blank lines and rubbish. */
const streamLine = fc.oneof(
  fc.constant(""),
  fc.string({ unit: fc.constantFrom("a", ":", " ", "ü", "{") }).map((text) => `data: ${text}`),
  fc.nat().map((id) => `id: ${id}`),
  fc.constantFrom("event: skipped", "retry: 2000", ": comment", "data", "odd", "data:x"),
);

Deno.test("the stream parser gives what eventsource-parser gives, wherever the pieces are cut", () => {
  fc.assert(fc.property(fc.array(streamLine), fc.array(fc.nat(20)), (lines, cuts) => {
    const text = lines.map((line) => `${line}\n`).join("");
    const [ours, theirs]: [object[], object[]] = [[], []];
    const parser = createSseParser({ onEvent: ({ event, data }) => ours.push({ event, data }) });
    let rest = text;
    for (const cut of cuts) {
      parser.push(rest.slice(0, cut));
      rest = rest.slice(cut);
    }
    parser.push(rest);
    const oracle = createParser({
      onEvent: ({ event = "message", data }) => theirs.push({ event, data }),
    });
    oracle.feed(text);
    deepStrictEqual(ours, theirs);
  }));
});

Deno.test("a ring holds the newest lines under their numbers", () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 20 }), fc.nat(60), (size, lines) => {
    const ring = createRing<number>(size);
    for (let n = 0; n < lines; n++) ring.push(n);
    deepStrictEqual([ring.start(), ring.end()], [Math.max(0, lines - size), lines]);
    for (let n = -1; n <= lines; n++) {
      strictEqual(ring.at(n), n >= ring.start() && n < lines ? n : undefined);
    }
  }));
});

Deno.test("a place is read as it was written, below any path", () => {
  const screen = fc.constantFrom(...Object.keys(SCREENS) as Screen[]);
  const query = fc.dictionary(fc.string({ minLength: 1 }), fc.string({ minLength: 1 }));
  const prefix = fc.constantFrom("", "/signalfold", "/a/b");
  fc.assert(fc.property(screen, query, prefix, (screen, query, prefix) => {
    const url = new URL(writePlace({ screen, query }, prefix), "http://localhost");
    const place = readPlace(url);
    // A lone surrogate has no form in a URL.
    const sent = Object.entries(query).map(([name, value]) => [name.toWellFormed(), value.toWellFormed()]);
    deepStrictEqual([place.screen, place.query], [screen, Object.fromEntries(sent)]);
  }));
});

Deno.test("lines of two texts side by side give either text", () => {
  const text = fc.array(fc.constantFrom("a", "b", "c", ""), { maxLength: 12 }).map((lines) =>
    lines.join("\n")
  );
  fc.assert(fc.property(text, text, (before, after) => {
    const changes = lineChanges(before, after);
    const without = (sign: string) =>
      changes.filter((each) => each.sign !== sign).map(({ text }) => text).join("\n");
    deepStrictEqual([without("+"), without("-")], [before, after]);
  }));
});

Deno.test("side by side, each text stands whole on its side, and only equal lines are called the same", () => {
  const line = fc.constantFrom("a", "b", "c", "");
  const text = fc.array(line, { minLength: 1, maxLength: 12 }).map((lines) => lines.join("\n"));
  fc.assert(fc.property(text, text, (before, after) => {
    const rows = rowsOf(lineChanges(before, after));
    for (const [side, whole] of [["before", before], ["after", after]] as const) {
      strictEqual(rows.flatMap((row) => row[side] ?? []).join("\n"), whole);
    }
    for (const row of rows) {
      ok(row.isSame ? row.before === row.after : row.before !== undefined || row.after !== undefined);
    }
    strictEqual(rows.every(({ isSame }) => isSame), before === after);
  }));
});

Deno.test("values have differences exactly where they differ", () => {
  fc.assert(fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
    strictEqual(differences(a, b).length === 0, JSON.stringify(a) === JSON.stringify(b) || sameMembers(a, b));
    deepStrictEqual(differences(a, a), []);
  }));
});

/** Whether two values differ in the order of the members of their outer objects alone. */
function sameMembers(a: unknown, b: unknown): boolean {
  const isObject = (value: unknown): value is Record<string, unknown> =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isObject(a) || !isObject(b)) return JSON.stringify(a) === JSON.stringify(b);
  const names = Object.keys(a);
  return names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && sameMembers(a[name], b[name]));
}

Deno.test("a text has an outline exactly if JSON.parse reads it, with a spot for every member", () => {
  fc.assert(fc.property(fc.jsonValue(), fc.nat(3), fc.nat(200), (value, indent, at) => {
    const text = JSON.stringify(value, null, indent);
    ok(outline(text).problem === undefined, text);
    const broken = text.slice(0, at % (text.length + 1)) + text.slice(at % (text.length + 1) + 1);
    let isJson = true;
    try {
      JSON.parse(broken);
    } catch {
      isJson = false;
    }
    strictEqual(outline(broken).problem === undefined, isJson, broken);
  }));
});

Deno.test("a spot is the line and column of a member, or of the nearest one around it", () => {
  const { spots } = outline('{\n  "a": {\n    "b": [1,\n 2]\n  }\n}') as { spots: Map<string, never> };
  deepStrictEqual(spotOf(spots, "a.b"), { line: 3, column: 5 });
  deepStrictEqual(spotOf(spots, "a.b.1"), { line: 4, column: 2 });
  deepStrictEqual(spotOf(spots, "a.missing.deep"), { line: 2, column: 3 });
  deepStrictEqual(outline('{"a": 1,}').problem, {
    line: 1,
    column: 9,
    message: 'a comma before "}" is too many',
  });
});

Deno.test("long integers keep their digits", () => {
  const text = '{"id":9007199254740993,"n":1.5,"s":"9007199254740993","deep":[-123456789012345678901]}';
  strictEqual(JSON.stringify(parseJson(text)), text);
});

Deno.test("hidden characters are shown as escapes, and other text stays as it is", () => {
  strictEqual(visible("a\u202eb\u0000\u200bü😀\ud800"), "a\\u202eb\\u0000\\u200bü😀\\ud800");
  strictEqual(visible("née 😀 <img>"), "née 😀 <img>");
  strictEqual([...shortened("x".repeat(50), 20)].length, 20);
  deepStrictEqual([percent(0, 0), percent(1, 3), percent(1, 10_000), percent(9_999, 10_000)], [
    "0%",
    "33.3%",
    "<0.1%",
    "99.9%",
  ]);
});

testWhere(missing("sh"), {
  name: "a quoted text is one word of a shell, whatever is in it, and a command holds no token",
  async fn() {
    const texts = fc.sample(fc.string({ unit: "grapheme" }).filter((text) => !text.includes("\0")), 60);
    const command = `printf '%s\\0' ${texts.map(quoted).join(" ")}`;
    const { stdout } = await new Deno.Command("sh", { args: ["-c", command] }).output();
    deepStrictEqual(
      new TextDecoder().decode(stdout).split("\0").slice(0, -1),
      texts.map((text) => text.toWellFormed()),
    );
    const shown = curl({ url: "http://h/api/v1/events", method: "POST", body: '{"a":"it\'s"}', as: "KEY" });
    ok(shown.includes('-u "$KEY:"') && shown.includes(`'{"a":"it'\\''s"}'`), shown);
  },
});

Deno.test("a field shows a moment and gives it back, and a range ends with the current period", () => {
  const ms = Date.parse("2025-03-02T14:04:07Z");
  for (const zone of ["utc", "local"] as const) strictEqual(fromField(fieldValue(ms, zone), zone), ms);
  strictEqual(fromField("nonsense", "utc"), undefined);
  const { from, to, before, per } = spanOf("1h", ms);
  deepStrictEqual([to - ms < 60_000, to - from, from - before, per], [true, 3_600_000, 3_600_000, "minute"]);
});

Deno.test("the builder shows each new condition as its kind, and what it cannot show whole as JSON", () => {
  for (const kind of Object.keys(KIND_NAMES) as Kind[]) strictEqual(kindOf(blank(kind)), kind);
  for (
    const other of [
      { traits: { plan: "pro", seats: 3 } },
      { traits: { plan: { $in: ["pro"] } } },
      { event: "A", where: { "properties.n": 1 } },
      { event: "A", between: ["2d", "1d"] },
      { event: "A", count: { $gte: 1, $lt: 3 } },
      { type: "page", name: "home" },
      { all: [], event: "A" },
    ]
  ) strictEqual(kindOf(other), "json", JSON.stringify(other));
});

Deno.test("the text of a field gives the value that it shows", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constantFrom("3", "true", "")),
      (value) => {
        strictEqual(valueOf(fieldText(value)), value);
      },
    ),
  );
});

Deno.test("an explanation is told in the words of its condition", () => {
  const found = { holds: true, holdsSince: "2025-01-01T00:00:00Z", found: 2, events: [] };
  strictEqual(
    sentence({ event: "A", count: { $gte: 2 }, within: "1d", ...found }),
    "A at least 2 times within 1d",
  );
  strictEqual(sentence({ traits: { plan: "pro" }, ...found }), 'plan is "pro"');
  strictEqual(sentence({ event: "A", where: { type: "x" }, ...found }), '{"event":"A","where":{"type":"x"}}');
});

Deno.test("growth sums up members by the day since which they belong", () => {
  const members = ["2025-01-02T01:00:00Z", "2025-01-01T23:00:00Z", "2025-01-02T00:00:00Z"].map((since) => ({
    since,
  }));
  deepStrictEqual(growthOf(members), [{ day: "2025-01-01", members: 1 }, { day: "2025-01-02", members: 3 }]);
  deepStrictEqual(growthOf(members, 1), [{ day: "2025-01-02", members: 3 }]);
});
