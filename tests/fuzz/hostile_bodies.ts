/** Attacks by what is in a body. */
import { gzipSync } from "node:zlib";
import type { Got } from "./answers.ts";
import { BATCH, deep, type Hostile, ONE, page, post, SENDER } from "./hostile_request.ts";
import { bytesOf } from "./wire.ts";

const gzip = (data: string | Uint8Array) => new Uint8Array(gzipSync(data));
const joined = (...parts: Uint8Array[]) => Uint8Array.from(parts.flatMap((part) => [...part]));
const deepObject = (levels: number) => '{"a":'.repeat(levels) + "1" + "}".repeat(levels);
const accepted = (count: number) => ({ text }: Got) => {
  const found = JSON.parse(text).accepted;
  return found === count ? undefined : `${found} accepted, not ${count}`;
};

/** Events, and whether they are taken; each is sent alone, in a batch, and beside a good one. */
const EVENTS: [what: string, json: string | Uint8Array, isTaken: boolean][] = [
  ["33 levels", page(`"userId":"h","properties":${deep(32)}`), false],
  ["31 levels below the top", page(`"userId":"h","context":{"a":${deep(30)}}`), true],
  ["100,000 levels", page(`"userId":"h","properties":{"a":${deep(100_000)}}`), false],
  ["250,000 levels", page(`"userId":"h","x":${deep(250_000)}`), false],
  [
    "objects of 100,000 levels",
    page(`"userId":"h","x":${deepObject(100_000)}`),
    false,
  ],
  ["a key twice", page(`"userId":"first","userId":"h"`), true],
  ["a type twice", `{"type":"nonsense","userId":"h","type":"page"}`, true],
  ["__proto__ in place of members", `{"__proto__":{"type":"page","userId":"h"}}`, false],
  ["__proto__ beside members", page(`"userId":"h","__proto__":{"userId":"x","admin":true}`), true],
  [
    "traits that are prototypes",
    `{"type":"identify","userId":"h","traits":{"__proto__":{"a":1},"constructor":1,"toString":2}}`,
    true,
  ],
  ["an infinite number", page(`"userId":"h","properties":{"n":1e999}`), false],
  ["a negative infinite number", page(`"userId":"h","properties":{"n":-1e999}`), false],
  ["a number of 10,000 digits", page(`"userId":"h","properties":{"n":${"9".repeat(10_000)}}`), true],
  ["an id of 257 digits", page(`"userId":${"9".repeat(257)}`), false],
  [
    "long integers at any depth",
    page(`"userId":"h","x":${"[12345678901234567890,".repeat(5000)}1${"]".repeat(5000)}`),
    false,
  ],
  ["a number of 300 digits", page(`"userId":"h","properties":{"n":${"9".repeat(300)}}`), true],
  ["a number too small to be told from zero", page(`"userId":"h","properties":{"n":1e-9999}`), true],
  ["an id that is an infinite number", page(`"userId":1e999`), false],
  ["an id that is minus zero", page(`"userId":-0`), true],
  ["an id that is an array", page(`"userId":["h"]`), false],
  ["an id that is an object with a toString", page(`"userId":{"toString":"h","length":3}`), false],
  ["an id that is true", page(`"userId":true`), false],
  ["an id of 256 astral characters", page(`"userId":"${"\u{1f600}".repeat(256)}"`), true],
  ["an id of 257 characters", page(`"userId":"${"x".repeat(257)}"`), false],
  ["an id with CR and LF", page(`"userId":"h\\r\\nX-Injected: 1\\r\\n\\r\\n"`), true],
  ["an id with NUL", page(`"userId":"h\\u0000x"`), true],
  ["an id of a lone surrogate", page(`"userId":"\\ud800"`), false],
  ["an id of surrogates in the wrong order", page(`"userId":"\\udc00\\ud800"`), false],
  ["a messageId with CR and LF", page(`"userId":"h","messageId":"m\\r\\nSet-Cookie: a=b"`), true],
  ["a messageId of a lone surrogate", page(`"userId":"h","messageId":"\\udfff"`), false],
  ["a messageId that is a number", page(`"userId":"h","messageId":7`), true],
  ["a messageId that is an infinite number", page(`"userId":"h","messageId":-1e999`), false],
  ["a messageId that is true", page(`"userId":"h","messageId":true`), false],
  ["an empty messageId", page(`"userId":"h","messageId":""`), false],
  [
    "an event name with escapes for a terminal",
    `{"type":"track","userId":"h","event":"\\u001b[2J\\u0007"}`,
    true,
  ],
  ["an event name of a lone surrogate", `{"type":"track","userId":"h","event":"\\ud83d"}`, false],
  ["an event name that is an object", `{"type":"track","userId":"h","event":{}}`, false],
  ["a key of a lone surrogate", page(`"userId":"h","properties":{"\\ud800":1}`), false],
  ["a value of a lone surrogate", page(`"userId":"h","properties":{"a":"\\ud800"}`), true],
  ["a key of 30 KB", page(`"userId":"h","properties":{"${"k".repeat(30_000)}":1}`), true],
  ["an event of 33 KB", page(`"userId":"h","properties":{"a":"${"x".repeat(33_000)}"}`), false],
  [
    "an event of 33 KB as escapes",
    page(`"userId":"h","properties":{"a":"${"\\u0001".repeat(5_500)}"}`),
    false,
  ],
  [
    "501 properties",
    page(
      `"userId":"h","properties":${JSON.stringify(Object.fromEntries(Array(501).keys().map((n) => [n, n])))}`,
    ),
    false,
  ],
  ["traits that are an array", `{"type":"identify","userId":"h","traits":[1,2,3]}`, false],
  ["properties that are a string", page(`"userId":"h","properties":"x"`), false],
  ["a type that is a number", `{"type":1,"userId":"h"}`, false],
  ["a type in capitals", `{"type":"PAGE","userId":"h"}`, false],
  ["a type that is a prototype's", `{"type":"constructor","userId":"h"}`, false],
  ["a timestamp of the year 275760", page(`"userId":"h","timestamp":"+275760-09-13T00:00:00.000Z"`), false],
  [
    "a timestamp of 100,000 digits",
    page(`"userId":"h","timestamp":"2025-01-01T00:00:00.${"1".repeat(20_000)}Z"`),
    false,
  ],
  ["a timestamp that is a number", page(`"userId":"h","timestamp":1742000000000}`.slice(0, -1)), false],
  [
    "a sentAt thousands of years ahead",
    page(`"userId":"h","timestamp":"0001-01-01","sentAt":"9999-12-31"`),
    true,
  ],
  ["only nothing", "{}", false],
  ["20,000 empty objects", page(`"userId":"h","x":[${"{},".repeat(10_000)}{}]`), true],
];

