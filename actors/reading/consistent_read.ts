/**
 * Views: what a read sees of the store and the tail, at one head.
 *
 * A view pins the tail, reads values, then the head, and extends the tail to it. What it then folds is every actor it
 * needs, to exactly that head: value plus tail. An actor without events in the tail is as it stands in the store.
 */
import { BEGINNING, earlier, END, later, type Position } from "../../domain/event/position.ts";
import { type Anonymous, createLinks, foldOwned } from "../../domain/profile/anonymous.ts";
import { type ActorKind, type ActorName, type Fact, factOf } from "../../domain/profile/fact.ts";
import { evolveEach, keptState, refold, type States } from "../settling/fold_actor.ts";
import type { HistoryLimits } from "../settling/log_facts.ts";
import type { Journal } from "../journal/journal_state.ts";
import type { Clock } from "../store/clock.ts";
import { actorKey } from "../store/keys.ts";
import {
  EMPTY_LOG,
  isLinkEntry,
  type LogEntry,
  type OpenLog,
  readLog,
  tagOf,
} from "../settling/actor_log.ts";
import { type ActorHead, load, type Loaded } from "../settling/snapshot.ts";
import type { Store } from "../store/store.ts";
import { isContiguous, type Pin, placesIn } from "../journal/tail.ts";
import { NotServing } from "../store/errors.ts";

/** A past that a reader asks for, in ms since 1970: what happened up to `at`, of what was received up to `asOf`. */
export interface Past {
  at?: number;
  asOf?: number;
}

/** A view begins again so often, when what it read was replaced meanwhile, before storage counts as unavailable. */
export const TRIES = 50;

/** A read that takes no longer than this is through before an old generation is deleted. */
export const SHORT_MS = 1_000;

/** The store and the tail at one head. */
export interface View {
  generation: number;
  /** Everything up to this position is seen. */
  head: Position;
  pin: Pin;
  /**
   * The last place that was known as settled before anything was read. What the tail still holds up to it is in the
   * values, unless it was erased.
   */
  settled: Position;
}

/** An actor's value, and the places of its facts in the tail: the facts themselves where they are few. */
export interface Actor<K extends ActorKind = ActorKind> {
  kind: K;
  id: string;
  loaded: Loaded<ActorHead>;
  tail: Position[];
  facts: Fact[] | undefined;
}

/** A past, or what was known when the journal went up to a place; of no more events than there is `room` for. */
export interface Stretch extends Past {
  upTo?: Position;
  room?: { events: number };
}

/** Thrown where a past has more events than there is room for. */
export class TooManyEvents extends RangeError {
  override name = "TooManyEvents";
}

/** Reads the head, and gives the view up to it: what was read before is then not newer than the view. */
export type Extend = () => Promise<View>;

/** Makes views of a store, and what reads actors in them. */
export type Views = ReturnType<typeof createViews>;

/** What views need. */
export interface ViewsOptions {
  store: Store;
  clock: Clock;
  journal: Journal;
  limits: HistoryLimits;
  /** The version of the folds that this process has. */
  foldVersion: number;
}

