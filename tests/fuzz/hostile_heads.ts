/** Attacks by paths, headers, credentials, and by how a request is sent. */
import { ADMIN_TOKEN, WRITE_KEY } from "../process/server.ts";
import { HOSTILE_TEXT } from "./generated.ts";
import { ADMIN, deep, type Hostile, ONE, page, post } from "./hostile_request.ts";
import { type Piece, request } from "./wire.ts";

/** Ids in paths, well-formed or not, on the reading routes. */
export function ofPaths(): Hostile[] {
  const bad = ["%", "%z", "%ff", "%c0%af", "%ed%a0%80", "%f4%90%80%80", "%e2%82"];
  const unknown = [
    "%00",
    "%0d%0aX-Injected:%201",
    "..%2f..%2fetc",
    "%2e%2e",
    "__proto__",
    "%2520",
    ";",
    "x".repeat(9000),
    "%f0%9f%98%80".repeat(256),
  ];
  const known = HOSTILE_TEXT.filter((text) => text.isWellFormed() && text !== "").map(encodeURIComponent);
  const get = (path: string, statuses: number[]): Hostile => ({
    name: path.length <= 60 ? `GET ${path}` : `GET ${path.slice(0, 60)}… of ${path.length} characters`,
    method: "GET",
    path,
    statuses,
    pieces: request(`GET ${path}`, { headers: ADMIN }),
  });
  return [
    ...bad.flatMap((id) => [get(`/api/v1/users/${id}`, [400]), get(`/api/v1/groups/${id}/members`, [400])]),
    ...unknown.map((id) => get(`/api/v1/users/${id}/events`, [200, 404])),
    ...known.map((id) => get(`/api/v1/anonymous/${id}?at=2025-01-01`, [200, 404])),
    ...["/%2e%2e/api", "//api/v1/users/h", "/api//v1/users/h", "/api/v1/users/", "/API/V1/users/h"].map((
      path,
    ) => get(path, [404])),
    ...[
      "limit=501",
      "limit=1e2",
      "limit=%00",
      "limit=1&limit=2",
      "cursor=",
      "cursor=%ff",
      `cursor=${"W".repeat(9000)}`,
      `cursor=${btoa(deep(3000))}`,
      `cursor=${btoa('[9e99,9e99,9e99,"desc"]')}`,
      `cursor=${btoa('[0,-9007199254740991,0,"desc"]')}`,
      "order=up",
      "type=all",
      "event=%ff",
      "__proto__=1&constructor=2",
      `${"x".repeat(20_000)}=1`,
    ]
      .map((query) => get(`/api/v1/users/h/events?${query}`, [400])),
    ...[
      `cursor=${btoa(`["${"0".repeat(24)}",-9007199254740991,"${"0".repeat(24)}","desc"]`)}`,
      `cursor=${btoa(`["000${"f".repeat(21)}",9007199254740991,"000${"f".repeat(21)}","desc"]`)}`,
      `event=${"x".repeat(20_000)}`,
      "&".repeat(20_000),
    ]
      .map((query) => get(`/api/v1/users/h/events?${query}`, [200])),
  ];
}

