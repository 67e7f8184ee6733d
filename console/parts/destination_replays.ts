/** Replays of a destination: history that is sent again, with progress. */
import { type ComponentChildren, type VNode } from "preact";
import { useState } from "preact/hooks";
import { api, ApiError, apiPath } from "../app/api.ts";
import { useApi } from "../app/load.ts";
import { tags } from "../app/tags.ts";
import { type Json } from "../core/json.ts";
import { count, visible } from "../core/text.ts";
import { fromField } from "../core/time.ts";
import { zone } from "../app/preferences.ts";
import { action, badge, empty, failure, loaded, when } from "./basics.ts";

const { button, code, div, form, h2, input, label, p, progress, span, table, tbody, td, th, thead, tr } =
  tags;

const pathOf = (name: string, rest = "") => apiPath("admin", "destinations", name) + rest;

/** History, sent again beside live traffic. */
export function Replays({ name }: { name: string }): VNode {
  const replays = useApi(pathOf(name, "/replays"), { everyMs: 2_000 });
  const [error, setError] = useState<ApiError | undefined>();
  const run = async (path: string, method: "POST" | "DELETE", body?: Json) => {
    setError(undefined);
    try {
      await api(pathOf(name, path), { method, ...body && { body } });
      replays.reload();
    } catch (problem) {
      if (!(problem instanceof ApiError)) throw problem;
      setError(problem);
    }
  };
  const start = (event: Event) => {
    event.preventDefault();
    const values = new FormData(event.currentTarget as HTMLFormElement);
    const moment = (field: string) => {
      const ms = fromField(String(values.get(field)), zone());
      return ms === undefined ? undefined : new Date(ms).toISOString();
    };
    const perSecond = String(values.get("perSecond"));
    run("/replay", "POST", {
      ...moment("from") && { from: moment("from") },
      ...moment("to") && { to: moment("to") },
      ...perSecond !== "" && { perSecond: Number(perSecond) },
    });
  };
  const moment = (field: string, words: string) =>
    div(
      { class: "field" },
      label({ for: `replay-${field}` }, words),
      input({ id: `replay-${field}`, name: field, type: "datetime-local", step: "1" }),
    );
  return div(
    { class: "stack" },
    form(
      { class: "card stack", onSubmit: start },
      h2(null, "Send history again"),
      p(
        { class: "soft" },
        "Beside live traffic, through the filters as they are now. Receivers know events by their ids.",
      ),
      div(
        { class: "form" },
        div(
          { class: "pair" },
          moment("from", "Received from (empty: the beginning)"),
          moment("to", "to (empty: now)"),
          div(
            { class: "field" },
            label({ for: "replay-rate" }, "At most a second"),
            input({
              id: "replay-rate",
              name: "perSecond",
              type: "number",
              min: "1",
              placeholder: "as the destination",
            }),
          ),
        ),
      ),
      error && failure(error),
      div({ class: "row" }, button({ type: "submit", class: "button primary" }, "Start the replay")),
    ),
    loaded(replays, ({ replays: all }) =>
      all.length === 0 ? empty("No replay yet") : div(
        { class: "card flush" },
        table(
          { class: "list cards" },
          thead(
            null,
            tr(
              null,
              ["stretch", "state", "progress", "sent", ""].map((column) =>
                th({ key: column, scope: "col" }, column || span({ class: "visually-hidden" }, "actions"))
              ),
            ),
          ),
          tbody(
            null,
            all.map(({ id, state, from, to, matched, sent, position }: Json) =>
              tr(
                { key: id },
                td(null, rangeOf(from, to)),
                td(
                  { class: "tight" },
                  badge(state, state === "done" ? "good" : state === "running" ? "good" : "calm"),
                ),
                td(
                  null,
                  state === "running"
                    ? progress({ "aria-label": "Progress" })
                    : code({ class: "id" }, visible(String(position ?? ""))),
                ),
                td({ class: "number" }, `${count(sent ?? 0)} of ${count(matched ?? 0)}`),
                td(
                  { class: "tight" },
                  div(
                    { class: "row nowrap" },
                    state === "running" &&
                      action("Pause", () => void run(`/replays/${id}/pause`, "POST"), { kind: "quiet" }),
                    state === "paused" &&
                      action("Resume", () => void run(`/replays/${id}/resume`, "POST"), { kind: "quiet" }),
                    (state === "running" || state === "paused") &&
                      action("Cancel", () => void run(`/replays/${id}`, "DELETE"), { kind: "quiet" }),
                  ),
                ),
              )
            ),
          ),
        ),
      ), 3),
  );
}

function rangeOf(from: Json, to: Json): ComponentChildren {
  const shown = (value: Json, none: string) =>
    value === undefined || value === null || value === ""
      ? none
      : Number.isNaN(Date.parse(value))
      ? code({ class: "id" }, String(value))
      : when(value);
  return ["from ", shown(from, "the beginning"), " to ", shown(to, "now")];
}
