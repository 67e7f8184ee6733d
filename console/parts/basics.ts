/** What every screen is made of: buttons, ids, times, badges, and the states of what is loaded. */
import type { ComponentChildren, VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { signal } from "@preact/signals";
import type { ApiError } from "../app/api.ts";
import { copyText } from "../app/copy.ts";
import type { Loaded } from "../app/load.ts";
import { zone } from "../app/preferences.ts";
import { linkTo } from "../app/router.ts";
import { tags, view } from "../app/tags.ts";
import { shortened, visible } from "../core/text.ts";
import { ago, clock, long, short } from "../core/time.ts";
import { icon, type IconName } from "./icons.ts";

const { a, button, code, div, p, span, time } = tags;

/** How a button looks. */
export interface ButtonLook {
  icon?: IconName;
  kind?: "primary" | "danger" | "quiet" | "plain";
  title?: string;
  disabled?: boolean;
  busy?: boolean;
  /** The words of an icon without text. */
  label?: string;
  id?: string;
  pressed?: boolean;
  expanded?: boolean;
}

/** A button that says what it does. */
export function action(text: string, onClick: (event: MouseEvent) => void, look: ButtonLook = {}): VNode {
  return button(
    {
      type: "button",
      class: `button ${look.kind ?? "plain"}${text === "" ? " square" : ""}`,
      onClick,
      disabled: look.disabled ?? false,
      ...look.busy && { "aria-busy": "true" },
      ...look.title !== undefined && { title: look.title },
      ...look.label !== undefined && { "aria-label": look.label, title: look.title ?? look.label },
      ...look.id !== undefined && { id: look.id },
      ...look.pressed !== undefined && { "aria-pressed": look.pressed ? "true" : "false" },
      ...look.expanded !== undefined && { "aria-expanded": look.expanded ? "true" : "false" },
    },
    look.icon && icon(look.icon),
    text !== "" && span(null, text),
  );
}

/** The only live region of the page: it tells what a reader cannot see. */
export const announcement = signal("");

/** Tells something by the live region. */
export function announce(text: string): void {
  announcement.value = text;
}

/** A button that copies, and says for a moment that it has. */
export function Copy(
  { text, label = "Copy", what, kind = "quiet" }: {
    text: () => string;
    label?: string;
    what?: string;
    kind?: "quiet" | "plain" | "primary";
  },
): VNode {
  const [done, setDone] = useState<boolean | undefined>();
  useEffect(() => {
    if (done === undefined) return;
    const timer = setTimeout(() => setDone(undefined), 1_600);
    return () => clearTimeout(timer);
  }, [done]);
  const words = done === undefined ? label : done ? "Copied" : "Press Ctrl+C";
  return action(label === "" ? "" : words, async () => {
    const copied = await copyText(text());
    setDone(copied);
    announce(copied ? `${what ?? "Text"} copied` : "The browser does not allow copying");
  }, {
    icon: done ? "check" : "copy",
    kind,
    ...label === "" ? { label: done ? "Copied" : `Copy ${what ?? ""}`.trim() } : {},
  });
}

/** An id: hidden characters are shown as escapes, the middle of a long one is left out; the title has the whole. */
export function idText(id: string, max = 40): VNode {
  const text = visible(id);
  const shown = shortened(text, max);
  return code({ class: "id", ...shown !== text && { title: text } }, shown);
}

/** A link to a user, an anonymous id or a group. */
export function actorLink(kind: "user" | "anonymous" | "group", id: string, max?: number): VNode {
  const to = kind === "group"
    ? linkTo("groups", { id })
    : linkTo("users", kind === "user" ? { id } : { kind, id });
  return a(
    { ...to, class: "actor" },
    kind === "anonymous" && span({ class: "tag", title: "anonymous id" }, "anon"),
    idText(id, max),
  );
}

/** A link to an event. */
export function eventLink(messageId: string, max = 18): VNode {
  return a({ ...linkTo("event", { id: messageId }), class: "actor" }, idText(messageId, max));
}

/** How a time is shown. */
export type TimeForm = "clock" | "short" | "long" | "ago";

/** A time; its title has the exact one. */
export function when(iso: string | number, form: TimeForm = "short"): VNode {
  const ms = typeof iso === "number" ? iso : Date.parse(iso);
  const nowMs = Date.now();
  const text = form === "clock"
    ? clock(ms, zone())
    : form === "short"
    ? short(ms, zone(), nowMs)
    : form === "ago"
    ? ago(ms, nowMs)
    : long(ms, zone());
  const exact = new Date(ms).toISOString();
  return time({ dateTime: exact, title: `${exact} (${ago(ms, nowMs)})` }, text);
}

const SIGNS: Record<string, string> = {
  accepted: "✓",
  duplicate: "≡",
  rejected: "✕",
  delivered: "✓",
  running: "●",
  failing: "▲",
  paused: "‖",
  off: "○",
  dead: "✕",
  retrying: "↻",
  held: "‖",
  holds: "✓",
  broken: "✕",
};

/** A status as a sign and a word: colour is never the only sign. */
export function badge(status: string, tone: "good" | "bad" | "warn" | "calm", text = status): VNode {
  return span({ class: `badge ${tone}` }, span({ "aria-hidden": "true" }, SIGNS[status] ?? "•"), " ", text);
}

/** The tone of an event's status. */
export const toneOf = (status: string): "good" | "bad" | "calm" =>
  status === "accepted" ? "good" : status === "rejected" ? "bad" : "calm";

/** A notice: what happened, and what to do. */
export function notice(
  tone: "bad" | "warn" | "calm" | "good",
  title: ComponentChildren,
  ...more: ComponentChildren[]
): VNode {
  return div(
    { class: `notice ${tone}`, role: tone === "bad" ? "alert" : undefined },
    p({ class: "title" }, title),
    ...more,
  );
}

/** An error in place of what failed: what was asked, why it failed, and a way to try again. */
export function failure(error: ApiError, retry?: () => void): VNode {
  return notice(
    "bad",
    error.message,
    p(
      { class: "hint" },
      code(null, error.asked),
      ` · ${error.status === 0 ? "no answer" : error.status} · `,
      code(null, error.code),
      error.requestId && [" · request ", code(null, error.requestId)],
    ),
    retry && div({ class: "row" }, action("Retry", retry, { icon: "refresh" })),
  );
}

/** Grey lines in the form of what will be there; nothing for the first moment. */
export function skeleton(lines = 5): VNode {
  return div(
    { class: "skeleton", "aria-busy": "true", "aria-label": "Loading" },
    Array.from({ length: lines }, (_, n) => div({ key: n, class: `bone b${n % 3}` })),
  );
}

/** Shows what is loaded, its skeleton or its error; old figures stay, dimmed, while new ones come. */
export function loaded<Value>(
  { value, error, isLoading, reload, atMs }: Loaded<Value>,
  show: (value: Value) => ComponentChildren,
  lines = 5,
): ComponentChildren {
  if (value === undefined) return error ? failure(error, reload) : skeleton(lines);
  return [
    error && notice(
      "warn",
      `These figures are from ${clock(atMs, zone()).slice(0, 8)}: ${error.message}`,
      div({ class: "row" }, action("Retry", reload, { icon: "refresh" })),
    ),
    div({ class: isLoading ? "stale" : "fresh", ...isLoading && { "aria-busy": "true" } }, show(value)),
  ];
}

/** An empty place that says why it is empty and what fills it. */
export function empty(title: string, ...more: ComponentChildren[]): VNode {
  return div({ class: "empty" }, p({ class: "title" }, title), ...more);
}

/** A text to copy: a command. */
export function command(text: string, what = "Command"): VNode {
  return div(
    { class: "command" },
    code({ tabIndex: 0 }, text),
    view(Copy, { text: () => text, label: "", what }),
  );
}

/** A dialog over the page: Esc closes it, and the focus returns. */
export function Dialog(
  { title, onClose, children, wide = false, closable = true }: {
    title: string;
    onClose: () => void;
    children: ComponentChildren;
    wide?: boolean;
    closable?: boolean;
  },
): VNode {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    dialog.current!.showModal();
    return () => before?.focus();
  }, []);
  return tags.dialog(
    {
      ref: dialog,
      class: wide ? "wide" : "",
      "aria-labelledby": "dialog-title",
      onCancel(event: Event) {
        event.preventDefault();
        if (closable) onClose();
      },
    },
    tags.header(
      null,
      tags.h2({ id: "dialog-title" }, title),
      closable && action("", onClose, { icon: "close", kind: "quiet", label: "Close" }),
    ),
    children,
  );
}

/** Tabs as links: each has an address. */
export function tabs(
  label: string,
  all: readonly { name: string; text: string; count?: number | undefined }[],
  { current, onChoose }: { current: string; onChoose: (name: string) => void },
): VNode {
  return tags.nav(
    { class: "tabs", "aria-label": label },
    all.map(({ name, text, count }) =>
      button(
        {
          key: name,
          type: "button",
          class: "tab",
          ...name === current && { "aria-current": "true" },
          onClick: () => onChoose(name),
        },
        text,
        count !== undefined && span({ class: "count" }, String(count)),
      )
    ),
  );
}

/** A part with its title. */
export function part(title: string, ...content: ComponentChildren[]): VNode {
  return div({ class: "part", role: "group", "aria-label": title }, tags.h3(null, title), ...content);
}

/** Names and values. */
export function facts(all: readonly (readonly [string, ComponentChildren])[]): VNode {
  return tags.dl(
    { class: "facts" },
    all.map(([name, value]) => [tags.dt({ key: name }, name), tags.dd({ key: `${name} value` }, value)]),
  );
}
