/** Forwarding: the destinations of events, how far behind each is, and why. */
import type { ComponentChildren, VNode } from "preact";
import { useState } from "preact/hooks";
import { api, ApiError, apiPath, apiUrl } from "../app/api.ts";
import { useApi, useModule } from "../app/load.ts";
import { choose, chosen, linkTo } from "../app/router.ts";
import { tags, view } from "../app/tags.ts";
import type { Json } from "../core/json.ts";
import { count, curl, visible } from "../core/text.ts";
import { duration } from "../core/time.ts";
import {
  action,
  badge,
  Copy,
  Dialog,
  empty,
  facts,
  failure,
  loaded,
  notice,
  skeleton,
  tabs,
  when,
} from "../parts/basics.ts";
import { requestOfScreen, Title } from "../parts/title.ts";

const { a, code, div, h2, input, label, p, section, span, table, tbody, td, th, thead, tr } = tags;

/** The state of destinations changes by itself. */
const EVERY_MS = 3_000;

const TONES: Record<string, "good" | "bad" | "warn" | "calm"> = {
  running: "good",
  failing: "bad",
  paused: "warn",
  off: "calm",
};

/** The screen. */
export function Screen(): VNode {
  const name = chosen("id");
  const isNew = chosen("new") !== "";
  const destinations = useApi("admin/destinations", { everyMs: EVERY_MS });
  requestOfScreen.value = curl({
    url: apiUrl(name === "" ? "admin/destinations" : apiPath("admin", "destinations", name)),
  });
  const saved = (to: string, secret?: string) => {
    if (secret !== undefined) madeSecret = { name: to, secret };
    destinations.reload();
    choose({ new: undefined, id: to, tab: undefined });
  };
  const tools = div(
    { class: "row" },
    (name !== "" || isNew) && a({ class: "button", ...linkTo("forwarding") }, "All destinations"),
    !isNew &&
      action("Add a destination", () => choose({ new: "1", id: undefined, tab: undefined }), {
        kind: "primary",
        icon: "plus",
      }),
  );
  return div(
    null,
    view(Title, { of: name === "" ? undefined : visible(name), children: tools }),
    isNew
      ? view(Form, { existing: undefined, onSaved: saved })
      : loaded(destinations, ({ destinations: all }) => {
        const found = all.find((each: Json) => each.name.toLowerCase() === name.toLowerCase());
        if (name !== "" && found === undefined) {
          return notice("calm", `No destination is named ${visible(name)}.`);
        }
        if (found !== undefined) {
          return view(Destination, {
            key: found.name,
            destination: found,
            reload: destinations.reload,
            onSaved: saved,
          });
        }
        return all.length === 0 ? teach() : list(all);
      }),
  );
}

/** A webhook's secret that was just made: shown once, kept nowhere else. */
let madeSecret: { name: string; secret: string } | undefined;

function teach(): VNode {
  return empty(
    "No destination yet",
    p(
      null,
      "A destination receives events as they come: a webhook, another signalfold or Segment, PostgreSQL, ClickHouse, S3, or a product by its HTTP API. It reads the journal at its own pace, so a slow or broken one loses nothing.",
    ),
    action("Add a destination", () => choose({ new: "1" }), { kind: "primary", icon: "plus" }),
  );
}

function list(all: readonly Json[]): VNode {
  return div(
    { class: "card flush scroll", tabIndex: 0, role: "region", "aria-label": "Destinations" },
    table(
      { class: "list cards" },
      thead(
        null,
        tr(
          null,
          ["name", "state", "behind", "delivered, 24 h", "waiting", "dead"].map((name) =>
            th({ key: name, scope: "col" }, name)
          ),
        ),
      ),
      tbody(
        null,
        all.map(({ name, kind, status }) =>
          tr(
            { key: name, class: "clickable", onClick: () => choose({ id: name }) },
            td(
              null,
              a({ ...linkTo("forwarding", { id: name }), class: "strong" }, visible(name)),
              " ",
              span({ class: "tag" }, kind),
            ),
            td(null, stateOf(status)),
            td({ class: status.lagEvents > 0 ? "" : "soft" }, behind(status)),
            td({ class: "number" }, count(status.last24h?.delivered ?? 0)),
            td({ class: "number" }, count((status.held ?? 0) + (status.retrying ?? 0))),
            td(
              { class: "number" },
              status.dead > 0
                ? a({
                  ...linkTo("forwarding", { id: name, tab: "deliveries", status: "dead" }),
                  class: "fall",
                }, count(status.dead))
                : "0",
            ),
          )
        ),
      ),
    ),
  );
}

