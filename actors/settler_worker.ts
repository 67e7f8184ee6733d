/** A settler in a thread of its own: the entry of the worker. It speaks with `settler_thread.ts`. */
import { systemClock } from "./store/clock.ts";
import { leaseTasks } from "./lease_tasks.ts";
import { createSettler, type Settler } from "./settling/settler.ts";
import type { FromSettler, ToSettler } from "./settling/settler_thread.ts";
import { openStore, type Store } from "./store/store.ts";
import { traceOf } from "./store/error_trace.ts";

const thread = self as unknown as {
  onmessage: ((event: MessageEvent<ToSettler>) => void) | null;
  postMessage(message: FromSettler): void;
  close(): void;
};
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
    store = await openStore(data.storage, { clock: systemClock });
    settler = createSettler({
      store,
      owner: data.owner,
      windowMs: data.windowMs,
      betweenRounds: leaseTasks(),
      clock: systemClock,
      newId: () => crypto.randomUUID(),
      onFault: (error) => thread.postMessage({ type: "fault", error: traceOf(error) }),
      onSettled: () => thread.postMessage({ type: "settled" }),
      onRound: (round) => thread.postMessage({ type: "round", round }),
    });
    settler.wake();
  }
};
