/**
 * Forwarding: every event reaches its destinations, in order, and none is lost. One look at the journal wakes the workers of
 * all destinations; each works under its own lease. `docs/decisions/0027-forwarding.md` says why it is built so.
 */
import type { StoredEvent } from "../../domain/event/event.ts";
import { comparePositions, type Position } from "../../domain/event/position.ts";
import { parseTimestamp } from "../../domain/event/timestamp.ts";
import type { AllowList } from "../../domain/forwarding/address.ts";
import type { Draft } from "../../domain/forwarding/definition.ts";
import type { Author } from "../configuration/registry.ts";
import { type ConnectionOptions, createConnections } from "../destinations/connections.ts";
import { createAlerts } from "../destinations/alerts.ts";
import { createSealing } from "../destinations/sealing.ts";
import { createSlots } from "../destinations/slots.ts";
import { urlOf } from "../destinations/kinds.ts";
import { createDestinations, type Destination, type Saved } from "../delivery/destinations.ts";
import { createFollower } from "../delivery/follower.ts";
import { type ForwardState, FROM_START, initialState, type Start } from "../delivery/state.ts";
import type { Transforming } from "../delivery/transform.ts";
import { type Alert, FORWARD_LIMITS, type ForwardLimits, type WorkerParts } from "../delivery/work.ts";
import { createLooker } from "./looker.ts";
import { startWorker, type Worker } from "../delivery/worker.ts";
import { createEvents } from "../journal/event_reader.ts";
import type { Journal } from "../journal/journal_state.ts";
import { endBefore, endOfJournal, readJournal } from "../journal/read_journal.ts";
import type { Reader } from "../reading/profiles.ts";
import type { Clock } from "../store/clock.ts";
import {
  FORWARD_DUE,
  FORWARD_ERASED,
  FORWARD_ORDERED,
  forwardErasureKey,
  forwardKey,
  forwardPrefixes,
} from "../store/keys.ts";
import type { Store } from "../store/store.ts";
import { withTimeout } from "../store/timeout.ts";
import { type DeliveryParts, type TracedDelivery, traceDelivery } from "./deliveries.ts";
import { type ErasureReport, keysOfPerson } from "./erasing.ts";
import { createFigures, type Figures } from "./figures.ts";
import { createOrders, type Orders } from "./order.ts";
import { type DestinationStatus, statusOf } from "./status.ts";
import { sendTest, type TestOutcome } from "./test_send.ts";

/** What forwarding is told from outside. */
export interface ForwardingSettings {
  allow: AllowList;
  /** Encrypts secrets at rest. */
  secretsKey?: string;
  alertUrl?: string;
  /** Called with each alert, for the log. */
  onAlert?(alert: Alert): void;
  /** Tests resolve names themselves, and see what is connected to. */
  connections?: Omit<ConnectionOptions, "allow">;
  limits?: Partial<ForwardLimits>;
  /** False: destinations can be defined, and nothing is delivered by this process. */
  delivers?: false;
}

/** A destination and how it is. */
export interface Shown {
  destination: Destination;
  status: DestinationStatus;
}

/** A destination's figures. */
export interface DestinationGauge {
  name: string;
  status: DestinationStatus;
}

/** Forwarding, for the routes. */
export interface Forwarding extends Orders {
  /** As administrators see them. */
  list(): Promise<Shown[]>;
  get(name: string): Promise<Shown | undefined>;
  /** The names of the destinations that use a transformation. */
  usersOf(transformation: string): Promise<string[]>;
  /** Why a draft must not be saved: its address is forbidden. */
  refusalOf(draft: Draft): Promise<{ setting: string; message: string } | undefined>;
  put(name: string, draft: Draft, author: Author): Promise<Saved & Shown>;
  remove(name: string, author: Author): Promise<boolean>;
  pause(name: string, author: Author): Promise<Shown | undefined>;
  resume(name: string, from: "checkpoint" | "now", author: Author): Promise<Shown | undefined>;
  /** `null` if it has no webhook secret. */
  rotate(name: string, author: Author): Promise<(Shown & { secret: string }) | null | undefined>;
  test(name: string, sent: { event: StoredEvent; writeKeyId: string }): Promise<TestOutcome | undefined>;
  /** What became of an event at each destination. */
  trace(sent: { event: StoredEvent; position: Position; writeKeyId: string }): Promise<TracedDelivery[]>;
  /** What an erasure came to at the destinations, by the digest of the person. */
  erasure(digest: string): Promise<ErasureReport | undefined>;
  figures: Figures;
  /** How each destination is. Never throws, and takes a second at the most. */
  gauges(): Promise<DestinationGauge[]>;
  /** Begins to deliver, and to look for what other processes do. */
  start(): void;
  /** Delivers what can be delivered now, within a time. */
  tick(ms: number): Promise<void>;
  close(): Promise<void>;
}

/** What forwarding is given. */
export interface ForwardingOptions {
  store: Store;
  journal: Journal;
  clock: Clock;
  newId(): string;
  randomBytes(bytes: Uint8Array): void;
  owner: string;
  secret: string;
  reader: Reader;
  transformations: Transforming;
  onFault(error: unknown): void;
  settings: ForwardingSettings;
}

