/**
 * Views: the store and the tail at one head, as one read sees them.
 *
 * A view pins the tail, reads values, then the head, and extends the tail to it. Then it folds each actor that it needs to
 * exactly that head: value plus tail. An actor without events in the tail is as it is in the store.
 */
import { BEGINNING, later, type Position } from "../../domain/event/position.ts";
import type { ActorKind, ActorName, Fact } from "../../domain/profile/fact.ts";
import { evolveEach, keptState, refold, type States } from "../settling/fold_actor.ts";
import type { HistoryLimits } from "../settling/log_facts.ts";
import type { Journal } from "../journal/journal_state.ts";
import type { Clock } from "../store/clock.ts";
import { actorKey } from "../store/keys.ts";
import { EMPTY_LOG, type LogEntry, type OpenLog, tagOf } from "../settling/actor_log.ts";
import { type ActorHead, load, type Loaded } from "../settling/snapshot.ts";
import type { Store } from "../store/store.ts";
import { isContiguous, type Pin, placesIn } from "../journal/tail.ts";
import { NotServing } from "../store/errors.ts";

/** Attempts at a view whose values are replaced while it reads them. */
export const TRIES = 50;

/** A read that takes no longer ends before an old generation is deleted. */
export const SHORT_MS = 1_000;

/** The store and the tail at one head. */
export interface View {
  generation: number;
  /** Everything up to this position is seen. */
  head: Position;
  pin: Pin;
  /**
   * The last position that was known as settled before anything was read. Events of the tail up to it are in the values,
   * unless they were erased.
   */
  settled: Position;
}

/** An actor's value, and the positions of its facts in the tail; the facts themselves if they are few. */
export interface Actor<K extends ActorKind = ActorKind> {
  kind: K;
  id: string;
  loaded: Loaded<ActorHead>;
  tail: Position[];
  facts: Fact[] | undefined;
}

/** Reads the head, and gives the view up to it: values read before are then not newer than the view. */
export type Extend = () => Promise<View>;

/** Views of a store, and the reads of actors in them. */
export type Views = ReturnType<typeof createViews>;

export interface ViewsOptions {
  store: Store;
  clock: Clock;
  journal: Journal;
  limits: HistoryLimits;
  /** The version of the folds that this process has. */
  foldVersion: number;
}

/** Creates views over a store and the journal of a process. */
export function createViews(options: ViewsOptions) {
  return {
    viewed: <T>(read: (extend: Extend, generation: number) => Promise<T>) => viewed(options, read),
    actorOf: <K extends ActorKind>(view: View, kind: K, id: string) => actorOf(options, view, { kind, id }),
    withTail: <K extends ActorKind>(view: View, actor: Pick<Actor<K>, "kind" | "id" | "loaded">) =>
      withTail(options, view, actor),
    openWith: (actor: Actor) => openWith(options, actor),
    stateOf: <K extends ActorKind>(view: View, actor: Actor<K>) => stateOf(options, view, actor),
    /** Reads an actor in a view that is extended after the read: what it read is then not newer than the view. */
    async readActor<K extends ActorKind>(extend: Extend, kind: K, id: string) {
      const first = await actorOf(options, await extend(), { kind, id });
      const view = await extend();
      return { view, actor: await withTail(options, view, first) };
    },
  };
}

/**
 * Does `read` on a view, again if the tail was begun anew meanwhile. `read` gets `extend`, which reads the head and gives
 * the view up to it: what was read before is then not newer than the view.
 */
async function viewed<T>(
  { clock, journal }: ViewsOptions,
  read: (extend: Extend, generation: number) => Promise<T>,
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
      // What was appended and trimmed since the last read is in neither.
      if (!isContiguous(pin)) throw new Outdated();
      return { generation, head: journal.end(), pin, settled };
    };
    const began = clock.monotonic();
    try {
      const result = await read(extend, generation);
      // The last values of a long read may be of a generation that was being deleted.
      if (clock.monotonic() - began > SHORT_MS) await extend();
      return result;
    } catch (error) {
      if (!(error instanceof Outdated)) throw error;
    }
  }
  throw changedTooOften();
}