/** Makes views over a store and the journal of a process. */
export function createViews({ store, clock, journal, limits, foldVersion }: ViewsOptions) {
  const history = { store, factsAt: journal.events.factsAt, limits };

  /**
   * Does `read` on a view, again if the tail was begun anew meanwhile. `read` gets `extend`, which reads the head and
   * gives the view up to it: what it read before is then not newer than the view.
   */
  async function viewed<T>(
    read: (extend: () => Promise<View>, generation: number) => Promise<T>,
  ): Promise<T> {
    for (let tries = 0; tries < TRIES; tries++) {
      const epoch = journal.epoch();
      const generation = journal.settled().generation;
      const settled = journal.settled().position;
      let pin = journal.tail().pin();
      const extend = async (): Promise<View> => {
        await journal.sync();
        if (journal.epoch() !== epoch) throw new Outdated();
        pin = [...new Set([...pin, ...journal.tail().pin()])];
        // What was appended and trimmed since the last look stands in neither.
        if (!isContiguous(pin)) throw new Outdated();
        return { generation, head: journal.end(), pin, settled };
      };
      const began = clock.monotonic();
      try {
        const result = await read(extend, generation);
        // What a long read saw last may be of a generation that was being deleted.
        if (clock.monotonic() - began > SHORT_MS) await extend();
        return result;
      } catch (error) {
        if (!(error instanceof Outdated)) throw error;
      }
    }
    throw changedTooOften();
  }

  async function actorOf<K extends ActorKind>(view: View, kind: K, id: string): Promise<Actor<K>> {
    const [loaded] = await load<ActorHead>(store, [actorKey(view.generation, kind, id)]);
    return withTail(view, { kind, id, loaded: loaded! });
  }

  async function withTail<K extends ActorKind>(
    view: View,
    { kind, id, loaded }: Pick<Actor<K>, "kind" | "id" | "loaded">,
  ): Promise<Actor<K>> {
    const after = later(loaded.head?.position ?? BEGINNING, view.settled);
    const tail = placesIn(view.pin, `${kind}/${id}` as ActorName, { after, upTo: view.head });
    const facts = tail.length <= limits.eventsAtOnce ? await tailFacts(tail) : undefined;
    return { kind, id, loaded, tail, facts };
  }

  /**
   * Facts of the tail. Where one was erased meanwhile, it was settled before: then what is settled is looked at, so that the
   * next view begins after it.
   */
  async function tailFacts(places: Position[]): Promise<Fact[]> {
    const facts = await journal.events.factsAt(places);
    if (facts.length === places.length) return facts;
    await journal.adoptNewest();
    throw new Outdated();
  }

  /** An actor's facts that are not settled. */
  async function* freshFacts({ tail, facts }: Actor): AsyncGenerator<Fact> {
    if (facts !== undefined) return yield* facts;
    for (let i = 0; i < tail.length; i += limits.eventsAtOnce) {
      yield* await tailFacts(tail.slice(i, i + limits.eventsAtOnce));
    }
  }

  /** A log with the entries of the tail, as if they were settled. */
  async function openWith(actor: Actor): Promise<OpenLog & { extra: LogEntry[] }> {
    const extra: LogEntry[] = [];
    for await (const fact of freshFacts(actor)) {
      extra.push({ at: fact.at, place: fact.place, tag: tagOf(fact, actor.kind) });
    }
    return { ...(actor.loaded.head ?? EMPTY_LOG), extra };
  }

  /**
   * What is kept of an actor. It may have settled past the head of the view, where it was read after that: then there is
   * no telling what it was at the head, and the view begins again.
   */
  function keptOf(view: View, { loaded }: Actor): Loaded<ActorHead> {
    if ((loaded.head?.position ?? BEGINNING) > view.head) throw new Outdated();
    return loaded;
  }

  const placeOfLog = (view: View, { kind, id }: Actor) => ({ generation: view.generation, kind, id });

  /**
   * The facts of an actor's past, in the order of the journal: those whose entries are wanted. Memory holds the places
   * of all, and some facts at a time, since anybody may send a million of them to one id.
   */
  async function* pastFacts(
    view: View,
    actor: Actor,
    { past, wanted = () => true }: { past: Stretch; wanted?: (entry: LogEntry) => boolean },
  ): AsyncGenerator<Fact> {
    const { at = Infinity, asOf = Infinity, upTo = END, room } = past;
    const end = earlier(upTo, view.head);
    const places: Position[] = [];
    const log = await openWith(actor);
    for await (const entry of readLog(store, placeOfLog(view, actor), { log, order: "asc" })) {
      if (entry.at > at) break;
      if (room !== undefined && places.length > room.events) throw new TooManyEvents();
      if (wanted(entry) && entry.place <= end) places.push(entry.place);
    }
    if (room !== undefined) room.events -= places.length;
    places.sort();
    for (let i = 0; i < places.length; i += limits.eventsAtOnce) {
      const some = places.slice(i, i + limits.eventsAtOnce);
      for (const [index, sent] of (await journal.events.at(some)).entries()) {
        if (sent === undefined) continue;
        if (Date.parse(sent.event.receivedAt) <= asOf) yield factOf(sent.event, some[index]!);
      }
    }
  }

  /** The links of an anonymous id's past, folded, which say whose it was when; and how many there are. */
  async function pastLinks(
    view: View,
    actor: Actor,
    past: Stretch,
  ): Promise<{ state: Anonymous; count: number }> {
    const links = createLinks(actor.id);
    let count = 0;
    for await (const fact of pastFacts(view, actor, { past, wanted: isLinkEntry })) {
      links.add(fact);
      count++;
    }
    return { state: links.fold(), count };
  }

  /** An anonymous id in a past, and how many events make it: its links first, then the events one by one. */
  async function pastAnonymous(view: View, actor: Actor, past: Stretch) {
    let { state, count } = await pastLinks(view, actor, past);
    const wanted = (entry: LogEntry) => !isLinkEntry(entry);
    for await (const fact of pastFacts(view, actor, { past, wanted })) {
      foldOwned(state, fact);
      count++;
    }
    return { state, count };
  }

  /** An actor's state at the head of a view: what is kept with the fresh facts, or the log folded again. */
  async function stateOf<K extends ActorKind>(view: View, actor: Actor<K>): Promise<States[K]> {
    const kept = keptOf(view, actor);
    const state = keptState(actor.kind, kept, foldVersion);
    if (state !== undefined && await evolveEach(actor, state, freshFacts(actor))) return state;
    const fresh = { [Symbol.asyncIterator]: () => freshFacts(actor) };
    return await refold(history, { ...placeOfLog(view, actor), kind: actor.kind }, { log: kept.head, fresh });
  }

  /** Reads an actor in a view that is extended once it was read: what it read is then not newer than the view. */
  async function readActor<K extends ActorKind>(extend: Extend, kind: K, id: string) {
    const first = await actorOf(await extend(), kind, id);
    const view = await extend();
    return { view, actor: await withTail(view, first) };
  }

  return {
    viewed,
    actorOf,
    withTail,
    freshFacts,
    openWith,
    keptOf,
    placeOfLog,
    pastFacts,
    pastLinks,
    pastAnonymous,
    stateOf,
    readActor,
  };
}

/** What a read is told that was begun anew too often. */
export function changedTooOften(): NotServing {
  return new NotServing("The data changed repeatedly while it was read; retry.", "contention");
}

/** Thrown where a view can't be extended any more, and is begun again. */
export class Outdated extends Error {
  override name = "Outdated";
}

/** How many events are in an actor's log, settled and not. */
export function versionOf({ loaded, tail }: Actor): number {
  return (loaded.head?.version ?? 0) + tail.length;
}
