/** Quarantine: why events were rejected, and how they come in after all. */
import { type ComponentChildren, type VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { api, ApiError, apiPath, apiQuery, apiUrl, TYPES } from "../app/api.ts";
import { bindKeys } from "../app/keys.ts";
import { useApi, useLoad } from "../app/load.ts";
import { choose, chosen, linkTo } from "../app/router.ts";
import { tags, view } from "../app/tags.ts";
import { type Json, pretty } from "../core/json.ts";
import { count, curl, plural, visible } from "../core/text.ts";
import {
  action,
  Copy,
  empty,
  facts,
  failure,
  loaded,
  notice,
  part,
  skeleton,
  when,
} from "../parts/basics.ts";
import { sendLike, who } from "../parts/event_detail.ts";
import { JsonTree } from "../parts/json_tree.ts";
import { requestOfScreen, Title } from "../parts/title.ts";
import { type Job, JobDialog } from "../parts/resend_job.ts";

const {
  a,
  button,
  code,
  div,
  h2,
  input,
  label,
  option,
  p,
  section,
  select,
  span,
  table,
  tbody,
  td,
  th,
  thead,
  tr,
} = tags;

/** Events of a page, and those that are chosen at once at most. */
const PAGE = 100;

/** The screen. */
export function Screen(): VNode {
  const filter = {
    code: chosen("code"),
    contract: chosen("contract"),
    writeKeyId: chosen("writeKeyId"),
    type: chosen("type"),
  };
  const id = chosen("id");
  const key = JSON.stringify(filter);
  const path = (cursor?: string) => `admin/rejected${apiQuery({ ...filter, limit: PAGE, cursor })}`;
  const first = useLoad(key, (signal) => api(path(), { signal }));
  // To the hour: the address of a request must not change with every draw.
  const weekAgo = new Date(Math.floor(Date.now() / 3_600_000 - 168) * 3_600_000).toISOString();
  const stats = useApi(`admin/stats${apiQuery({ by: "rejection", from: weekAgo })}`);
  const [pages, setPages] = useState<Json[]>([]);
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set());
  const [job, setJob] = useState<Job | undefined>();
  requestOfScreen.value = curl({ url: apiUrl(path()) });
  useEffect(() => (setPages([]), setPicked(new Set())), [key]);
  const reload = () => (setPages([]), setPicked(new Set()), first.reload(), stats.reload());
  const all: Json[] = [first.value, ...pages].flatMap((page) => page?.rejected ?? []);
  const resend = (ids: readonly string[]) => setJob({ ids, filter: undefined });
  useEffect(
    () =>
      bindKeys([{ key: "r", what: "resend the chosen", run: () => picked.size > 0 && resend([...picked]) }]),
    [picked],
  );
  const reasons: Json[] = stats.value?.counts.rejections ?? [];
  return div(
    null,
    view(Title),
    view(Reasons, { reasons, chosen: filter.code }),
    view(Filters, { filter }),
    div(
      { class: id ? "beside" : "" },
      div(
        null,
        loaded(
          first,
          (page) => all.length === 0 ? nothing(filter) : listView((pages.at(-1) ?? page).cursor),
          8,
        ),
      ),
      id &&
        div(
          { class: "card" },
          view(Rejected, {
            key: id,
            id,
            onGone: () => (choose({ id: undefined }), reload()),
            onResend: () => resend([id]),
          }),
        ),
    ),
    job && view(JobDialog, { job, close: () => setJob(undefined), done: reload }),
  );

  function listView(cursor: string | null): VNode {
    return div(
      { class: "card flush" },
      div(
        { class: "card-head" },
        label(
          { class: "choice" },
          input({
            type: "checkbox",
            checked: picked.size > 0 && picked.size === whole(all).length,
            onChange: () =>
              setPicked(picked.size > 0 ? new Set() : new Set(whole(all).map((each) => each.id))),
          }),
          picked.size === 0 ? "Choose all" : `${picked.size} chosen`,
        ),
        div(
          { class: "row" },
          picked.size > 0 &&
            action(`Resend ${plural(picked.size, "event")}`, () => resend([...picked]), { kind: "primary" }),
          picked.size > 0 &&
            action("Delete…", () => setJob({ ids: [...picked], filter: undefined, isDelete: true }), {
              kind: "quiet",
            }),
          picked.size === 0 && Object.values(filter).some(Boolean) &&
            action("Resend all of this filter…", () => setJob({ ids: [], filter }), {}),
        ),
      ),
      list(all, { id, picked, setPicked }),
      div(
        { class: "card-body row between" },
        span({ class: "hint" }, `${plural(all.length, "event")} shown; each is kept for a week`),
        cursor !== null && action(`${PAGE} more`, async () => setPages([...pages, await api(path(cursor))])),
      ),
    );
  }
}