/** Heads that no client would send: the runtime answers most of them itself. */
export function ofHeads(): Hostile[] {
  const line = (name: string, text: string, statuses: number[]): Hostile => ({
    name,
    method: "GET",
    path: "/",
    statuses,
    pieces: [text],
  });
  const event = page('"userId":"h"');
  const sent = (headers: string, body = event) =>
    `POST ${ONE} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${headers}\r\n\r\n${body}`;
  const key = `x-write-key: ${WRITE_KEY}`;
  return [
    line("noise", String.fromCharCode(...crypto.getRandomValues(new Uint8Array(1000))), [0, 400]),
    line("a TLS hello", "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", [0, 400]),
    line("the preface of HTTP/2 and noise", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "\xff".repeat(100), [
      0,
      400,
    ]),
    line("HTTP/0.9", "GET /\r\n\r\n", [0, 400]),
    line("HTTP/9.9", "GET / HTTP/9.9\r\n\r\n", [0, 400]),
    line("a method of 100,000 letters", `${"A".repeat(100_000)} / HTTP/1.1\r\n\r\n`, [0, 400]),
    line("a path of 100,000 letters", `GET /${"a".repeat(100_000)} HTTP/1.1\r\nhost: x\r\n\r\n`, [
      0,
      400,
      414,
    ]),
    line("a path with a blank", "GET /a b HTTP/1.1\r\nhost: x\r\n\r\n", [0, 400]),
    line("a path with NUL", "GET /\0 HTTP/1.1\r\nhost: x\r\n\r\n", [0, 400]),
    line("a path of raw bytes", "GET /api/v1/users/\xff HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", [
      0,
      400,
      401,
    ]),
    line("a header of 1 MB", `GET / HTTP/1.1\r\nhost: x\r\na: ${"a".repeat(1_000_000)}\r\n\r\n`, [
      0,
      400,
      431,
    ]),
    line("a thousand headers", `GET / HTTP/1.1\r\nhost: x\r\n${"a: b\r\n".repeat(1000)}\r\n`, [0, 400, 431]),
    line("a header with CR alone", "GET / HTTP/1.1\r\nhost: x\r\na: b\rc: d\r\n\r\n", [0, 400]),
    line("a header with NUL", "GET / HTTP/1.1\r\nhost: x\r\na: b\0c\r\n\r\n", [0, 400]),
    line("a folded header", "GET / HTTP/1.1\r\nhost: x\r\na: b\r\n c\r\nconnection: close\r\n\r\n", [
      0,
      400,
      404,
    ]),
    line("a header without a name", "GET / HTTP/1.1\r\nhost: x\r\n: b\r\n\r\n", [0, 400]),
    line("a blank before a colon", "GET / HTTP/1.1\r\nhost : x\r\n\r\n", [0, 400]),
    line("no host", "GET /healthz HTTP/1.1\r\nconnection: close\r\n\r\n", [200, 400]),
    line("two hosts", "GET /healthz HTTP/1.1\r\nhost: a\r\nhost: b\r\nconnection: close\r\n\r\n", [200, 400]),
    line(
      "a host that is a path",
      "GET /api/v1/admin/stats HTTP/1.1\r\nhost: x/healthz?\r\nconnection: close\r\n\r\n",
      [400, 401],
    ),
    line(
      "a host with a user and a fragment",
      "GET /api/v1/admin/stats HTTP/1.1\r\nhost: a@b#\r\nconnection: close\r\n\r\n",
      [400, 401, 404],
    ),
    ...["x:999999", "[", "[::1", "%zz", "xn--", "1.2.3.4.5"].map((host) =>
      line(
        `a host that is none: ${host}`,
        `GET /v1/projects/${WRITE_KEY}/settings HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`,
        [400],
      )
    ),
    line("an absolute form", "GET http://x/healthz HTTP/1.1\r\nhost: y\r\nconnection: close\r\n\r\n", [200]),
    {
      ...line(
        "a preflight that asks for a header of 10,000 letters",
        `OPTIONS ${ONE} HTTP/1.1\r\nhost: x\r\nconnection: close\r\norigin: null\r\naccess-control-request-method: POST\r\naccess-control-request-headers: ${
          "a".repeat(10_000)
        }\r\n\r\n`,
        [204],
      ),
      method: "OPTIONS",
      path: ONE,
    },
    line("an asterisk", "OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", [404]),
    line("CONNECT", "CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\nconnection: close\r\n\r\n", [0, 400, 404, 405]),
    line("TRACE", "TRACE / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", [404, 405]),
    line("a method in small letters", "get /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", [
      400,
      404,
      405,
    ]),
    line(
      "an upgrade to a web socket",
      "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: upgrade, close\r\nupgrade: websocket\r\nsec-websocket-key: eA==\r\nsec-websocket-version: 13\r\n\r\n",
      [200],
    ),
    line(
      "an upgrade to HTTP/2",
      "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: upgrade, http2-settings, close\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n\r\n",
      [200],
    ),
    ...[
      ["a negative length", `${key}\r\ncontent-length: -1`],
      ["a length in hex", `${key}\r\ncontent-length: 0x10`],
      ["a length with a sign", `${key}\r\ncontent-length: +10`],
      ["a length that is a list", `${key}\r\ncontent-length: 10, 10`],
      ["a length beyond all integers", `${key}\r\ncontent-length: 99999999999999999999999`],
      ["two lengths", `${key}\r\ncontent-length: 10\r\ncontent-length: 11`],
      ["a length and chunks", `${key}\r\ncontent-length: 3\r\ntransfer-encoding: chunked`],
      ["an encoding that is not known", `${key}\r\ntransfer-encoding: gzip`],
      ["chunked and not last", `${key}\r\ntransfer-encoding: chunked, identity`],
      ["chunked in disguise", `${key}\r\ntransfer-encoding: \x0bchunked`],
    ].map(([what, headers]) => line(`a body with ${what}`, sent(headers!), [0, 400])),
    ...[
      ["a size that is no number", "zz\r\n{}\r\n0\r\n\r\n"],
      ["a negative size", "-1\r\n{}\r\n0\r\n\r\n"],
      ["a size beyond all integers", "ffffffffffffffffff\r\n{}\r\n"],
      ["a size and no end of line", "2{}0"],
      ["an extension of 100,000 characters", `2;a=${"b".repeat(100_000)}\r\n{}\r\n0\r\n\r\n`],
      ["trailers of 100,000 characters", `2\r\n{}\r\n0\r\na: ${"b".repeat(100_000)}\r\n\r\n`],
    ].map(([what, body]) => ({
      ...line(`chunks with ${what}`, sent(`${key}\r\ntransfer-encoding: chunked`, body), [0, 400]),
      method: "POST",
      path: ONE,
    })),
    {
      ...line(
        "chunks of one byte",
        sent(
          `${key}\r\ntransfer-encoding: chunked`,
          [...event].map((byte) => `1\r\n${byte}\r\n`).join("") + "0\r\n\r\n",
        ),
        [200],
      ),
      method: "POST",
      path: ONE,
    },
    {
      ...line("a length that is too small", sent(`${key}\r\ncontent-length: 5`), [400]),
      method: "POST",
      path: ONE,
    },
    {
      ...line(
        "a request smuggled into a body",
        sent(
          `${key}\r\ncontent-length: ${event.length}`,
          `${event}GET /api/v1/admin/stats HTTP/1.1\r\nhost: x\r\n\r\n`,
        ),
        [200],
      ),
      method: "POST",
      path: ONE,
    },
  ];
}