async function actorOf<K extends ActorKind>(
  options: ViewsOptions,
  view: View,
  { kind, id }: { kind: K; id: string },
): Promise<Actor<K>> {
  const [loaded] = await load<ActorHead>(options.store, [actorKey(view.generation, kind, id)]);
  return await withTail(options, view, { kind, id, loaded: loaded! });
}

async function withTail<K extends ActorKind>(
  { journal, limits }: ViewsOptions,
  view: View,
  { kind, id, loaded }: Pick<Actor<K>, "kind" | "id" | "loaded">,
): Promise<Actor<K>> {
  const after = later(loaded.head?.position ?? BEGINNING, view.settled);
  const tail = placesIn(view.pin, `${kind}/${id}` as ActorName, { after, upTo: view.head });
  const facts = tail.length <= limits.eventsAtOnce ? await tailFacts(journal, tail) : undefined;
  return { kind, id, loaded, tail, facts };
}

/**
 * Facts of the tail. If one was erased meanwhile, it was settled before: then the settled position is read again, so that
 * the next view begins after it.
 */
async function tailFacts(journal: Journal, positions: Position[]): Promise<Fact[]> {
  const facts = await journal.events.factsAt(positions);
  if (facts.length === positions.length) return facts;
  await journal.adoptNewest();
  throw new Outdated();
}

/** An actor's facts that are not settled. */
async function* freshFacts({ journal, limits }: ViewsOptions, { tail, facts }: Actor): AsyncGenerator<Fact> {
  if (facts !== undefined) return yield* facts;
  for (let i = 0; i < tail.length; i += limits.eventsAtOnce) {
    yield* await tailFacts(journal, tail.slice(i, i + limits.eventsAtOnce));
  }
}

/** A log with the entries of the tail, as if they were settled. */
async function openWith(options: ViewsOptions, actor: Actor): Promise<OpenLog & { extra: LogEntry[] }> {
  const extra: LogEntry[] = [];
  for await (const fact of freshFacts(options, actor)) {
    extra.push({ at: fact.at, place: fact.place, tag: tagOf(fact, actor.kind) });
  }
  return { ...(actor.loaded.head ?? EMPTY_LOG), extra };
}

/** An actor's state at the head of a view: the stored state with the fresh facts, or the log folded again. */
async function stateOf<K extends ActorKind>(
  options: ViewsOptions,
  view: View,
  actor: Actor<K>,
): Promise<States[K]> {
  const { store, journal, limits, foldVersion } = options;
  const { loaded } = actor;
  // It was read after the view and has settled past its head: its state at the head is unknown.
  if ((loaded.head?.position ?? BEGINNING) > view.head) throw new Outdated();
  const state = keptState(actor.kind, loaded, foldVersion);
  if (state !== undefined && await evolveEach(actor, state, freshFacts(options, actor))) return state;
  const history = { store, factsAt: journal.events.factsAt, limits };
  const fresh = { [Symbol.asyncIterator]: () => freshFacts(options, actor) };
  return await refold(history, { ...placeOfLog(view, actor), kind: actor.kind }, { log: loaded.head, fresh });
}

/** Where the log of an actor is stored. */
export function placeOfLog(view: View, { kind, id }: Actor) {
  return { generation: view.generation, kind, id };
}

/** The error of a read that was begun too often. */
export function changedTooOften(): NotServing {
  return new NotServing("The data changed repeatedly while it was read; retry.", "contention");
}

/** Thrown if a view cannot be extended any more; it is begun again. */
export class Outdated extends Error {
  override name = "Outdated";
}

/** Number of events in an actor's log, settled or not. */
export function versionOf({ loaded, tail }: Actor): number {
  return (loaded.head?.version ?? 0) + tail.length;
}
