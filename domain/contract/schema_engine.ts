/**
 * Schemas as functions: a schema that was read (`schema.ts`) becomes code by Ajv, which tells all that is wrong with a
 * value. Every schema within it pays its price when the engine comes to it, out of what it was given to spend: so
 * neither references that lead back and forth nor a large event can take it long.
 */
import {
  _,
  Ajv2020,
  type CodeKeywordDefinition,
  type ErrorObject,
  type KeywordCxt,
  type Options,
} from "ajv/dist/2020.js";
import { type Budget, type Checker, TOO_COSTLY, type Violation } from "./checker.ts";
import { canonicalJson, dotted, isObject, shown } from "../event/json.ts";
import { MAX_ERRORS } from "../event/rejection.ts";
import {
  PRICE,
  type Price,
  readSchema,
  type ReadySchema,
  type Schema,
  type SchemaProblem,
} from "./schema.ts";
import { FORMATS } from "./schema_format.ts";

/** Units for a character of a text and an instruction of a pattern's program: what the slowest texts were seen to take. */
const UNITS_PER_STEP = 2;

/** Characters of a text that are gone through in a unit, otherwise. */
const CHARACTERS_PER_UNIT = 16;

/** What a small value may cost: a schema that spends this on `{}` leads back to itself. */
const TRIAL_UNITS = 100_000;

/** What it takes to write an item down and look for it among others: units, and characters of it that one more is for. */
const UNITS_PER_ITEM = 10;
const CHARACTERS_PER_ITEM_UNIT = 2;

/** What looking for the others of a first violation may cost: each that is found takes memory. */
const OTHERS_UNITS = 20_000;

/** Evaluated properties that are passed on for a unit each; of more, each takes so many. */
const FEW_MERGED = 100;
const UNITS_PER_MERGED = 5;

const NOTHING: readonly Violation[] = [];

/** How far the sum of a sender's amounts may be off a multiple: a part of it, and of a step at most. */
const MAX_OFF_OF_VALUE = 1e-12;
const MAX_OFF_OF_STEP = 0.01;

/** What two roundings to a double and a division may be off, as a part of the quotient: 1.5 of its last digits. */
const MAX_ROUNDED_OFF = 2 * Number.EPSILON;

/** The most decimal places of which the power of ten is a double: 10 ** 22. */
const MAX_PLACES = 22;

/** No reference leads out, nothing is fetched, nothing is logged. */
const OPTIONS: Options = {
  verbose: true,
  meta: false,
  validateSchema: false,
  strict: false,
  inlineRefs: false,
  ownProperties: true,
  logger: false,
  // Nothing else is done while code is made: tidying it up takes several times as long as making it, and lists become code
  // unless they are loops. It runs as fast without either.
  code: { optimize: false },
  loopEnum: 1,
  loopRequired: 1,
  formats: { ...FORMATS },
};

/** Makes a checker of a schema from outside, or says what is wrong with the schema. Never throws. */
export function compileSchema(
  given: unknown,
): { check: Checker; problem?: undefined } | { problem: SchemaProblem } {
  const ready = readSchema(given);
  if (ready.problem !== undefined) return ready;
  const shape = problemOfShape(given as Schema);
  if (shape !== undefined) return { problem: shape };
  try {
    const check = checkerOf(ready);
    for (const value of [{}, [], "", 0, true, null]) {
      if (check(value, { units: TRIAL_UNITS }) === TOO_COSTLY) {
        return { problem: { path: "", message: "must not lead back to itself without end" } };
      }
    }
    return { check };
  } catch (error) {
    // What the engine itself can't do, such as references through more schemas than its stack has room for.
    return {
      problem: {
        path: "",
        message: `can't be made into code: ${String(error).slice(0, 200).toWellFormed()}`,
      },
    };
  }
}

/** Stops at the first thing that is wrong, so that most events, and hostile ones, cost little; then looks for the others. */
function checkerOf(ready: ReadySchema): Checker {
  const first = compile(ready, { allErrors: false });
  let all: Checker | undefined;
  return (value, budget) => {
    const found = first(value, budget);
    if (found === TOO_COSTLY || found.length === 0) return found;
    all ??= compile(ready, { allErrors: true });
    const units = Math.min(budget.units, OTHERS_UNITS);
    const rest: Budget = { units };
    const more = all(value, rest);
    budget.units -= units - Math.max(0, rest.units);
    return more === TOO_COSTLY ? found : more;
  };
}

