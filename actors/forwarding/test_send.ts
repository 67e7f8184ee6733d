/** A test: one event, sent by the real filter and the real request, with everything that is secret left out of what is shown. */
import type { StoredEvent } from "../../domain/event/event.ts";
import { BEGINNING, END } from "../../domain/event/position.ts";
import { masked } from "../../domain/forwarding/definition.ts";
import type { FilteredBy } from "../../domain/forwarding/filter.ts";
import { createSender, urlOf } from "../destinations/kinds.ts";
import { ForbiddenAddress, hostOf } from "../destinations/connections.ts";
import type { KeptResponse } from "../delivery/state.ts";
import { filterEvents } from "../delivery/attempt.ts";
import { type EventOutcome, transformEvents } from "../delivery/transform.ts";
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
  // After all events: the person that code gets is the one of now.
  const read = { event, writeKeyId, position: END, json: JSON.stringify(event) };
  const [filteredBy] = await filterEvents(parts, [read], destination);
  if (filteredBy !== undefined) return { verdict: "filtered", filteredBy };
  const { name, id, definition } = destination;
  const secrets = destination.secretsAt(clock.now());
  const sender = createSender({ name, id, definition, secrets, connections, clock, timeoutMs }, {
    replaced() {},
  });
  try {
    const { outgoing, outcomes } = await transformEvents(
      parts.transformations,
      { events: [read], indices: [0] },
      destination,
    );
    const outcome = outcomes.get(0);
    if (outcome !== undefined) return shownOutcome(outcome);
    const events = outgoing.map((made) => made.event);
    const dropped = await sender.dropped?.(events);
    const wanted = events.filter((_, index) => !dropped?.has(index));
    if (wanted.length === 0) return { verdict: "dropped" };
    // One request: the first of several.
    const most = Math.min(definition.batch.maxEvents, sender.maxEvents ?? Infinity);
    const span = { from: BEGINNING, to: BEGINNING };
    const prepared = await sender.prepare({ events: wanted.slice(0, most), span });
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

/** The outcome of an event that a transformation dropped or failed on. */
function shownOutcome({ verdict, reason, message }: EventOutcome): TestOutcome {
  if (verdict === "dropped") return { verdict };
  return { verdict: "dead", ...reason !== undefined && { reason: `${reason}: ${message}` } };
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
