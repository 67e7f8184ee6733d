/** What every rival shares with signalfold: its HTTP edge. A rival brings only what it does with the events. */
import { ulid } from "ulid";
import { createFigures } from "../../actors/forwarding/figures.ts";
import type { System } from "../../actors/system.ts";
import { newCounts } from "../../domain/stats/counts.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import { createApp } from "../../routes/app.ts";
import { createLog } from "../../routes/http/logger.ts";
import type { Receipt } from "../../actors/appending/commit_group.ts";

/** What a rival brings. */
export interface Store {
  /** As {@link System.commit}. */
  commit(events: StoredEvent[]): Promise<Receipt[]>;
  /** The profile of a user. */
  user(userId: string): Promise<Record<string, unknown> | null>;
  /** How many events are stored. */
  stored(): Promise<number>;
  close(): Promise<void>;
}

/** Serves a store behind signalfold's own routes, by the same environment variables, until SIGTERM. */
export function serveRival(store: Store): void {
  const app = createApp({
    system: systemOf(store),
    settings: {
      adminToken: variable("ADMIN_TOKEN"),
      writeKey: variable("WRITE_KEY"),
      authFailuresPerMinute: 100,
    },
    log: createLog({ level: "info", write: console.error, now: Date.now }),
    now: Date.now,
    newId: ulid,
  });
  const server = Deno.serve({
    hostname: variable("HOST"),
    port: Number(variable("PORT")),
    handler: app.fetch,
    onListen: () => {},
  });
  Deno.addSignalListener("SIGTERM", async () => {
    await server.shutdown();
    await store.close();
    Deno.exit(0);
  });
}

/** A variable of the environment that the bench always sets. */
export function variable(name: string): string {
  const value = Deno.env.get(name);
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

function systemOf(store: Store): System {
  return {
    commit: (events) => store.commit(events),
    commitStored: outside,
    reader: {
      user: (userId) => store.user(userId),
      anonymous: outside,
      group: outside,
      log: outside,
      members: outside,
      trait: outside,
      rolling: () => ({ before: outside, forget() {} }),
      ids: outside,
      linkedSince: outside,
      owners: outside,
    },
    traces: { find: outside },
    live: { wanted: () => false, tell() {}, listen: outside, last: outside, end() {} },
    writeKeys: {
      find: () => undefined,
      list: outside,
      named: outside,
      create: outside,
      change: outside,
      rotate: outside,
      remove: outside,
      used: () => {},
      lastUsedAt: outside,
    },
    lookup: { traits: [], find: outside },
    feed: { read: outside, end() {} },
    audit: { record: outside, list: outside },
    erasure: {
      erase: outside,
      preview: outside,
      digestOf: () => "",
      fullDigestOf: () => "",
      onErase: () => {},
    },
    suppression: {
      isEmpty: () => true,
      isSuppressed: () => false,
      judge: () => false,
      version: () => 0,
      isAny: () => Promise.resolve(false),
      fresh: () => undefined,
      refresh: outside,
      add: outside,
      lift: outside,
    },
    audiences: {
      all: outside,
      get: outside,
      put: outside,
      remove: outside,
      preview: outside,
      list: outside,
      stream: outside,
      member: outside,
      audiencesOf: outside,
      figures: outside,
      lag: outside,
      tick: outside,
      wake: () => {},
      close: outside,
    },
    contracts: {
      fresh: () => undefined,
      judge: () => undefined,
      verdicts: () => [],
      violations: () => [],
      list: outside,
      get: outside,
      put: outside,
      remove: outside,
      versions: outside,
      restore: outside,
      check: outside,
      lastViolations: outside,
    },
    quarantine: {
      hasRoom: () => false,
      keep: () => {},
      dropped: () => 0,
      list: outside,
      get: outside,
      remove: outside,
      sweep: outside,
    },
    forwarding: {
      usersOf: outside,
      list: outside,
      get: outside,
      refusalOf: outside,
      put: outside,
      remove: outside,
      pause: outside,
      resume: outside,
      rotate: outside,
      test: outside,
      trace: outside,
      erasure: outside,
      deliveries: outside,
      retry: outside,
      replay: outside,
      replays: outside,
      changeReplay: outside,
      skip: outside,
      wake() {},
      start() {},
      tick: outside,
      close: outside,
      gauges: outside,
      figures: createFigures(),
    },
    rateLimits: {
      take: outside,
      giveBack: () => ({ admitted: true, remaining: 0, fullInS: 0, enoughInS: 0 }),
      charge: () => ({ admitted: true, remaining: 0, fullInS: 0, enoughInS: 0 }),
      size: () => 0,
      close: () => Promise.resolve(),
    },
    transformations: {
      list: outside,
      get: outside,
      put: outside,
      remove: outside,
      versions: outside,
      version: outside,
      restore: outside,
      try: outside,
      check: outside,
      forgetPeople: () => {},
      missing: outside,
      fresh: () => undefined,
      apply: outside,
      rerun: outside,
      figures: () => ({ threads: 0, engines: 0, stuck: [], versions: [] }),
      close: () => {},
    },
    replays: { request: outside, list: outside, tick: outside, close: () => Promise.resolve() },
    stats: async () => {
      const head = await store.stored();
      return { head, settled: head, unsettled: 0, oldestUnsettledMs: 0, subscriptions: {} };
    },
    gauges: outside,
    counts: {
      taken: () => {},
      rejected: () => {},
      watch: () => {},
      read: (_, begin) => Promise.resolve(begin().result()),
      sinceStart: newCounts,
    },
    ready: () => Promise.resolve(),
    close: () => store.close(),
  };
}

function outside(): Promise<never> {
  return Promise.reject(new Error("this rival only takes events"));
}
