/** Live: events as they arrive. The list never moves under the reader, and leaves nothing out silently. */
import type { ComponentChildren, VNode } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { apiQuery, apiUrl } from "../app/api.ts";
import { type Json, parseJson } from "../core/json.ts";
import { bindKeys } from "../app/keys.ts";
import { useModule } from "../app/load.ts";
import { choose, chosen, linkTo, place } from "../app/router.ts";
import { requestOfScreen, Title } from "../parts/title.ts";
import { tags, view } from "../app/tags.ts";
import { count, curl, visible } from "../core/text.ts";
import { clock, long } from "../core/time.ts";
import { zone } from "../app/preferences.ts";
import { action, announce, badge, command, failure, idText, skeleton, toneOf } from "../parts/basics.ts";
import type { EventDetailProps } from "../parts/event_detail.ts";
import { createLiveStream, type LiveStream, RING_LINES } from "../parts/live_stream.ts";
import { WindowList } from "../parts/window_list.ts";
import { LiveFilters } from "../parts/live_filters.ts";

const { a, div, p, span, svg, rect } = tags;

/** The filters of the stream, by the names of the API. */
export const FILTERS = ["status", "type", "event", "userId", "writeKeyId"] as const;

/** A line of the view. */
type Line = Json;

/** Lines as they were when the reader stopped following. */
interface Held {
  lines: (string | undefined)[];
  /** Events that had come by then. */
  came: number;
}

/** The screen. */
export function Screen(): VNode {
  const { query } = place.value;
  const filters = Object.fromEntries(FILTERS.flatMap((name) => query[name] ? [[name, query[name]!]] : []));
  const key = JSON.stringify(filters);
  const stream = useMemo(() => createLiveStream(filters), [key]);
  useEffect(() => () => stream.close(), [stream]);
  requestOfScreen.value = curl({ url: apiUrl(`admin/live${apiQuery({ ...filters, last: 100 })}`) }).replace(
    "-sS",
    "-sSN",
  );
  return view(LiveView, { stream, filters, key });
}

const cameOf = ({ counts }: LiveStream) => counts.accepted + counts.duplicate + counts.rejected;

function snapshot({ ring }: LiveStream): (string | undefined)[] {
  return Array.from({ length: ring.end() - ring.start() }, (_, n) => ring.at(ring.end() - 1 - n));
}

