/** Hostile code: what each tries, and what its event gets instead. */

/** A function whose body is a text. */
export const transforming = (body: string) =>
  `export default function transform(event, { person, groups, params }) {\n${body}\nreturn event;\n}`;

/** One attempt: its code, and the pattern of the line that comes out (`engine.ts`). */
export interface Attempt {
  code: string;
  output: RegExp;
}

/** Text and arrays that are gone through count as steps, too. */
const STEPS = /^!{"message":"The code took more than 2000000 steps/;
const MEMORY = /^!{"message":"InternalError: out of memory"/;
const HOST = /^!{"message":"(The host could not run it|InternalError|RangeError)/;
const NO_STRINGS = /^!{"message":"TypeError: Code from strings is not allowed\."/;

/** By what they try. Each is run for a first event, and its output must match. */
export const ATTEMPTS: Record<string, Attempt> = {
  "an endless loop": { code: transforming("for (;;) {}"), output: STEPS },
  "an endless loop that catches everything": {
    code: transforming("for (;;) { try { for (;;) {} } catch {} finally { continue; } }"),
    output: STEPS,
  },
  "an endless generator": {
    code: transforming("function* f() { for (;;) yield 1; } for (const _ of f()) {}"),
    output: STEPS,
  },
  "endless recursion": { code: transforming("const f = () => f() + 1; f();"), output: HOST },
  "recursion by getters": {
    code: transforming("const o = { get a() { return this.a; } }; o.a;"),
    output: HOST,
  },
  "objects without end": {
    code: transforming("const a = []; for (;;) a.push({ a: [1, 2] });"),
    output: MEMORY,
  },
  "arrays without end": {
    code: transforming("const a = []; for (;;) a.push(new Array(1000).fill(1));"),
    output: MEMORY,
  },
  "texts without end": {
    code: transforming('const a = []; for (;;) a.push("x".repeat(100000) + a.length);'),
    output: MEMORY,
  },
  "buffers without end": {
    code: transforming("const a = []; for (;;) a.push(new Uint8Array(1000000).fill(1));"),
    output: /^!{"message":"(InternalError: out of memory|The code took more than)/,
  },
  "a huge buffer": { code: transforming("new ArrayBuffer(1e9);"), output: MEMORY },
  "a huge text": { code: transforming('let s = "x"; for (;;) s += s;'), output: HOST },
  "a text repeated": { code: transforming('"x".repeat(2 ** 29);'), output: STEPS },
  "slow searches": {
    code: transforming('const s = "x".repeat(5e6); for (let i = 0; i < 1e5; i++) s.indexOf("y" + i);'),
    output: STEPS,
  },
  "slow replacements": {
    code: transforming('const s = "x".repeat(1e6); for (let i = 0; i < 1e5; i++) s.replaceAll("x", "y");'),
    output: STEPS,
  },
  "slow searches in arrays, whose failure would be caught": {
    code: transforming("const a = new Array(1e6).fill(1); for (;;) { try { a.includes(2); } catch {} }"),
    output: STEPS,
  },
  "a slow pattern": { code: transforming('/^(a+)+$/.test("a".repeat(40) + "b");'), output: STEPS },
  "a pattern without end": {
    code: transforming("const r = /x/g; while (r.exec('x')) r.lastIndex = 0;"),
    output: STEPS,
  },
  "deep data": {
    code: transforming("let d = {}; for (let i = 0; i < 1e5; i++) d = { d }; event.properties.d = d;"),
    output: HOST,
  },
  "deep JSON": { code: transforming('JSON.parse("[".repeat(1e6));'), output: HOST },
  "a circle": {
    code: transforming("event.properties.self = event;"),
    output: /^!{"message":"TypeError: circular reference"/,
  },
  "Function by constructor.constructor": {
    code: transforming('return ({}).constructor.constructor("return globalThis")();'),
    output: NO_STRINGS,
  },
  "AsyncFunction": {
    code: transforming('return (async () => {}).constructor("return 1")();'),
    output: NO_STRINGS,
  },
  "GeneratorFunction": {
    code: transforming('return (function* () {}).constructor("yield 1")();'),
    output: NO_STRINGS,
  },
  "Function by Reflect": {
    code: transforming('return Reflect.construct(Function, ["return 1"])();'),
    output: NO_STRINGS,
  },
  "eval": {
    code: transforming('return eval("event");'),
    output: /^!{"message":"ReferenceError: 'eval' is not defined"/,
  },
  "promises that never settle": {
    code: transforming("return new Promise(() => {});"),
    output: /^!{"message":"The promise that the function returned never settled\."}/,
  },
  "jobs without end": {
    code: transforming("const f = () => Promise.resolve().then(f); f();"),
    output: /^!{"message":"The code left more than 10000 jobs/,
  },
  "a loop in a job": {
    code: transforming("return Promise.resolve().then(() => { for (;;) {} });"),
    output: STEPS,
  },
  "a loop in a job, whose failure is caught": {
    code: transforming("return Promise.resolve().then(() => { for (;;) {} }).catch(() => event);"),
    output: STEPS,
  },
  "a loop in a getter of the result": {
    code: transforming("return { get type() { for (;;) {} } };"),
    output: STEPS,
  },
  "a loop in toJSON": { code: transforming("return { toJSON() { for (;;) {} } };"), output: STEPS },
  "a loop in a proxy": {
    code: transforming("return new Proxy(event, { ownKeys() { for (;;) {} } });"),
    output: STEPS,
  },
  "an error whose message throws": {
    code: transforming(
      "throw { get message() { throw 1; }, toString() { throw 2; }, toJSON() { throw 3; } };",
    ),
    output: /^!{"message":"unknown error"}/,
  },
  "a proxy as an error": {
    code: transforming("throw new Proxy(new Error(), { get() { throw 1; } });"),
    output: /^!{"message":"unknown error"}/,
  },
  "a loop in an error": {
    code: transforming("throw { toJSON() { for (;;) {} } };"),
    output: STEPS,
  },
  "a huge result": {
    code: transforming('event.properties.x = "x".repeat(400000);'),
    output: /^!{"message":"RangeError: The result is larger than 10 events of 32 KiB\."/,
  },
  "the host": {
    code: transforming(
      "event.properties = [Deno, process, fetch, require].map((x) => typeof x);",
    ),
    output: /^!{"message":"ReferenceError: 'Deno' is not defined"/,
  },
  "process": {
    code: transforming("process.exit();"),
    output: /^!{"message":"ReferenceError: 'process' is not defined"/,
  },
  "fetch": {
    code: transforming('return fetch("http://127.0.0.1/").then(() => event);'),
    output: /^!{"message":"ReferenceError: 'fetch' is not defined"/,
  },
};

/** What one call leaves behind, and the next one looks for: `found` must be undefined at each. */
export const LEAKS: Record<string, string> = {
  "a global": transforming("event.properties.found = globalThis.leak; try { globalThis.leak = 1; } catch {}"),
  "a variable of the module": `let leak; const all = new Map();
${transforming("event.properties.found = leak ?? all.get(1); leak = 1; all.set(1, 1);")}`,
  "a member of the function": transforming("event.properties.found = transform.leak; transform.leak = 1;"),
  "a member of Object.prototype": transforming(
    "event.properties.found = ({}).leak; try { Object.prototype.leak = 1; } catch {}",
  ),
  "a member of Object.prototype by __proto__": transforming(
    "event.properties.found = ({}).leak; try { event.__proto__.leak = 1; } catch {}",
  ),
  "a replaced function": transforming(
    "event.properties.found = [].map.leak; try { Array.prototype.map = Object.assign(() => 1, { leak: 1 }); } catch {}",
  ),
  "a member of a generator's prototype": transforming(
    "const p = Object.getPrototypeOf(function* () {}); event.properties.found = p.leak ?? p.prototype.leak; " +
      "try { p.leak = 1; } catch {} try { p.prototype.leak = 1; } catch {}",
  ),
  "a member of an iterator's prototype": transforming(
    "const p = Object.getPrototypeOf([].values()); event.properties.found = p.leak; try { p.leak = 1; } catch {}",
  ),
  "a member of an async generator's prototype": transforming(
    "const p = Object.getPrototypeOf(async function* () {}).prototype; event.properties.found = p.leak; " +
      "try { p.leak = 1; } catch {}",
  ),
  "a member of the params": transforming(
    "event.properties.found = params.leak; try { params.leak = 1; } catch {}",
  ),
  "a member of console": transforming(
    "event.properties.found = console.leak; try { console.leak = 1; } catch {}",
  ),
  "a getter of Error.prototype": transforming(
    "event.properties.found = new Error().leak; try { Object.defineProperty(Error.prototype, 'leak', { value: 1 }); } catch {}",
  ),
  "a job that runs later": transforming(
    "event.properties.found = globalThis.leak; Promise.resolve().then(() => { globalThis.leak = 1; }).catch(() => {});",
  ),
};
