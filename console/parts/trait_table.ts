/** Traits by name, each with the event that set it; at another moment also what they are now. */
import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { apiPath } from "../app/api.ts";
import { useApi } from "../app/load.ts";
import { choose, chosen } from "../app/router.ts";
import { tags, view } from "../app/tags.ts";
import type { Json } from "../core/json.ts";
import { visible } from "../core/text.ts";
import { action, badge, eventLink, failure, skeleton, when } from "./basics.ts";
import { JsonTree, oneLine } from "./json_tree.ts";

const { div, h2, input, label, li, p, section, span, table, tbody, td, th, thead, tr, ul } = tags;

/** Rows that are drawn before a reader asks for more. */
const SHOWN = 100;

interface Traits {
  /** Whose they are, if the API can say why. */
  userId: string | undefined;
  traits: Json;
  /** What they are now, when a past is shown. */
  now: Json | undefined;
}

/** The table. */
export function TraitTable({ userId, traits, now }: Traits): VNode {
  const [filter, setFilter] = useState("");
  const [shown, setShown] = useState(SHOWN);
  const onlyChanges = chosen("changes") === "only";
  const isPast = now !== undefined;
  const names = [...new Set([...Object.keys(traits), ...Object.keys(now ?? {})])].sort()
    .filter((name) => name.toLowerCase().includes(filter.toLowerCase()))
    .filter((name) => !isPast || !onlyChanges || differs(traits, now, name));
  const columns = isPast ? ["trait", "value then", "now", ""] : ["trait", "value", ""];
  return section(
    { class: "card flush" },
    div(
      { class: "card-head" },
      h2(null, isPast ? "Traits at this moment" : "Traits"),
      div(
        { class: "row" },
        isPast &&
          label(
            { class: "choice" },
            input({
              type: "checkbox",
              checked: onlyChanges,
              onChange: () => choose({ changes: onlyChanges ? undefined : "only" }, { replace: true }),
            }),
            "only what changed",
          ),
        Object.keys(traits).length > 8 &&
          input({
            type: "text",
            class: "small-field",
            placeholder: "Filter by name",
            "aria-label": "Filter traits by name",
            onInput: (event: Event) => setFilter((event.target as HTMLInputElement).value),
          }),
      ),
    ),
    names.length === 0
      ? p(
        { class: "card-body hint" },
        isPast && onlyChanges ? "Nothing has changed since." : "No traits. An identify call sets them.",
      )
      : table(
        { class: "list traits" },
        thead(
          null,
          tr(
            null,
            columns.map((name) =>
              th({ key: name, scope: "col" }, name || span({ class: "visually-hidden" }, "why"))
            ),
          ),
        ),
        tbody(
          null,
          names.slice(0, shown).map((name) =>
            view(TraitRow, {
              key: name,
              userId,
              name,
              value: traits[name],
              now,
              isPast,
              isSet: Object.hasOwn(traits, name),
            })
          ),
        ),
      ),
    names.length > shown &&
      div(
        { class: "card-body" },
        action(
          `Show ${Math.min(SHOWN, names.length - shown)} more of ${names.length}`,
          () => setShown(shown + SHOWN),
          { kind: "quiet" },
        ),
      ),
  );
}

const differs = (traits: Json, now: Json, name: string) =>
  JSON.stringify(traits[name]) !== JSON.stringify(now[name]);

interface Row {
  userId: string | undefined;
  name: string;
  value: Json;
  now: Json;
  isPast: boolean;
  isSet: boolean;
}

function TraitRow({ userId, name, value, now, isPast, isSet }: Row): VNode {
  const isOpen = chosen("why") === name;
  const isChanged = isPast && JSON.stringify(value) !== JSON.stringify(now?.[name]);
  const toggle = () => choose({ why: isOpen ? undefined : name }, { replace: true });
  const isDeep = typeof value === "object" && value !== null && Object.keys(value).length > 0;
  const row = tr(
    { key: name, class: isChanged ? "changed" : "" },
    th({ scope: "row", class: "plain" }, visible(name)),
    td(
      { class: "value" },
      isSet
        ? isDeep ? view(JsonTree, { value, name: Array.isArray(value) ? "list" : "object" }) : oneLine(value)
        : span({ class: "soft" }, "not set yet"),
    ),
    isPast &&
      td(
        { class: "value" },
        isChanged
          ? [oneLine(now?.[name]), " ", badge("", "warn", isSet ? "changed since" : "came later")]
          : span({ class: "soft" }, "the same"),
      ),
    td(
      { class: "tight" },
      userId !== undefined &&
        action("Why?", toggle, { kind: "quiet", expanded: isOpen, label: `Why ${visible(name)}?` }),
    ),
  );
  if (!isOpen || userId === undefined) return row;
  return [
    row,
    tr(
      { key: `${name} why` },
      td({ colSpan: isPast ? 4 : 3, class: "why-cell" }, view(Why, { userId, name })),
    ),
  ] as never;
}

/** Which event set a trait, and which values it replaced. */
function Why({ userId, name }: { userId: string; name: string }): VNode {
  const why = useApi(apiPath("users", userId, "traits", name, "why"));
  if (why.error) return failure(why.error, why.reload);
  if (why.value === undefined) return skeleton(2);
  const { value, timestamp, messageId, writeKeyId, receivedAt, replaced, moreBefore } = why.value;
  return div(
    { class: "why" },
    p(
      null,
      oneLine(value),
      " was set by ",
      eventLink(messageId, 32),
      " of ",
      when(timestamp, "long"),
      ", sent with the key ",
      visible(writeKeyId),
      " and received ",
      when(receivedAt, "long"),
      ".",
    ),
    replaced.length > 0
      ? [
        p({ class: "soft" }, "Before that it was:"),
        ul(
          { class: "replaced" },
          replaced.map((each: Json) =>
            li(
              { key: each.messageId + each.timestamp },
              oneLine(each.value),
              span({ class: "soft" }, " since "),
              when(each.timestamp, "long"),
              " by ",
              eventLink(each.messageId, 24),
            )
          ),
        ),
      ]
      : p({ class: "soft" }, "No earlier value is known."),
    moreBefore && p({ class: "hint" }, "There may be more values before ", when(moreBefore, "long"), "."),
  );
}
