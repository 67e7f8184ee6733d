/** What a destination did and can do again: deliveries with their answers, a test send, and replays. */
import { type ComponentChildren, type VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { api, ApiError, apiPath, apiQuery } from "../app/api.ts";
import { useLoad } from "../app/load.ts";
import { choose, chosen } from "../app/router.ts";
import { tags, view } from "../app/tags.ts";
import { type Json, outline, parseJson, pretty } from "../core/json.ts";
import { count, plural, visible } from "../core/text.ts";
import {
  action,
  announce,
  badge,
  empty,
  eventLink,
  facts,
  failure,
  loaded,
  notice,
  when,
} from "../parts/basics.ts";
import { Editor, type Mark } from "../parts/editor.ts";

const { button, code, div, h2, input, label, p, pre, section, span, table, tbody, td, th, thead, tr } = tags;

const STATUSES = ["", "dead", "retrying", "held", "delivered"] as const;

const TONES: Record<string, "good" | "bad" | "warn" | "calm"> = {
  delivered: "good",
  dead: "bad",
  retrying: "warn",
  held: "warn",
};

/** Deliveries of a page. */
const PAGE = 50;

/** Attempts before an event is given up. */
const ATTEMPTS = 10;

const pathOf = (name: string, rest = "") => apiPath("admin", "destinations", name) + rest;

/** Deliveries, newest first; those that failed can be tried again at once. */
export function Deliveries({ name, reload }: { name: string; reload: () => void }): VNode {
  const status = chosen("status");
  const path = (cursor?: string) => pathOf(name, `/deliveries${apiQuery({ status, cursor, limit: PAGE })}`);
  const first = useLoad(`${name} ${status}`, (signal) => api(path(), { signal }), { everyMs: 3_000 });
  const [pages, setPages] = useState<Json[]>([]);
  const [said, setSaid] = useState<ComponentChildren>();
  useEffect(() => setPages([]), [name, status]);
  const retry = async (body: Json) => {
    try {
      const { scheduled } = await api(pathOf(name, "/retry"), { method: "POST", body });
      setSaid(notice("good", `${plural(scheduled, "attempt")} scheduled: they are made at once.`));
      announce(`${scheduled} scheduled`);
      first.reload();
      reload();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setSaid(failure(error));
    }
  };
  return div(
    { class: "stack" },
    div(
      { class: "row between" },
      div(
        { class: "segments", role: "group", "aria-label": "Status" },
        STATUSES.map((each) =>
          button({
            key: each,
            type: "button",
            "aria-pressed": each === status ? "true" : "false",
            onClick: () => choose({ status: each }),
          }, each || "all")
        ),
      ),
      (status === "dead" || status === "retrying" || status === "held") &&
        action(`Retry all ${status}`, () => void retry({ status }), { icon: "refresh" }),
    ),
    said,
    loaded(first, (page) => {
      const all: Json[] = [page, ...pages].flatMap((each) => each.deliveries);
      const cursor = (pages.at(-1) ?? page).cursor;
      if (all.length === 0) {
        return empty(
          status === "" ? "No delivery yet" : `Nothing is ${status}.`,
          p(null, "Deliveries appear as events pass the filter and are sent."),
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
              ["event", "status", "attempt", "answer", "last", ""].map((column) =>
                th({ key: column, scope: "col" }, column || span({ class: "visually-hidden" }, "actions"))
              ),
            ),
          ),
          tbody(null, all.map((each) => rowOf(each, retry))),
        ),
        cursor !== null &&
          div(
            { class: "card-body row end" },
            action(`${PAGE} more`, async () => setPages([...pages, await api(path(cursor))])),
          ),
      );
    }, 6),
  );
}

function rowOf(delivery: Json, retry: (body: Json) => Promise<void>): VNode {
  const { messageId, position, status, attempts, lastAt, nextAt, reason, response } = delivery;
  return tr(
    { key: `${position} ${messageId}` },
    td(null, messageId ? eventLink(messageId, 26) : code({ class: "id" }, position)),
    td({ class: "tight" }, badge(status, TONES[status] ?? "calm")),
    td({ class: "tight" }, status === "delivered" ? String(attempts) : `${attempts} of ${ATTEMPTS}`),
    td(
      null,
      response?.status && span({ class: "strong" }, `${response.status} `),
      reason && visible(String(reason)),
      response?.body &&
        div({ class: "hint ellipsis why-line", title: response.body }, visible(String(response.body))),
    ),
    td({ class: "tight" }, lastAt && when(lastAt), nextAt && div({ class: "hint" }, "next ", when(nextAt))),
    td(
      { class: "tight" },
      status !== "delivered" && messageId &&
        action("Retry", () => void retry({ status, messageIds: [messageId] }), {
          kind: "quiet",
          label: `Retry ${visible(messageId)}`,
        }),
    ),
  );
}

