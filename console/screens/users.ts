/** Users and visitors: the profile, why it is so, and how it was at any moment. */
import type { ComponentChildren, VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { api, ApiError, apiPath, apiQuery, apiUrl } from "../app/api.ts";
import { useApi, useModule } from "../app/load.ts";
import { choose, chosen, go, linkTo } from "../app/router.ts";
import { hasFeature, isAdmin } from "../app/session.ts";
import { tags, view } from "../app/tags.ts";
import type { Json } from "../core/json.ts";
import { curl, plural, visible } from "../core/text.ts";
import {
  action,
  actorLink,
  command,
  empty,
  eventLink,
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
import { TimeTravel } from "../parts/time_travel.ts";
import { TraitTable } from "../parts/trait_table.ts";

const { a, div, h2, li, p, section, span, table, tbody, td, th, thead, tr, ul } = tags;

/** The screen. */
export function Screen(): VNode {
  const kind = chosen("kind") === "anonymous" ? "anonymous" : "user";
  const id = chosen("id");
  return div(
    null,
    view(Title, { of: id === "" ? undefined : visible(id) }),
    view(IdSearch, { screen: "users", kinds: ["user", "anonymous"], kind, id }),
    id === "" ? view(Start) : view(Person, { key: `${kind}/${id}`, kind, id }),
  );
}

function Start(): VNode {
  const recent = recentIds("users");
  if (recent.length === 0) {
    return empty(
      "Whose profile?",
      p(null, "Enter the exact id of a user, or of a visitor without an account (anonymous id)."),
      p(null, "There is nobody yet? This makes one:"),
      command(
        curl({
          url: apiUrl("events"),
          method: "POST",
          body: JSON.stringify({ type: "identify", userId: "jane", traits: { plan: "free" } }),
          as: "KEY",
        }),
      ),
    );
  }
  return section(
    { class: "card" },
    h2(null, "Lately opened in this tab"),
    ul({ class: "inline" }, recent.map(({ kind, id }) => li({ key: `${kind}/${id}` }, actorLink(kind, id)))),
  );
}

function Person({ kind, id }: { kind: "user" | "anonymous"; id: string }): VNode {
  const [at, asOf] = [chosen("at"), chosen("asOf")];
  const path = apiPath(kind === "user" ? "users" : "anonymous", id);
  const query = apiQuery({ at, asOf });
  const now = useApi(path);
  const past = useApi(query === "" ? undefined : path + query);
  requestOfScreen.value = curl({ url: apiUrl(path + query) });
  const found = now.value !== undefined;
  useEffect(() => {
    if (found) rememberId("users", { kind, id });
  }, [found]);
  if (now.error?.status === 404) return view(NotFound, { kind, id });
  return div(
    { class: "stack" },
    loaded(now, (profile) => view(Profile, { kind, id, profile, past, isPast: query !== "" }), 8),
  );
}

/** What else has this id. */
function NotFound({ kind, id }: { kind: "user" | "anonymous"; id: string }): VNode {
  const other = kind === "user" ? "anonymous" : "user";
  const [found, setFound] = useState<Json>();
  useEffect(() => {
    const exists = (path: string) =>
      api(path).then(() => true, (error) => error instanceof ApiError ? false : Promise.reject(error));
    (async () => {
      const [asOther, asGroup] = await Promise.all([
        exists(apiPath(other === "user" ? "users" : "anonymous", id)),
        exists(apiPath("groups", id)),
      ]);
      const asEvent = !asOther && !asGroup && isAdmin() && await exists(apiPath("admin", "events", id));
      setFound({ asOther, asGroup, asEvent });
    })();
  }, [kind, id]);
  const name = kind === "user" ? "user" : "visitor";
  return empty(
    `No ${name} has exactly this id.`,
    p(null, idText(id, 80)),
    found === undefined
      ? p({ class: "hint" }, "Looking for it as other ids…")
      : found.asOther
      ? p(null, `It is the id of ${other === "user" ? "a user" : "a visitor"}: `, actorLink(other, id))
      : found.asGroup
      ? p(null, "It is the id of a group: ", actorLink("group", id))
      : found.asEvent
      ? p(null, "It is the id of an event: ", eventLink(id, 60))
      : p({ class: "hint" }, "No visitor, user, group or event has it. Ids are compared letter by letter."),
  );
}

function Profile(
  { kind, id, profile, past, isPast }: {
    kind: "user" | "anonymous";
    id: string;
    profile: Json;
    past: Json;
    isPast: boolean;
  },
): VNode {
  const tab = chosen("tab") || "profile";
  const isLinked = kind === "anonymous" && profile.userId !== undefined;
  const anonymousIds: string[] = profile.anonymousIds ?? [];
  return div(
    { class: "stack" },
    isLinked &&
      notice("calm", [
        "This visitor is the user ",
        actorLink("user", profile.userId),
        ". The profile is the user's.",
      ]),
    profile.dropped &&
      notice(
        "warn",
        "Some traits or names are missing: this profile is larger than a profile may be.",
        p({ class: "hint" }, visible(JSON.stringify(profile.dropped))),
      ),
    head(kind, id, profile),
    div(
      null,
      tabs("Parts of the profile", [
        { name: "profile", text: "Profile" },
        { name: "events", text: "Events", count: profile.eventCount },
        { name: "links", text: "Links", count: anonymousIds.length || undefined },
        { name: "groups", text: "Groups", count: (profile.groups ?? []).length || undefined },
        ...kind === "user" && hasFeature("audiences") ? [{ name: "audiences", text: "Audiences" }] : [],
      ], {
        current: tab,
        onChoose: (name) => choose({ tab: name === "profile" ? undefined : name, id: chosen("id") }),
      }),
      tab === "events"
        ? view(Log, { path: apiPath(kind === "user" ? "users" : "anonymous", id) })
        : tab === "links"
        ? linksView(kind, profile)
        : tab === "groups"
        ? groupsView(profile)
        : tab === "audiences" && kind === "user"
        ? view(Audiences, { id })
        : [
          view(TimeTravel, {
            path: apiPath(kind === "user" ? "users" : "anonymous", id),
            eventCount: profile.eventCount,
          }),
          isPast && past.error?.status === 404
            ? notice("calm", "At this moment nothing was known of this person.")
            : isPast && past.error
            ? failure(past.error, past.reload)
            : profileView({
              kind,
              id: isLinked ? profile.userId : id,
              now: profile,
              shown: isPast ? past.value : profile,
              isPast,
              isLoading: isPast && past.isLoading,
              isUser: kind === "user" || isLinked,
            }),
        ],
    ),
  );
}

function head(kind: string, id: string, { eventCount, firstSeen, lastSeen, version }: Json): VNode {
  return div(
    { class: "card person" },
    div(
      { class: "grow" },
      h2(null, kind === "anonymous" && span({ class: "tag" }, "anonymous"), " ", idText(id, 80)),
      p(
        { class: "soft facts-line" },
        span(null, plural(eventCount, "event")),
        span(null, "first ", when(firstSeen)),
        span(null, "last ", when(lastSeen)),
        span(null, `version ${version}`),
      ),
    ),
    isAdmin() &&
      action("Erase…", () => go({ screen: "settings", query: { erase: id, kind } }), {
        icon: "trash",
        kind: "quiet",
      }),
  );
}

interface Shown {
  kind: "user" | "anonymous";
  id: string;
  now: Json;
  shown: Json;
  isPast: boolean;
  isLoading: boolean;
  isUser: boolean;
}

function profileView({ id, now, shown, isPast, isLoading, isUser }: Shown): ComponentChildren {
  const profile = shown ?? now;
  return div(
    { class: isLoading ? "stale" : "fresh" },
    view(TraitTable, {
      userId: isUser ? id : undefined,
      traits: profile.traits,
      now: isPast ? now.traits : undefined,
    }),
    div(
      { class: "columns" },
      section(
        { class: "card flush" },
        div({ class: "card-head" }, h2(null, "Events by type")),
        table(
          { class: "list" },
          tbody(
            null,
            Object.entries(profile.counts).filter(([, value]) => value).map(([type, value]) =>
              tr(
                { key: type },
                th({ scope: "row", class: "plain" }, type),
                td({ class: "number" }, String(value)),
                isPast &&
                  td(
                    { class: "number soft tight" },
                    value === now.counts[type] ? "" : `now ${now.counts[type]}`,
                  ),
              )
            ),
          ),
        ),
      ),
      section(
        { class: "card flush" },
        div({ class: "card-head" }, h2(null, "Events by name")),
        Object.keys(profile.events).length === 0 ? p({ class: "card-body hint" }, "No track events.") : table(
          { class: "list" },
          thead(
            null,
            tr(
              null,
              th({ scope: "col" }, "event"),
              th({ scope: "col", class: "number" }, "count"),
              th({ scope: "col" }, "first"),
              th({ scope: "col" }, "last"),
            ),
          ),
          tbody(
            null,
            Object.entries<Json>(profile.events).map(([event, { count, firstAt, lastAt }]) =>
              tr(
                { key: event },
                td(
                  null,
                  a({ ...linkTo("users", { id, tab: "events", event, type: "track" }) }, visible(event)),
                ),
                td({ class: "number" }, String(count)),
                td({ class: "tight" }, when(firstAt)),
                td({ class: "tight" }, when(lastAt)),
              )
            ),
          ),
        ),
      ),
      Object.keys(profile.context).length > 0 &&
        section(
          { class: "card flush" },
          div({ class: "card-head" }, h2(null, "Context of the newest event")),
          contextView(profile.context),
        ),
    ),
  );
}

function contextView(context: Json): VNode {
  return table(
    { class: "list" },
    tbody(
      null,
      Object.entries(context).map(([name, value]) =>
        tr(
          { key: name },
          th({ scope: "row", class: "plain" }, visible(name)),
          td(null, visible(typeof value === "string" ? value : JSON.stringify(value))),
        )
      ),
    ),
  );
}

function linksView(kind: string, { anonymousIds = [], userId }: Json): VNode {
  if (kind === "anonymous") {
    return userId === undefined
      ? empty(
        "No user owns this anonymous id.",
        p(null, "An identify with both ids, or an alias, links them."),
      )
      : div({ class: "card" }, p(null, "It belongs to the user ", actorLink("user", userId), "."));
  }
  if (anonymousIds.length === 0) {
    return empty(
      "No anonymous id is linked.",
      p(null, "An identify with userId and anonymousId links them: the visitor's events become the user's."),
    );
  }
  return div(
    { class: "card stack" },
    p({ class: "soft" }, "The events of these visitors belong to this user:"),
    ul({ class: "inline" }, anonymousIds.map((id: string) => li({ key: id }, actorLink("anonymous", id)))),
  );
}

function groupsView({ groups = [] }: Json): VNode {
  if (groups.length === 0) {
    return empty("In no group", p(null, "A group call with a groupId puts somebody in a group."));
  }
  return div(
    { class: "card flush" },
    table(
      { class: "list" },
      thead(
        null,
        tr(
          null,
          th({ scope: "col" }, "group"),
          th({ scope: "col" }, "joined"),
          th({ scope: "col" }, "traits"),
        ),
      ),
      tbody(
        null,
        groups.map(({ groupId, joinedAt, traits }: Json) =>
          tr(
            { key: groupId },
            td(null, actorLink("group", groupId)),
            td({ class: "tight" }, when(joinedAt)),
            td({ class: "soft" }, visible(JSON.stringify(traits ?? {}).slice(0, 160))),
          )
        ),
      ),
    ),
  );
}

/** The audiences are loaded when their tab is opened. */
function Audiences(props: { id: string }): VNode {
  const module = useModule(() => import("../parts/user_audiences.ts"));
  return module === undefined ? skeleton(4) : view(module.UserAudiences, props);
}

/** The log is loaded when its tab is opened. */
function Log(props: { path: string; withActor?: boolean }): VNode {
  const module = useModule(() => import("../parts/event_log.ts"));
  return module === undefined ? skeleton(8) : view(module.EventLog, props);
}
