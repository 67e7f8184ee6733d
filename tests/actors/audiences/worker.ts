/** A thread of `deno task sim:audiences`: it lives through the histories that it is told. */
import { runHistories } from "./history.ts";

/** Which histories to live through. */
export interface ToWorker {
  first: number;
  count: number;
}

/** What went wrong, if anything did. */
export interface FromWorker {
  problem: string | undefined;
}

const thread = self as unknown as {
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  postMessage(message: FromWorker): void;
};

thread.onmessage = async ({ data: { first, count } }) => {
  const problem = await runHistories(first, count).then(() => undefined, (error) => (error as Error).message);
  thread.postMessage({ problem });
};
