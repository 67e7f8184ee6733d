/** The members of an audience, how it grew, and why one person is in it or not. */
import type { ComponentChildren, VNode } from "preact";
import { useState } from "preact/hooks";
import { api, apiPath, apiQuery } from "../app/api.ts";
import { useApi, useLoad } from "../app/load.ts";
import { choose, chosen } from "../app/router.ts";
import { tags, view } from "../app/tags.ts";
import { growthOf, innerOf, sentence } from "../core/audience.ts";
import type { Json } from "../core/json.ts";
import { count, visible } from "../core/text.ts";
import { action, actorLink, badge, empty, eventLink, failure, loaded, notice, when } from "./basics.ts";

const {
  button,
  caption,
  div,
  form,
  h2,
  input,
  label,
  li,
  meter,
  p,
  section,
  span,
  table,
  tbody,
  td,
  th,
  thead,
  tr,
  ul,
} = tags;

/** Members of a page. */
const PAGE = 100;

/** Members that the growth is made of. */
const GROWN = 5_000;

/** Members, growth and explanation. */
export function Members({ name }: { name: string }): VNode {
  const user = chosen("user");
  return div(
    { class: "split" },
    view(List, { key: name, path: apiPath("audiences", name, "members") }),
    div(
      { class: "stack" },
      view(Explain, { key: user, name, user }),
      view(Growth, { path: apiPath("audiences", name, "members") }),
    ),
  );
}

function List({ path }: { path: string }): VNode {
  const [cursors, setCursors] = useState<readonly string[]>([]);
  const page = useApi(path + apiQuery({ limit: PAGE, cursor: cursors.at(-1) }));
  return section(
    { class: "card flush" },
    div({ class: "card-head" }, h2(null, "Members")),
    loaded(page, ({ members, cursor }) =>
      members.length === 0 ? empty("Nobody is in it now.") : [
        membersTable(members),
        div(
          { class: "row card-body" },
          action("Previous", () => setCursors(cursors.slice(0, -1)), { disabled: cursors.length === 0 }),
          action("Next", () => setCursors([...cursors, cursor]), { disabled: !cursor }),
        ),
      ], 8),
  );
}

function membersTable(members: readonly Json[]): VNode {
  return table(
    { class: "list" },
    thead(
      null,
      tr(
        null,
        ["user", "since", "until", ""].map((each) =>
          th({ key: each, scope: "col" }, each || span({ class: "visually-hidden" }, "why"))
        ),
      ),
    ),
    tbody(
      null,
      members.map(({ userId, since, until }) =>
        tr(
          { key: userId },
          td(null, actorLink("user", userId)),
          td({ class: "tight" }, when(since)),
          td({ class: "tight" }, until ? when(until) : span({ class: "soft" }, "—")),
          td(
            { class: "tight" },
            action("Why?", () => choose({ user: userId }), {
              kind: "quiet",
              label: `Why is ${visible(userId)} in it?`,
            }),
          ),
        )
      ),
    ),
  );
}

/** Why somebody is a member, or not. */
function Explain({ name, user }: { name: string; user: string }): VNode {
  const [id, setId] = useState(user);
  const found = useApi(user === "" ? undefined : apiPath("audiences", name, "members", user));
  return section(
    { class: "card stack" },
    h2(null, "Explain"),
    form(
      {
        class: "row",
        onSubmit(event: Event) {
          event.preventDefault();
          choose({ user: id || undefined });
        },
      },
      div(
        { class: "field grow" },
        label({ for: "explained-user" }, "User id"),
        input({
          id: "explained-user",
          type: "text",
          value: id,
          onInput: (event: Event) => setId((event.target as HTMLInputElement).value),
        }),
      ),
      button({ type: "submit", class: "button plain" }, "Explain"),
    ),
    user !== "" &&
      (found.error?.status === 404
        ? notice("calm", `Nobody has the user id ${visible(user)}.`)
        : loaded(found, ({ member, since, until, explain }) => [
          p(
            null,
            actorLink("user", user),
            member ? " is a member" : " is not a member",
            since && [" since ", when(since, "long")],
            until && [", until ", when(until, "long"), " if nothing else happens"],
            ".",
          ),
          ul({ class: "explained" }, explanation(explain)),
        ])),
  );
}

function explanation(node: Json): VNode {
  const inner = innerOf(node);
  return li(
    null,
    node.holds ? badge("holds", "good", "holds") : badge("broken", "bad", "does not hold"),
    " ",
    span({ class: "strong" }, visible(sentence(node))),
    node.found !== undefined && span({ class: "soft" }, ` found: ${visible(JSON.stringify(node.found))}`),
    node.missing && p({ class: "hint" }, visible(node.missing)),
    node.changesAt &&
      p({ class: "hint" }, "changes ", when(node.changesAt, "long"), " if nothing else happens"),
    (node.events ?? []).length > 0 && ul(
      { class: "inline" },
      node.events.map(({ messageId, timestamp }: Json) =>
        li({ key: messageId }, eventLink(messageId), " ", when(timestamp))
      ),
    ),
    inner.length > 0 && ul({ class: "explained" }, inner.map(explanation)),
  );
}

/** How many of the present members belonged to it at the end of each day. */
function Growth({ path }: { path: string }): VNode {
  const growth = useLoad<{ members: Json[]; more: boolean }>(`growth ${path}`, async (signal) => {
    const members: Json[] = [];
    let cursor: string | undefined;
    do {
      const page = await api(path + apiQuery({ limit: 500, cursor }), { signal });
      members.push(...page.members);
      cursor = page.cursor ?? undefined;
    } while (cursor !== undefined && members.length < GROWN);
    return { members, more: cursor !== undefined };
  });
  return section(
    { class: "card stack" },
    h2(null, "Growth"),
    growth.error
      ? failure(growth.error, growth.reload)
      : loaded(growth, ({ members, more }) => growthTable(members, more), 3),
  );
}

function growthTable(members: readonly Json[], more: boolean): ComponentChildren {
  const points = growthOf(members as { since: string }[]);
  if (points.length === 0) return p({ class: "hint" }, "Nobody is in it now.");
  const max = points.at(-1)!.members;
  return table(
    { class: "list" },
    caption(
      { class: "hint" },
      `Present members, by the day (UTC) since which they belong${
        more ? `; of the first ${count(GROWN)}` : ""
      }. Who left is not counted.`,
    ),
    thead(null, tr(null, ["day", "members", "share"].map((each) => th({ key: each, scope: "col" }, each)))),
    tbody(
      null,
      points.map(({ day, members }) =>
        tr(
          { key: day },
          td({ class: "tight" }, day),
          td({ class: "number" }, count(members)),
          td(
            null,
            meter({ min: 0, max, value: members, "aria-label": `${members} of ${max} members on ${day}` }),
          ),
        )
      ),
    ),
  );
}