function behind({ lagEvents, lagSeconds }: Json): string {
  return lagEvents > 0 ? `${count(lagEvents)} events, ${duration(1000 * (lagSeconds ?? 0))}` : "up to date";
}

function stateOf({ state, reason, lastError }: Json): ComponentChildren {
  const why = reason ?? (state === "failing" ? messageOf(lastError) : undefined);
  return [badge(state, TONES[state] ?? "calm"), why && div({ class: "hint" }, visible(String(why)))];
}

function messageOf(error: Json): string | undefined {
  if (error === undefined || error === null) return undefined;
  return typeof error === "string" ? error : error.message ?? error.reason ?? JSON.stringify(error);
}

interface One {
  destination: Json;
  reload: () => void;
  onSaved: (name: string, secret?: string) => void;
}

function Destination({ destination, reload, onSaved }: One): VNode {
  const [error, setError] = useState<ApiError | undefined>();
  const [asks, setAsks] = useState<"" | "delete" | "resume">("");
  const [secret, setSecret] = useState(() => {
    const made = madeSecret?.name === destination.name ? madeSecret?.secret : undefined;
    madeSecret = undefined;
    return made;
  });
  const tab = chosen("tab") || "state";
  const { name, kind, status, enabled } = destination;
  const path = (rest = "") => apiPath("admin", "destinations", name) + rest;
  const run = async (ask: () => Promise<Json>) => {
    setError(undefined);
    try {
      const answer = await ask();
      setAsks("");
      reload();
      return answer;
    } catch (problem) {
      if (!(problem instanceof ApiError)) throw problem;
      setError(problem);
    }
  };
  const rotate = async () =>
    setSecret((await run(() => api(path("/rotate"), { method: "POST" })))?.settings.secret);
  const isStopped = status.state === "paused" || status.state === "off" || enabled === false;
  return div(
    { class: "stack" },
    section(
      { class: "card person" },
      div(
        { class: "grow" },
        h2(null, visible(name)),
        p(
          { class: "soft facts-line" },
          span(null, kind),
          span(null, behind(status)),
          destination.settings?.url && code({ class: "id" }, visible(destination.settings.url)),
        ),
      ),
      div(null, stateOf(status)),
      isStopped
        ? action("Resume…", () => setAsks("resume"), { kind: "primary", icon: "play" })
        : action("Pause", () => void run(() => api(path("/pause"), { method: "POST" })), { icon: "pause" }),
      kind === "webhook" && action("Rotate the secret", () => void rotate(), { kind: "quiet" }),
      action("", () => setAsks("delete"), { icon: "trash", kind: "quiet", label: "Delete the destination" }),
    ),
    secret &&
      notice(
        "good",
        "The secret that signs webhooks, shown this once:",
        div(
          { class: "command" },
          code({ tabIndex: 0 }, secret),
          view(Copy, { text: () => secret, what: "Secret" }),
        ),
      ),
    error && failure(error),
    div(
      null,
      tabs("Parts of the destination", [
        { name: "state", text: "State" },
        { name: "deliveries", text: "Deliveries" },
        { name: "test", text: "Test send" },
        { name: "replay", text: "Replay" },
        { name: "edit", text: "Edit" },
      ], {
        current: tab,
        onChoose: (to) => choose({ tab: to === "state" ? undefined : to, status: undefined }),
      }),
      tab === "deliveries"
        ? view(Work, { part: "Deliveries", name, reload })
        : tab === "test"
        ? view(Work, { part: "TestSend", name, reload })
        : tab === "replay"
        ? view(Work, { part: "Replays", name, reload })
        : tab === "edit"
        ? view(Form, { existing: destination, onSaved })
        : stateView(destination),
    ),
    asks === "resume" &&
      view(ResumeDialog, {
        status,
        close: () => setAsks(""),
        run: (from) => void run(() => api(path("/resume"), { method: "POST", body: { from } })),
      }),
    asks === "delete" &&
      view(DeleteDialog, {
        name,
        close: () => setAsks(""),
        run: () =>
          void run(() => api(path(), { method: "DELETE" })).then(() =>
            choose({ id: undefined, tab: undefined })
          ),
      }),
  );
}