function LiveView({ stream, filters }: { stream: LiveStream; filters: Record<string, string> }): VNode {
  // Reading it draws this again when lines have come.
  stream.version.value;
  const [held, setHeld] = useState<Held | undefined>();
  const [isPaused, setPaused] = useState(false);
  const [active, setActive] = useState(-1);
  const [shown, setShown] = useState<Line | undefined>();
  const screen = useRef<HTMLDivElement>(null);
  const isHeld = held !== undefined;
  const hold = () => {
    if (!isHeld) setHeld({ lines: snapshot(stream), came: cameOf(stream) });
  };
  const follow = () => {
    setHeld(undefined);
    setPaused(false);
    setActive(-1);
    stream.paused(false);
    screen.current?.querySelector(".window-body")?.scrollTo({ top: 0 });
  };
  const pause = () => {
    if (isPaused) return follow();
    hold();
    setPaused(true);
    stream.paused(true);
    announce("Paused");
  };
  const close = () => {
    setShown(undefined);
    choose({ id: undefined });
    screen.current?.querySelector<HTMLElement>(".window-body")?.focus();
  };
  useEffect(() =>
    bindKeys([
      { key: "Space", what: "pause or go on", run: pause },
      { key: "n", what: "the newest", run: follow },
      { key: "Escape", what: "close the event", inFields: false, run: () => shown && close() },
    ]), [isPaused, isHeld, shown]);
  const lines = held?.lines;
  const total = lines?.length ?? stream.ring.end() - stream.ring.start();
  const textAt = (index: number) => lines ? lines[index] : stream.ring.at(stream.ring.end() - 1 - index);
  const lineAt = (index: number): Line => parseJson(textAt(index) ?? "{}");
  const fresh = held === undefined ? 0 : cameOf(stream) - held.came;
  return div(
    { class: "live", ref: screen },
    view(Title),
    div(
      { class: "toolbar" },
      view(StreamPill, { stream, mode: isPaused ? "paused" : isHeld ? "held" : "" }),
      view(Sparkline, { stream }),
      span(
        { class: "soft" },
        `${count(cameOf(stream))} came`,
        stream.counts.rejected > 0 && `, ${count(stream.counts.rejected)} rejected`,
      ),
      div({ class: "grow" }),
      action(isPaused ? "Resume" : "Pause", pause, { icon: isPaused ? "play" : "pause", title: "Space" }),
    ),
    view(LiveFilters, { filters }),
    stream.problem.value && stream.state.value === "failed" && failure(stream.problem.value, stream.connect),
    div(
      { class: shown ? "beside" : "alone" },
      div(
        {
          class: "card flush live-list",
          "data-draws": stream.counts.draws,
          "data-came": cameOf(stream),
          "data-passed-over": stream.counts.passedOver,
        },
        div(
          { class: "live-news" },
          isHeld && fresh > 0 &&
            action(`${count(fresh)} new`, follow, {
              icon: "up",
              kind: "primary",
              label: `${count(fresh)} new: show the newest`,
            }),
        ),
        total === 0 ? view(Waiting, { filters }) : view(WindowList, {
          label: "Events, newest first",
          class: "live-window",
          count: total,
          rowHeight: 36,
          columns: ["time", "status", "type", "event", "who", "key"],
          active,
          row: (index) => rowOf(lineAt(index)),
          onActive(index) {
            hold();
            setActive(index);
            if (shown !== undefined) setShown(lineAt(index));
          },
          onOpen(index) {
            const line = lineAt(index);
            if (line.messageId === undefined) return;
            setShown(line);
            choose({ id: line.messageId ?? undefined }, { replace: shown !== undefined });
          },
          onTop: (isAtTop) => isAtTop ? (!isHeld || isPaused || active >= 0 || shown || follow()) : hold(),
        }),
        stream.ring.start() > 0 && p(
          { class: "hint foot" },
          `The newest ${count(RING_LINES)} lines of ${
            count(stream.ring.end())
          }; older events are in each user's log.`,
        ),
      ),
      shown && div(
        { class: "card" },
        view(Detail, {
          messageId: shown.messageId,
          ...shown.status === "rejected" && { rejected: shown },
          onClose: close,
        }),
      ),
      !shown && chosen("id") !== "" &&
        div({ class: "card" }, view(Detail, { messageId: chosen("id"), onClose: close })),
    ),
  );
}

/** A row: its cells, or one text for a line that is no event. */
function rowOf(line: Line): { cells: ComponentChildren[]; class?: string; isWhole?: boolean } {
  const { status } = line;
  if (status === "divider") return { cells: ["Before you came"], class: "note", isWhole: true };
  if (status === "skipped") {
    const text = `${
      count(line.skipped)
    } events were passed over here: this page was too far behind. They are in the logs.`;
    return { cells: [text], class: "note bad", isWhole: true };
  }
  if (status === "unwatched") {
    const text = `Nobody watched from ${long(line.from, zone())} to ${
      long(line.to, zone())
    }: accepted events are shown, duplicates and rejections of that time are not.`;
    return { cells: [text], class: "note", isWhole: true };
  }
  const { receivedAt, type, event, userId, anonymousId, writeKeyId, error } = line;
  const isYours = String(line.messageId ?? "").startsWith("test-");
  return {
    class: `${status}${line.past ? " past" : ""}`,
    cells: [
      span({ title: receivedAt }, clock(Date.parse(receivedAt), zone())),
      badge(status, toneOf(status)),
      visible(String(type ?? "—")),
      span(
        { class: "ellipsis", ...error && { title: error.message } },
        event
          ? span({ class: "strong" }, visible(event))
          : span({ class: "soft type-inline" }, visible(String(type ?? ""))),
        event && error && " ",
        error && span({ class: "reason" }, visible(error.message)),
        isYours && span({ class: "tag" }, "yours"),
      ),
      userId !== undefined
        ? idText(userId, 24)
        : anonymousId !== undefined
        ? span(null, span({ class: "tag" }, "anon"), " ", idText(anonymousId, 20))
        : "—",
      span({ class: "ellipsis soft" }, visible(String(writeKeyId))),
    ],
  };
}

