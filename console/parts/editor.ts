/** An editor of JSON: an ordinary text field over a copy with colours, so undo, screen readers and Tab stay as they are. */
import type { VNode } from "preact";
import { useRef } from "preact/hooks";
import { tags } from "../app/tags.ts";
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
}

/** Lines that are coloured: longer texts stay plain. */
const COLOURED = 60_000;

const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\b\d[\d.eE+-]*)|\b(true|false|null)\b/g;

/** The editor. Marks stand in the margin, and as text below. */
export function Editor(
  { label, text, onText, marks, onSubmit, rows = 16, isReadOnly = false }: EditorProps,
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
        pre({ ref: copy, "aria-hidden": "true" }, text.length > COLOURED ? text : coloured(text), "\n"),
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

function coloured(text: string): (VNode | string)[] {
  const parts: (VNode | string)[] = [];
  let from = 0;
  for (const match of text.matchAll(TOKEN)) {
    const { index } = match;
    const [whole, string, colon, number] = match;
    if (index > from) parts.push(text.slice(from, index));
    const kind = string !== undefined
      ? colon ? "name" : "string"
      : number !== undefined
      ? "number"
      : "boolean";
    parts.push(span({ class: `tree-value ${kind}` }, string ?? whole));
    if (colon) parts.push(colon);
    from = index + whole.length;
  }
  parts.push(text.slice(from));
  return parts;
}
