/** The requests of one attempt: one, or several where transformations made more events than one request may have. */
import { MAX_REQUEST_BYTES } from "../../domain/forwarding/definition.ts";
import type { Position } from "../../domain/event/position.ts";
import type { Verdict } from "../../domain/forwarding/verdict.ts";
import type { Answer, Outgoing, Prepared, Sender } from "../destinations/sender.ts";

/** An event as it is sent, and the index of the one that it was made of. */
export interface Made {
  index: number;
  event: Outgoing;
}

/** One request, and the indices of its events. */
export interface Request {
  prepared: Prepared;
  indices: readonly number[];
}

/** Prepares requests of at most `most` events each. */
export async function prepareRequests(
  made: readonly Made[],
  { sender, span, most }: { sender: Sender; span: { from: Position; to: Position }; most: number },
): Promise<Request[]> {
  const requests: Request[] = [];
  for (let from = 0; from < made.length; from += most) {
    const some = made.slice(from, from + most);
    const prepared = await sender.prepare({ events: some.map(({ event }) => event), span });
    requests.push({ prepared, indices: some.map(({ index }) => index) });
  }
  return requests;
}

/**
 * Sends requests in order, up to the first that is not delivered. An event is delivered if everything that was made of it
 * is; `each` of the answer is by the place of an event in `sent`.
 */
export async function sendRequests(requests: readonly Request[], sent: readonly number[]): Promise<Answer> {
  const [only] = requests;
  if (requests.length === 1 && only!.indices.length === sent.length) return await sendOne(only!);
  const verdicts = new Map<number, { verdict: Verdict; reason: string }>();
  let answer: Answer | undefined;
  for (const request of requests) {
    const isSent: boolean = answer === undefined || answer.verdict === "delivered";
    if (isSent) answer = await sendOne(request);
    for (const [n, index] of request.indices.entries()) {
      const verdict = verdictIn(answer!, isSent ? n : undefined);
      const before = verdicts.get(index)?.verdict;
      if (before === undefined || before === "delivered") verdicts.set(index, verdict);
    }
  }
  const each = new Map(sent.map((index, n) => [n, verdicts.get(index)!] as const));
  return { ...answer!, each };
}

function verdictIn({ each, verdict, reason }: Answer, n?: number): { verdict: Verdict; reason: string } {
  return (n === undefined ? undefined : each?.get(n)) ?? { verdict, reason: reason ?? verdict };
}

async function sendOne({ prepared: { bytes, send } }: Request): Promise<Answer> {
  if (bytes <= MAX_REQUEST_BYTES) return await send();
  return {
    verdict: "split",
    reason: `the request would have ${bytes} bytes; the limit is ${MAX_REQUEST_BYTES}`,
  };
}
