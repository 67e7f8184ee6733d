/** Runs a draft over the last events beside what stands, and shows what would differ. No destination is touched. */
import type { ComponentChildren, VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { openStream } from "../app/api.ts";
import { tags, view } from "../app/tags.ts";
import { type Json, parseJson, pretty } from "../core/json.ts";
import { createSseParser } from "../core/stream.ts";
import { count, plural, visible } from "../core/text.ts";
import { action, announce, eventLink, notice } from "./basics.ts";
import { sidesView } from "./diff_view.ts";
import { Editor, type Mark, marksOfText } from "./editor.ts";
import { errorText, marksOfErrors, type RunsProps } from "./transformation_draft.ts";

const { details, div, h2, label, li, option, p, progress, section, select, span, strong, summary, ul } = tags;

/** How many of the last events a check goes over. */
const LAST = [100, 1_000, 10_000];

/** Where a check is: nothing yet, how far it is, or its result and what it compared with. */
type Run = { checked: number; of: number } | { result: Json; standing: string } | undefined;

/** The check. */
export function Check(
  { path, sendsDraft, standing = "the original", withDraft, onCodeMarks, onTry }: RunsProps & {
    onTry: (messageId: string) => void;
  },
): VNode {
  const [last, setLast] = useState(1_000);
  const [where, setWhere] = useState("");
  const [whereMarks, setWhereMarks] = useState<readonly Mark[]>([]);
  const [run, setRun] = useState<Run>();
  const [isBroken, setBroken] = useState(false);
  const aborter = useRef<AbortController | undefined>(undefined);
  useEffect(() => () => aborter.current?.abort(), []);
  const start = () =>
    withDraft(async (draft) => {
      const marks = where.trim() === "" ? [] : marksOfText(where);
      setWhereMarks(marks);
      if (marks.length > 0) return;
      aborter.current?.abort();
      const { signal } = aborter.current = new AbortController();
      const body = {
        last,
        ...sendsDraft && { draft },
        ...where.trim() !== "" && { where: parseJson(where) },
      };
      setBroken(false);
      setRun({ checked: 0, of: last });
      try {
        const result = await checked(`${path}/check`, { body, signal, onProgress: setRun });
        setRun(result && { result, standing });
        setBroken(result === undefined);
        if (result === undefined) return;
        announce(summaryOf(result));
        const errors = result.examples.flatMap(({ error }: Json) => error ?? []);
        onCodeMarks(marksOfErrors(errors));
      } catch (error) {
        setRun(undefined);
        if (!signal.aborted) throw error;
      }
    });
  const isRunning = run !== undefined && "of" in run;
  return section(
    { class: "card stack" },
    h2(null, "Check against the last events"),
    div(
      { class: "row" },
      label({ for: "check-last", class: "visually-hidden" }, "How many events"),
      select(
        {
          id: "check-last",
          class: "small-field",
          value: String(last),
          onChange: (event: Event) => setLast(Number((event.target as HTMLSelectElement).value)),
        },
        LAST.map((each) => option({ key: each, value: String(each) }, `the last ${count(each)} events`)),
      ),
      isRunning
        ? action("Stop", () => aborter.current?.abort())
        : action("Check", () => void start(), { icon: "play" }),
    ),
    details(
      null,
      summary(null, "Only some of them"),
      view(Editor, {
        label: "Condition, empty for all events",
        text: where,
        onText: setWhere,
        marks: whereMarks,
        rows: 4,
      }),
    ),
    isBroken && notice("bad", "The server ended the check before its result. Check again."),
    run === undefined
      ? p({ class: "hint" }, "No destination is touched, and nothing is stored.")
      : "of" in run
      ? progressOf(run)
      : resultOf(run.result, { standing: run.standing, onTry }),
  );
}

function progressOf({ checked: done, of }: { checked: number; of: number }): VNode {
  const words = `${count(done)} of ${count(of)} checked`;
  return div(
    { class: "stack" },
    progress({ value: done, max: Math.max(of, 1), "aria-label": words }),
    p({ class: "hint" }, words),
  );
}

/** Reads the stream of a check; `undefined` if it ends without a result. */
async function checked(
  path: string,
  { body, signal, onProgress }: {
    body: Json;
    signal: AbortSignal;
    onProgress: (progress: { checked: number; of: number }) => void;
  },
): Promise<Json | undefined> {
  let result: Json | undefined;
  const parser = createSseParser({
    onEvent({ event, data }) {
      if (event === "progress") onProgress(parseJson(data));
      else if (event === "result") result = parseJson(data);
    },
  });
  const { body: stream } = await openStream(path, { headers: { accept: "text/event-stream" }, signal, body });
  const reader = stream!.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return result;
    parser.push(value);
  }
}

function summaryOf({ checked: all, same, changed, dropped, failed }: Json): string {
  return all === 0
    ? "No event was checked."
    : `${plural(all, "event")}: ${count(changed)} changed, ${count(dropped)} dropped, ${
      count(failed)
    } failed, ` +
      `${count(same)} the same.`;
}

function resultOf(
  result: Json,
  { standing, onTry }: { standing: string; onTry: (messageId: string) => void },
): ComponentChildren {
  const { complete, examples } = result;
  return [
    p(null, strong(null, summaryOf(result))),
    p(
      { class: "hint" },
      `Compared with ${standing}.`,
      !complete && " The check would take longer than a minute, so it covers a part.",
      examples.length > 0 && ` ${plural(examples.length, "difference")} shown.`,
    ),
    ul(
      { class: "stack examples" },
      examples.map((example: Json) =>
        li({ key: example.messageId }, exampleOf(example, { standing, onTry }))
      ),
    ),
  ];
}

function exampleOf(
  { messageId, before, after, error }: Json,
  { standing, onTry }: { standing: string; onTry: (messageId: string) => void },
): VNode {
  return details(
    { open: true },
    summary(
      null,
      span({ class: "strong" }, visible(messageId)),
      " ",
      error
        ? span({ class: "fall" }, `failed, ${visible(errorText(error))}`)
        : after === null
        ? "dropped"
        : before === null
        ? "no longer dropped"
        : "changed",
    ),
    div(
      { class: "stack" },
      error
        ? false
        : sidesView({ title: standing, text: shown(before) }, { title: "after", text: shown(after) }),
      div(
        { class: "row" },
        eventLink(messageId, 26),
        action("Try it alone", () => onTry(messageId), {
          kind: "quiet",
          label: `Try it alone: ${visible(messageId)}`,
        }),
      ),
    ),
  );
}

/** A result as a text; a dropped event has none. */
const shown = (result: Json): string => result === null ? "dropped" : pretty(result);
