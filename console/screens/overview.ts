/** Overview: how many events came, of which kind, and what became of them. */
import type { Json } from "../core/json.ts";
import type { ComponentChildren, VNode } from "preact";
import { useState } from "preact/hooks";
import { api, apiQuery, apiUrl, TYPES } from "../app/api.ts";
import { useApi, useLoad } from "../app/load.ts";
import { choose, chosen, go, linkTo } from "../app/router.ts";
import { requestOfScreen, Title } from "../parts/title.ts";
import { tags, view } from "../app/tags.ts";
import { count, curl, percent, plural, visible } from "../core/text.ts";
import { duration, PERIOD_MS, type Range, RANGES, spanOf } from "../core/time.ts";
import { action, command, loaded, when } from "../parts/basics.ts";
import { type Bar, Chart } from "../parts/chart.ts";

const {
  a,
  button,
  code,
  div,
  h2,
  label,
  li,
  ol,
  option,
  p,
  section,
  select,
  span,
  table,
  tbody,
  td,
  th,
  tr,
} = tags;

/** Minutes change fast, days do not. */
const EVERY_MS = { minute: 5_000, hour: 15_000, day: 60_000 } as const;

/** Rows of each list. */
const TOP = 8;

interface Figures {
  stats: Json;
  before: Json;
  span: ReturnType<typeof spanOf>;
  nowMs: number;
}

/** The screen. */
export function Screen(): VNode {
  const range = (Object.hasOwn(RANGES, chosen("range")) ? chosen("range") : "1h") as Range;
  const filter = { type: chosen("type"), writeKeyId: chosen("writeKeyId") };
  const { per } = RANGES[range];
  requestOfScreen.value = curl({
    url: apiUrl(`admin/stats${apiQuery({ per, ...filter, by: "type,writeKey,rejection,event" })}`),
  });
  const figures = useLoad(
    JSON.stringify([range, filter]),
    (signal) => load(range, filter, signal),
    { everyMs: EVERY_MS[per] },
  );
  const isNew = figures.value?.stats.head === 0 && figures.value.stats.counts.rejected === 0;
  return div(
    null,
    view(Title),
    isNew ? view(FirstSteps) : [
      view(Choices, { range, filter }),
      loaded(figures, (value) => figuresView(value), 8),
    ],
  );
}

async function load(range: Range, filter: Record<string, string>, signal: AbortSignal): Promise<Figures> {
  const nowMs = Date.now();
  const span = spanOf(range, nowMs);
  const iso = (ms: number) => new Date(ms).toISOString();
  const [stats, before] = await Promise.all([
    api(
      `admin/stats${
        apiQuery({
          per: span.per,
          from: iso(span.from),
          to: iso(span.to),
          ...filter,
          by: "type,writeKey,rejection",
        })
      }`,
      { signal },
    ),
    api(
      `admin/stats${
        apiQuery({ per: span.per, from: iso(span.before), to: iso(span.from), ...filter, by: "type" })
      }`,
      { signal },
    ),
  ]);
  // Names in every period would be a large answer: they are asked for the whole span.
  if (filter.type === "" && filter.writeKeyId === "") {
    const { counts } = await api(
      `admin/stats${apiQuery({ from: iso(span.from), to: iso(span.to), by: "event,rejection", limit: TOP })}`,
      { signal },
    );
    Object.assign(stats.counts, {
      events: counts.events,
      otherEvents: counts.otherEvents,
      violations: counts.violations,
    });
  }
  return { stats, before, span, nowMs };
}