/** Why events of a week were rejected; a reason is a filter. */
function Reasons({ reasons, chosen: code }: { reasons: readonly Json[]; chosen: string }): VNode | null {
  if (reasons.length === 0) return null;
  return div(
    { class: "reasons", role: "group", "aria-label": "Reasons of the last 7 days" },
    span({ class: "soft" }, "7 days:"),
    reasons.map(({ code: reason, count: times }) =>
      button(
        {
          key: reason,
          type: "button",
          class: `reason-link${reason === code ? " chosen" : ""}`,
          "aria-pressed": reason === code ? "true" : "false",
          onClick: () => choose({ code: reason === code ? undefined : reason, id: undefined }),
        },
        reason,
        span({ class: "count" }, count(times)),
      )
    ),
  );
}

const whole = (all: readonly Json[]) => all.filter((each) => !each.cut);

function nothing(filter: Record<string, string>): VNode {
  return Object.values(filter).some(Boolean)
    ? empty(
      "No rejected event passes the filter.",
      action("Clear the filter", () =>
        choose({ code: undefined, contract: undefined, writeKeyId: undefined, type: undefined })),
    )
    : empty(
      "Nothing was rejected in a week.",
      p(
        null,
        "Events that a contract, a limit of a key or a missing id keeps out wait here, and can be sent again.",
      ),
    );
}

function Filters({ filter }: { filter: Record<string, string> }): VNode {
  const keys: Json[] = useApi("admin/keys").value?.keys ?? [];
  const contracts: Json[] = useApi("admin/contracts").value?.contracts ?? [];
  const pick = (name: string, text: string, values: readonly (readonly [string, string])[]) =>
    div(
      { class: `filter${filter[name] ? " chosen" : ""}` },
      label({ class: "visually-hidden", for: `quarantine-${name}` }, text),
      select(
        {
          id: `quarantine-${name}`,
          ...name === "contract" && { "data-filter": "" },
          value: filter[name]!,
          onChange: (event: Event) =>
            choose({ [name]: (event.target as HTMLSelectElement).value, id: undefined }),
        },
        option({ value: "" }, `${text}: all`),
        values.map(([value, shown]) => option({ key: value, value }, shown)),
      ),
    );
  return div(
    { class: "toolbar filters" },
    pick("contract", "Contract", contracts.map(({ name }) => [name, visible(name)])),
    pick(
      "writeKeyId",
      "Write key",
      keys.map(({ id, name }) => [id, name === "WRITE_KEY" ? "default" : visible(name)]),
    ),
    pick("type", "Type", TYPES.map((type) => [type, type])),
  );
}

function list(
  all: readonly Json[],
  { id, picked, setPicked }: {
    id: string;
    picked: ReadonlySet<string>;
    setPicked: (picked: ReadonlySet<string>) => void;
  },
): VNode {
  const toggle = (each: string) => {
    const next = new Set(picked);
    if (!next.delete(each)) next.add(each);
    setPicked(next);
  };
  return table(
    { class: "list cards fixed" },
    thead(
      null,
      tr(
        null,
        th({ scope: "col" }, span({ class: "visually-hidden" }, "choose")),
        ["time", "why", "event", "who"].map((name) => th({ key: name, scope: "col" }, name)),
      ),
    ),
    tbody(
      null,
      all.map((each) => {
        const { event, cut } = each;
        const open = () => choose({ id: each.id }, { replace: id !== "" });
        const name = visible(String(event.event ?? event.name ?? event.type ?? "—"));
        return tr(
          { key: each.id, class: `clickable${each.id === id ? " current" : ""}`, onClick: open },
          td(
            { class: "tight", onClick: (click: Event) => click.stopPropagation() },
            cut
              ? span({
                class: "hint",
                title: "It was too large to be kept whole: it cannot be sent again",
                tabIndex: 0,
              }, "cut")
              : input({
                type: "checkbox",
                "aria-label": `Choose ${name}`,
                checked: picked.has(each.id),
                onChange: () => toggle(each.id),
              }),
          ),
          td({ class: "tight" }, when(each.receivedAt)),
          td(null, code(null, each.code), div({ class: "hint ellipsis why-line" }, visible(each.message))),
          td(
            null,
            button({
              type: "button",
              class: "row-link",
              onClick: (click: Event) => (click.stopPropagation(), open()),
            }, name),
          ),
          td(null, who(event)),
        );
      }),
    ),
  );
}