let metaSchema: Ajv2020 | undefined;

/** Whether each keyword has a value that it may have, as the specification's own schema says. */
function problemOfShape(schema: Schema): SchemaProblem | undefined {
  // Made when first needed: most processes never store a schema.
  metaSchema ??= new Ajv2020({ ...OPTIONS, meta: true, validateFormats: false });
  if (metaSchema.validateSchema(schema)) return undefined;
  const [first] = metaSchema.errors!.map(violationOf);
  return { path: first!.path, message: `${first!.rule}, found ${first!.found}` };
}

/** Thrown through the engine's code where nothing is left to spend. */
const SPENT = new Error("spent");

function compile(
  { schema, patterns, isUnevaluatedAsked }: ReadySchema,
  { allErrors }: { allErrors: boolean },
): Checker {
  const purse: Budget = { units: 0 };
  const spend = (units: number): void => {
    purse.units -= units;
    if (purse.units < 0) throw SPENT;
  };
  const regExp = (text: string) => {
    const { test, program } = patterns.get(text)!;
    return {
      test(value: string): boolean {
        spend((1 + value.length) * program * UNITS_PER_STEP);
        return test(value);
      },
      // The engine tells patterns apart by this.
      toString: () => text,
    };
  };
  regExp.code = "";
  const engine = new Ajv2020({ ...OPTIONS, allErrors, code: { ...OPTIONS.code, regExp } });
  // What was evaluated is kept and passed on only where somebody asks for the rest.
  engine.opts.unevaluated = isUnevaluatedAsked;
  addPrice(engine, spend);
  mendReferences(engine);
  mendContains(engine);
  addUniqueItems(engine, spend);
  addEquality(engine);
  addMultipleOf(engine);
  const validate = engine.compile(schema);
  return (value, budget) => {
    purse.units = budget.units;
    try {
      return validate(value) ? NOTHING : told(validate.errors!);
    } catch (error) {
      // The stack ends where a schema leads back to itself at once, which is a cost like another.
      if (error === SPENT || error instanceof RangeError) return TOO_COSTLY;
      throw error;
    } finally {
      budget.units = purse.units;
      validate.errors = null;
    }
  };
}

/** The price stands before all other keywords of a schema. */
function addPrice(engine: Ajv2020, spend: (units: number) => void): void {
  engine.addKeyword({
    keyword: PRICE,
    before: "$ref",
    code({ gen, schema, data, it }: KeywordCxt) {
      // What is wrong with one of several, or with what must not be, is counted; what it is, is not asked at first.
      if (it.compositeRule && !it.opts.allErrors) Object.assign(it, { createErrors: false });
      const { units, grows, merges, names } = schema as Price;
      const pay = (how: unknown) => gen.scopeValue("func", { ref: how });
      if (merges > 0) gen.code(_`${pay(spendOnMerging)}(${units}, ${data}, ${merges}, ${names})`);
      else if (grows) gen.code(_`${pay(spendBySize)}(${units}, ${data})`);
      else gen.code(_`${pay(spend)}(${units})`);
    },
  });

  function spendBySize(units: number, value: unknown): void {
    spend(units + sizeOf(value));
  }

  function spendOnMerging(units: number, value: unknown, merges: number, names: number): void {
    const size = sizeOf(value);
    const merged = names + (isObject(value) ? size : 0);
    spend(units + size + merges * merged * (merged > FEW_MERGED ? UNITS_PER_MERGED : 1));
  }
}

/** What going once through a value costs, not through what its members hold. */
function sizeOf(value: unknown): number {
  if (typeof value === "string") return value.length / CHARACTERS_PER_UNIT;
  if (Array.isArray(value)) return value.length;
  return isObject(value) ? Object.keys(value).length : 0;
}

/**
 * Where a reference fails, the engine makes a new list of all errors that stand and those behind the reference: of n that
 * fail one after the other it copies n²/2. Here they join the list that is there, and no more of them than are told.
 */
