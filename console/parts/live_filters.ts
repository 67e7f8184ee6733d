/** The filters of the live view: those that the server has, as ordinary fields. */
import type { VNode } from "preact";
import { TYPES } from "../app/api.ts";
import { useApi } from "../app/load.ts";
import { choose } from "../app/router.ts";
import { tags } from "../app/tags.ts";
import { action } from "./basics.ts";

const { div, form, input, label, option, select, span } = tags;

const STATUSES = ["accepted", "duplicate", "rejected"] as const;

/** The row of filters; what is chosen stands in the address. */
export function LiveFilters({ filters }: { filters: Record<string, string> }): VNode {
  const keys = useApi("admin/keys").value?.keys as { id: string; name: string }[] | undefined;
  const names = Object.keys(filters);
  return form(
    { class: "toolbar filters", "aria-label": "Filters", onSubmit: (event: Event) => event.preventDefault() },
    choice("status", "Status", [...STATUSES].map((value) => [value, value]), filters),
    choice("type", "Type", [...TYPES].map((value) => [value, value]), filters),
    typed("event", "Event name", filters),
    typed("userId", "User id", filters),
    choice(
      "writeKeyId",
      "Write key",
      (keys ?? []).map(({ id, name }) => [id, name === "WRITE_KEY" ? "default" : name]),
      filters,
    ),
    names.length > 0 && action(
      `Clear ${names.length}`,
      () => choose(Object.fromEntries(names.map((name) => [name, undefined]))),
      {
        icon: "close",
        kind: "quiet",
        label: `Clear ${names.length === 1 ? "the filter" : `${names.length} filters`}`,
      },
    ),
  );
}

function choice(
  name: string,
  text: string,
  values: readonly (readonly [string, string])[],
  filters: Record<string, string>,
): VNode {
  const value = filters[name] ?? "";
  const isKnown = value === "" || values.some(([known]) => known === value);
  return div(
    { class: `filter${value === "" ? "" : " chosen"}` },
    label({ class: "visually-hidden", for: `filter-${name}` }, text),
    select(
      {
        id: `filter-${name}`,
        value,
        ...name === "status" && { "data-filter": "" },
        onChange: (event: Event) =>
          choose({ [name]: (event.target as HTMLSelectElement).value, id: undefined }),
      },
      option({ value: "" }, `${text}: all`),
      !isKnown && option({ value }, value),
      values.map(([each, shown]) => option({ key: each, value: each }, shown)),
    ),
  );
}

function typed(name: string, text: string, filters: Record<string, string>): VNode {
  const value = filters[name] ?? "";
  return div(
    { class: `filter${value === "" ? "" : " chosen"}` },
    label({ class: "visually-hidden", for: `filter-${name}` }, text),
    input({
      id: `filter-${name}`,
      type: "text",
      value,
      placeholder: text,
      spellcheck: false,
      autoComplete: "off",
      onChange: (event: Event) =>
        choose({ [name]: (event.target as HTMLInputElement).value.trim(), id: undefined }),
      onKeyDown(event: KeyboardEvent) {
        if (event.key === "Enter") (event.target as HTMLInputElement).blur();
      },
    }),
    span(null),
  );
}
