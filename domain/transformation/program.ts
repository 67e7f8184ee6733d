/**
 * The code of a transformation, as the engine takes it: a module with one default export, turned into a function that
 * makes that export anew for each call.
 */
import { type Node, parse, type Program as Tree } from "acorn";

/** What is wrong with code, and the line, if it is known. */
export interface CodeProblem {
  message: string;
  line?: number;
}

/** Code that can be run. */
export interface Program {
  /** A module whose default export is a function that gives the transformation. Lines are those of the code. */
  source: string;
  /** Whether the code mentions the person, or their groups: otherwise nothing is read for it. */
  usesPerson: boolean;
}

/** The name of the default export within the factory: no code has it by chance. */
const DEFAULT = "signalfold$default";

const NO_IMPORTS = "must not import anything: a transformation has only its event";

/** A part of the code that is replaced by a text without line breaks, or by nothing. */
interface Edit {
  start: number;
  end: number;
  text: string;
}

type Statement = Tree["body"][number];

/** Reads code, or gives its problem. Never throws. */
export function readProgram(code: string): Program | { problem: CodeProblem } {
  let tree: Tree;
  try {
    tree = parse(code, {
      ecmaVersion: 2023,
      sourceType: "module",
      locations: true,
    });
  } catch (error) {
    return { problem: syntaxProblem(error) };
  }
  const refused = findRefused(tree);
  if (refused !== undefined) return { problem: refused };
  const edits: Edit[] = [];
  let name: string | undefined;
  for (const statement of tree.body) {
    const edited = editOf(statement);
    if (edited === undefined) continue;
    if ("problem" in edited) {
      return { problem: { message: edited.problem, line: statement.loc!.start.line } };
    }
    name = edited.name ?? name;
    edits.push(...edited.edits);
  }
  if (name === undefined) {
    return {
      problem: {
        message: "must export a function: `export default function transform(event) { … }`",
        line: 1,
      },
    };
  }
  return {
    source: `export default function () {${applied(code, edits)}\n;return ${name};}`,
    usesPerson: /\b(person|groups)\b/.test(code),
  };
}

/** What a tree has that a transformation must not have: imports in any form, and `await` outside of its functions. */
function findRefused(node: Node, inFunction = false): CodeProblem | undefined {
  const line = node.loc!.start.line;
  if (imports(node)) return { message: NO_IMPORTS, line };
  if (!inFunction && (node.type === "AwaitExpression" || (node as { "await"?: boolean })["await"])) {
    return { message: "must not await outside of a function", line };
  }
  const within = inFunction || /Function/.test(node.type);
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      const found = isNode(child) ? findRefused(child, within) : undefined;
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

function imports(node: Node): boolean {
  if (["ImportDeclaration", "ImportExpression", "ExportAllDeclaration"].includes(node.type)) return true;
  const { meta, source } = node as { meta?: { name: string }; source?: unknown };
  return node.type === "MetaProperty" && meta?.name === "import" ||
    node.type === "ExportNamedDeclaration" && Boolean(source);
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && typeof (value as Node).type === "string" &&
    typeof (value as Node).start === "number";
}

function syntaxProblem(error: unknown): CodeProblem {
  const { message, loc } = error as SyntaxError & { loc?: { line: number } };
  const text = message.replace(/ \(\d+:\d+\)$/, "");
  return { message: text, ...loc && { line: loc.line } };
}

/** How a statement becomes one of a function; `undefined` if it stays as it is. */
function editOf(statement: Statement): { name?: string; edits: Edit[] } | { problem: string } | undefined {
  const { type, start, end } = statement;
  if (type === "ExportDefaultDeclaration") return editOfDefault(start, statement.declaration);
  if (type !== "ExportNamedDeclaration") return undefined;
  if (statement.declaration) return { edits: [{ start, end: statement.declaration.start, text: "" }] };
  const chosen = statement.specifiers.find(({ exported }) =>
    (exported.type === "Identifier" ? exported.name : exported.value) === "default"
  );
  const edits = [{ start, end, text: "" }];
  return chosen?.local.type === "Identifier" ? { name: chosen.local.name, edits } : { edits };
}

function editOfDefault(start: number, declared: Node): { name: string; edits: Edit[] } | { problem: string } {
  if (declared.type === "ClassDeclaration") return { problem: "must export a function, not a class" };
  const { id } = declared as { id?: { name: string } | null };
  if (declared.type === "FunctionDeclaration" && id) {
    return { name: id.name, edits: [{ start, end: declared.start, text: "" }] };
  }
  // The parentheses keep what follows on the next line from being a call.
  return {
    name: DEFAULT,
    edits: [
      { start, end: declared.start, text: `const ${DEFAULT} = (` },
      { start: declared.end, end: declared.end, text: ");" },
    ],
  };
}

/** The code with its edits; the line breaks of replaced parts stay, so that lines keep their numbers. */
function applied(code: string, edits: readonly Edit[]): string {
  let written = "";
  let at = 0;
  for (const { start, end, text } of edits) {
    written += code.slice(at, start) + text + code.slice(start, end).replaceAll(/[^\r\n\u2028\u2029]+/g, "");
    at = end;
  }
  return written + code.slice(at);
}