/** Looks for destinations and for what is due are this much rarer than looks at the journal. */
const SLOW_LOOKS = 5;

/** If storage does not answer in this time, there are no figures of destinations. */
const GAUGES_MS = 1_000;

/** Memory for events that are read again. */
const EVENT_LIMITS = { cacheBytes: 8 * 1024 * 1024 };

/** Creates forwarding. Nothing is delivered before `start`. */
export function createForwarding(options: ForwardingOptions): Forwarding {
  const { store, clock, journal, settings, secret } = options;
  const limits: ForwardLimits = { ...FORWARD_LIMITS, ...settings.limits };
  const follower = createFollower(store, { journal, limits });
  const events = createEvents(store, EVENT_LIMITS);
  const connections = createConnections({ allow: settings.allow, ...settings.connections });
  const figures = createFigures();
  const alerts = settings.alertUrl === undefined
    ? undefined
    : createAlerts({ url: settings.alertUrl, connections, clock });
  const workers = new Map<string, Worker>();
  let isStarted = false;
  const destinations = createDestinations({
    ...options,
    sealing: createSealing(settings.secretsKey, options.randomBytes),
    onChange: () => void (isStarted && adopt()),
  });
  const keysOf = (event: StoredEvent) => keysOfPerson(event, secret);
  const seen = { erased: null as string | null, ordered: undefined as string | null | undefined };
  const parts: WorkerParts & DeliveryParts = {
    ...options,
    limits,
    follower,
    events,
    connections,
    destinations,
    keysOf,
    slots: createSlots(limits),
    traitsOf: (event) => traitsOf(options.reader, event),
    onAlert(alert) {
      settings.onAlert?.(alert);
      const { position: _, ...shown } = alert;
      alerts?.send(shown);
    },
    onAttempt: figures.attempt,
    onReplaced: figures.replaced,
    seeErasures(stamp) {
      if (stamp === seen.erased) return;
      seen.erased = stamp;
      follower.forget();
      events.forget();
      options.transformations.forgetPeople();
      // In the same step: what a worker is preparing was read before.
      for (const worker of workers.values()) worker.erased();
    },
  };

  /** Starts and stops workers as destinations come, change and go. */
  function adopt(): void {
    const all = destinations.all();
    for (const destination of all) {
      const worker = workers.get(destination.id);
      if (worker === undefined) workers.set(destination.id, startWorker(parts, destination));
      else worker.update(destination);
    }
    for (const [id, worker] of workers) {
      if (all.some((each) => each.id === id)) continue;
      workers.delete(id);
      void worker.close().catch(options.onFault);
    }
  }

  async function shown(destination: Destination): Promise<Shown> {
    // One that wants nothing of what is new looks at it only now and then.
    workers.get(destination.id)?.wake();
    await workers.get(destination.id)?.flush();
    const { value: stored } = await store.get<ForwardState>(forwardKey(destination.id));
    return { destination, status: await statusOf(store, destination, { stored, now: clock.now() }) };
  }

  async function found(name: string): Promise<Destination | undefined> {
    await destinations.refreshed();
    return destinations.byName(name);
  }

  async function shownUnlessGone(destination: Destination | undefined): Promise<Shown | undefined> {
    return destination && await shown(destination);
  }

  async function stateOfDestination({ id, start }: Destination): Promise<ForwardState> {
    await workers.get(id)?.flush();
    return (await store.get<ForwardState>(forwardKey(id))).value ?? initialState(start);
  }

  const orders = createOrders({
    ...parts,
    found,
    stateOf: stateOfDestination,
    positionOf: (from: string) => startOf(store, from).then(({ position }) => position),
    ordered: () => void look().catch(options.onFault),
    isStarted: () => isStarted,
  });

  const looker = createLooker({ look, clock, limits, hasDestinations: () => workers.size > 0 });
  let looks = 0;

  /** One look at the journal, at orders, erasures and what is due, for all destinations. */
  async function look(): Promise<void> {
    const isSlow = looks++ % SLOW_LOOKS === 0;
    if (isSlow || workers.size === 0) await destinations.refreshed();
    if (workers.size === 0) return;
    const before = follower.end()?.end;
    const { end } = await follower.look();
    const [erased, ordered] = await store.getMany([FORWARD_ERASED, FORWARD_ORDERED]);
    parts.seeErasures(erased!.stamp);
    if (ordered!.stamp !== seen.ordered) {
      seen.ordered = ordered!.stamp;
      for (const worker of workers.values()) worker.order();
    }
    if (isSlow) await wakeDue();
    if (before === undefined) return wakeAll();
    if (comparePositions(before, end) < 0) await tellNews(before, end);
  }

  function wakeAll(): void {
    for (const worker of workers.values()) worker.wake();
  }

  /** Wakes whoever may want one of the new events. */
  async function tellNews(before: Position, end: Position): Promise<void> {
    for (let at = before; at < end;) {
      const entries = await follower.read(at, end);
      if (entries.length === 0) return wakeAll();
      for (const worker of workers.values()) worker.news(at, entries);
      at = entries.at(-1)!.end;
    }
  }

  /** Wakes destinations that are due, by the keys ordered by time: no timer is the truth. */
  async function wakeDue(): Promise<void> {
    for await (const { key, value } of store.list<string>({ prefix: FORWARD_DUE }, { limit: 100 })) {
      if (key[1] as number > clock.now()) return;
      workers.get(value!)?.wakeDue();
    }
  }

  return {
    ...orders,
    figures,
    async list() {
      await destinations.refreshed();
      return await Promise.all(destinations.all().map(shown));
    },
    async gauges() {
      const read = async () =>
        (await Promise.all(destinations.all().map(shown))).map(({ destination: { name }, status }) => ({
          name,
          status,
        }));
      return await withTimeout(read().catch(() => []), { clock, ms: GAUGES_MS, onTimeout: () => [] });
    },
    get: async (name) => await shownUnlessGone(await found(name)),
    async usersOf(transformation) {
      await destinations.refreshed();
      const users = destinations.all().filter(({ definition }) =>
        definition.transformations?.includes(transformation)
      );
      return users.map(({ name }) => name);
    },
    async refusalOf({ kind, settings: given }) {
      const { setting, url } = urlOf({ kind, settings: given as Record<string, unknown> });
      const message = await connections.refusalOf(url);
      return message === undefined ? undefined : { setting, message };
    },
    async put(name, draft, author) {
      const saved = await destinations.put(name, { draft, author, startOf: (from) => startOf(store, from) });
      return { ...saved, ...await shown(saved.destination) };
    },
    async remove(name, author) {
      const removed = await destinations.remove(name, author);
      if (removed === undefined) return false;
      await forgetDestination(store, removed.id);
      return true;
    },
    async pause(name, author) {
      return await shownUnlessGone(await destinations.pause(name, author));
    },
    async resume(name, from, author) {
      const standing = await found(name);
      if (standing === undefined) return undefined;
      if (from === "now") await orders.skip(standing, await startOf(store, "now"));
      return await shownUnlessGone(await destinations.resume(name, author));
    },
    async rotate(name, author) {
      if (await found(name) === undefined) return undefined;
      const rotated = await destinations.rotate(name, author);
      return rotated === undefined ? null : { ...await shown(rotated.destination), secret: rotated.secret };
    },
    async test(name, sent) {
      const destination = await found(name);
      return destination && await sendTest(parts, destination, sent);
    },
    async trace(sent) {
      await destinations.refreshed();
      const traced = await Promise.all(
        destinations.all().map(async (destination) =>
          await traceDelivery(parts, destination, { ...sent, state: await stateOfDestination(destination) })
        ),
      );
      return traced.filter((each) => each !== undefined);
    },
    async erasure(digest) {
      return (await store.get<ErasureReport>(forwardErasureKey(digest))).value ?? undefined;
    },
    start() {
      isStarted = true;
      looker.start();
    },
    wake: looker.wake,
    async tick(ms) {
      if (!isStarted) return;
      const endMs = clock.monotonic() + ms;
      await look();
      await wakeDue();
      wakeAll();
      while (clock.monotonic() < endMs && [...workers.values()].some((worker) => !worker.isIdle())) {
        await clock.sleep(20);
      }
    },
    async close() {
      looker.close();
      await Promise.all([...workers.values()].map((worker) => worker.close()));
      await alerts?.close();
    },
  };
}

