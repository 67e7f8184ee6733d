/** Test: send an event as a write key, and watch it arrive. */
import type { ComponentChildren, VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { api, ApiError, apiPath, apiUrl } from "../app/api.ts";
import { bindKeys } from "../app/keys.ts";
import { useApi } from "../app/load.ts";
import { choose, chosen, linkTo } from "../app/router.ts";
import { tags, view } from "../app/tags.ts";
import { type Json, outline, parseJson, pretty, spotOf } from "../core/json.ts";
import { curl, newId, visible } from "../core/text.ts";
import { action, announce, badge, Copy, empty, eventLink, failure, notice } from "../parts/basics.ts";
import { Editor, type Mark } from "../parts/editor.ts";
import { contractsPart } from "../parts/event_detail.ts";
import { requestOfScreen, Title } from "../parts/title.ts";

const { a, div, h2, label, li, ol, option, p, select, span } = tags;

/** Events to start from. */
const EXAMPLES: Readonly<Record<string, Json>> = {
  track: {
    type: "track",
    userId: "test_user",
    event: "Order Completed",
    properties: { order_id: "o-1", total: 15, currency: "USD" },
  },
  identify: {
    type: "identify",
    userId: "test_user",
    traits: { name: "Test User", email: "test@example.com", plan: "free" },
  },
  page: {
    type: "page",
    anonymousId: "test_visitor",
    name: "Pricing",
    properties: { url: "https://example.com/pricing" },
  },
  screen: { type: "screen", userId: "test_user", name: "Inbox" },
  group: { type: "group", userId: "test_user", groupId: "test_group", traits: { name: "Test Group" } },
  alias: { type: "alias", userId: "test_user", previousId: "test_visitor" },
};

const freshId = () => `test-${newId(Date.now(), crypto.getRandomValues(new Uint8Array(16)))}`;

const exampleText = (name: string) => pretty({ ...EXAMPLES[name], messageId: freshId() });

/** What became of the last event. */
interface Outcome {
  kind: "sent" | "tried" | "failed";
  answer?: Json;
  error?: ApiError;
  messageId: string;
  tookMs: number;
  sentAtMs: number;
}

const DRAFT = "signalfold.draft.test";

/** The screen. */
export function Screen(): VNode {
  const keys = useApi("admin/keys");
  const all: Json[] = (keys.value?.keys ?? []).filter((key: Json) => key.enabled);
  const writeKeyId = chosen("writeKeyId") || (all[0]?.id ?? "admin");
  const [text, setText] = useState(firstText);
  const [marks, setMarks] = useState<Mark[]>([]);
  const [outcome, setOutcome] = useState<Outcome | undefined>();
  const [isBusy, setBusy] = useState(false);
  useEffect(() => sessionStorage.setItem(DRAFT, text), [text]);
  requestOfScreen.value = curl({
    url: apiUrl("admin/test-events"),
    method: "POST",
    body: JSON.stringify({ writeKeyId, event: safeEvent(text) }),
  });
  const run = async (dryRun: boolean) => {
    const { problem } = outline(text);
    if (problem !== undefined) {
      return setMarks([{ line: problem.line, message: `column ${problem.column}: ${problem.message}` }]);
    }
    setMarks([]);
    setBusy(true);
    const event = parseJson(text);
    const result = await send({ writeKeyId, event, dryRun });
    setBusy(false);
    setOutcome(result);
    setMarks(marksOf(text, result));
    announce(result.kind === "failed" ? "Refused" : result.kind === "sent" ? "Sent" : "Checked");
  };
  useEffect(() => bindKeys([{ key: "Mod+enter", what: "send", inFields: true, run: () => run(false) }]), [
    text,
    writeKeyId,
  ]);
  const setExample = (name: string) => (setText(exampleText(name)), setMarks([]), setOutcome(undefined));
  return div(
    null,
    view(Title),
    div(
      { class: "split" },
      div(
        { class: "card stack" },
        div(
          { class: "row" },
          div(
            { class: "field grow" },
            label({ for: "send-as" }, "Send as"),
            select(
              {
                id: "send-as",
                "data-filter": "",
                value: writeKeyId,
                onChange: (event: Event) =>
                  choose({ writeKeyId: (event.target as HTMLSelectElement).value }, { replace: true }),
              },
              all.map(({ id, name, allowedTypes }: Json) =>
                option(
                  { key: id, value: id },
                  `${name === "WRITE_KEY" ? "default (WRITE_KEY)" : visible(name)}${
                    allowedTypes ? ` · may send ${allowedTypes.join(", ")}` : ""
                  }`,
                )
              ),
              option({ value: "admin" }, "the admin token"),
            ),
          ),
          div(
            { class: "field" },
            label({ for: "start-from" }, "Start from"),
            select(
              {
                id: "start-from",
                value: "",
                onChange: (event: Event) => setExample((event.target as HTMLSelectElement).value),
              },
              option({ value: "" }, "an example…"),
              Object.keys(EXAMPLES).map((name) => option({ key: name, value: name }, name)),
            ),
          ),
        ),
        view(Editor, {
          label: "Event",
          text,
          onText: (value) => (setText(value), setMarks([])),
          marks,
          onSubmit: () => run(false),
          rows: 18,
        }),
        warning(text),
        div(
          { class: "row" },
          action("Send", () => run(false), {
            kind: "primary",
            icon: "test",
            busy: isBusy,
            title: "Ctrl Enter",
          }),
          action("Check only", () => run(true), { busy: isBusy, title: "Nothing is stored" }),
          action("New id", () => setText(withNewId(text)), { kind: "quiet" }),
          view(Copy, {
            text: () =>
              curl({
                url: apiUrl("events"),
                method: "POST",
                body: JSON.stringify(safeEvent(text)),
                as: "KEY",
              }),
            label: "Copy as curl",
            what: "Command",
          }),
        ),
      ),
      div(
        { class: "card stack", "aria-live": "off" },
        h2(null, "What became of it"),
        outcome === undefined ? nothingSent() : outcomeView(outcome),
      ),
    ),
  );
}

function firstText(): string {
  const like = sessionStorage.getItem("signalfold.like");
  if (chosen("like") !== "" && like !== null) {
    sessionStorage.removeItem("signalfold.like");
    return pretty({ ...parseJson(like), messageId: freshId() });
  }
  return sessionStorage.getItem(DRAFT) ?? exampleText("track");
}

function safeEvent(text: string): Json {
  return outline(text).problem === undefined ? parseJson(text) : {};
}

function withNewId(text: string): string {
  if (outline(text).problem !== undefined) return text;
  return pretty({ ...parseJson(text), messageId: freshId() });
}

async function send(body: { writeKeyId: string; event: Json; dryRun: boolean }): Promise<Outcome> {
  const sentAtMs = Date.now();
  const messageId = String(body.event?.messageId ?? "");
  const timed = (rest: Pick<Outcome, "kind" | "answer" | "error">) => ({
    ...rest,
    messageId: rest.answer?.messageId ?? messageId,
    sentAtMs,
    tookMs: Date.now() - sentAtMs,
  });
  try {
    const answer = await api("admin/test-events", {
      method: "POST",
      body: body.dryRun ? body : { writeKeyId: body.writeKeyId, event: body.event },
    });
    return timed({ kind: body.dryRun ? "tried" : "sent", answer });
  } catch (error) {
    if (error instanceof ApiError) return timed({ kind: "failed", error });
    throw error;
  }
}

/** The lines that an answer means. */
function marksOf(text: string, { error, answer }: Outcome): Mark[] {
  const { spots } = outline(text) as { spots: Map<string, never> };
  const errors: Json[] = error?.body?.errors ?? answer?.errors ?? [];
  if (error?.code === "forbidden_type" && errors.length === 0) {
    return [{ line: spotOf(spots, "type").line, message: error.message }];
  }
  return errors.filter(({ path }: Json) => path !== "writeKeyId").map(({ path, message }: Json) => ({
    line: spotOf(spots, path).line,
    message: message.startsWith(path) || path === "" ? message : `${path} ${message}`,
  }));
}

/** An event of a real person cannot be taken back. */
function warning(text: string): VNode | false {
  const event = safeEvent(text);
  const id = event?.userId ?? event?.anonymousId;
  if (typeof id !== "string" || id === "" || id.startsWith("test")) return false;
  return notice(
    "warn",
    `This becomes part of the profile of ${visible(id)} for good.`,
    p({ class: "hint" }, "An event cannot be taken back; only a person can be erased."),
  );
}

function nothingSent(): VNode {
  return empty(
    "Nothing sent yet",
    p(
      null,
      "Send goes through the whole pipeline: contracts, limits, profile. Check only says what would happen and stores nothing.",
    ),
  );
}

function outcomeView(outcome: Outcome): ComponentChildren {
  const { kind, answer, error, messageId, tookMs } = outcome;
  if (kind === "failed") return [failure(error!), answer];
  if (kind === "tried") {
    return [
      answer.wouldAccept
        ? notice("good", "It would be accepted.", p({ class: "hint" }, "Nothing was stored or counted."))
        : notice(
          "bad",
          "It would be refused.",
          ol(
            { class: "errors" },
            answer.errors.map((each: Json, n: number) =>
              li({ key: n }, `${each.status} ${each.code}: `, visible(each.message))
            ),
          ),
        ),
      contractsPart(answer.contracts),
      answer.location && p({ class: "soft" }, "Location: ", visible(JSON.stringify(answer.location))),
    ];
  }
  return [
    div(
      { class: "row" },
      badge(answer.duplicate ? "duplicate" : "accepted", answer.duplicate ? "calm" : "good"),
      span({ class: "soft" }, `200 in ${tookMs} ms`),
      eventLink(messageId, 40),
    ),
    answer.duplicate
      ? notice(
        "calm",
        "Its messageId is known: it is not counted twice.",
        p({ class: "hint" }, "That is how it should be. New id sends another event."),
      )
      : view(Arriving, { key: messageId, messageId, sentAtMs: outcome.sentAtMs }),
  ];
}

/** A step on the way of an event. */
interface Step {
  words: string;
  ms?: number;
}

/** The time between two looks, and after how many the page stops looking. */
const LOOK_MS = 300;
const LOOKS = 60;

function Arriving({ messageId, sentAtMs }: { messageId: string; sentAtMs: number }): VNode {
  const [trace, setTrace] = useState<Json>();
  const times = useRef<{ committed?: number; settled?: number }>({});
  useEffect(() => {
    const aborter = new AbortController();
    const look = async () => {
      for (let n = 0; n < LOOKS && !aborter.signal.aborted; n++) {
        const found = await api(apiPath("admin", "events", messageId), { signal: aborter.signal }).catch(() =>
          undefined
        );
        if (found !== undefined) {
          times.current.committed ??= Date.now() - sentAtMs;
          if (found.settled) times.current.settled ??= Date.now() - sentAtMs;
          setTrace(found);
          if (found.settled) return;
        }
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      }
    };
    look();
    return () => aborter.abort();
  }, [messageId]);
  const { committed, settled } = times.current;
  const steps: Step[] = [
    { words: "accepted by the pipeline", ms: 0 },
    { words: "committed to the journal", ...committed !== undefined && { ms: committed } },
    { words: "settled into profiles and logs", ...settled !== undefined && { ms: settled } },
  ];
  return div(
    { class: "stack" },
    ol(
      { class: "steps" },
      steps.map(({ words, ms }) =>
        li(
          { key: words, class: ms === undefined ? "" : "done" },
          span({ class: "step-mark", "aria-hidden": "true" }, ms === undefined ? "○" : "✓"),
          words,
          ms !== undefined && ms > 0 && span({ class: "soft" }, ` seen after ${ms} ms`),
        )
      ),
    ),
    trace && contractsPart(trace.contracts ?? []),
    trace && p(
      null,
      "It is in the profile of ",
      trace.logs.map((log: string) => {
        const [kind, ...rest] = log.split("/");
        const id = rest.join("/");
        return [
          a({
            ...(kind === "group"
              ? linkTo("groups", { id })
              : linkTo("users", kind === "user" ? { id } : { kind: "anonymous", id })),
          }, visible(id)),
          " ",
        ];
      }),
    ),
  );
}