/** What the sender, or an administrator, does about a reason. */
function cureOf({ code: reason, message, event }: Json): ComponentChildren {
  const contract = /\(contract (.+): [^:]+\)\.$/.exec(message)?.[1];
  if (contract !== undefined) {
    return [
      "The contract ",
      a({ ...linkTo("contracts", { name: contract, tab: "try" }) }, visible(contract)),
      " keeps it out. Mend what sends, or change the contract and resend.",
    ];
  }
  if (reason === "forbidden_type") {
    return [
      "Its write key may not send ",
      code(null, visible(String(event.type))),
      ". ",
      a({ ...linkTo("keys") }, "Change the key"),
      " and resend.",
    ];
  }
  if (reason === "no_contract") {
    return [
      "UNKNOWN_EVENTS rejects events without a contract. ",
      a({ ...linkTo("contracts") }, "Write one"),
      " and resend.",
    ];
  }
  if (/_too_large$/.test(reason)) return "The sender must send less in one event.";
  return "The sender must mend the event; it can be edited and sent from here.";
}

function Rejected({ id, onGone, onResend }: { id: string; onGone: () => void; onResend: () => void }): VNode {
  const { value, error, reload } = useApi(apiPath("admin", "rejected", id));
  const close = () => choose({ id: undefined });
  const head = (title: ComponentChildren) =>
    div(
      { class: "detail-head" },
      h2(null, title),
      action("", close, { icon: "close", kind: "quiet", label: "Close the event" }),
    );
  if (error?.status === 404) {
    return div(
      null,
      head("Rejected event"),
      notice(
        "calm",
        "It is no longer in the quarantine: it was sent again, deleted, or is older than a week.",
      ),
    );
  }
  if (error) return div(null, head("Rejected event"), failure(error, reload));
  if (value === undefined) return skeleton(6);
  const { event, code: reason, status, message, path, writeKeyId, receivedAt, cut } = value;
  return section(
    { class: "detail", "aria-label": "Rejected event" },
    head(visible(String(event.event ?? event.name ?? event.type ?? "Rejected event"))),
    div(
      { class: "stack" },
      notice(
        "bad",
        visible(message),
        p({ class: "hint" }, `${status} `, code(null, reason)),
        p({ class: "hint" }, cureOf(value)),
      ),
      div(
        { class: "row" },
        !cut && action("Resend", onResend, { kind: "primary", icon: "refresh" }),
        !cut && action("Edit and send", () => sendLike(event, writeKeyId), { icon: "test" }),
        view(Copy, { text: () => pretty(event), label: "JSON", what: "JSON" }),
        action("Delete", async () => {
          await api(apiPath("admin", "rejected", id), { method: "DELETE" }).catch((problem) => {
            if (!(problem instanceof ApiError) || problem.status !== 404) throw problem;
          });
          onGone();
        }, { kind: "quiet", icon: "trash" }),
      ),
      facts([
        ["received", when(receivedAt, "long")],
        ["write key", visible(writeKeyId)],
        ["who", who(event)],
        ...path ? [["where", code(null, visible(path))] as const] : [],
      ]),
      part(
        cut ? "What was kept: it was too large" : "Payload",
        view(JsonTree, { value: event, name: String(event.type ?? "event") }),
      ),
    ),
  );
}
