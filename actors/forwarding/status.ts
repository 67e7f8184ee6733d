/** The status of a destination, as its administrator sees it. */
import type { Store } from "../store/store.ts";
import { endOfJournal, readJournal } from "../journal/read_journal.ts";
import { isOpen } from "../../domain/forwarding/breaker.ts";
import type { FilteredBy } from "../../domain/forwarding/filter.ts";
import type { Position } from "../../domain/event/position.ts";
import type { Destination } from "../delivery/destinations.ts";
import { type ForwardState, initialState, type KeptResponse, lastDay } from "../delivery/state.ts";

/** See `Status` in `docs/forwarding.md`. */
export interface DestinationStatus {
  state: "running" | "failing" | "paused" | "off";
  reason?: string;
  position: Position;
  lagEvents: number;
  lagSeconds: number;
  held: number;
  retrying: number;
  dead: number;
  delivered: number;
  filtered: Record<FilteredBy, number>;
  last24h: { delivered: number; failed: number; dead: number };
  lastError?: { at: string; reason: string; response?: KeptResponse };
  latency: { p50Ms: number; p99Ms: number };
}

/** Whether a destination sends, and why not. */
export function stateOf(
  { definition, paused, off }: Destination,
  { isFailing, breaker, lastError }: ForwardState,
): Pick<DestinationStatus, "state" | "reason"> {
  if (off !== undefined) return { state: "off", reason: off };
  if (!definition.enabled) return { state: "paused", ...paused !== undefined && { reason: paused } };
  if (!isFailing && !isOpen(breaker)) return { state: "running" };
  return { state: "failing", ...lastError && { reason: lastError.reason } };
}

/** The status by what is stored. */
export async function statusOf(
  store: Store,
  destination: Destination,
  { stored, now }: { stored: ForwardState | null; now: number },
): Promise<DestinationStatus> {
  const state = stored ?? initialState(destination.start);
  const { position, events, held, retrying, dead, delivered, filtered, hours, lastError, latency } = state;
  const head = await endOfJournal(store);
  const lagEvents = head.end > position ? Math.max(0, head.events - events) : 0;
  return {
    ...stateOf(destination, state),
    position,
    lagEvents,
    lagSeconds: lagEvents === 0 ? 0 : await lagSecondsOf(store, position, now),
    held,
    retrying,
    dead,
    delivered,
    filtered,
    last24h: lastDay(hours, now),
    ...lastError && {
      lastError: {
        at: new Date(lastError.at).toISOString(),
        reason: lastError.reason,
        ...lastError.response && { response: lastError.response },
      },
    },
    latency,
  };
}

/** How long ago the first event behind a position was committed. */
async function lagSecondsOf(store: Store, position: Position, now: number): Promise<number> {
  for await (const { header } of readJournal(store, { after: position, batch: 1 })) {
    return Math.max(0, Math.round((now - header.at) / 1000));
  }
  return 0;
}
