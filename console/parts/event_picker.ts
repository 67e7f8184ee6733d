/** Chooses an event: one of the newest, or any by its message id. */
import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ApiError, openStream } from "../app/api.ts";
import { tags, view } from "../app/tags.ts";
import { type Json, parseJson } from "../core/json.ts";
import { createSseParser } from "../core/stream.ts";
import { visible } from "../core/text.ts";
import { action, Dialog, empty, failure, when } from "./basics.ts";

const { button, div, form, input, label, li, span, ul } = tags;

/** Events that are offered. */
const OFFERED = 20;

/** The dialog. While it is open, events that arrive stand on top. */
export function EventPicker(
  { onClose, onPick }: { onClose: () => void; onPick: (messageId: string) => void },
): VNode {
  const [events, setEvents] = useState<readonly Json[]>([]);
  const [error, setError] = useState<ApiError | undefined>();
  const [typed, setTyped] = useState("");
  useEffect(() => {
    const aborter = new AbortController();
    watch(aborter.signal, (event) => setEvents((before) => [event, ...before].slice(0, OFFERED)))
      .catch((problem) => {
        if (aborter.signal.aborted) return;
        if (!(problem instanceof ApiError)) throw problem;
        setError(problem);
      });
    return () => aborter.abort();
  }, []);
  return view(Dialog, {
    title: "Choose an event",
    onClose,
    children: [
      form(
        {
          class: "row",
          onSubmit(event: Event) {
            event.preventDefault();
            if (typed !== "") onPick(typed);
          },
        },
        label({ class: "visually-hidden", for: "picked-id" }, "Message id"),
        input({
          id: "picked-id",
          type: "text",
          placeholder: "message id",
          autoComplete: "off",
          spellcheck: false,
          value: typed,
          onInput: (event: Event) => setTyped((event.target as HTMLInputElement).value),
        }),
        button({ type: "submit", class: "button" }, "Choose"),
      ),
      error && failure(error),
      events.length === 0
        ? empty("Waiting for events…")
        : ul({ class: "picker" }, events.map((event) => li({ key: event.messageId }, offer(event, onPick)))),
      div({ class: "row end" }, action("Cancel", onClose)),
    ],
  });
}

function offer(
  { messageId, type, event, userId, anonymousId, receivedAt }: Json,
  onPick: (messageId: string) => void,
): VNode {
  return button(
    { type: "button", class: "row-link", onClick: () => onPick(messageId) },
    when(receivedAt),
    " ",
    span({ class: "tag" }, type),
    " ",
    event && `${visible(event)} `,
    span({ class: "soft" }, visible(userId ?? anonymousId ?? "")),
  );
}

/** Gives the newest events, then those that arrive. */
async function watch(signal: AbortSignal, onEvent: (event: Json) => void): Promise<void> {
  const parser = createSseParser({
    onEvent({ data }) {
      const line = parseJson(data);
      if (line.status === "accepted") onEvent(line);
    },
  });
  const { body } = await openStream(`admin/live?status=accepted&last=${OFFERED}`, { headers: {}, signal });
  const reader = body!.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    parser.push(value);
  }
}
