/** JSON as a tree that opens and closes: names, values, how many are inside, and buttons to copy. */
import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { tags, view } from "../app/tags.ts";
import { LongInteger, pretty } from "../core/json.ts";
import { visible } from "../core/text.ts";
import { action, Copy } from "./basics.ts";

const { button, div, span } = tags;

/** Members that are drawn of one object at first: more would hang the browser. */
const SHOWN_AT_ONCE = 100;

/** Levels that are open at first. */
const OPEN_LEVELS = 2;

/** Characters of a text that are shown at first. */
const SHOWN_TEXT = 200;

/** A value and everything in it. */
export function JsonTree({ value, name = "value" }: { value: unknown; name?: string }): VNode {
  return div({ class: "tree" }, view(Node, { name, value, path: name, level: 0 }));
}

function Node(
  { name, value, path, level }: { name: string; value: unknown; path: string; level: number },
): VNode {
  const [isOpen, setOpen] = useState(level < OPEN_LEVELS);
  const [shown, setShown] = useState(SHOWN_AT_ONCE);
  const members = membersOf(value);
  const label = span({ class: "tree-name" }, visible(name));
  if (members === undefined) {
    return div(
      { class: "tree-line" },
      span({ class: "tree-space" }),
      label,
      view(Scalar, { value }),
      span(
        { class: "tree-tools" },
        view(Copy, { text: () => textOf(value), label: "", what: `value of ${visible(path)}` }),
      ),
    );
  }
  const isList = Array.isArray(value);
  return div(
    null,
    div(
      { class: "tree-line" },
      button(
        {
          type: "button",
          class: "tree-toggle",
          "aria-expanded": isOpen ? "true" : "false",
          onClick: () => setOpen(!isOpen),
        },
        span({ class: "tree-mark", "aria-hidden": "true" }, isOpen ? "▾" : "▸"),
        label,
        span({ class: "tree-count" }, isList ? `[${members.length}]` : `{${members.length}}`),
      ),
      span(
        { class: "tree-tools" },
        view(Copy, { text: () => pretty(value), label: "", what: `JSON of ${visible(path)}` }),
      ),
    ),
    isOpen && div(
      { class: "tree-inner" },
      members.slice(0, shown).map(([key, member]) =>
        view(Node, { key, name: key, value: member, path: `${path}.${key}`, level: level + 1 })
      ),
      members.length > shown &&
        action(
          `Show ${Math.min(500, members.length - shown)} more of ${members.length}`,
          () => setShown(shown + 500),
          {
            kind: "quiet",
          },
        ),
    ),
  );
}

/** A text, a number, a truth value or nothing. */
export function Scalar({ value }: { value: unknown }): VNode {
  const [isWhole, setWhole] = useState(false);
  if (typeof value !== "string") {
    const kind = value === null || value === undefined
      ? "null"
      : typeof value === "boolean"
      ? "boolean"
      : "number";
    return span({ class: `tree-value ${kind}` }, value === undefined ? "—" : String(value));
  }
  const text = visible(value);
  const isLong = text.length > SHOWN_TEXT;
  return span(
    { class: "tree-value string" },
    JSON.stringify(isLong && !isWhole ? `${text.slice(0, SHOWN_TEXT)}…` : text).replaceAll("\\\\u", "\\u"),
    isLong &&
      button({ type: "button", class: "link", onClick: () => setWhole(!isWhole) }, isWhole ? "less" : "all"),
  );
}

/** A value in one line. */
export function oneLine(value: unknown): VNode {
  return membersOf(value) === undefined
    ? view(Scalar, { value })
    : span({ class: "tree-value" }, visible(JSON.stringify(value).slice(0, SHOWN_TEXT)));
}

function membersOf(value: unknown): [string, unknown][] | undefined {
  if (typeof value !== "object" || value === null || value instanceof LongInteger) return undefined;
  return Object.entries(value);
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : String(value);
}