const GOOD = page(`"userId":"good"`);

/** {@link EVENTS}, each alone and in batches. */
export function ofEvents(): Hostile[] {
  return EVENTS.flatMap(([what, json, isTaken]) => [
    post(`an event with ${what}`, { body: json, statuses: isTaken ? [200] : [400, 413] }),
    {
      ...post(`a batch of an event with ${what}`, {
        path: BATCH,
        body: `{"batch":[${json}]}`,
        statuses: [200],
      }),
      fault: accepted(isTaken ? 1 : 0),
    },
    {
      ...post(`a good event after one with ${what}`, {
        path: BATCH,
        body: `{"batch":[${json},${GOOD}]}`,
        statuses: [200],
      }),
      fault: accepted(isTaken ? 2 : 1),
    },
  ]);
}

/** Bodies that are no event and no batch, on both routes: 400 where no other status stands beside. */
const BODIES: [what: string, body: string | Uint8Array, status?: number][] = [
  ["nothing", ""],
  ["blanks", " \n\t"],
  ["4 MiB of blanks", " ".repeat(4 * 1024 * 1024)],
  ["null", "null"],
  ["a number", "1"],
  ["a string of 4 MB", `"${"x".repeat(4_000_000)}"`],
  ["an array", "[]"],
  ["two million levels", deep(2_000_000), 413],
  ["four million open brackets", "[".repeat(4_000_000), 413],
  ["a comma too many", '{"type":"page",}'],
  ["single quotes", "{'type':'page'}"],
  ["a comment", '{/**/"type":"page"}'],
  ["two values", '{"type":"page"}{"type":"page"}'],
  ["half a value", '{"type":"pa'],
  ["a bare control character", '{"type":"pa\n"}'],
  ["NUL bytes", new Uint8Array(100)],
  ["a lone continuation byte", bytesOf('{"type":"page","userId":"\x80"}')],
  ["an overlong slash", bytesOf('{"type":"page","userId":"\xc0\xaf"}')],
  ["a surrogate in UTF-8", bytesOf('{"type":"page","userId":"\xed\xa0\x80"}')],
  ["a code point beyond Unicode", bytesOf('{"type":"page","userId":"\xf4\x90\x80\x80"}')],
  ["a cut sequence", bytesOf('{"type":"page","userId":"\xe2\x82"}')],
  ["UTF-16", bytesOf('\xff\xfe{\0"\0t\0')],
  ["UTF-32", bytesOf("\0\0\xfe\xff\0\0\0{")],
  ["noise", crypto.getRandomValues(new Uint8Array(60_000))],
  ["a form", "type=page&userId=h"],
  ["XML", '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'],
];

/** {@link BODIES}, to each route. */
export function ofBodies(): Hostile[] {
  return BODIES.flatMap(([what, body, status = 400]) =>
    [ONE, BATCH].map((path) => post(`${what} to ${path}`, { path, body, statuses: [status] }))
  );
}

