/** One event: what it says, what it changed, whether contracts hold, where it went, and how it got here. */
import type { ComponentChildren, VNode } from "preact";
import { api, ApiError, apiPath, apiQuery, apiUrl } from "../app/api.ts";
import { useLoad } from "../app/load.ts";
import { go, hrefOf, linkTo } from "../app/router.ts";
import { tags, view } from "../app/tags.ts";
import { type Json, pretty } from "../core/json.ts";
import { curl, visible } from "../core/text.ts";
import { duration } from "../core/time.ts";
import {
  action,
  actorLink,
  badge,
  Copy,
  facts,
  failure,
  idText,
  notice,
  part,
  skeleton,
  toneOf,
  when,
} from "./basics.ts";
import { JsonTree, oneLine } from "./json_tree.ts";

const { a, code, div, h2, li, p, section, span, table, tbody, td, th, thead, tr, ul } = tags;

/** Which event, and where it is shown. */
export interface EventDetailProps {
  /** Its message id; a rejected one may have none. */
  messageId: string | null;
  /** Of a rejected event: its line of the live view, or its entry of the quarantine. */
  rejected?: Json;
  /** Where the search begins. */
  before?: string | undefined;
  /** Beside a list: how to close it, and a moment of rest while a reader goes through the list. */
  onClose?: (() => void) | undefined;
}

/** What is known of an event: its trace, or its entry of the quarantine. */
interface Found {
  trace?: Json;
  rejected?: Json;
}

/** A reader who goes through a list with the arrow keys causes one request at the end. */
const REST_MS = 150;

/** The detail of an event. */
export function EventDetail({ messageId, rejected, before, onClose }: EventDetailProps): VNode {
  const key = rejected === undefined
    ? `event ${messageId} ${before ?? ""}`
    : `rejected ${messageId} ${rejected.receivedAt} ${rejected.id ?? ""}`;
  const found = useLoad<Found>(key, (signal) => find({ messageId, rejected, before }, signal), {
    delayMs: onClose === undefined ? 0 : REST_MS,
  });
  const { value, error, reload } = found;
  const body = error !== undefined
    ? notFound(error, { messageId, reload })
    : value === undefined || found.isLoading
    ? skeleton(6)
    : value.trace !== undefined
    ? traceView(value.trace)
    : rejectedView(value.rejected);
  return section(
    { class: "detail", "aria-label": "Event" },
    div(
      { class: "detail-head" },
      h2(null, messageId === null ? "Event without a message id" : idText(messageId, 60)),
      onClose && action("", onClose, { icon: "close", kind: "quiet", label: "Close the event" }),
    ),
    div({ class: "stack" }, body),
  );
}

async function find({ messageId, rejected, before }: EventDetailProps, signal: AbortSignal): Promise<Found> {
  if (rejected === undefined) return { trace: await traceOf(messageId ?? "", before, signal) };
  if (rejected.event !== undefined && typeof rejected.event === "object") return { rejected };
  // The live view does not have the payload: the quarantine has.
  const page = await api(
    `admin/rejected${
      apiQuery({
        messageId: messageId ?? undefined,
        code: rejected.error?.code,
        writeKeyId: rejected.writeKeyId,
        limit: 100,
      })
    }`,
    { signal },
  );
  const kept = page.rejected.find((each: Json) => each.receivedAt === rejected.receivedAt) ??
    (messageId === null ? undefined : page.rejected[0]);
  return { rejected: kept ?? { ...rejected.error, ...rejected, code: rejected.error?.code, isLost: true } };
}

const traceOf = (messageId: string, before: string | undefined, signal: AbortSignal) =>
  api(`${apiPath("admin", "events", messageId)}${apiQuery({ before })}`, { signal });

/** What to do about an event that is not found. */
function notFound(
  error: ApiError,
  { messageId, reload }: { messageId: string | null; reload: () => void },
): ComponentChildren {
  if (error.code === "search_unfinished") {
    const next = /before=([0-9a-f]{24})/.exec(error.message)?.[1] ?? "";
    return notice(
      "warn",
      error.message.split(" Continue")[0],
      div(
        { class: "row" },
        a(
          { class: "button", ...linkTo("event", { id: messageId ?? "", before: next }) },
          "Search further back",
        ),
      ),
    );
  }
  if (error.status === 404 && error.body?.rejected) {
    return error.body.rejected.map((each: Json) => rejectedView(each));
  }
  if (error.status === 404) {
    return notice(
      "calm",
      "No event of this id is in the journal.",
      p({ class: "hint" }, "It was rejected more than a week ago, erased, or never came."),
      div({ class: "row" }, a({ class: "button", ...linkTo("quarantine") }, "Look in the quarantine")),
    );
  }
  return failure(error, reload);
}

