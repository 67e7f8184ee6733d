/** The log of a user, a visitor or a group: pages of events, newest first, each with its detail. */
import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { api, apiQuery, TYPES } from "../app/api.ts";
import { useLoad } from "../app/load.ts";
import { choose, chosen } from "../app/router.ts";
import { isAdmin } from "../app/session.ts";
import { tags, view } from "../app/tags.ts";
import type { Json } from "../core/json.ts";
import { plural, visible } from "../core/text.ts";
import { action, empty, loaded, when } from "./basics.ts";
import { EventDetail, who } from "./event_detail.ts";
import { JsonTree } from "./json_tree.ts";

const { button, div, input, label, option, p, select, span, table, tbody, td, th, thead, tr } = tags;

/** Events of a page. */
const PAGE = 50;

/** The log at `path`: `users/jane`. */
export function EventLog({ path, withActor = false }: { path: string; withActor?: boolean }): VNode {
  const [type, event, order] = [chosen("type"), chosen("event"), chosen("order")];
  const [pages, setPages] = useState<Json[]>([]);
  const key = `${path} ${type} ${event} ${order}`;
  const query = (cursor?: string) => apiQuery({ limit: PAGE, type, event, order, cursor });
  const first = useLoad(key, (signal) => api(`${path}/events${query()}`, { signal }));
  useEffect(() => setPages([]), [key]);
  const more = async (cursor: string) => {
    const page = await api(`${path}/events${query(cursor)}`);
    setPages((before) => [...before, page]);
  };
  const shown = chosen("event_id");
  return div(
    { class: shown ? "beside" : "" },
    div(
      null,
      filters({ type, event, order }),
      loaded(first, (page) => {
        const events = [page, ...pages].flatMap((each) => each.events);
        const cursor = (pages.at(-1) ?? page).cursor;
        if (events.length === 0) {
          return empty(
            "No events here",
            p(null, type || event ? "No event passes the filter." : "Events appear as they arrive."),
          );
        }
        return div(
          { class: "card flush" },
          table(
            { class: "list cards" },
            thead(
              null,
              tr(
                null,
                ["time", "type", "event", withActor ? "who" : "says"].map((name) =>
                  th({ key: name, scope: "col" }, name)
                ),
              ),
            ),
            tbody(null, events.map((each) => rowOf(each, { shown, withActor }))),
          ),
          div(
            { class: "card-body row between" },
            span({ class: "hint" }, `${plural(events.length, "event")} shown`),
            cursor !== null && action(`${PAGE} more`, () => void more(cursor)),
          ),
        );
      }, 8),
    ),
    shown &&
      div(
        { class: "card" },
        isAdmin()
          ? view(EventDetail, { messageId: shown, onClose: () => choose({ event_id: undefined }) })
          : view(Plain, {
            event: [first.value, ...pages].flatMap((page) => page?.events ?? []).find((each) =>
              each.messageId === shown
            ),
          }),
      ),
  );
}

/** What a reader sees of an event: its trace needs the admin token. */
function Plain({ event }: { event: Json }): VNode {
  return event === undefined
    ? p(null, "This event is not on this page.")
    : view(JsonTree, { value: event, name: event.type });
}

function rowOf(event: Json, { shown, withActor }: { shown: string; withActor: boolean }): VNode {
  const { messageId, timestamp, type } = event;
  const open = () => choose({ event_id: messageId }, { replace: shown !== "" });
  return tr(
    { key: messageId + timestamp, class: `clickable${messageId === shown ? " current" : ""}`, onClick: open },
    td({ class: "tight" }, when(timestamp)),
    td({ class: "tight" }, span({ class: "tag" }, type)),
    td(
      null,
      button({
        type: "button",
        class: "row-link",
        onClick: (click: Event) => (click.stopPropagation(), open()),
      }, visible(String(event.event ?? event.name ?? type))),
    ),
    td({ class: "soft" }, withActor ? who(event) : span({ class: "ellipsis says" }, visible(saysOf(event)))),
  );
}

/** Traits or properties in one line. */
function saysOf({ traits, properties, groupId, previousId, anonymousId, userId }: Json): string {
  const said = traits ?? properties ?? {};
  const parts = Object.entries(said).slice(0, 4).map(([name, value]) =>
    `${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`
  );
  if (groupId) parts.unshift(`group ${groupId}`);
  if (previousId) parts.unshift(`was ${previousId}`);
  if (userId && anonymousId) parts.unshift(`as ${anonymousId}`);
  return parts.join(", ").slice(0, 200);
}

function filters({ type, event, order }: { type: string; event: string; order: string }): VNode {
  return div(
    { class: "toolbar filters" },
    div(
      { class: `filter${type && " chosen"}` },
      label({ class: "visually-hidden", for: "log-type" }, "Type"),
      select(
        {
          id: "log-type",
          value: type,
          onChange: (change: Event) =>
            choose({ type: (change.target as HTMLSelectElement).value, event_id: undefined }),
        },
        option({ value: "" }, "Type: all"),
        TYPES.map((each) => option({ key: each, value: each }, each)),
      ),
    ),
    div(
      { class: `filter${event && " chosen"}` },
      label({ class: "visually-hidden", for: "log-event" }, "Event name"),
      input({
        id: "log-event",
        type: "text",
        placeholder: "Event name",
        value: event,
        onChange: (change: Event) =>
          choose({ event: (change.target as HTMLInputElement).value, event_id: undefined }),
      }),
    ),
    div(
      { class: "filter" },
      label({ class: "visually-hidden", for: "log-order" }, "Order"),
      select(
        {
          id: "log-order",
          value: order,
          onChange: (change: Event) => choose({ order: (change.target as HTMLSelectElement).value }),
        },
        option({ value: "" }, "newest first"),
        option({ value: "asc" }, "oldest first"),
      ),
    ),
  );
}