/** Where a destination begins: now, at the start, or behind what was committed before a time. */
async function startOf(store: Store, from: string): Promise<Start> {
  if (from === "start") return FROM_START;
  const head = await endOfJournal(store);
  if (from === "now") return { position: head.end, events: head.events };
  const position = await endBefore(store, parseTimestamp(from)!, head.end);
  let behind = 0;
  for await (const { header } of readJournal(store, { after: position })) behind += header.n;
  return { position, events: Math.max(0, head.events - behind) };
}

/** Deletes all that is stored of a destination that was deleted. */
async function forgetDestination(store: Store, id: string): Promise<void> {
  const write = async (deletes: ForwardKeys) => void await store.commit({ checks: [], sets: [], deletes });
  await write([forwardKey(id)]);
  for (const prefix of forwardPrefixes(id)) {
    let keys: ForwardKeys = [];
    for await (const { key } of store.list({ prefix })) {
      keys.push(key);
      if (keys.length < 200) continue;
      await write(keys);
      keys = [];
    }
    await write(keys);
  }
}

type ForwardKeys = ReturnType<typeof forwardKey>[];

/** The traits of an event's person as of now. */
async function traitsOf(
  reader: Reader,
  { userId, anonymousId }: StoredEvent,
): Promise<Record<string, unknown>> {
  const profile = userId !== undefined
    ? await reader.user(userId)
    : anonymousId !== undefined
    ? await reader.anonymous(anonymousId)
    : null;
  return (profile?.traits ?? {}) as Record<string, unknown>;
}
