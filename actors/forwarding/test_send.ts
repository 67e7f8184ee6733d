/** A test: one event, sent by the real filter and the real request, with everything that is secret left out of what is shown. */
import type { StoredEvent } from "../../domain/event/event.ts";
import { BEGINNING } from "../../domain/event/position.ts";
import { masked } from "../../domain/forwarding/definition.ts";
import type { FilteredBy } from "../../domain/forwarding/filter.ts";
import { createSender, urlOf } from "../destinations/kinds.ts";
import { ForbiddenAddress, hostOf } from "../destinations/connections.ts";
import type { KeptResponse } from "../delivery/state.ts";
import { filterEvents } from "../delivery/attempt.ts";
import type { Destination } from "../delivery/destinations.ts";
import type { WorkerParts } from "../delivery/work.ts";

/** What came of a test. */
export interface TestOutcome {
  verdict: "delivered" | "retry" | "dead" | "filtered" | "dropped" | "refused";
  filteredBy?: FilteredBy;
  reason?: string;
  request?: { method: string; url: string; headers: Record<string, unknown>; body: string };
  response?: KeptResponse & { durationMs: number };
}

/** Sends one event to a destination, once. Nothing else changes. */
export async function sendTest(
  parts: WorkerParts,
  destination: Destination,
  { event, writeKeyId }: { event: StoredEvent; writeKeyId: string },
): Promise<TestOutcome> {
  const { clock, connections, limits: { timeoutMs } } = parts;
  const read = { event, writeKeyId, position: BEGINNING, json: JSON.stringify(event) };
  const [filteredBy] = await filterEvents(parts, [read], destination);
  if (filteredBy !== undefined) return { verdict: "filtered", filteredBy };
  const { name, id, definition } = destination;
  const secrets = destination.secretsAt(clock.now());
  const sender = createSender({ name, id, definition, secrets, connections, clock, timeoutMs }, {
    replaced() {},
  });
  try {
    if ((await sender.dropped?.([read]))?.has(0)) return { verdict: "dropped" };
    const prepared = await sender.prepare({ events: [read], span: { from: BEGINNING, to: BEGINNING } });
    const request = maskedRequest(prepared.shown, destination);
    const refusal = await refusalFor(parts, destination);
    if (refusal !== undefined) return { verdict: "refused", reason: refusal, request };
    const beganMs = clock.monotonic();
    const { verdict, isRefused, reason, response } = await prepared.send();
    const durationMs = Math.round(clock.monotonic() - beganMs);
    const isDead = verdict === "pause" || verdict === "off" || verdict === "split";
    return {
      verdict: isRefused ? "refused" : isDead ? "dead" : verdict,
      ...reason !== undefined && { reason },
      request,
      ...response !== undefined && { response: { ...response, durationMs } },
    };
  } finally {
    await sender.close();
  }
}

/** The request with each secret of the settings as `***`, wherever it stands. */
function maskedRequest(
  { method, url, headers, body }: {
    method: string;
    url: string;
    headers: Record<string, string>;
    body: string;
  },
  { definition }: Destination,
): NonNullable<TestOutcome["request"]> {
  const secrets = secretValues(definition.settings);
  const hide = (text: string) => secrets.reduce((shown, secret) => shown.replaceAll(secret, "***"), text);
  const plain = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, hide(value)]));
  return { method, url: hide(url), headers: masked(plain), body: hide(body) };
}

/** Shorter secrets stand in other text by chance. */
const MIN_SECRET_LENGTH = 6;

function secretValues(settings: Record<string, unknown>): string[] {
  const shown = masked(settings);
  return Object.entries(settings).flatMap(([name, value]) =>
    shown[name] === "***" && typeof value === "string" && value.length >= MIN_SECRET_LENGTH
      ? [value, encodeURIComponent(value)]
      : []
  );
}

async function refusalFor(
  { connections }: WorkerParts,
  { definition }: Destination,
): Promise<string | undefined> {
  try {
    await connections.addressesOf(hostOf(urlOf(definition).url));
    return undefined;
  } catch (error) {
    return error instanceof ForbiddenAddress ? error.message : undefined;
  }
}