function mendReferences(engine: Ajv2020): void {
  changeKeyword(engine, "$ref", (context) => {
    const { gen } = context;
    const result = context.result.bind(context);
    context.result = (isRight, onRight, onWrong) =>
      result(isRight, onRight, () => {
        const before = gen.const("before", _`vErrors`);
        gen.assign(_`vErrors`, _`null`);
        onWrong!();
        gen.assign(_`vErrors`, _`${gen.scopeValue("func", { ref: joined })}(${before}, vErrors)`);
        gen.assign(_`errors`, _`vErrors.length`);
      });
  });
}

function joined(before: ErrorObject[] | null, found: ErrorObject[]): ErrorObject[] {
  if (before === null) return found;
  for (let n = 0; n < found.length && n < MAX_ERRORS; n++) before.push(found[n]!);
  return before;
}

/**
 * Of an array that does not contain what it must, the engine tells what is wrong with each item, and last that none is
 * right. Here it tells the last: the others are thousands, of which each takes memory.
 */
function mendContains(engine: Ajv2020): void {
  changeKeyword(engine, "contains", (context) => {
    const subschema = context.subschema.bind(context);
    context.subschema = (item, isRight) => {
      const made = subschema(item, isRight);
      context.gen.if(_`!${isRight}`, () => context.reset());
      return made;
    };
  });
}

/** Lets the code that the engine makes for a keyword be made in a context that is changed before. */
function changeKeyword(engine: Ajv2020, keyword: string, change: (context: KeywordCxt) => void): void {
  // The engine has copied it, so that no other engine has it changed.
  const { definition } = engine.RULES.all[keyword] as { definition: CodeKeywordDefinition };
  const { code } = definition;
  definition.code = (context) => {
    change(context);
    code(context);
  };
}

/** In the place of the engine's own, which compares each with each. */
function addUniqueItems(engine: Ajv2020, spend: (units: number) => void): void {
  engine.removeKeyword("uniqueItems");
  engine.addKeyword({
    keyword: "uniqueItems",
    type: "array",
    schemaType: "boolean",
    error: { message: "must not have items that are equal" },
    code(context: KeywordCxt) {
      if (!context.schema) return;
      const isOf = context.gen.scopeValue("func", { ref: isUnique });
      context.fail(_`!${isOf}(${context.data})`);
    },
  });

  function isUnique(items: readonly unknown[]): boolean {
    const seen = new Set<string>();
    for (const item of items) {
      const text = canonicalJson(item);
      spend(UNITS_PER_ITEM + text.length / CHARACTERS_PER_ITEM_UNIT);
      if (seen.has(text)) return false;
      seen.add(text);
    }
    return true;
  }
}

/** In the place of the engine's own, which asks a value for its `valueOf` and `constructor`, and a sender may name so. */
function addEquality(engine: Ajv2020): void {
  engine.removeKeyword("const");
  engine.removeKeyword("enum");
  engine.addKeyword({
    keyword: "const",
    error: { message: "must be equal", params: ({ schemaCode }) => _`{allowedValue: ${schemaCode}}` },
    code(context: KeywordCxt) {
      const isOf = context.gen.scopeValue("func", { ref: isEqual });
      context.fail(_`!${isOf}(${context.data}, ${context.schemaCode})`);
    },
  });
  engine.addKeyword({
    keyword: "enum",
    schemaType: "array",
    error: { message: "must be one of", params: ({ schemaCode }) => _`{allowedValues: ${schemaCode}}` },
    code(context: KeywordCxt) {
      const isOf = context.gen.scopeValue("func", { ref: isOneOf });
      context.fail(_`!${isOf}(${context.data}, ${context.schemaCode})`);
    },
  });
}

function isOneOf(value: unknown, all: readonly unknown[]): boolean {
  for (const each of all) if (isEqual(value, each)) return true;
  return false;
}