const BATCHES: [what: string, body: string, statuses: number[], count?: number][] = [
  ["501 events", `{"batch":[${Array(501).fill(GOOD)}]}`, [400]],
  ["a million empty events", `{"batch":[${"{},".repeat(1_000_000)}{}]}`, [413]],
  ["200,000 empty events", `{"batch":[${"{},".repeat(200_000)}{}]}`, [400, 429]],
  ["a batch that is an object", '{"batch":{"0":{},"length":1}}', [400]],
  ["a batch in a batch", `{"batch":[{"batch":[${GOOD}]}]}`, [200], 0],
  ["a context of 100,000 levels", `{"batch":[${GOOD}],"context":{"a":${deep(100_000)}}}`, [200], 0],
  [
    "a context of 250,000 levels that the event has itself",
    `{"batch":[${page('"userId":"h","context":{"a":1}')}],"context":{"a":${deep(250_000)}}}`,
    [200],
    1,
  ],
  [
    "integrations of a million levels",
    `{"batch":[${page('"userId":"h","integrations":{"a":1}')}],"integrations":{"a":${deep(1_000_000)}}}`,
    [413],
  ],
  ["a context of 1e999", `{"batch":[${GOOD}],"context":{"a":1e999}}`, [200], 0],
  ["a context that is a prototype", `{"batch":[${GOOD}],"context":{"__proto__":{"a":1}}}`, [200], 1],
  [
    "a context of 20 KB in 500 events",
    `{"batch":[${Array(500).fill(GOOD)}],"context":{"a":"${"x".repeat(20_000)}"}}`,
    [413],
  ],
  [
    "a context of 4 MB in 500 events",
    `{"batch":[${Array(500).fill(GOOD)}],"context":{"a":"${"x".repeat(4_000_000)}"}}`,
    [200],
    0,
  ],
  [
    "a messageId 500 times",
    `{"batch":[${Array(500).fill(page('"userId":"h","messageId":"same"'))}]}`,
    [200],
    500,
  ],
  [
    "noise that does not compress",
    `{"batch":[${
      Array.from(
        { length: 120 },
        () => page(`"userId":"h","x":"${crypto.getRandomValues(new Uint8Array(20_000)).toBase64()}"`),
      )
    }]}`,
    [413],
  ],
  ["a member of a million empty objects", `{"batch":[${GOOD}],"x":[${"{},".repeat(1_000_000)}{}]}`, [413]],
  ["a member of 200,000 empty objects", `{"batch":[${GOOD}],"x":[${"{},".repeat(200_000)}{}]}`, [200], 1],
  ["a sentAt of 4 MB", `{"batch":[${GOOD}],"sentAt":"${"1".repeat(4_000_000)}"}`, [200], 1],
];

/** {@link BATCHES}. */
export function ofBatches(): Hostile[] {
  return BATCHES.map(([what, body, statuses, count]) => ({
    ...post(`a batch with ${what}`, { path: BATCH, body, statuses }),
    ...count !== undefined && { fault: accepted(count) },
  }));
}

/** Bodies that say they are compressed: bombs, and what is not what it says. */
export function ofEncodings(): Hostile[] {
  const event = gzip(page('"userId":"h"'));
  const member = gzip(new Uint8Array(1024 * 1024));
  const encodings: [what: string, body: Uint8Array, statuses: number[], encoding?: string][] = [
    ["a bomb of 64 MiB", gzip(new Uint8Array(64 * 1024 * 1024)), [413]],
    ["a bomb of 2,000 members of 1 MiB", joined(...Array<Uint8Array>(2000).fill(member)), [413]],
    ["a bomb of JSON", gzip(`"${"x".repeat(40_000_000)}"`), [413]],
    ["a bomb in a bomb", gzip(gzip(new Uint8Array(64 * 1024 * 1024))), [400]],
    ["20,000 empty members", joined(...Array<Uint8Array>(20_000).fill(gzip(""))), [400]],
    ["nothing", new Uint8Array(), [400]],
    ["nothing, compressed", gzip(""), [400]],
    ["half a gzip", event.subarray(0, event.length / 2), [400]],
    ["a wrong checksum", event.map((byte, index) => index === event.length - 6 ? byte ^ 255 : byte), [400]],
    ["a wrong length", event.map((byte, index) => index === event.length - 1 ? byte ^ 255 : byte), [400]],
    ["a header that goes on for ever", bytesOf("\x1f\x8b\x08\x08\0\0\0\0\0\0" + "x".repeat(100_000)), [400]],
    ["plain JSON that says gzip", new TextEncoder().encode(page('"userId":"h"')), [400]],
    ["noise", crypto.getRandomValues(new Uint8Array(60_000)), [400]],
    ["a gzip that says nothing", event, [200], ""],
    ["a gzip that says identity", event, [200], "identity"],
    ["brotli", event, [400], "br"],
    ["gzip twice", gzip(event), [400], "gzip, gzip"],
    ["a hundred encodings", event, [400], Array(100).fill("gzip").join(", ")],
    ["capitals", event, [200], "GZIP"],
    ["an old name", event, [200], "x-gzip"],
  ];
  return encodings.map(([what, body, statuses, encoding = "gzip"]) =>
    post(`a compressed body: ${what}`, {
      body,
      statuses,
      headers: { ...SENDER, "content-encoding": encoding },
    })
  );
}
