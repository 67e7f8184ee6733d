/** A field for an exact id, with what this tab opened lately. */
import type { VNode } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { go } from "../app/router.ts";
import { tags } from "../app/tags.ts";
import type { Screen } from "../core/place.ts";

const { button, datalist, form, input, label, option, select } = tags;

/** An id that was opened. */
export interface RecentId {
  kind: "user" | "anonymous" | "group";
  id: string;
}

/** Ids that are remembered, in this tab alone. */
const REMEMBERED = 12;

/** The ids that this tab opened, newest first. */
export function recentIds(screen: Screen): RecentId[] {
  try {
    const kept = JSON.parse(sessionStorage.getItem(`signalfold.recent.${screen}`) ?? "[]");
    return Array.isArray(kept) ? kept : [];
  } catch {
    return [];
  }
}

/** Remembers an id that exists. */
export function rememberId(screen: Screen, recent: RecentId): void {
  const others = recentIds(screen).filter(({ kind, id }) => kind !== recent.kind || id !== recent.id);
  sessionStorage.setItem(
    `signalfold.recent.${screen}`,
    JSON.stringify([recent, ...others].slice(0, REMEMBERED)),
  );
}

const KIND_WORDS: Record<string, string> = { user: "user id", anonymous: "anonymous id", group: "group id" };

/** The field; it opens what has exactly this id. */
export function IdSearch(
  { screen, kinds, kind, id }: { screen: Screen; kinds: readonly string[]; kind: string; id: string },
): VNode {
  const field = useRef<HTMLInputElement>(null);
  const chosenKind = useRef(kind);
  useEffect(() => {
    chosenKind.current = kind;
    if (field.current) field.current.value = id;
  }, [kind, id]);
  return form(
    {
      class: "toolbar id-search",
      onSubmit(event: Event) {
        event.preventDefault();
        const wanted = field.current!.value;
        if (wanted === "") return;
        go({ screen, query: { ...chosenKind.current === "anonymous" && { kind: "anonymous" }, id: wanted } });
      },
    },
    label({ class: "visually-hidden", for: "id-field" }, KIND_WORDS[kind] ?? "id"),
    input({
      ref: field,
      id: "id-field",
      type: "text",
      "data-filter": "",
      placeholder: `Exact ${KIND_WORDS[kind] ?? "id"}`,
      defaultValue: id,
      spellcheck: false,
      autoComplete: "off",
      list: "recent-ids",
    }),
    datalist(
      { id: "recent-ids" },
      recentIds(screen).map((recent) => option({ key: `${recent.kind}${recent.id}`, value: recent.id })),
    ),
    kinds.length > 1 && select(
      {
        "aria-label": "Kind of id",
        value: kind,
        onChange(event: Event) {
          chosenKind.current = (event.target as HTMLSelectElement).value;
        },
      },
      kinds.map((each) => option({ key: each, value: each }, each)),
    ),
    button({ type: "submit", class: "button" }, "Open"),
  );
}
