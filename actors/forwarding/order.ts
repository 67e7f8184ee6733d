/** What administrators order: to send again, to replay, to skip. Orders are stored, and obeyed by whoever has the lease. */
import { END, isPosition, type Position } from "../../domain/event/position.ts";
import { endOfJournal } from "../journal/read_journal.ts";
import { decodeCursor, encodeCursor } from "../store/cursor.ts";
import { InvalidCursor } from "../store/errors.ts";
import { withTimeout } from "../store/timeout.ts";
import {
  FORWARD_ORDERED,
  forwardCommandKey,
  forwardCommandPrefix,
  forwardDeadPrefix,
  forwardReplayKey,
  forwardReplayPrefix,
} from "../store/keys.ts";
import type { Destination } from "../delivery/destinations.ts";
import type { DeadRecord, ForwardState, Order, ReplayRecord, Start } from "../delivery/state.ts";
import type { WorkerParts } from "../delivery/work.ts";
import {
  type Delivery,
  type DeliveryParts,
  type DeliveryStatus,
  findWaiting,
  listDeliveries,
} from "./deliveries.ts";

/** What is to be attempted again. */
export interface RetryOrder {
  status: "dead" | "retrying" | "held";
  reason?: string;
  messageIds?: string[];
}

/** A replay that is asked for. */
export interface ReplayRequest {
  /** A position or a time; default: the start. */
  from?: string;
  /** The same; default: the end of the journal now. */
  to?: string;
  where?: Record<string, unknown>;
  perSecond?: number;
}

/** Orders. Each is `undefined` if there is no such destination. */
export interface Orders {
  deliveries(
    name: string,
    query: { status?: DeliveryStatus; cursor?: string; limit: number },
  ): Promise<{ deliveries: Delivery[]; cursor: string | null } | undefined>;
  /** Attempts at once what has a status; gives the number of events. */
  retry(name: string, order: RetryOrder): Promise<number | undefined>;
  /** Gives the id of the replay. */
  replay(name: string, request: ReplayRequest): Promise<string | undefined>;
  replays(name: string): Promise<ReplayRecord[] | undefined>;
  /** False if there is no such replay, or if it is over. */
  changeReplay(
    name: string,
    id: string,
    state: "running" | "paused" | "cancelled",
  ): Promise<boolean | undefined>;
  /** Everything up to a position is not sent. */
  skip(destination: Destination, to: Start): Promise<void>;
  /** There may be new events. */
  wake(): void;
}

/** What orders are given. */
interface OrderParts extends DeliveryParts, Pick<WorkerParts, "clock" | "newId"> {
  found(name: string): Promise<Destination | undefined>;
  stateOf(destination: Destination): Promise<ForwardState>;
  /** The position behind what was committed before a time. */
  positionOf(time: string): Promise<Position>;
  /** Tells the workers of this process. */
  ordered(): void;
  /** Whether this process delivers. */
  isStarted(): boolean;
}

/** A change that takes effect by an order is waited for so long. */
const OBEY_MS = 2_000;