function stateView(
  { status, where, writeKeyIds, consent, transformations, order, batch, rateLimit }: Json,
): VNode {
  const { filtered = {}, last24h = {}, latency, lastError, position, delivered, held, retrying, dead } =
    status;
  const figure = (name: string, value: number, note: ComponentChildren) =>
    div(
      { class: "card figure", key: name },
      span({ class: "name" }, name),
      span({ class: "value" }, count(value ?? 0)),
      span({ class: "note" }, note),
    );
  const filteredAll = Object.entries<number>(filtered).filter(([, value]) => value > 0);
  return div(
    { class: "stack" },
    div(
      { class: "figures" },
      figure("Delivered", delivered, `${count(last24h.delivered ?? 0)} in 24 h`),
      figure(
        "Filtered",
        filteredAll.reduce((sum, [, value]) => sum + value, 0),
        filteredAll.map(([why, value]) => `${why} ${count(value)}`).join(", ") || "nothing",
      ),
      figure(
        "Waiting",
        (held ?? 0) + (retrying ?? 0),
        `${count(retrying ?? 0)} to be retried, ${count(held ?? 0)} behind them`,
      ),
      figure(
        "Dead",
        dead,
        dead > 0
          ? a(
            { ...linkTo("forwarding", { id: chosen("id"), tab: "deliveries", status: "dead" }) },
            "see why, and retry",
          )
          : "nothing was given up",
      ),
      figure(
        "Latency",
        latency?.p50Ms ?? 0,
        latency ? `ms; 99 % within ${count(latency.p99Ms)} ms` : "no attempt yet",
      ),
    ),
    lastError &&
      notice(
        "warn",
        "The last attempt that failed",
        p(null, visible(messageOf(lastError) ?? "")),
        lastError.at && p({ class: "hint" }, when(lastError.at, "long")),
      ),
    section(
      { class: "card stack" },
      h2(null, "What it gets"),
      facts([
        ["events", where ? code({ class: "id" }, visible(JSON.stringify(where))) : "all"],
        ["write keys", writeKeyIds?.length ? writeKeyIds.join(", ") : "all"],
        ["consent", consent?.length ? consent.join(", ") : "not asked"],
        ["transformations", transformations?.length ? transformations.join(", ") : "none"],
        ["order", order === "none" ? "any order" : "in order for each person"],
        [
          "batch",
          batch ? batch.maxEvents === 1 ? "one by one" : `up to ${batch.maxEvents} events` : "one by one",
        ],
        ["limit", rateLimit ? `${rateLimit.perSecond}/s` : "none"],
        ["position", code({ class: "id" }, position ?? "—")],
      ]),
    ),
  );
}

function ResumeDialog(
  { status, close, run }: { status: Json; close: () => void; run: (from: string) => void },
): VNode {
  return view(Dialog, {
    title: "Resume",
    onClose: close,
    children: [
      p(
        null,
        `It stands ${
          behind(status)
        } behind. Go on where it stopped, and nothing is left out; or go on with new events only.`,
      ),
      div(
        { class: "row end" },
        action("Cancel", close),
        action("From now on", () => run("now")),
        action("Where it stopped", () => run("checkpoint"), { kind: "primary" }),
      ),
    ],
  });
}

function DeleteDialog({ name, close, run }: { name: string; close: () => void; run: () => void }): VNode {
  const [typed, setTyped] = useState("");
  return view(Dialog, {
    title: `Delete ${visible(name)}`,
    onClose: close,
    children: [
      p(
        null,
        "Events that wait for it are not sent. The journal keeps them: a new destination can start from any time.",
      ),
      div(
        { class: "field" },
        label({ for: "typed-destination" }, "Type its name to delete it"),
        input({
          id: "typed-destination",
          type: "text",
          autoComplete: "off",
          value: typed,
          onInput: (event: Event) => setTyped((event.target as HTMLInputElement).value),
        }),
      ),
      div(
        { class: "row end" },
        action("Cancel", close),
        action("Delete the destination", run, { kind: "danger", disabled: typed !== name }),
      ),
    ],
  });
}

/** The form is loaded when it is first needed. */
function Form(props: { existing: Json; onSaved: (name: string, secret?: string) => void }): VNode {
  const module = useModule(() => import("./forwarding_form.ts"));
  return module === undefined ? skeleton(6) : view(module.DestinationForm, props);
}

/** So is what a destination did. */
function Work(
  { part, ...props }: { part: "Deliveries" | "TestSend" | "Replays"; name: string; reload: () => void },
): VNode {
  const module = useModule(async () => ({
    ...await import("./forwarding_work.ts"),
    ...await import("../parts/destination_replays.ts"),
  }));
  return module === undefined ? skeleton(6) : view(module[part], props);
}