function Choices({ range, filter }: { range: Range; filter: { type: string; writeKeyId: string } }): VNode {
  const keys = useApi("admin/keys").value?.keys as { id: string; name: string }[] | undefined;
  const pick = (name: "type" | "writeKeyId", text: string, values: readonly (readonly [string, string])[]) =>
    div(
      { class: `filter${filter[name] === "" ? "" : " chosen"}` },
      label({ class: "visually-hidden", for: `overview-${name}` }, text),
      select(
        {
          id: `overview-${name}`,
          value: filter[name],
          ...name === "type" && { "data-filter": "" },
          onChange: (event: Event) => choose({ [name]: (event.target as HTMLSelectElement).value }),
        },
        option({ value: "" }, `${text}: all`),
        values.map(([value, shown]) => option({ key: value, value }, shown)),
      ),
    );
  return div(
    { class: "toolbar filters" },
    div(
      { class: "segments", role: "group", "aria-label": "Time" },
      Object.entries(RANGES).map(([name, { name: words }]) =>
        button(
          {
            key: name,
            type: "button",
            "aria-pressed": name === range ? "true" : "false",
            onClick: () => choose({ range: name }),
          },
          words,
        )
      ),
    ),
    pick("type", "Type", TYPES.map((type) => [type, type] as const)),
    pick(
      "writeKeyId",
      "Write key",
      (keys ?? []).map(({ id, name }) => [id, name === "WRITE_KEY" ? "default" : name] as const),
    ),
  );
}

function figuresView({ stats, before, span, nowMs }: Figures): ComponentChildren {
  const { counts } = stats;
  const sum = counts.accepted + counts.duplicate + counts.rejected;
  const sumBefore = before.counts.accepted + before.counts.duplicate + before.counts.rejected;
  return [
    div(
      { class: "figures" },
      figure("Came", count(sum), trend(sum, sumBefore)),
      figure("Accepted", count(counts.accepted), percent(counts.accepted, sum), "accepted"),
      figure("Duplicate", count(counts.duplicate), percent(counts.duplicate, sum), "duplicate"),
      figure("Rejected", count(counts.rejected), [
        percent(counts.rejected, sum),
        " · ",
        trendOfRejected(counts, before.counts),
      ], "rejected"),
      figure(
        "Unsettled",
        count(stats.unsettled),
        stats.unsettled === 0
          ? `all ${count(stats.head)} are settled`
          : `oldest ${duration(stats.oldestUnsettledMs)}`,
      ),
    ),
    div(
      { class: "card" },
      view(Chart, {
        title: `Events per ${span.per}`,
        bars: barsOf(counts.periods, span),
        per: span.per,
        nowMs,
        onOpen: openBar,
      }),
    ),
    div({ class: "columns" }, lists(counts)),
  ];
}

function barsOf(periods: readonly Json[], { from, to, per }: Figures["span"]): Bar[] {
  const known = new Map(periods.map((each) => [Date.parse(each.at), each]));
  return Array.from({ length: Math.round((to - from) / PERIOD_MS[per]) }, (_, n) => {
    const at = from + n * PERIOD_MS[per];
    const { accepted = 0, duplicate = 0, rejected = 0 } = known.get(at) ?? {};
    return { at, accepted, duplicate, rejected };
  });
}

function openBar(bar: Bar): void {
  if (bar.rejected > 0) go({ screen: "quarantine", query: { before: new Date(bar.at).toISOString() } });
  else go({ screen: "live", query: {} });
}

function figure(name: string, value: string, note: ComponentChildren, swatch?: string): VNode {
  return div(
    { class: "card figure", key: name },
    span({ class: "name" }, swatch && span({ class: `swatch ${swatch}`, "aria-hidden": "true" }), name),
    span({ class: "value" }, value),
    span({ class: "note" }, note),
  );
}

function trend(now: number, before: number): string {
  if (before === 0) return now === 0 ? "as in the period before" : "none in the period before";
  const change = Math.round(100 * (now - before) / before);
  return change === 0
    ? "as in the period before"
    : `${change > 0 ? "+" : "−"}${Math.abs(change)}% to the period before`;
}

function trendOfRejected(now: Json, before: Json): ComponentChildren {
  const change = now.rejected - before.rejected;
  if (change === 0) return "as before";
  return span(
    { class: change > 0 ? "fall" : "rise" },
    `${change > 0 ? "▲ +" : "▼ −"}${count(Math.abs(change))}`,
  );
}