/** Creates the orders of a database. */
export function createOrders(parts: OrderParts): Omit<Orders, "wake"> {
  const { store, newId, clock, found } = parts;

  async function order(destination: Destination, what: Order): Promise<void> {
    const key = forwardCommandKey(destination.id, newId());
    await store.commit({ checks: [], sets: [[key, what], [FORWARD_ORDERED, newId()]] });
    parts.ordered();
  }

  const place = async (text: string) => isPosition(text) ? text : await parts.positionOf(text);

  async function hasOpen({ id }: Destination): Promise<boolean> {
    for await (const _ of store.list({ prefix: forwardCommandPrefix(id) }, { limit: 1 })) return true;
    return false;
  }

  /** Resolves once an order is obeyed, or after a while: it is obeyed later then. */
  async function untilObeyed(destination: Destination): Promise<void> {
    const obeyed = async () => {
      while (parts.isStarted() && await hasOpen(destination)) await clock.sleep(20);
    };
    await withTimeout(obeyed(), { clock, ms: OBEY_MS, onTimeout() {} });
  }

  return {
    async deliveries(name, { status, cursor, limit }) {
      const destination = await found(name);
      if (destination === undefined) return undefined;
      const before = cursor === undefined ? END : positionIn(cursor);
      const state = await parts.stateOf(destination);
      const { deliveries, next } = await listDeliveries(parts, destination, { state, status, before, limit });
      return { deliveries, cursor: next === undefined ? null : encodeCursor(next) };
    },
    async retry(name, { status, reason, messageIds }) {
      const destination = await found(name);
      if (destination === undefined) return undefined;
      const at = clock.now();
      const state = await parts.stateOf(destination);
      const candidates = status === "dead"
        ? await deadOf(parts, destination)
        : (await findWaiting(parts, destination, state)).filter((each) => each.status === status);
      const ofReason = candidates.filter((each) => reason === undefined || each.reason === reason);
      const positions = messageIds && await positionsOf(parts, ofReason, new Set(messageIds));
      const scheduled = positions?.length ?? ofReason.length;
      if (scheduled === 0) return 0;
      await order(destination, {
        type: "retry",
        status,
        ...reason !== undefined && { reason },
        ...positions && { positions },
        at,
      });
      return scheduled;
    },
    async replay(name, { from, to, where, perSecond }) {
      const destination = await found(name);
      if (destination === undefined) return undefined;
      const begin = from === undefined ? await parts.positionOf("start") : await place(from);
      const end = to === undefined ? (await endOfJournal(store)).end : await place(to);
      const id = newId();
      const replay: ReplayRecord = {
        id,
        state: "running",
        from: begin,
        to: end < begin ? begin : end,
        position: begin,
        ...where !== undefined && { where },
        ...perSecond !== undefined && { perSecond },
        matched: 0,
        sent: 0,
        createdAt: clock.now(),
      };
      const key = forwardReplayKey(destination.id, id);
      await store.commit({ checks: [], sets: [[key, replay], [FORWARD_ORDERED, newId()]] });
      parts.ordered();
      return id;
    },
    async replays(name) {
      const destination = await found(name);
      if (destination === undefined) return undefined;
      await parts.stateOf(destination);
      const replays: ReplayRecord[] = [];
      for await (
        const { value } of store.list<ReplayRecord>({ prefix: forwardReplayPrefix(destination.id) })
      ) {
        replays.push(value!);
      }
      return replays.reverse();
    },
    async changeReplay(name, id, state) {
      const destination = await found(name);
      if (destination === undefined) return undefined;
      const { value } = await store.get<ReplayRecord>(forwardReplayKey(destination.id, id));
      if (value === null || value.state === "done" || value.state === "cancelled") return false;
      await order(destination, { type: "replay", id, state });
      await untilObeyed(destination);
      return true;
    },
    async skip(destination, { position, events }) {
      await order(destination, { type: "skip", to: position, events });
      await untilObeyed(destination);
    },
  };
}

function positionIn(cursor: string): Position {
  const position = decodeCursor(cursor);
  if (!isPosition(position)) throw new InvalidCursor("Invalid cursor.");
  return position;
}

async function deadOf({ store }: OrderParts, { id }: Destination): Promise<DeadRecord[]> {
  const dead: DeadRecord[] = [];
  for await (const { value } of store.list<DeadRecord>({ prefix: forwardDeadPrefix(id) })) dead.push(value!);
  return dead;
}

/** Events that are looked up at once. */
const LOOKED_UP = 500;

async function positionsOf(
  { events }: OrderParts,
  candidates: readonly { position: Position }[],
  messageIds: ReadonlySet<string>,
): Promise<Position[]> {
  const found: Position[] = [];
  for (let from = 0; from < candidates.length; from += LOOKED_UP) {
    const some = candidates.slice(from, from + LOOKED_UP);
    const read = await events.at(some.map(({ position }) => position));
    for (const [n, each] of read.entries()) {
      if (each !== undefined && messageIds.has(each.event.messageId)) found.push(some[n]!.position);
    }
  }
  return found;
}
