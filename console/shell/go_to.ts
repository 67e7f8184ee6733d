/** Go to: an id of any kind, or a screen. */
import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Dialog, idText } from "../parts/basics.ts";
import { icon } from "../parts/icons.ts";
import { type Place, SCREEN_NAMES } from "../core/place.ts";
import { api, ApiError, apiPath } from "../app/api.ts";
import { go } from "../app/router.ts";
import { isAdmin } from "../app/session.ts";
import { openEntries } from "./menu.ts";
import { tags, view } from "../app/tags.ts";

const { div, input, li, p, span, ul } = tags;

/** Something to go to. */
interface Target {
  kind: string;
  name: string;
  place: Place;
}

/** A moment of rest after the last key before ids are looked up. */
const REST_MS = 250;

/** The dialog. */
export function Overlay({ close }: { close: () => void }): VNode {
  const [text, setText] = useState("");
  const [found, setFound] = useState<{ text: string; targets: Target[] }>({ text: "", targets: [] });
  const [at, setAt] = useState(0);
  const asking = useRef<AbortController | undefined>(undefined);
  useEffect(() => {
    asking.current?.abort();
    if (text.trim() === "") return;
    const aborter = asking.current = new AbortController();
    const timer = setTimeout(async () => {
      const targets = await lookUp(text.trim(), aborter.signal).catch(() => []);
      if (!aborter.signal.aborted) setFound({ text, targets });
    }, REST_MS);
    return () => clearTimeout(timer);
  }, [text]);
  const screens = openEntries()
    .map(({ screen }) => ({ screen, name: SCREEN_NAMES[screen] }))
    .filter(({ name }) => name.toLowerCase().includes(text.trim().toLowerCase()))
    .map(({ screen, name }): Target => ({ kind: "screen", name, place: { screen, query: {} } }));
  const ids = found.text === text ? found.targets : [];
  const all = text.trim() === "" ? screens : [...ids, ...screens];
  const current = Math.min(at, all.length - 1);
  const open = (target: Target | undefined) => {
    if (target === undefined) return;
    close();
    go(target.place);
  };
  return view(Dialog, {
    title: "Go to",
    onClose: close,
    children: [
      input({
        type: "text",
        class: "go-to-field",
        placeholder: "A user, anonymous, group or message id, or a screen",
        "aria-label": "Id or screen",
        role: "combobox",
        "aria-expanded": "true",
        "aria-controls": "targets",
        "aria-autocomplete": "list",
        ...current >= 0 && { "aria-activedescendant": `target-${current}` },
        autoComplete: "off",
        spellcheck: false,
        ref: (field: HTMLInputElement | null) => void field?.focus(),
        onInput: (event: Event) => (setText((event.target as HTMLInputElement).value), setAt(0)),
        onKeyDown(event: KeyboardEvent) {
          if (event.key === "ArrowDown") setAt(Math.min(all.length - 1, current + 1));
          else if (event.key === "ArrowUp") setAt(Math.max(0, current - 1));
          else if (event.key === "Enter") open(all[current]);
          else return;
          event.preventDefault();
        },
      }),
      ul(
        { class: "targets", id: "targets", role: "listbox", "aria-label": "Found" },
        all.map((target, n) =>
          li(
            {
              key: `${target.kind} ${target.name}`,
              id: `target-${n}`,
              role: "option",
              "aria-selected": n === current ? "true" : "false",
              onClick: () => open(target),
            },
            span({ class: "tag" }, target.kind),
            target.kind === "screen" ? span(null, target.name) : idText(target.name),
            icon("right"),
          )
        ),
      ),
      all.length === 0 && p(
        { class: "hint" },
        found.text === text ? "No user, anonymous id, group or event has exactly this id." : "Looking…",
      ),
      div({ class: "hint" }, "↑ ↓ choose · Enter opens · Esc closes"),
    ],
  });
}

/** What has exactly this id. Events are asked last: their search may read much of the journal. */
async function lookUp(id: string, signal: AbortSignal): Promise<Target[]> {
  const exists = (path: string) =>
    api(path, { signal }).then(() => true, (error) => {
      if (error instanceof ApiError) return false;
      throw error;
    });
  const [user, anonymous, group] = await Promise.all([
    exists(apiPath("users", id)),
    exists(apiPath("anonymous", id)),
    exists(apiPath("groups", id)),
  ]);
  const targets: Target[] = [];
  if (user) targets.push({ kind: "user", name: id, place: { screen: "users", query: { id } } });
  if (anonymous) {
    targets.push({
      kind: "anonymous",
      name: id,
      place: { screen: "users", query: { kind: "anonymous", id } },
    });
  }
  if (group) targets.push({ kind: "group", name: id, place: { screen: "groups", query: { id } } });
  if (targets.length === 0 && isAdmin() && await exists(apiPath("admin", "events", id))) {
    targets.push({ kind: "event", name: id, place: { screen: "event", query: { id } } });
  }
  return targets;
}
