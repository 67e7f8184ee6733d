/** A moment of the past: a slider over the events of a log, steps by event, and a field. The API folds on release. */
import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { apiQuery } from "../app/api.ts";
import { bindKeys } from "../app/keys.ts";
import { useApi } from "../app/load.ts";
import { zone } from "../app/preferences.ts";
import { choose, chosen } from "../app/router.ts";
import { tags } from "../app/tags.ts";
import type { Json } from "../core/json.ts";
import { visible } from "../core/text.ts";
import { fieldValue, fromField, long } from "../core/time.ts";
import { action } from "./basics.ts";

const { div, form, input, label, p, section, span } = tags;

/** Events that have a place on the slider: a page of the log. */
const STEPS = 500;

/** A reader who walks with the keys causes one request at the end. */
const REST_MS = 250;

/** Folding more events than this takes seconds. */
const MANY_EVENTS = 20_000;

/** The slider; the moment stands in the address. */
export function TimeTravel({ path, eventCount }: { path: string; eventCount: number }): VNode | null {
  const log = useApi(`${path}/events${apiQuery({ limit: STEPS })}`);
  const events: Json[] = (log.value?.events ?? []).toReversed();
  const at = chosen("at");
  const [moved, setMoved] = useState<number | undefined>();
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const inUrl = at === "" ? events.length : events.findLastIndex((event) => event.timestamp <= at) + 1;
  const position = moved ?? inUrl;
  // Keys may come faster than the page is drawn.
  const current = useRef(position);
  current.current = position;
  const event = events[position - 1];
  const commit = (to: number) => {
    const moment = to >= events.length ? undefined : to === 0 ? before(events[0]) : events[to - 1].timestamp;
    setMoved(undefined);
    choose({ at: moment }, { replace: true });
  };
  const move = (to: number) => {
    const bounded = Math.max(0, Math.min(events.length, to));
    current.current = bounded;
    setMoved(bounded);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => commit(bounded), REST_MS);
  };
  useEffect(() => () => clearTimeout(timer.current), []);
  useEffect(() =>
    bindKeys([
      { key: "ArrowLeft", what: "the event before", run: () => move(current.current - 1) },
      { key: "ArrowRight", what: "the event after", run: () => move(current.current + 1) },
      { key: "0", what: "now", run: () => commit(events.length) },
    ]), [position, events.length]);
  if (log.value === undefined || events.length < 2) return null;
  const words = position >= events.length
    ? "now"
    : position === 0
    ? `before the first ${log.value.cursor === null ? "event" : "shown event"}`
    : `event ${position} of ${events.length}: ${event.event ? visible(event.event) : event.type}, ${
      long(Date.parse(event.timestamp), zone())
    }`;
  return section(
    { class: "card time-travel", "aria-label": "Time travel" },
    div(
      { class: "row" },
      action("", () => move(position - 1), {
        icon: "left",
        label: "The event before",
        disabled: position === 0,
      }),
      input({
        type: "range",
        class: "grow",
        min: "0",
        max: String(events.length),
        step: "1",
        value: String(position),
        "aria-label": "Moment",
        "aria-valuetext": words,
        onInput: (input: Event) => setMoved(Number((input.target as HTMLInputElement).value)),
        onChange: (input: Event) => move(Number((input.target as HTMLInputElement).value)),
      }),
      action("", () => move(position + 1), {
        icon: "right",
        label: "The event after",
        disabled: position >= events.length,
      }),
      action("Now", () => commit(events.length), { disabled: at === "" && moved === undefined }),
    ),
    div(
      { class: "row between" },
      span({ class: "strong moment" }, at === "" && moved === undefined ? "The profile as it is now" : words),
      momentForm(at),
    ),
    eventCount > MANY_EVENTS &&
      p({ class: "hint" }, "Each step folds the whole log, which takes seconds here."),
    log.value.cursor !== null &&
      p({ class: "hint" }, `The slider has the newest ${STEPS} events; the field reaches any moment.`),
  );
}

function before(first: Json): string {
  return new Date(Date.parse(first.timestamp) - 1).toISOString();
}

function momentForm(at: string): VNode {
  const value = at === "" ? "" : fieldValue(Date.parse(at), zone());
  return form(
    { class: "row", onSubmit: (event: Event) => event.preventDefault() },
    label({ class: "hint", for: "moment" }, `moment (${zone() === "utc" ? "UTC" : "local"})`),
    input({
      id: "moment",
      type: "datetime-local",
      step: "1",
      value,
      onChange(event: Event) {
        const ms = fromField((event.target as HTMLInputElement).value, zone());
        choose({ at: ms === undefined ? undefined : new Date(ms).toISOString() }, { replace: true });
      },
    }),
    label(
      { class: "choice", title: "Only what was received by then: what was known, not what was true" },
      input({
        type: "checkbox",
        checked: chosen("asOf") !== "",
        onChange: () =>
          choose({ asOf: chosen("asOf") === "" ? at || new Date().toISOString() : undefined }, {
            replace: true,
          }),
      }),
      "as it was known then",
    ),
  );
}