const WORDS: Record<string, string> = {
  connecting: "connecting…",
  live: "live",
  closed: "asleep: this tab was hidden or paused for long",
  failed: "stopped",
};

function StreamPill({ stream, mode }: { stream: LiveStream; mode: string }): VNode {
  const state = stream.state.value;
  const [, tick] = useState(0);
  useEffect(() => {
    if (state !== "waiting") return;
    const timer = setInterval(() => tick((n) => n + 1), 500);
    return () => clearInterval(timer);
  }, [state]);
  const seconds = Math.max(0, Math.ceil((stream.retryAtMs.value - Date.now()) / 1000));
  const text = state === "waiting"
    ? `${reasonOf(stream)}: connecting again in ${seconds} s`
    : state === "live" && mode !== ""
    ? mode
    : WORDS[state]!;
  useEffect(() => announce(`Live view: ${state === "waiting" ? "connection lost" : text}`), [state, mode]);
  const tone = state === "live" && mode === ""
    ? "good"
    : state === "failed"
    ? "bad"
    : state === "waiting"
    ? "warn"
    : "calm";
  return span(
    { class: "row" },
    badge(state === "live" ? mode === "" ? "running" : "paused" : "", tone, text),
    state === "waiting" && action("Retry now", stream.connect, { kind: "quiet" }),
  );
}

function reasonOf({ problem }: LiveStream): string {
  const error = problem.value;
  if (error === undefined) return "the connection ended";
  if (error.code === "too_many_listeners") return "too many people watch this process";
  return error.status === 0 ? "the server cannot be reached" : error.code;
}

/** Lines of each of the last 60 seconds. */
function Sparkline({ stream }: { stream: LiveStream }): VNode {
  stream.version.value;
  const now = Math.floor(Date.now() / 1000);
  const bars = stream.perSecond.filter(({ second }) => second > now - 60);
  const max = Math.max(1, ...bars.map(({ lines }) => lines));
  const last = bars.findLast(({ second }) => second === now - 1)?.lines ?? 0;
  return span(
    { class: "row spark", title: "Events of each of the last 60 seconds" },
    svg(
      { viewBox: "0 0 120 20", width: "120", height: "20", "aria-hidden": "true" },
      bars.map(({ second, lines }) => {
        const height = Math.max(1, 19 * lines / max);
        return rect({
          key: second,
          x: String(2 * (second - now + 59)),
          y: String(20 - height),
          width: "1.5",
          height: String(height),
        });
      }),
    ),
    span({ class: "soft number" }, `${count(last)}/s`),
  );
}

function Waiting({ filters }: { filters: Record<string, string> }): VNode {
  const given = Object.entries(filters).map(([name, value]) => `${name} is ${visible(value)}`).join(", ");
  const event = {
    type: filters.type ?? "track",
    userId: filters.userId ?? "test_user",
    ...(filters.type ?? "track") === "track" && { event: filters.event ?? "Order Completed" },
  };
  return div(
    { class: "empty" },
    p({ class: "title" }, "Waiting for events…"),
    p(null, given === "" ? "They appear here as they arrive." : `Only new ones are shown, if ${given}.`),
    command(curl({ url: apiUrl("events"), method: "POST", body: JSON.stringify(event), as: "KEY" })),
    div(
      { class: "row" },
      a({ class: "button", ...linkTo("test") }, "Send a test event"),
      given !== "" &&
        action(
          "Clear the filters",
          () => choose(Object.fromEntries(FILTERS.map((name) => [name, undefined]))),
        ),
    ),
  );
}

/** The detail is loaded when the first event is opened. */
function Detail(props: EventDetailProps): VNode {
  const module = useModule(() => import("../parts/event_detail.ts"));
  return module === undefined ? skeleton(6) : view(module.EventDetail, props);
}
