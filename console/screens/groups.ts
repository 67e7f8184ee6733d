/** Groups: traits, members, and the log. */
import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { api, apiPath, apiQuery, apiUrl } from "../app/api.ts";
import { useApi, useLoad, useModule } from "../app/load.ts";
import { choose, chosen } from "../app/router.ts";
import { tags, view } from "../app/tags.ts";
import type { Json } from "../core/json.ts";
import { count, curl, plural, visible } from "../core/text.ts";
import {
  action,
  actorLink,
  command,
  empty,
  failure,
  idText,
  loaded,
  notice,
  skeleton,
  tabs,
  when,
} from "../parts/basics.ts";
import { IdSearch, recentIds, rememberId } from "../parts/id_search.ts";
import { requestOfScreen, Title } from "../parts/title.ts";
import { TraitTable } from "../parts/trait_table.ts";

const { div, h2, li, p, section, span, table, tbody, td, th, thead, tr, ul } = tags;

/** Members of a page. */
const PAGE = 50;

/** The screen. */
export function Screen(): VNode {
  const id = chosen("id");
  return div(
    null,
    view(Title, { of: id === "" ? undefined : visible(id) }),
    view(IdSearch, { screen: "groups", kinds: ["group"], kind: "group", id }),
    id === "" ? view(Start) : view(Group, { key: id, id }),
  );
}

const groupCall = (groupId: string) =>
  curl({
    url: apiUrl("events"),
    method: "POST",
    body: JSON.stringify({ type: "group", userId: "jane", groupId, traits: { name: "Acme Corp" } }),
    as: "KEY",
  });

function Start(): VNode {
  const recent = recentIds("groups");
  return recent.length === 0
    ? empty(
      "Which group?",
      p(null, "Enter the exact groupId. A group call makes a group:"),
      command(groupCall("acme")),
    )
    : section(
      { class: "card" },
      h2(null, "Lately opened in this tab"),
      ul({ class: "inline" }, recent.map(({ id }) => li({ key: id }, actorLink("group", id)))),
    );
}

function Group({ id }: { id: string }): VNode {
  const group = useApi(apiPath("groups", id));
  const tab = chosen("tab") || "members";
  requestOfScreen.value = curl({
    url: apiUrl(tab === "members" ? `${apiPath("groups", id)}/members` : apiPath("groups", id)),
  });
  useEffect(() => {
    if (group.value !== undefined) rememberId("groups", { kind: "group", id });
  }, [group.value !== undefined]);
  useRetry(group);
  if (group.error?.status === 404) {
    return empty(
      "No group has exactly this id.",
      p(null, idText(id, 80)),
      p(null, "A group call with this groupId makes it:"),
      command(groupCall(id)),
    );
  }
  if (group.error?.code === "settling") {
    return notice(
      "calm",
      "Waiting for events that are not settled yet…",
      p(
        { class: "hint" },
        "Members and their number include only settled events. This page tries again by itself.",
      ),
    );
  }
  return div(
    null,
    loaded(group, (value) => [
      div(
        { class: "card person" },
        div(
          { class: "grow" },
          h2(null, idText(id, 80)),
          p(
            { class: "soft facts-line" },
            span(null, plural(value.memberCount, "member")),
            span(null, plural(value.eventCount, "event")),
            span(null, "first ", when(value.firstSeen)),
            span(null, "last ", when(value.lastSeen)),
          ),
        ),
      ),
      div(
        null,
        tabs("Parts of the group", [{ name: "members", text: "Members", count: value.memberCount }, {
          name: "traits",
          text: "Traits",
        }, { name: "events", text: "Events", count: value.eventCount }], {
          current: tab,
          onChoose: (name) => choose({ tab: name === "members" ? undefined : name }),
        }),
        tab === "traits"
          ? view(TraitTable, { userId: undefined, traits: value.traits, now: undefined })
          : tab === "events"
          ? view(Log, { path: apiPath("groups", id), withActor: true })
          : view(Members, { id, total: value.memberCount }),
      ),
    ], 6),
  );
}

/** A read that waits for settling is tried again when the server says so. */
function useRetry(
  { error, reload }: {
    error: { code: string; retryAfterS: number | undefined } | undefined;
    reload: () => void;
  },
): void {
  useEffect(() => {
    if (error?.code !== "settling") return;
    const timer = setTimeout(reload, 1000 * (error.retryAfterS ?? 1));
    return () => clearTimeout(timer);
  }, [error]);
}

function Members({ id, total }: { id: string; total: number }): VNode {
  const path = `${apiPath("groups", id)}/members`;
  const first = useLoad(id, (signal) => api(path + apiQuery({ limit: PAGE }), { signal }));
  const [pages, setPages] = useState<Json[]>([]);
  useRetry(first);
  if (first.error) return failure(first.error, first.reload);
  const more = async (cursor: string) => {
    const page = await api(path + apiQuery({ limit: PAGE, cursor }));
    setPages((before) => [...before, page]);
  };
  return div(
    null,
    loaded(first, (page) => {
      const members = [page, ...pages].flatMap((each) => each.members);
      const cursor = (pages.at(-1) ?? page).cursor;
      if (members.length === 0) {
        return empty(
          `Nobody is in ${visible(id)}.`,
          p(null, "A group call with this groupId puts somebody in:"),
          command(groupCall(id)),
        );
      }
      return div(
        { class: "card flush" },
        table(
          { class: "list" },
          thead(null, tr(null, th({ scope: "col" }, "member"), th({ scope: "col" }, "joined"))),
          tbody(
            null,
            members.map(({ userId, anonymousId, joinedAt }: Json) =>
              tr(
                { key: userId ?? `anonymous ${anonymousId}` },
                td(
                  null,
                  userId !== undefined ? actorLink("user", userId) : actorLink("anonymous", anonymousId),
                ),
                td({ class: "tight" }, when(joinedAt, "long")),
              )
            ),
          ),
        ),
        div(
          { class: "card-body row between" },
          span({ class: "hint" }, `${count(members.length)} of ${count(total)} shown, newest first`),
          cursor !== null && action(`${PAGE} more`, () => void more(cursor)),
        ),
      );
    }),
  );
}

/** The log is loaded when its tab is opened. */
function Log(props: { path: string; withActor?: boolean }): VNode {
  const module = useModule(() => import("../parts/event_log.ts"));
  return module === undefined ? skeleton(8) : view(module.EventLog, props);
}