function traceView(trace: Json): ComponentChildren {
  const { event, writeKeyId, committedAt, settled, position, logs } = trace;
  return [
    head("accepted", event, { writeKeyId, receivedAt: event.receivedAt }),
    tools(event),
    part("Payload", view(JsonTree, { value: payloadOf(event), name: event.type })),
    changesPart(trace.changed, event),
    contractsPart(trace.contracts ?? []),
    trace.deliveries !== undefined && deliveriesPart(trace.deliveries),
    part(
      "Story",
      facts([
        ["happened", [when(event.timestamp, "long"), skewOf(event)]],
        ["received", when(event.receivedAt, "long")],
        ["committed", [when(committedAt, "long"), " by ", code({ class: "id" }, trace.commit)]],
        ["in profiles", settled ? "yes: it is settled" : "not yet: reads include it all the same"],
        ["in logs", ul({ class: "inline" }, logs.map((log: string) => li({ key: log }, logLink(log))))],
        ["position", code({ class: "id" }, position)],
      ]),
    ),
  ];
}

function rejectedView(rejected: Json): ComponentChildren {
  const { event = {}, code: reason, message, path, writeKeyId, receivedAt, status } = rejected;
  return [
    head("rejected", typeof event === "object" ? event : rejected, { writeKeyId, receivedAt }),
    notice(
      "bad",
      message,
      p(
        { class: "hint" },
        `${status ?? rejected.error?.status ?? ""} `,
        code(null, reason),
        path ? [" at ", code(null, visible(path))] : null,
      ),
    ),
    rejected.isLost
      ? notice(
        "calm",
        "The quarantine has not kept this event.",
        p({ class: "hint" }, "It was full, or the event was sent again or deleted."),
      )
      : [
        div(
          { class: "row" },
          a(
            { class: "button primary", ...linkTo("quarantine", { id: rejected.id }) },
            "Open in the quarantine",
          ),
          !rejected.cut && action("Edit and send", () => sendLike(event, writeKeyId), { icon: "test" }),
          view(Copy, { text: () => pretty(event), label: "JSON", what: "JSON" }),
        ),
        part("Payload", view(JsonTree, { value: event, name: String(event.type ?? "event") })),
      ],
  ];
}

function head(
  status: string,
  event: Json,
  { writeKeyId, receivedAt }: { writeKeyId: string; receivedAt: string },
): VNode {
  const name = event.event ?? event.name;
  return div(
    { class: "detail-facts" },
    badge(status, toneOf(status)),
    span({ class: "tag" }, visible(String(event.type ?? "no type"))),
    typeof name === "string" && span({ class: "strong" }, visible(name)),
    who(event),
    span({ class: "soft" }, "key ", code(null, visible(writeKeyId))),
    when(receivedAt, "long"),
  );
}

/** Whose event it is, as far as it says. */
export function who(event: Json): ComponentChildren {
  const { userId, anonymousId } = event;
  if (typeof userId === "string" && userId !== "") return actorLink("user", userId, 32);
  if (typeof anonymousId === "string" && anonymousId !== "") return actorLink("anonymous", anonymousId, 32);
  return userId === undefined ? span({ class: "soft" }, "—") : idText(String(userId));
}

function tools(event: Json): VNode {
  const sent = sentForm(event);
  return div(
    { class: "row" },
    view(Copy, {
      text: () => curl({ url: apiUrl("events"), method: "POST", body: JSON.stringify(sent), as: "KEY" }),
      label: "curl",
      what: "Command",
    }),
    view(Copy, { text: () => pretty(event), label: "JSON", what: "JSON" }),
    view(Copy, {
      text: () => location.origin + hrefOf("event", { id: event.messageId }),
      label: "Link",
      what: "Link",
    }),
    view(Copy, { text: () => event.messageId, label: "Id", what: "Id" }),
    action("Send one like this", () => sendLike(sent), { icon: "test" }),
  );
}

/** An event as a sender would send it: without what the server adds. */
export function sentForm(event: Json): Json {
  const { receivedAt: _, originalTimestamp, timestamp, neverLinks: __, ...rest } = event;
  return { ...rest, ...(originalTimestamp ?? timestamp) && { timestamp: originalTimestamp ?? timestamp } };
}

/** Opens Test with an event in its editor, under a new message id. */
export function sendLike(event: Json, writeKeyId = ""): void {
  const { messageId: _, ...rest } = event;
  sessionStorage.setItem("signalfold.like", JSON.stringify(rest));
  go({ screen: "test", query: { like: "1", ...writeKeyId && { writeKeyId } } });
}