function lists(counts: Json): ComponentChildren {
  const byType = Object.entries(counts.types ?? {}).map(([type, sums]) =>
    [type, totalOf(sums as Json)] as const
  );
  return [
    list("By type", byType.toSorted((a, b) => b[1] - a[1]), (type) => linkTo("live", { type })),
    list(
      "By write key",
      (counts.writeKeys ?? []).map((each: Json) => [each.writeKeyId ?? "other keys", totalOf(each)]),
      (id) => linkTo("live", { writeKeyId: id }),
    ),
    counts.events &&
    list(
      "Top events",
      counts.events.map((each: Json) => [each.event, each.count]),
      (event) => linkTo("live", { event, type: "track" }),
      counts.otherEvents,
    ),
    list(
      "Why rejected",
      (counts.rejections ?? []).map((each: Json) => [each.code, each.count]),
      (code) => linkTo("quarantine", { code }),
      0,
      "Nothing was rejected.",
    ),
    counts.violations &&
    list(
      "Broken contracts",
      counts.violations.map((each: Json) => [each.contract ?? "no contract", each.count]),
      (name) => linkTo("contracts", { name }),
      0,
      "No contract was broken.",
    ),
  ];
}

const totalOf = ({ accepted, duplicate, rejected }: Json): number => accepted + duplicate + rejected;

function list(
  title: string,
  rows: readonly (readonly [string, number])[],
  to: (name: string) => object,
  others = 0,
  none = "No events in this time.",
): VNode {
  const max = Math.max(1, ...rows.map(([, value]) => value));
  return section(
    { class: "card flush", key: title },
    div({ class: "card-head" }, h2(null, title)),
    rows.length === 0 ? p({ class: "card-body hint" }, none) : table(
      { class: "list ranked" },
      tbody(
        null,
        rows.slice(0, TOP).map(([name, value]) =>
          tr(
            { key: name },
            th(
              { scope: "row" },
              a({ ...to(name), class: "ellipsis" }, visible(name)),
              span(
                { class: "share", "aria-hidden": "true" },
                span({ style: { width: `${100 * value / max}%` } }),
              ),
            ),
            td({ class: "number tight" }, count(value)),
          )
        ),
        others > 0 &&
          tr(
            null,
            th({ scope: "row", class: "soft" }, "others"),
            td({ class: "number tight" }, count(others)),
          ),
      ),
    ),
    rows.length > TOP && p({ class: "card-body hint" }, `and ${count(rows.length - TOP)} more`),
  );
}

/** An empty server: what to do first. It turns into the figures by itself. */
function FirstSteps(): VNode {
  const keys = useApi("admin/keys");
  const [sentAt, setSentAt] = useState(0);
  const all: Json[] = keys.value?.keys ?? [];
  const key = all[0];
  const event = {
    type: "track",
    userId: "user_123",
    event: "Order Completed",
    properties: { total: 99.99 },
  };
  const send = async () => {
    await api("admin/test-events", {
      method: "POST",
      body: { writeKeyId: key?.id ?? "admin", event },
    });
    setSentAt(Date.now());
  };
  return div(
    { class: "card first-steps" },
    h2(null, "Send your first event"),
    ol(
      null,
      li(
        null,
        span({ class: "strong" }, "A write key says who sends."),
        p(
          { class: "soft" },
          key === undefined
            ? ["There is none yet. ", a({ ...linkTo("keys") }, "Create a write key")]
            : key.source === "environment"
            ? [
              "This server has one: WRITE_KEY of its environment. ",
              code(null, "deno task dev"),
              " prints it.",
            ]
            : [
              "This server has ",
              plural(all.length, "key"),
              ". ",
              a({ ...linkTo("keys") }, "See the write keys"),
            ],
        ),
      ),
      li(
        null,
        span({ class: "strong" }, "Send an event with it."),
        command(curl({ url: apiUrl("events"), method: "POST", body: JSON.stringify(event), as: "KEY" })),
        p({ class: "soft" }, "or without a terminal:"),
        div({ class: "row" }, action("Send a test event", send, { kind: "primary", icon: "test" })),
      ),
      li(
        null,
        span(
          { class: "strong" },
          sentAt === 0 ? "Waiting for your first event…" : "It is in. The figures come in a moment.",
        ),
        p(
          { class: "soft" },
          "This page turns into your figures by itself.",
          sentAt > 0 && [" Sent ", when(sentAt, "ago"), "."],
        ),
      ),
    ),
  );
}