/** Whether two values are equal as JSON. Takes as long as the second is large, which was paid for. */
function isEqual(value: unknown, expected: unknown): boolean {
  if (value === expected) return true;
  if (Array.isArray(expected)) {
    return Array.isArray(value) && value.length === expected.length &&
      expected.every((each, n) => isEqual(value[n], each));
  }
  if (!isObject(expected) || !isObject(value)) return false;
  const keys = Object.keys(expected);
  return Object.keys(value).length === keys.length &&
    keys.every((key) => Object.hasOwn(value, key) && isEqual(value[key], expected[key]));
}

/**
 * In the place of the engine's own, which knows an error as large for every quotient: a decimal amount and its step are
 * both rounded to binary, so that their quotient is off by some of its own last digits.
 */
function addMultipleOf(engine: Ajv2020): void {
  engine.removeKeyword("multipleOf");
  engine.addKeyword({
    keyword: "multipleOf",
    type: "number",
    schemaType: "number",
    error: { message: ({ schema }) => `must be multiple of ${schema}` },
    code(context: KeywordCxt) {
      const step = stepOf(context.schema as number);
      const isOf = context.gen.scopeValue("func", { ref: (value: number) => isMultiple(value, step) });
      context.fail(_`!${isOf}(${context.data})`);
    },
  });
}

/** A step as a fraction of whole numbers, the second a power of ten, where it is one as written. */
interface Step {
  step: number;
  above: number;
  below: number;
}

function stepOf(step: number): Step {
  for (let places = 0; places <= MAX_PLACES; places++) {
    const below = 10 ** places;
    const above = Math.round(step * below);
    if (Number.isSafeInteger(above) && above / below === step) return { step, above, below };
  }
  return { step, above: step, below: 1 };
}

/**
 * Whether a number is a multiple of a step: the double that is nearest to one as it is written in decimal, or as near to
 * one as the sums of a sender are.
 */
function isMultiple(value: number, { step, above, below }: Step): boolean {
  if (value % step === 0) return true;
  const quotient = value / step;
  const nearest = Math.round(quotient);
  const off = Math.abs(quotient - nearest);
  const multiple = nearest * above;
  // Beyond them doubles do not hold so many decimal places, and neighbours are not told apart; whole numbers are.
  if (Math.abs(multiple) > Number.MAX_SAFE_INTEGER) {
    return below > 1 && off <= Math.abs(quotient) * MAX_ROUNDED_OFF;
  }
  // A quotient of two whole numbers that doubles hold is rounded as the decimal is when it is read.
  if (multiple / below === value) return true;
  return off <= Math.min(MAX_OFF_OF_STEP, Math.abs(quotient) * MAX_OFF_OF_VALUE);
}

/** Those that are only counted have no keyword; the one that they are counted for has. */
function told(errors: readonly ErrorObject[]): Violation[] {
  return errors.filter(({ keyword }) => keyword !== undefined).slice(0, MAX_ERRORS).map(violationOf);
}

function violationOf({ instancePath, keyword, params, message = "", data }: ErrorObject): Violation {
  const path = instancePath.split("/").slice(1).map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
  const missing: unknown = params.missingProperty;
  if (typeof missing === "string") {
    return { path: dotted([...path, missing]), rule: "must be given", keyword, found: "nothing" };
  }
  const extra: unknown = params.additionalProperty ?? params.unevaluatedProperty;
  if (typeof extra === "string") {
    const found = shown(isObject(data) ? data[extra] : undefined);
    return { path: dotted([...path, extra]), rule: "must not be there", keyword, found };
  }
  return { path: dotted(path), rule: ruleOf(keyword, params, message), keyword, found: shown(data) };
}

/** The engine's words, but where they don't say the rule. */
function ruleOf(keyword: string, params: Record<string, unknown>, message: string): string {
  if (keyword === "false schema") return "must not be there";
  if (keyword === "const") return `must be ${shown(params.allowedValue)}`;
  if (keyword === "enum") {
    const values = (params.allowedValues as unknown[]).slice(0, MAX_SHOWN_VALUES).map(shown);
    return `must be one of ${values.join(", ")}`;
  }
  if (keyword === "type") return `must be ${[params.type].flat().join(" or ")}`;
  return message.replace("must NOT", "must not").toWellFormed();
}

/** Values of an `enum` that a message lists. */
const MAX_SHOWN_VALUES = 10;