function payloadOf(event: Json): Json {
  const { messageId: _, receivedAt: __, originalTimestamp: ___, ...rest } = event;
  return rest;
}

function skewOf({ timestamp, receivedAt }: Json): string {
  const before = Date.parse(receivedAt) - Date.parse(timestamp);
  return before < 1000 ? "" : ` (${duration(before)} before it came)`;
}

function changesPart(changed: Json, event: Json): VNode {
  if (changed === null) {
    return part(
      "What it changed",
      p({ class: "hint" }, "The profile has more than 20,000 events: its log shows this one."),
    );
  }
  const rows = changeRows(changed);
  const [kind, ...rest] = String(changed.profile).split("/") as ["user" | "anonymous", ...string[]];
  return part(
    "What it changed",
    p({ class: "soft" }, "In the profile of ", actorLink(kind, rest.join("/"))),
    rows.length === 0 ? p({ class: "hint" }, "Nothing: newer events had set everything that it says.") : div(
      { class: "scroll", tabIndex: 0, role: "region", "aria-label": "What it changed" },
      table(
        { class: "list changes" },
        thead(
          null,
          tr(
            null,
            th({ scope: "col" }, "what"),
            th({ scope: "col" }, "before"),
            th({ scope: "col" }, "after"),
          ),
        ),
        tbody(
          null,
          rows.map(([name, from, to]) =>
            tr(
              { key: name },
              th({ scope: "row" }, visible(name)),
              td(null, oneLine(from)),
              td(null, oneLine(to)),
            )
          ),
        ),
      ),
    ),
    event.type === "group" && changed.group && Object.keys(changed.group.traits).length > 0 &&
      p({ class: "soft" }, "And traits of the group ", actorLink("group", event.groupId)),
  );
}

function changeRows(changed: Json): [string, unknown, unknown][] {
  const rows: [string, unknown, unknown][] = [];
  const add = (name: string, change: Json) => change && rows.push([name, change.from, change.to]);
  const addAll = (prefix: string, all: Json) => {
    for (const [name, change] of Object.entries(all ?? {})) add(`${prefix}${name}`, change);
  };
  addAll("trait ", changed.traits);
  addAll("group trait ", changed.group?.traits);
  addAll("member of ", changed.groups);
  if (changed.anonymousIds) rows.push(["anonymous ids", "—", changed.anonymousIds.added.join(", ")]);
  add("events in all", changed.eventCount);
  addAll("events of type ", changed.counts);
  addAll("events named ", changed.events);
  add("first seen", changed.firstSeen);
  add("last seen", changed.lastSeen);
  if (changed.context) rows.push(["context", changed.context.from, changed.context.to]);
  return rows;
}

/** What each contract says of an event. */
export function contractsPart(contracts: readonly Json[]): VNode | false {
  if (contracts.length === 0) {
    return part("Contracts", p({ class: "hint" }, "No contract applies to this event."));
  }
  return part(
    "Contracts",
    ul(
      { class: "verdicts" },
      contracts.map(({ name, version, mode, holds, errors }: Json) =>
        li(
          { key: name },
          badge(holds ? "holds" : "broken", holds ? "good" : mode === "enforce" ? "bad" : "warn"),
          a({ ...linkTo("contracts", { name }) }, visible(name)),
          span({ class: "soft" }, `v${version}, ${mode === "enforce" ? "enforced" : "monitored"}`),
          errors.length > 0 &&
            ul(
              { class: "errors" },
              errors.map((error: Json, n: number) => li({ key: n }, visible(error.message))),
            ),
        )
      ),
    ),
  );
}

const DELIVERY_TONES: Record<string, "good" | "bad" | "warn" | "calm"> = {
  delivered: "good",
  dead: "bad",
  retrying: "warn",
  held: "warn",
};

function deliveriesPart(deliveries: readonly Json[]): VNode {
  if (deliveries.length === 0) {
    return part("Deliveries", p({ class: "hint" }, "No destination exists for this event."));
  }
  return part(
    "Deliveries",
    ul(
      { class: "verdicts" },
      deliveries.map(({ destination, status, reason, attempts, at }: Json) =>
        li(
          { key: destination },
          badge(status, DELIVERY_TONES[status] ?? "calm"),
          a({ ...linkTo("forwarding", { id: destination }) }, visible(destination)),
          span(
            { class: "soft" },
            [reason && visible(String(reason)), attempts ? `attempt ${attempts} of 10` : ""].filter(Boolean)
              .join(" · "),
          ),
          at && when(at),
        )
      ),
    ),
  );
}

function logLink(log: string): VNode {
  const slash = log.indexOf("/");
  return actorLink(log.slice(0, slash) as "user", log.slice(slash + 1));
}
