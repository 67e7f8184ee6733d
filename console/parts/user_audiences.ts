/** The audiences of a user, with since and until. */
import type { VNode } from "preact";
import { apiPath } from "../app/api.ts";
import { useApi } from "../app/load.ts";
import { linkTo } from "../app/router.ts";
import { isAdmin } from "../app/session.ts";
import { tags } from "../app/tags.ts";
import type { Json } from "../core/json.ts";
import { visible } from "../core/text.ts";
import { empty, loaded, when } from "./basics.ts";

const { a, div, p, span, table, tbody, td, th, thead, tr } = tags;

/** The list. */
export function UserAudiences({ id }: { id: string }): VNode {
  const audiences = useApi(apiPath("users", id, "audiences"));
  return div(
    null,
    loaded(
      audiences,
      ({ audiences: all }) =>
        all.length === 0
          ? empty("In no audience", p(null, "An audience is a set of users for whom a condition holds."))
          : listOf(id, all),
    ),
  );
}

function listOf(id: string, all: readonly Json[]): VNode {
  return div(
    { class: "card flush" },
    table(
      { class: "list" },
      thead(
        null,
        tr(null, ["audience", "since", "until"].map((name) => th({ key: name, scope: "col" }, name))),
      ),
      tbody(
        null,
        all.map(({ name, since, until }) =>
          tr(
            { key: name },
            td(
              null,
              isAdmin()
                ? a({ ...linkTo("audiences", { id: name, user: id }), title: "Why?" }, visible(name))
                : visible(name),
            ),
            td({ class: "tight" }, when(since)),
            td({ class: "tight" }, until ? when(until) : span({ class: "soft" }, "—")),
          )
        ),
      ),
    ),
  );
}
