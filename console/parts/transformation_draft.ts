/** A transformation as its form has it: texts, the body that they make, where a refusal belongs, and what runs are given. */
import type { ApiError } from "../app/api.ts";
import { type Json, parseJson, pretty } from "../core/json.ts";
import { type Mark, marksIn, marksOfText } from "./editor.ts";

/** What the form holds. `rules`, `params` and `tests` are JSON. */
export interface Draft {
  name: string;
  kind: "rules" | "javascript";
  rules: string;
  code: string;
  params: string;
  tests: string;
}

/** The fields that are texts in an editor. */
export type Field = "rules" | "code" | "params" | "tests";

/** What is wrong, by field. */
export type Marks = Readonly<Partial<Record<Field, readonly Mark[]>>>;

const FIRST_RULES = [{ hash: { paths: ["traits.email"] }, where: { type: "identify" } }];

const FIRST_CODE = `export default function transform(event, { person, params }) {
  if (event.event === "Test") return null; // dropped
  return event;
}
`;

const FIRST_TESTS = [{
  name: "test events are dropped",
  event: { type: "track", userId: "jane", event: "Test" },
  expect: null,
}];

/** The draft of a transformation that is stored, or of a new one. */
export function draftOf(existing: Json): Draft {
  const kind = existing?.kind ?? "javascript";
  const params: string[] = existing?.params ?? [];
  return {
    name: existing?.name ?? "",
    kind,
    rules: pretty(existing?.rules ?? FIRST_RULES),
    code: existing?.code ?? FIRST_CODE,
    // The server shows no values; this one keeps what is stored.
    params: pretty(Object.fromEntries(params.map((name) => [name, "***"]))),
    tests: pretty(existing === undefined ? FIRST_TESTS : existing.tests ?? []),
  };
}

/** The fields that a kind has. */
export const fieldsOf = (kind: Draft["kind"]): readonly Field[] =>
  kind === "rules" ? ["rules", "tests"] : ["code", "params", "tests"];

/** The body of a request, or the lines that are no JSON. */
export function bodyOf(draft: Draft): { body: Json } | { marks: Marks } {
  const { kind } = draft;
  const found = fieldsOf(kind).filter((field) => field !== "code")
    .map((field) => [field, marksOfText(draft[field])] as const).filter(([, marks]) => marks.length > 0);
  if (found.length > 0) return { marks: Object.fromEntries(found) };
  const values = fieldsOf(kind).map((field) => [
    field,
    field === "code" ? draft.code : parseJson(draft[field]),
  ]);
  return { body: { kind, ...Object.fromEntries(values) } };
}

/** Where a refusal belongs; nothing if it is about no field. */
export function marksOf(draft: Draft, refused: ApiError): Marks {
  const errors: Json[] = (refused.body?.errors ?? []).map((error: Json) => ({
    ...error,
    path: error.path.replace(/^draft\./, ""),
  }));
  const ofCode = errors.filter(({ path }) => path === "code").map(({ message }) => markOfCode(message));
  const json = (["rules", "params", "tests"] as const).map((field) =>
    [field, marksIn(draft[field], field, { body: { errors } })] as const
  );
  return Object.fromEntries(
    [["code", ofCode] as const, ...json].filter(([, marks]) => marks.length > 0),
  );
}

/** Messages about code end in their line: `… (line 3)`. */
function markOfCode(message: string): Mark {
  const line = / \(line (\d+)\)$/.exec(message);
  return { line: Number(line?.[1] ?? 1), message: message.slice(0, line?.index) };
}

/** A transformation as one text, for comparing versions. */
export function textOf(definition: Json): string {
  const { kind, rules, code, params = [], tests = [] } = definition;
  const logic = kind === "rules" ? pretty(rules) : code.trimEnd();
  return [
    logic,
    ...params.length > 0 ? [`params: ${params.join(", ")}`] : [],
    ...tests.length > 0 ? [`tests: ${pretty(tests)}`] : [],
  ].join("\n\n");
}

/** What the runs are given by the form. */
export interface RunsProps {
  /** The path of the transformation. */
  path: string;
  draft: Draft;
  /** Whether the draft differs from what is stored: otherwise what is stored runs. */
  sendsDraft: boolean;
  /** What a check compares with: the current version or the original; `undefined` for a new one. */
  standing: string | undefined;
  /** Runs something with the body of the draft; what is refused stands at its lines. */
  withDraft(run: (body: Json) => Promise<void>): Promise<void>;
  /** Shows where code failed. */
  onCodeMarks(marks: readonly Mark[]): void;
}

/** Why an event was not made anything of. */
export function errorText({ message, line }: Json): string {
  return line === undefined ? message : `line ${line}: ${message}`;
}

/** The mark of an error at its line; none if the line is not known. */
export function marksOfErrors(errors: readonly Json[]): Mark[] {
  const marks = new Map<string, Mark>();
  for (const { message, line } of errors) {
    if (line !== undefined) marks.set(`${line} ${message}`, { line, message });
  }
  return [...marks.values()];
}