/** Bodies that stop, trickle or break off: each is given up, and none holds up anybody else. */
export function ofStalls(): Hostile[] {
  const half = (name: string, headers: string, pieces: Piece[], statuses: number[]): Hostile => ({
    name,
    method: "POST",
    path: ONE,
    statuses,
    pieces: [`POST ${ONE} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${headers}\r\n\r\n`, ...pieces],
  });
  const stalls: [string, string, Piece[]][] = [
    ["that never begins", "content-length: 100", []],
    ["that stops", "content-length: 100", ["{"]],
    ["that is large and stops", "content-length: 4000000", [" ".repeat(3_000_000)]],
    ["in chunks that stop", "transfer-encoding: chunked", ["5\r\n     \r\n"]],
    ["in a chunk that stops", "transfer-encoding: chunked", ["ffff\r\n     "]],
    ["that waits to be told to go on", "content-length: 100\r\nexpect: 100-continue", []],
  ];
  return [
    ...stalls.map(([what, headers, pieces]) =>
      half(`a body ${what}`, `x-write-key: ${WRITE_KEY}\r\n${headers}`, pieces, [400])
    ),
    ...stalls.map(([what, headers, pieces]) => half(`a stranger's body ${what}`, headers, pieces, [401])),
    ...stalls.map(([what, headers, pieces]) =>
      half(`a body of a wrong key ${what}`, `x-write-key: wrong\r\n${headers}`, pieces, [401, 429])
    ),
  ].map((each) => ({ ...each, stalls: true }));
}

/** Credentials as nobody has them. */
export function ofCredentials(): Hostile[] {
  const headers: Record<string, string>[] = [
    { authorization: "Basic " + "A".repeat(60_000) },
    { authorization: "Bearer " + "a".repeat(60_000) },
    { authorization: "Basic " + btoa(":".repeat(1000)) },
    { authorization: "Basic " + btoa("\0") },
    { authorization: "Basic " + btoa("\xff\xfe:") },
    { authorization: "Basic \xff\xfe" },
    { authorization: "Bearer \xe2\x82\xac" },
    { authorization: "Bearer __proto__" },
    { "x-write-key": "constructor" },
    { "x-write-key": "\x80" },
    { authorization: `Bearer ${ADMIN_TOKEN}\t` + "x" },
    { authorization: `Bearer ${ADMIN_TOKEN}, Bearer ${ADMIN_TOKEN}` },
  ];
  return headers.flatMap((each, index) => [
    post(`credential ${index} that sends`, {
      body: page('"userId":"h"'),
      headers: each,
      statuses: [401, 429],
    }),
    {
      name: `credential ${index} that administers`,
      method: "GET",
      path: "/api/v1/admin/keys",
      statuses: [401, 429],
      pieces: request("GET /api/v1/admin/keys", { headers: each }),
    },
  ]);
}

/** Keys with names as nobody would give them: each is made, and its name is data. */
export function ofKeys(): Hostile[] {
  const path = "/api/v1/admin/keys";
  return ["__proto__", "\u0000", "a\r\nb: c"].map((name) =>
    post(`a write key named ${JSON.stringify(name)}`, {
      path,
      body: JSON.stringify({ name }),
      headers: ADMIN,
      statuses: [201],
    })
  );
}
