/**
 * Runs inside QuickJS, before the code of a transformation: takes away what would make a result depend on more than the
 * event and the version, freezes everything that two calls could share, and returns the driver of the calls.
 *
 * How it works: the driver is given lines of JSON, `[event, person, now]`, and gives a line for each: `=` and the result as
 * JSON, or `!` and the failure as JSON; after a tab the logs, if there are any. The host checks the results.
 */
(() => {
  "use strict";
  const RealDate = Date;
  const { defineProperty, freeze, getOwnPropertyDescriptor, getPrototypeOf } = Object;
  const { apply, construct, ownKeys } = Reflect;
  const { parse: parseJson, stringify: writeJson } = JSON;

  /** UTF-16 units of all lines that one call may log, and of a failure's message. */
  const LOG_UNITS = 4096;
  const MESSAGE_UNITS = 1000;
  /** UTF-16 units of one call's results: no more than ten of 32 KiB can be valid. */
  const RESULT_UNITS = 10 * 32 * 1024;
  /** Units of a text or an array that cost nothing, and units of larger ones that one call may go through in all. */
  const LARGE_UNITS = 16 * 1024;
  const MAX_WORK_UNITS = 128 * 1024 * 1024;
  /** Functions that take much longer for a unit. */
  const SLOW = [
    "fill",
    "flat",
    "join",
    "localeCompare",
    "match",
    "matchAll",
    "normalize",
    "replace",
    "replaceAll",
    "search",
    "sort",
    "split",
    "toLowerCase",
    "toSorted",
    "toUpperCase",
  ];
  const SLOW_WEIGHT = 16;
  /** Marks a long integer in a string of JSON. The host writes and reads it. */
  const LONG = "\u0001long:";
  const LONG_TEXT = new RegExp(`^${LONG}-?\\d+$`);

  /** The call at hand. */
  let now = "";
  let seed = "";
  let version = "";
  let random;
  let logs = [];
  let logUnits = 0;
  let work = 0;

  let factory;
  let params;
  /** The outcome of an asynchronous call; `undefined` until it settles. */
  let settled;

  function installClock() {
    // Not a class: `Date()` may be called without `new`.
    function Date(...args) {
      if (new.target === undefined) return new RealDate(RealDate.parse(now)).toString();
      return construct(RealDate, args.length === 0 ? [RealDate.parse(now)] : args, new.target);
    }
    Date.prototype = RealDate.prototype;
    Date.now = () => RealDate.parse(now);
    Date.parse = RealDate.parse;
    Date.UTC = RealDate.UTC;
    defineProperty(RealDate.prototype, "constructor", { value: Date, writable: true, configurable: true });
    define("Date", Date);
  }

  /** A generator (sfc32) whose state begins as a hash of version and message id. */
  function seeded() {
    let a = 0x9e3779b9, b = 0x243f6a88, c = 0xb7e15162, d = 1;
    const next = () => {
      const t = (a + b + d) | 0;
      d = (d + 1) | 0;
      a = b ^ (b >>> 9);
      b = (c + (c << 3)) | 0;
      c = ((c << 21) | (c >>> 11)) + t | 0;
      return t >>> 0;
    };
    const text = version + "\n" + seed;
    for (let i = 0; i < text.length; i++) {
      a ^= text.charCodeAt(i);
      next();
    }
    for (let i = 0; i < 12; i++) next();
    // 53 bits, as a number from 0 up to, but not, 1.
    return () => ((next() >>> 5) * 0x4000000 + (next() >>> 6)) / 0x20000000000000;
  }

  function define(name, value) {
    defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
  }

  function installConsole() {
    const log = (...values) => {
      const line = values.map(shown).join(" ").slice(0, Math.max(0, LOG_UNITS - logUnits));
      if (logUnits >= LOG_UNITS) return;
      logUnits += line.length + 1;
      logs.push(line);
    };
    define("console", { log, info: log, warn: log, error: log, debug: log });
  }

  function shown(value) {
    if (typeof value === "string") return value;
    try {
      return JSON.stringify(value) ?? String(value);
    } catch {
      return String(value);
    }
  }

  /** Code from strings could declare names that the next call sees. */
  function removeCompilers() {
    const samples = [function () {}, function* () {}, async function () {}, async function* () {}];
    for (const sample of samples) {
      const prototype = getPrototypeOf(sample);
      const { constructor: Real } = prototype;
      const Refused = function () {
        throw new TypeError("Code from strings is not allowed.");
      };
      Refused.prototype = prototype;
      defineProperty(prototype, "constructor", { value: Refused, writable: true, configurable: true });
      if (globalThis.Function === Real) define("Function", Refused);
    }
    delete globalThis.eval;
  }

  /**
   * Charges for the functions that go through a whole text or array: each is one step, however large it is, so that a loop
   * of them would take minutes.
   */
  function chargeForSize(prototype, names) {
    for (const name of names) {
      const real = prototype[name];
      const weight = SLOW.includes(name) ? SLOW_WEIGHT : 1;
      const { [name]: charged } = {
        [name](a) {
          if (this?.length > LARGE_UNITS) charge(this.length * weight);
          if (name === "repeat" || name.startsWith("pad")) charge(a > LARGE_UNITS ? a : 0);
          return apply(real, this, arguments);
        },
      };
      defineProperty(charged, "length", { value: real.length });
      defineProperty(prototype, name, { value: charged, writable: true, configurable: true });
    }
  }

  function charge(units) {
    work += units;
    // Takes all the steps that are left: an error could be caught.
    if (work > MAX_WORK_UNITS) { for (;;); }
  }

  function chargeForAll() {
    const both = ["concat", "includes", "indexOf", "lastIndexOf", "slice"];
    const text =
      "normalize padEnd padStart repeat replace replaceAll split substring substr toLowerCase toUpperCase";
    const trims = "trim trimEnd trimStart localeCompare isWellFormed toWellFormed search match matchAll";
    chargeForSize(String.prototype, [...both, ...text.split(" "), ...trims.split(" ")]);
    const arrays =
      "copyWithin fill flat join reverse shift sort splice toReversed toSorted toSpliced unshift with";
    chargeForSize(Array.prototype, [...both, ...arrays.split(" ")]);
    const typed =
      "copyWithin fill includes indexOf join lastIndexOf reverse set slice sort toReversed toSorted with";
    chargeForSize(getPrototypeOf(Uint8Array.prototype), typed.split(" "));
    const { parse, stringify } = JSON;
    JSON.parse = function (text, reviver) {
      if (text?.length > LARGE_UNITS) charge(text.length);
      return parse(text, reviver);
    };
    JSON.stringify = function (value, replacer, space) {
      const text = stringify(value, replacer, space);
      if (text?.length > LARGE_UNITS) charge(text.length);
      return text;
    };
  }

  /**
   * Lets objects have own members of names that a frozen prototype has (`error.name = …`), as in an unfrozen world: an
   * assignment to a member that is read-only in the prototype would throw.
   */
  function allowOwnMembers(prototype) {
    for (const key of ownKeys(prototype)) {
      const { value, writable, configurable, enumerable } = getOwnPropertyDescriptor(prototype, key);
      if (!writable || !configurable) continue;
      defineProperty(prototype, key, {
        get: () => value,
        set(own) {
          if (this === prototype) throw new TypeError("Built-in objects are read-only.");
          defineProperty(this, key, { value: own, writable: true, configurable: true, enumerable: true });
        },
        configurable: false,
        enumerable,
      });
    }
  }

  /** Freezes a value and everything that can be reached from it. */
  function harden(root, done) {
    const waiting = [root];
    while (waiting.length > 0) {
      const value = waiting.pop();
      if ((typeof value !== "object" && typeof value !== "function") || value === null || done.has(value)) {
        continue;
      }
      done.add(value);
      freeze(value);
      waiting.push(getPrototypeOf(value));
      for (const key of ownKeys(value)) {
        const member = getOwnPropertyDescriptor(value, key);
        waiting.push(member.value, member.get, member.set);
      }
    }
  }

  const hardened = new WeakSet();

  /** What syntax alone reaches. */
  function hidden() {
    const iterators = [[].values(), new Map().values(), new Set().values(), ""[Symbol.iterator]()];
    const asyncGenerator = async function* () {};
    return [
      ...iterators,
      "".matchAll(/a/g),
      function* () {},
      (function* () {})(),
      async function () {},
      asyncGenerator,
      asyncGenerator(),
      getOwnPropertyDescriptor(
        (function () {
          return arguments;
        })(),
        "callee",
      ),
      Iterator.from({ next() {} }),
      [].values().map((x) => x),
    ].map((each) => typeof each === "object" || typeof each === "function" ? each : undefined);
  }

  for (const name of ["SharedArrayBuffer", "Atomics", "WeakRef", "FinalizationRegistry", "performance"]) {
    delete globalThis[name];
  }
  installClock();
  installConsole();
  Math.random = () => (random ??= seeded())();
  BigInt.prototype.toJSON = function () {
    return LONG + this;
  };
  chargeForAll();
  removeCompilers();
  const errors = [
    Error,
    EvalError,
    RangeError,
    ReferenceError,
    SyntaxError,
    TypeError,
    URIError,
    AggregateError,
  ];
  for (const each of [Object, Function, ...errors]) allowOwnMembers(each.prototype);
  harden(globalThis, hardened);
  for (const each of hidden()) harden(each, hardened);

  /** Turns marked strings into integers that keep their digits. */
  const withLong = (_, value) =>
    typeof value === "string" && LONG_TEXT.test(value) ? BigInt(value.slice(LONG.length)) : value;

  function call(line, hasLong) {
    const [event, person, at] = hasLong ? parseJson(line, withLong) : parseJson(line);
    now = at;
    seed = event.messageId;
    random = undefined;
    work = 0;
    if (logs.length > 0) {
      logs = [];
      logUnits = 0;
    }
    // Anew for each call: what the code keeps beside its function begins as it was.
    const transform = factory();
    if (typeof transform !== "function") {
      throw new TypeError("The default export must be a function.");
    }
    return transform(event, { person: person ?? undefined, groups: person?.groups, params });
  }

  function written(result) {
    if (result === null) return "=null";
    if (typeof result !== "object") {
      throw new TypeError(
        `The function must return an event, an array of events or null; got ${
          result === undefined ? "undefined" : typeof result
        }.`,
      );
    }
    const text = writeJson(result);
    if (text === undefined) throw new TypeError("The result has no JSON.");
    if (text.length > RESULT_UNITS) throw new RangeError("The result is larger than 10 events of 32 KiB.");
    return "=" + text;
  }

  function failed(error) {
    let message = "unknown error";
    let line;
    try {
      // Without memory QuickJS has no error object either, and throws `null`.
      if (error === null) message = "InternalError: out of memory";
      else if (error instanceof Error) {
        message = error.name === "Error" ? String(error.message) : `${error.name}: ${error.message}`;
        line = /transformation\.js:(\d+)/.exec(String(error.stack))?.[1];
      } else message = shown(error);
    } catch {
      // The error's own getters fail.
    }
    const found = { message: String(message).slice(0, MESSAGE_UNITS) };
    if (line !== undefined) found.line = Number(line);
    return "!" + writeJson(found);
  }

  const withLogs = (text) => logs.length === 0 ? text : `${text}\t${writeJson(logs)}`;

  function run(line, hasLong) {
    try {
      const result = call(line, hasLong);
      if (typeof result?.then === "function") return result;
      return withLogs(written(result));
    } catch (error) {
      return withLogs(failed(error));
    }
  }

  return {
    install(made, options) {
      factory = made;
      harden(factory, hardened);
      const read = JSON.parse(options);
      ({ version } = read);
      params = read.params;
      harden(params, hardened);
    },
    /** Runs all lines; `""` if one of them is asynchronous. */
    batch(input, hasLong) {
      const lines = input.split("\n");
      for (let i = 0; i < lines.length; i++) {
        const output = run(lines[i], hasLong);
        if (typeof output !== "string") return "";
        lines[i] = output;
      }
      return lines.join("\n");
    },
    /** Begins one line: its output, or `""` if it is asynchronous. Then the host runs jobs, and asks for the outcome. */
    begin(line, hasLong) {
      settled = undefined;
      const output = run(line, hasLong);
      if (typeof output === "string") return output;
      const settle = (write, value) => {
        try {
          settled = withLogs(write(value));
        } catch (error) {
          settled = withLogs(failed(error));
        }
      };
      (async () => await output)().then((value) => settle(written, value), (error) => settle(failed, error));
      return "";
    },
    outcome: () =>
      settled ?? withLogs('!{"message":"The promise that the function returned never settled."}'),
  };
})();