const EXAMPLE = { type: "track", userId: "test_user", event: "Order Completed", properties: { total: 15 } };

/** Sends one request through the real filter, consent and transformations; nothing else changes. */
export function TestSend({ name }: { name: string }): VNode {
  const [text, setText] = useState(pretty(EXAMPLE));
  const [messageId, setMessageId] = useState("");
  const [marks, setMarks] = useState<Mark[]>([]);
  const [result, setResult] = useState<Json>();
  const [error, setError] = useState<ApiError | undefined>();
  const [isBusy, setBusy] = useState(false);
  const send = async () => {
    const { problem } = outline(text);
    if (messageId === "" && problem !== undefined) {
      return setMarks([{ line: problem.line, message: problem.message }]);
    }
    setMarks([]);
    setBusy(true);
    setError(undefined);
    try {
      setResult(
        await api(pathOf(name, "/test"), {
          method: "POST",
          body: messageId === "" ? { event: parseJson(text) } : { messageId },
        }),
      );
      announce("Sent");
    } catch (failed) {
      if (!(failed instanceof ApiError)) throw failed;
      setError(failed);
    }
    setBusy(false);
  };
  return div(
    { class: "split" },
    section(
      { class: "card stack" },
      h2(null, "An event"),
      div(
        { class: "field" },
        label({ for: "test-message" }, "A stored event, by its message id (optional)"),
        input({
          id: "test-message",
          type: "text",
          spellcheck: false,
          value: messageId,
          onInput: (event: Event) => setMessageId((event.target as HTMLInputElement).value.trim()),
        }),
      ),
      messageId === "" &&
        view(Editor, {
          label: "Event to send",
          text,
          onText: setText,
          marks,
          onSubmit: () => void send(),
          rows: 12,
        }),
      div(
        { class: "row" },
        action("Send it", () => void send(), { kind: "primary", icon: "test", busy: isBusy }),
      ),
      p(
        { class: "hint" },
        "The real filter, consent and transformations apply, and one request is made. The event is not stored, and positions do not move.",
      ),
    ),
    section(
      { class: "card stack" },
      h2(null, "Request and answer"),
      error && failure(error),
      result === undefined
        ? error === undefined && p({ class: "hint" }, "Nothing sent yet.")
        : resultView(result),
    ),
  );
}

const VERDICTS: Record<string, { tone: "good" | "bad" | "warn" | "calm"; words: string }> = {
  delivered: { tone: "good", words: "It was delivered." },
  retry: { tone: "warn", words: "It failed in a way that would be retried." },
  dead: { tone: "bad", words: "It was refused for good." },
  filtered: { tone: "calm", words: "It was filtered out: no request was made." },
  dropped: { tone: "calm", words: "A transformation dropped it: no request was made." },
  refused: { tone: "bad", words: "The address is forbidden." },
};

function resultView({ verdict, filteredBy, request, response }: Json): ComponentChildren {
  const { tone, words } = VERDICTS[verdict] ?? { tone: "calm" as const, words: verdict };
  return [
    notice(tone, words, filteredBy && p({ class: "hint" }, "By: ", code(null, filteredBy))),
    request && [
      tags.h3(null, "Request"),
      facts([
        [request.method ?? "", code({ class: "id" }, visible(request.url ?? ""))],
        ...Object.entries<string>(request.headers ?? {}).map(([header, value]) =>
          [header, code({ class: "id" }, visible(String(value)))] as const
        ),
      ]),
      pre({ class: "command-text", tabIndex: 0 }, visible(bodyText(request.body))),
    ],
    response && [
      tags.h3(null, "Answer"),
      p(
        null,
        span({ class: "strong" }, String(response.status ?? "none")),
        ` in ${count(Math.round(response.durationMs ?? 0))} ms`,
      ),
      pre({ class: "command-text", tabIndex: 0 }, visible(bodyText(response.body))),
    ],
  ];
}

function bodyText(body: Json): string {
  if (typeof body !== "string") return body === undefined ? "" : pretty(body);
  return outline(body).problem === undefined ? pretty(parseJson(body)) : body;
}
