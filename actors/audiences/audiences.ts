/** Audiences of a process: definitions, members, previews, and the subscription behind them. */
import type { AudienceDefinition } from "../../domain/audience/tree.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import type { Author } from "../configuration/registry.ts";
import type { Journal, Settled } from "../journal/journal_state.ts";
import type { Reader } from "../reading/profiles.ts";
import type { Settling } from "../settling/backpressure.ts";
import type { Clock } from "../store/clock.ts";
import type { Store } from "../store/store.ts";
import { createDefinitions, type DefinitionRefusal, type StoredDefinition } from "./definitions.ts";
import { type Followed, NOTHING_FOLLOWED, type World } from "./checkpoint.ts";
import { AUDIENCES_CHANGED, AUDIENCES_FOLLOWED, SETTLED } from "../store/keys.ts";
import { type AudienceLimits, type Follower, followJournal } from "./follow.ts";
import { type Preview, previewOf, type PreviewRequest } from "./preview.ts";
import { createMemberReads, followedNow, liveWorld, type MemberReads } from "./members.ts";

/** The clock is looked at so often for moments that have come: the idle cost is one read. */
const LOOK_MS = 1_000;

/** A build that takes longer than this says so. */
export const BUILD_BOUND_MS = 10 * 60_000;

/** An audience as an answer shows it. */
export interface ShownAudience extends AudienceDefinition {
  name: string;
  version: number;
  state: "building" | "live";
  /** Members of the live version; 0 while there is none. */
  members: number;
  /** When the live version was built; `null` while there is none. */
  builtAt: string | null;
  /** Why building takes long. */
  notice?: string;
}

/** Figures of audiences for metrics. */
export interface AudienceFigures {
  members: { audience: string; members: number }[];
  evaluations: number;
  /** How long the oldest moment that has come waits (s). */
  agendaLagSeconds: number;
  /** How long the running build takes so far (s); 0 without one. */
  buildSeconds: number;
}

/** Audiences behind the routes. */
export interface Audiences extends Pick<MemberReads, "list" | "stream" | "member" | "audiencesOf"> {
  all(): Promise<ShownAudience[]>;
  get(name: string): Promise<ShownAudience | undefined>;
  put(
    definition: AudienceDefinition & { name: string },
    author: Author,
  ): Promise<{ audience: ShownAudience } | DefinitionRefusal>;
  remove(name: string, author: Author): Promise<boolean | DefinitionRefusal>;
  /** Counts the people for whom a condition holds; or tells what is wrong with it. */
  preview(request: PreviewRequest): Promise<Preview | DefinitionRefusal>;
  figures(): Promise<AudienceFigures>;
  /** How many events the subscription is behind, by its name; empty without audiences. */
  lag(): Promise<Record<string, { lagEvents: number }>>;
  /** Handles events, moments and builds as long as there are any, for a schedule outside of the process. */
  tick(forMs: number): Promise<void>;
  /** Call it after each commit. */
  wake(): void;
  close(): Promise<void>;
}

/** What audiences are given. */
export interface AudiencesOptions {
  store: Store;
  clock: Clock;
  newId(): string;
  owner: string;
  foldVersion: number;
  limits: AudienceLimits;
  journal: Journal;
  settling: Settling;
  reader: Reader;
  append(events: StoredEvent[]): Promise<void>;
  onFault(error: unknown): void;
}

