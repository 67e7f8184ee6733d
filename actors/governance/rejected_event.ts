/** A rejected event as it is stored, and how much of the quarantine it takes. */
import { parseExact } from "../../domain/event/exact_json.ts";
import { isObject, type JsonObject } from "../../domain/event/json.ts";

/** A rejected event as it is shown. */
export interface RejectedEvent {
  id: string;
  receivedAt: string;
  writeKeyId: string;
  status: number;
  code: string;
  message: string;
  path?: string;
  /** As it was sent, with the defaults of its route and its batch. */
  event: Record<string, unknown>;
  /** The event was too large: only its ids and its name are kept. */
  cut?: true;
}

/** The value under a key: the event as JSON in UTF-8. */
export type Stored = Omit<RejectedEvent, "id" | "event"> & { at: number; body: Uint8Array };

/** How much is kept: in all, or of one write key. */
export interface Share {
  events: number;
  bytes: number;
}

/** A share of nothing. */
export const NOTHING: Readonly<Share> = { events: 0, bytes: 0 };

/** Adds a stored event to a share (`sign` 1) or removes it (-1). A share is never negative. */
export function count(share: Share, stored: Stored, sign: 1 | -1): void {
  share.events = Math.max(0, share.events + sign);
  share.bytes = Math.max(0, share.bytes + sign * bytesOf(stored));
}

/**
 * Whether one more event of so many bytes is kept: a write key may use as much as is left. So no key fills the
 * quarantine: one that floods it gets half, the next one half of the rest. Ten keys in turn fill a minute, 14 everything.
 */
export function fits(bytes: number, { own, all, max }: { own: Share; all: Share; max: Share }): boolean {
  return own.events + 1 <= max.events - all.events && own.bytes + bytes <= max.bytes - all.bytes;
}

/** The write key whose share an event takes; `""` for a damaged event that does not tell. */
export function writeKeyOf({ writeKeyId }: Partial<Stored>): string {
  return typeof writeKeyId === "string" ? writeKeyId : "";
}

function bytesOf({ body }: Partial<Stored>): number {
  return body instanceof Uint8Array ? body.length : 0;
}

/** The JSON of a stored event. Throws if its bytes are not text. */
export function textOf({ body }: Partial<Stored>): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(body);
}

/** The event of a stored one; `undefined` if its bytes are damaged. */
export function eventOf(stored: Partial<Stored>): JsonObject | undefined {
  try {
    const event: unknown = parseExact(textOf(stored));
    return isObject(event) ? event : undefined;
  } catch {
    return undefined;
  }
}

/** A rejected event as it is shown; `undefined` if its bytes are damaged. */
export function shown(id: string, stored: Stored): RejectedEvent | undefined {
  const event = eventOf(stored);
  if (event === undefined) return undefined;
  const { at: _, body: __, ...rest } = stored;
  return { id, ...rest, event };
}
