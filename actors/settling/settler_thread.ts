/** Starts a settler in a thread of its own, so that settling and sending have a processor each. */
import { createSettler, type Round, type Settler, type SettlerOptions } from "./settler.ts";
import { withTimeout } from "../store/timeout.ts";
import { traceOf } from "../store/error_trace.ts";

/** What the thread is told. */
export type ToSettler = { type: "wake" } | { type: "hurry" } | { type: "close" };

/** What the thread tells. */
export type FromSettler =
  | { type: "settled" }
  | { type: "round"; round: Round }
  | { type: "closed" }
  | { type: "fault"; error: string };

/** The thread as its process sees it: a worker. */
export interface SettlerThread {
  onmessage: ((event: { data: FromSettler }) => void) | null;
  onerror: ((event: Pick<ErrorEvent, "preventDefault" | "filename" | "lineno">) => void) | null;
  postMessage(message: ToSettler): void;
  terminate(): void;
}

/** While the thread is at work it looks by itself: it is woken at most so often. */
const WAKE_MS = 100;

/** A thread that was told to close is ended after this time: what it was at is done again at the next start. */
const CLOSE_MS = 1_200;

/**
 * A settler in its own thread, which `begin` begins; where none can be had (a platform without workers, no permission to read the module), or
 * where it ends by a fault, one in this thread.
 */
export function startSettler(options: SettlerOptions, begin: () => SettlerThread): Settler {
  let worker: SettlerThread | undefined;
  let here: Settler | undefined;
  let hurried = false;
  let closing = false;
  const { clock } = options;
  let cancel: (() => void) | undefined;
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();

  function settleHere(): void {
    worker?.terminate();
    worker = undefined;
    here ??= createSettler(options);
    here.wake();
  }

  function tell(message: ToSettler): void {
    worker?.postMessage(message);
  }

  try {
    worker = begin();
    worker.onerror = (event) => {
      event.preventDefault();
      end();
      if (closing) return;
      options.onFault(
        `worker failed; settling continues in the server's thread: ${event.filename}:${event.lineno}`,
      );
      settleHere();
    };
    worker.onmessage = ({ data }) => {
      if (data.type === "settled") options.onSettled();
      else if (data.type === "round") options.onRound?.(data.round);
      else if (data.type === "fault") options.onFault(data.error);
      else if (data.type === "closed") end();
    };
  } catch (error) {
    options.onFault(`worker failed; settling continues in the server's thread: ${traceOf(error)}`);
    settleHere();
  }

  return {
    wake() {
      if (here !== undefined) return here.wake();
      cancel ??= clock.timer(WAKE_MS, () => {
        cancel = undefined;
        tell({ type: hurried ? "hurry" : "wake" });
        hurried = false;
      });
    },
    hurry() {
      if (here !== undefined) return here.hurry();
      hurried = true;
      tell({ type: "hurry" });
    },
    async close() {
      closing = true;
      cancel?.();
      if (here !== undefined) return await here.close();
      tell({ type: "close" });
      await withTimeout(ended, { clock, ms: CLOSE_MS, onTimeout() {} });
      worker?.terminate();
    },
  };
}