/** Creates audiences. They read nothing before they are woken or asked. */
export function createAudiences(options: AudiencesOptions): Audiences {
  const { store, clock, journal } = options;
  const definitions = createDefinitions(options);
  const worlds = new Map<number, World>();
  const state = { isUsed: false, closed: false };
  const follower = followJournal({
    ...options,
    definitions,
    onMoved(followed) {
      state.isUsed = followed.world > 0 || followed.build !== null;
    },
  });
  const reads = createMemberReads({ ...options, worlds, hurry: follower.hurry });
  const stopLooking = lookNowAndThen(options, state, follower);

  /** Whether the world is of the definitions as they are, and of the present generation of actors. */
  async function isTaken({ mark, world, generation }: Followed): Promise<boolean> {
    const [changed, settled] = await store.getMany<unknown>([AUDIENCES_CHANGED, SETTLED]);
    if (((changed!.value as string | null) ?? "") !== mark) return false;
    return world === 0 || ((settled!.value as Settled | null)?.generation ?? 1) <= generation;
  }

  async function shown(definition: StoredDefinition): Promise<ShownAudience> {
    const { name, version, updatedAt: _, ...rest } = definition;
    const followed = await followedNow(store);
    const world = await liveWorld({ store, worlds }, followed);
    const index = world?.audiences.findIndex((audience) => audience.name === name) ?? -1;
    const live = world?.audiences[index];
    const isLive = live?.version === version;
    const buildMs = followed.build === null ? 0 : clock.now() - followed.build.since;
    return {
      name,
      ...rest,
      version,
      state: isLive ? "live" : "building",
      members: followed.counts[index] ?? 0,
      builtAt: live === undefined || world!.builtAt === null ? null : new Date(world!.builtAt).toISOString(),
      ...!isLive && buildMs > BUILD_BOUND_MS && { notice: noticeOf(followed.build!.events, buildMs) },
    };
  }

  return {
    ...reads,
    async all() {
      return await Promise.all((await definitions.list()).map(shown));
    },
    async get(name) {
      const definition = await definitions.get(name);
      return definition && await shown(definition);
    },
    async put(definition, author) {
      const outcome = await definitions.put(definition, author);
      if ("refused" in outcome) return outcome;
      state.isUsed = true;
      follower.hurry();
      return { audience: await shown(outcome.definition) };
    },
    async remove(name, author) {
      const outcome = await definitions.remove(name, author);
      if (outcome === true) follower.hurry();
      return outcome;
    },
    async preview(request) {
      const problems = await definitions.check(request.audience ?? "", request.where);
      if (problems.length > 0) return { refused: "invalid", problems };
      return await previewOf({ ...options, definitions, reads }, request);
    },
    async figures() {
      const followed = await followedNow(store);
      const world = await liveWorld({ store, worlds }, followed);
      const { dueAt, build } = followed;
      const now = clock.now();
      const members = world?.audiences.map(({ name }, index) => ({
        audience: name,
        members: followed.counts[index] ?? 0,
      }));
      return {
        members: members ?? [],
        evaluations: follower.evaluations(),
        agendaLagSeconds: dueAt === null ? 0 : Math.max(0, now - dueAt) / 1000,
        buildSeconds: build === null ? 0 : (now - build.since) / 1000,
      };
    },
    async lag() {
      const { world, events } = await followedNow(store);
      return world === 0 ? {} : { audiences: { lagEvents: Math.max(0, journal.head().events - events) } };
    },
    async tick(forMs) {
      const until = clock.monotonic() + forMs;
      for (let waitMs = 1;; waitMs = Math.min(2 * waitMs, 50)) {
        follower.hurry();
        await clock.sleep(waitMs);
        const followed = await followedNow(store);
        await journal.sync();
        const isCurrent = followed.world === 0 || followed.position >= journal.end();
        const isDone = isCurrent && !hasWork(followed, clock.now()) && await isTaken(followed);
        if (isDone || clock.monotonic() > until) return;
      }
    },
    wake() {
      if (state.isUsed) follower.wake();
    },
    async close() {
      state.closed = true;
      stopLooking();
      await follower.close();
    },
  };
}

function noticeOf(events: number, buildMs: number): string {
  return `Building takes longer than ${BUILD_BOUND_MS / 60_000} minutes: ${events} events were read in ${
    Math.round(buildMs / 60_000)
  } minutes. The version before serves meanwhile.`;
}

/** Wakes the subscription when a moment has come, and now and then for what other processes did. */
function lookNowAndThen(
  { clock, store }: Pick<AudiencesOptions, "clock" | "store">,
  state: { isUsed: boolean; closed: boolean },
  follower: Follower,
): () => void {
  let stop = () => {};
  const look = async () => {
    try {
      const [entry, changed] = await store.getMany<unknown>([AUDIENCES_FOLLOWED, AUDIENCES_CHANGED]);
      const followed = (entry!.value ?? NOTHING_FOLLOWED) as Followed;
      const isChanged = (changed!.value ?? "") !== followed.mark;
      state.isUsed = followed.world > 0 || followed.build !== null || isChanged;
      if (hasWork(followed, clock.now()) || isChanged) follower.wake();
    } catch {
      // Storage does not answer: the next look tells.
    }
    if (!state.closed) stop = clock.timer(LOOK_MS, () => void look());
  };
  void look();
  return () => stop();
}

/** Whether there is something to do besides events. */
function hasWork({ dueAt, build, appended, announced, unused }: Followed, now: number): boolean {
  return (dueAt ?? Infinity) <= now || build !== null || appended < announced || unused.length > 0;
}
