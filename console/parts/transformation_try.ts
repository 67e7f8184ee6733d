/** Runs a draft for one event: chosen from those that came, or written. Nothing is sent or stored. */
import type { ComponentChildren, VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { api, ApiError, apiPath, apiQuery } from "../app/api.ts";
import { useModule } from "../app/load.ts";
import { tags, view } from "../app/tags.ts";
import { type Json, parseJson, pretty } from "../core/json.ts";
import { visible } from "../core/text.ts";
import { action, announce, failure, notice } from "./basics.ts";
import { sidesView } from "./diff_view.ts";
import { Editor, type Mark, marksIn, marksOfText } from "./editor.ts";
import { errorText, marksOfErrors, type RunsProps } from "./transformation_draft.ts";

const { details, div, h2, p, pre, section, summary } = tags;

const EXAMPLE = { type: "track", userId: "jane", event: "Order Completed", properties: { total: 15 } };

/** The marks of the two texts. */
interface TryMarks {
  event: readonly Mark[];
  person: readonly Mark[];
}

const NO_MARKS: TryMarks = { event: [], person: [] };

/** The try. */
export function Try(
  { path, draft, sendsDraft, withDraft, onCodeMarks, messageId, onMessageId }: RunsProps & {
    messageId: string;
    onMessageId: (messageId: string) => void;
  },
): VNode {
  const [event, setEvent] = useState(pretty(EXAMPLE));
  const [person, setPerson] = useState("{}");
  const [marks, setMarks] = useState(NO_MARKS);
  const [tried, setTried] = useState<{ answer: Json; event: Json } | undefined>();
  const [error, setError] = useState<ApiError | undefined>();
  const [isPicking, setPicking] = useState(false);
  const usesPerson = draft.kind === "javascript" && /\b(person|groups)\b/.test(draft.code);
  useEffect(() => {
    if (messageId === "") return;
    const aborter = new AbortController();
    chosenEvent(messageId, aborter.signal).then((found) => {
      setEvent(pretty(found.event));
      setPerson(pretty(found.person));
      setTried(undefined);
      setError(undefined);
      setMarks(NO_MARKS);
    }).catch((problem) => {
      if (aborter.signal.aborted) return;
      if (!(problem instanceof ApiError)) throw problem;
      setError(problem);
    });
    return () => aborter.abort();
  }, [messageId]);
  const run = () =>
    withDraft(async (body) => {
      const found = { event: marksOfText(event), person: usesPerson ? marksOfText(person) : [] };
      setMarks(found);
      setError(undefined);
      if (found.event.length + found.person.length > 0) return;
      const given = {
        event: parseJson(event),
        ...usesPerson && { person: parseJson(person) },
      };
      try {
        const answer = await api(`${path}/try`, {
          method: "POST",
          body: { ...given, ...sendsDraft && { draft: body } },
        });
        setTried({ answer, event: given.event });
        announce(answer.error ? "It failed" : "Done");
        onCodeMarks(answer.error ? marksOfErrors([answer.error]) : []);
      } catch (problem) {
        if (!(problem instanceof ApiError)) throw problem;
        const own = { event: marksIn(event, "event", problem), person: marksIn(person, "person", problem) };
        // What is wrong with the draft stands at the draft.
        if (own.event.length + own.person.length === 0) throw problem;
        setMarks(own);
      }
    });
  return section(
    { class: "card stack" },
    h2(null, "Try one event"),
    view(Editor, {
      label: "Event",
      text: event,
      onText: setEvent,
      marks: marks.event,
      rows: 8,
      onSubmit: run,
    }),
    usesPerson && details(
      { open: marks.person.length > 0 },
      summary(null, "The profile that the code gets"),
      view(Editor, { label: "Profile", text: person, onText: setPerson, marks: marks.person, rows: 6 }),
      p({ class: "hint" }, "A chosen event brings the profile as it was known one millisecond before."),
    ),
    error && failure(error),
    div(
      { class: "row" },
      action("Try", () => void run(), { icon: "play", title: "Ctrl Enter" }),
      action("Choose an event…", () => setPicking(true)),
    ),
    tried && triedView(tried),
    isPicking && view(Picker, {
      onClose: () => setPicking(false),
      onPick(picked) {
        setPicking(false);
        onMessageId(picked);
      },
    }),
  );
}

/** An event of the journal, and the profile of its person just before. */
async function chosenEvent(messageId: string, signal: AbortSignal): Promise<{ event: Json; person: Json }> {
  const { event } = await api(apiPath("admin", "events", messageId), { signal });
  const { userId, anonymousId, receivedAt } = event;
  const asOf = new Date(Date.parse(receivedAt) - 1).toISOString();
  const path = userId ? apiPath("users", userId) : apiPath("anonymous", anonymousId);
  try {
    return { event, person: await api(`${path}${apiQuery({ asOf })}`, { signal }) };
  } catch (error) {
    // Nobody was known by this id before.
    if (error instanceof ApiError && error.status === 404) return { event, person: {} };
    throw error;
  }
}

function triedView({ answer, event }: { answer: Json; event: Json }): ComponentChildren {
  const { results, error, logs, durationUs } = answer;
  return [
    error
      ? notice("bad", "It failed: an event like this is not sent.", p(null, visible(errorText(error))))
      : results.length === 0
      ? notice("calm", "The event is dropped.")
      : results.map((result: Json, n: number) =>
        div(
          { key: n },
          sidesView(
            { title: "the event", text: pretty(event) },
            {
              title: results.length === 1 ? "what is sent" : `${n + 1} of ${results.length}`,
              text: pretty(result),
            },
          ),
        )
      ),
    logs.length > 0 && div(
      { class: "stack" },
      p({ class: "hint" }, "console.log"),
      pre(
        { class: "diff logs", tabIndex: 0, role: "group", "aria-label": "Log" },
        logs.map((line: string) => `${visible(line)}\n`),
      ),
    ),
    p({ class: "hint" }, `It took ${durationUs} µs.`),
  ];
}

/** The list of events is loaded when it is first opened. */
function Picker(props: { onClose: () => void; onPick: (messageId: string) => void }): VNode | false {
  const module = useModule(() => import("./event_picker.ts"));
  return module !== undefined && view(module.EventPicker, props);
}
