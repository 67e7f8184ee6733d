/** Sends or deletes many rejected events, with progress. */
import { type VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { api, ApiError, apiPath } from "../app/api.ts";
import { tags, view } from "../app/tags.ts";
import { count, plural, visible } from "../core/text.ts";
import { action, announce, Dialog } from "./basics.ts";

const { div, li, p, progress, ul } = tags;

/** Faults in a row after which resending stops. */
const FAULTS = 5;

/** Work on many events: by their ids, or all of a filter. */
export interface Job {
  ids: readonly string[];
  filter: Record<string, string> | undefined;
  isDelete?: boolean;
}

interface Progress {
  done: number;
  accepted: number;
  duplicate: number;
  refused: { id: string; message: string }[];
  isOver: boolean;
}

export function JobDialog({ job, close, done }: { job: Job; close: () => void; done: () => void }): VNode {
  const [state, setState] = useState<Progress>({
    done: 0,
    accepted: 0,
    duplicate: 0,
    refused: [],
    isOver: false,
  });
  const [isRunning, setRunning] = useState(false);
  const [stopper] = useState(() => new AbortController());
  const start = async () => {
    setRunning(true);
    await (job.filter === undefined
      ? eachOf(job, setState, stopper.signal)
      : allOf(job.filter, setState, stopper.signal));
    done();
  };
  useEffect(() => {
    if (job.filter === undefined && !job.isDelete) start();
    return () => stopper.abort();
  }, []);
  const verb = job.isDelete ? "Delete" : "Resend";
  const total = job.ids.length;
  return view(Dialog, {
    title: total > 0 ? `${verb} ${plural(total, "event")}` : "Resend all of this filter",
    onClose: close,
    children: [
      !isRunning &&
      p(
        null,
        job.isDelete
          ? "Deleted events cannot be sent again."
          : "Each goes in with its own id, key and time, so that none counts twice. Those that are refused again stay.",
      ),
      isRunning && total > 0 && progress({ max: total, value: state.done, "aria-label": "Progress" }),
      isRunning &&
      p(
        { class: "strong" },
        `${
          job.isDelete
            ? count(state.done) + " deleted"
            : `${count(state.accepted)} accepted, ${count(state.duplicate)} known already, ${
              count(state.refused.length)
            } refused again`
        }${state.isOver ? "" : "…"}`,
      ),
      state.refused.some(({ message }) => message !== "") &&
      ul(
        { class: "errors" },
        state.refused.slice(0, 20).map(({ id, message }) => li({ key: id }, visible(message))),
      ),
      div(
        { class: "row end" },
        !isRunning && action("Cancel", close),
        !isRunning &&
          action(job.isDelete ? `Delete ${total}` : "Resend", start, {
            kind: job.isDelete ? "danger" : "primary",
          }),
        isRunning && !state.isOver && action("Stop", () => stopper.abort()),
        state.isOver && action("Close", close, { kind: "primary" }),
      ),
    ],
  });
}

type SetProgress = (change: (before: Progress) => Progress) => void;

/** One after the other; it waits as the server says, and stops after some faults in a row. */
async function eachOf({ ids, isDelete = false }: Job, set: SetProgress, signal: AbortSignal): Promise<void> {
  let faults = 0;
  for (const id of ids) {
    if (signal.aborted || faults >= FAULTS) break;
    try {
      const path = apiPath("admin", "rejected", id);
      const answer = await api(isDelete ? path : `${path}/resend`, {
        method: isDelete ? "DELETE" : "POST",
        signal,
      });
      set((before) => ({
        ...before,
        done: before.done + 1,
        [answer?.duplicate ? "duplicate" : "accepted"]: before[answer?.duplicate ? "duplicate" : "accepted"] +
          1,
      }));
      faults = 0;
    } catch (error) {
      if (signal.aborted) break;
      if (!(error instanceof ApiError)) throw error;
      // 404: somebody else has sent or deleted it.
      if (error.status === 404) set((before) => ({ ...before, done: before.done + 1 }));
      else {set((before) => ({
          ...before,
          done: before.done + 1,
          refused: [...before.refused, { id, message: error.message }],
        })
        );}
      faults = error.status === 0 || error.status >= 500 || error.status === 429 ? faults + 1 : 0;
      if (error.retryAfterS !== undefined) {
        await new Promise((resolve) => setTimeout(resolve, 1000 * error.retryAfterS!));
      }
    }
  }
  set((before) => ({ ...before, isOver: true }));
  announce("Resending is over");
}

/** The server chooses and sends them; it says whether it has come to the end. */
async function allOf(filter: Record<string, string>, set: SetProgress, signal: AbortSignal): Promise<void> {
  const body = Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== ""));
  try {
    const { accepted, duplicate, rejected, sent } = await api("admin/rejected/resend", {
      method: "POST",
      body,
      signal,
    });
    const refused = Array.from({ length: rejected }, (_, n) => ({ id: String(n), message: "" }));
    set(() => ({ done: sent, accepted, duplicate, refused, isOver: true }));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    set((before) => ({ ...before, refused: [{ id: "", message: error.message }], isOver: true }));
  }
}
