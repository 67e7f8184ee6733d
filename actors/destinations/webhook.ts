/** Webhooks, by Standard Webhooks 1.0: the stored event, or a batch of them, signed. */
import { Buffer } from "node:buffer";
import { createHmac, hash } from "node:crypto";
import type { Clock } from "../store/clock.ts";
import { createHttpClient } from "./http_request.ts";
import type { Sender, SenderOptions } from "./sender.ts";

interface WebhookSettings {
  url: string;
  method: string;
  headers?: Record<string, string>;
}

/** Creates the sender of a webhook. */
export function createWebhook(options: SenderOptions): Sender {
  const { id, definition, secrets, clock } = options;
  const { url, method, headers = {} } = definition.settings as unknown as WebhookSettings;
  const isBatched = definition.batch.maxEvents > 1;
  const client = createHttpClient(options);
  return {
    prepare({ events }) {
      const body = isBatched ? `{"batch":[${events.map(({ json }) => json).join()}]}` : events[0]!.json;
      return Promise.resolve(client.prepare({
        method,
        url,
        headers: {
          "content-type": "application/json",
          ...lowerCase(headers),
          ...signatureHeaders(body, {
            webhookId: webhookId(id, events.map(({ event }) => event.messageId)),
            secrets,
            clock,
          }),
        },
        body,
      }));
    },
    close: client.close,
  };
}

/** The id of a request: the same for the same events and destination, however often and in whatever batch size. */
export function webhookId(destinationId: string, messageIds: readonly string[]): string {
  return `msg_${hash("sha256", JSON.stringify([destinationId, ...messageIds]), "hex").slice(0, 32)}`;
}

/** The headers of Standard Webhooks for a body: one signature for each valid secret. */
export function signatureHeaders(
  body: string,
  { webhookId, secrets, clock }: { webhookId: string; secrets: readonly string[]; clock: Clock },
): Record<string, string> {
  const timestamp = String(Math.floor(clock.now() / 1000));
  const signatures = secrets.map((secret) => {
    const key = Buffer.from(secret.slice("whsec_".length), "base64");
    return `v1,${createHmac("sha256", key).update(`${webhookId}.${timestamp}.${body}`).digest("base64")}`;
  });
  return {
    "webhook-id": webhookId,
    "webhook-timestamp": timestamp,
    "webhook-signature": signatures.join(" "),
  };
}

function lowerCase(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
