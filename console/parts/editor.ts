/**
 * An editor of JSON and JavaScript: an ordinary text field over a copy with colours, so undo, screen readers and Tab stay
 * as they are.
 */
import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { ApiError } from "../app/api.ts";
import { tags } from "../app/tags.ts";
import { type Json, outline, parseJson, spotOf } from "../core/json.ts";
import { visible } from "../core/text.ts";

const { div, li, pre, span, textarea, ul } = tags;

/** Something wrong in a line. */
export interface Mark {
  line: number;
  message: string;
}

/** What the editor shows. */
export interface EditorProps {
  label: string;
  text: string;
  onText(text: string): void;
  marks: readonly Mark[];
  /** Ctrl+Enter. */
  onSubmit?(): void;
  rows?: number;
  isReadOnly?: boolean;
  language?: keyof typeof TOKENS;
}

/** Lines that are coloured: longer texts stay plain. */
const COLOURED = 60_000;

const TOKENS = {
  json: /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\b\d[\d.eE+-]*)|\b(true|false|null)\b/g,
  // Literals of regular expressions are not told from divisions: only colours depend on it.
  code:
    /("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\[^])*`)(\s*:)?|\b(\d[\d_.eE]*n?)\b|\b(async|await|break|case|catch|const|continue|default|do|else|export|false|finally|for|function|if|in|instanceof|let|new|null|of|return|switch|throw|true|try|typeof|undefined|while)\b|(\/\/.*|\/\*[^]*?\*\/)/g,
};

/** The editor. Marks stand in the margin, and as text below. */
export function Editor(
  { label, text, onText, marks, onSubmit, rows = 16, isReadOnly = false, language = "json" }: EditorProps,
): VNode {
  const copy = useRef<HTMLPreElement>(null);
  const margin = useRef<HTMLDivElement>(null);
  const lines = text.split("\n").length;
  const bad = new Set(marks.map(({ line }) => line));
  const id = `marks-${label.replaceAll(/\W+/g, "-")}`;
  return div(
    { class: "editor-box" },
    div(
      {
        class: "editor",
        ...marks.length > 0 && { "data-invalid": "" },
        style: { "--rows": String(Math.max(rows, 4)) },
      },
      div(
        { ref: margin, class: "editor-margin", "aria-hidden": "true" },
        Array.from(
          { length: lines },
          (_, n) =>
            div({ key: n, class: bad.has(n + 1) ? "bad" : "" }, bad.has(n + 1) ? "▸" : "", String(n + 1)),
        ),
      ),
      div(
        { class: "editor-text" },
        pre(
          { ref: copy, "aria-hidden": "true" },
          text.length > COLOURED ? text : coloured(text, language),
          "\n",
        ),
        textarea({
          "aria-label": label,
          value: text,
          readOnly: isReadOnly,
          spellcheck: false,
          autoCapitalize: "off",
          autoComplete: "off",
          wrap: "off",
          ...marks.length > 0 && { "aria-invalid": "true", "aria-describedby": id },
          onInput: (event: Event) => onText((event.target as HTMLTextAreaElement).value),
          onScroll(event: Event) {
            const { scrollTop, scrollLeft } = event.currentTarget as HTMLElement;
            copy.current!.scrollTop = margin.current!.scrollTop = scrollTop;
            copy.current!.scrollLeft = scrollLeft;
          },
          onKeyDown(event: KeyboardEvent) {
            if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
            event.preventDefault();
            onSubmit?.();
          },
        }),
      ),
    ),
    marks.length > 0 && ul(
      { id, class: "marks" },
      marks.map(({ line, message }, n) =>
        li({ key: n }, span({ class: "strong" }, `line ${line}: `), visible(message))
      ),
    ),
  );
}

function coloured(text: string, language: keyof typeof TOKENS): (VNode | string)[] {
  const parts: (VNode | string)[] = [];
  let from = 0;
  for (const match of text.matchAll(TOKENS[language])) {
    const { index } = match;
    const [whole, string, colon, number, , comment] = match;
    if (index > from) parts.push(text.slice(from, index));
    const kind = string !== undefined
      ? colon ? "name" : "string"
      : number !== undefined
      ? "number"
      : comment !== undefined
      ? "comment"
      : "boolean";
    parts.push(span({ class: `tree-value ${kind}` }, string ?? whole));
    if (colon) parts.push(colon);
    from = index + whole.length;
  }
  parts.push(text.slice(from));
  return parts;
}

/** The lines of a JSON text that a refusal means: its errors below `root`. */
export function marksIn(text: string, root: string, { body }: Pick<ApiError, "body">): Mark[] {
  const read = outline(text);
  const spots = "spots" in read ? read.spots : new Map();
  return (body?.errors ?? []).filter(({ path }: Json) => path === root || path.startsWith(`${root}.`)).map(
    ({ path, message }: Json) => ({ line: spotOf(spots, path.slice(root.length + 1)).line, message }),
  );
}

/** The problem of a JSON text at its line; empty if it can be parsed. */
export function marksOfText(text: string): Mark[] {
  const { problem } = outline(text);
  return problem === undefined
    ? []
    : [{ line: problem.line, message: `column ${problem.column}: ${problem.message}` }];
}

/** A draft that outlives a reload of the page. What equals the stored value is not kept. */
export function useDraft<Draft extends object>(
  key: string,
  stored: Draft,
  { isNew, secret }: { isNew: boolean; secret?: keyof Draft },
) {
  const item = `signalfold.draft.${key}`;
  const [draft, setDraft] = useState<Draft>(() => {
    try {
      return { ...stored, ...parseJson(sessionStorage.getItem(item) ?? "{}") };
    } catch {
      return stored;
    }
  });
  const isChanged = isNew || JSON.stringify(draft) !== JSON.stringify(stored);
  useEffect(() => {
    const kept = JSON.stringify(draft, (name, value) => name === secret ? undefined : value);
    if (isChanged) sessionStorage.setItem(item, kept);
    else sessionStorage.removeItem(item);
  }, [draft, isChanged]);
  return { draft, setDraft, isChanged, forget: () => sessionStorage.removeItem(item) };
}
