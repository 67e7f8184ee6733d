/** Segment's API, and all that speak it: another signalfold, say. The message ids make a repeated event count once. */
import { Buffer } from "node:buffer";
import { isObject } from "../../domain/event/json.ts";
import { type Verdict, verdictOf } from "../../domain/forwarding/verdict.ts";
import { createHttpClient, type HttpAnswer } from "./http_request.ts";
import type { Answer, Outgoing, Sender, SenderOptions } from "./sender.ts";

/** Creates the sender of a Segment endpoint. */
export function createSegment(options: SenderOptions): Sender {
  const { url, writeKey } = options.definition.settings as { url: string; writeKey: string };
  const client = createHttpClient(options);
  return {
    prepare({ events }) {
      // Without `sentAt`: the times are corrected already, and would be moved by the time on the wire.
      const body = JSON.stringify({ batch: events.map(outgoing) });
      return Promise.resolve(client.prepare({
        method: "POST",
        url: `${url.replace(/\/+$/, "")}/v1/batch`,
        headers: {
          "content-type": "application/json",
          authorization: `Basic ${Buffer.from(`${writeKey}:`).toString("base64")}`,
        },
        body,
      }, partialFailures));
    },
    close: client.close,
  };
}

/** Without what this server has added on receipt: the other one adds its own. */
function outgoing({ event }: Outgoing): unknown {
  const { receivedAt: _, originalTimestamp: __, sentAt: ___, neverLinks: ____, ...rest } = event;
  return rest;
}

/** The events that an answer names in `errors`, each by its `index`. */
export function partialFailures({ status, json }: HttpAnswer): Partial<Answer> | undefined {
  const answer = status >= 200 && status < 300 ? json() : undefined;
  if (!isObject(answer) || !Array.isArray(answer.errors)) return undefined;
  const each = new Map<number, { verdict: Verdict; reason: string }>();
  for (const error of answer.errors) {
    if (!isObject(error) || typeof error.index !== "number") continue;
    const verdict = typeof error.status === "number" ? verdictOf(error.status) : "dead";
    each.set(error.index, {
      // One event cannot pause a destination, nor be split.
      verdict: verdict === "retry" ? "retry" : "dead",
      reason: String(error.code ?? error.message ?? "rejected").slice(0, 200),
    });
  }
  return { each };
}
