/** The settling thread: how it begins, and what it does. Its counterpart is `settler_thread.ts`. */
import { leaseTasks } from "./lease_tasks.ts";
import type { Limits } from "./limits.ts";
import { createSettler, type Settler } from "./settling/settler.ts";
import type { FromSettler, SettlerThread, ToSettler } from "./settling/settler_thread.ts";
import type { Clock } from "./store/clock.ts";
import { traceOf } from "./store/error_trace.ts";
import type { Store } from "./store/store.ts";

/** The first message to a thread. */
export interface ThreadSettings {
  storage: string | undefined;
  /** The settler's name. */
  owner: string;
  windowMs: number;
  limits: Limits;
  foldVersion: number;
}

/** A message of the process to the thread. */
export type ToThread = ToSettler | { type: "open"; settings: ThreadSettings };

/** A thread as its own code sees it. */
export interface ThreadSelf {
  onmessage: ((event: { data: ToThread }) => Promise<void>) | null;
  postMessage(message: FromSettler): void;
  close(): void;
}

/** What a thread creates for itself: only messages pass between threads. */
export interface ThreadMeans {
  clock: Clock;
  newId(): string;
  openStore(storage: string | undefined): Promise<Store>;
}

/** Begins a thread. Throws if the platform has none. */
export function beginThread(settings: ThreadSettings): SettlerThread {
  const entry = new URL("./settler_worker.ts", import.meta.url);
  const worker = new Worker(entry, { type: "module", name: "settler" });
  worker.postMessage({ type: "open", settings } satisfies ToThread);
  return worker as SettlerThread;
}

/** Settles in a thread, from the message to open its store until the message to close. */
export function settleIn(thread: ThreadSelf, { clock, newId, openStore }: ThreadMeans): void {
  let settler: Settler | undefined;
  let store: Store | undefined;
  thread.onmessage = async ({ data }) => {
    if (data.type === "wake") settler?.wake();
    if (data.type === "hurry") settler?.hurry();
    if (data.type === "close") {
      await settler?.close();
      store?.close();
      thread.postMessage({ type: "closed" });
      thread.close();
    }
    if (data.type === "open") {
      const { storage, owner, windowMs, limits, foldVersion } = data.settings;
      store = await openStore(storage);
      settler = createSettler({
        store,
        owner,
        windowMs,
        limits,
        foldVersion,
        clock,
        newId,
        betweenRounds: leaseTasks(limits),
        onFault: (error) => thread.postMessage({ type: "fault", error: traceOf(error) }),
        onSettled: () => thread.postMessage({ type: "settled" }),
        onRound: (round) => thread.postMessage({ type: "round", round }),
      });
      settler.wake();
    }
  };
}
