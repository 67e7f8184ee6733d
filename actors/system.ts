/** signalfold behind the routes and the tasks: all rooms as one typed value. */
import type { Lookup } from "./lookup/lookup.ts";
import type { Feed } from "./journal/feed.ts";
import type { Audit } from "./configuration/audit.ts";
import type { Audiences } from "./audiences/audiences.ts";
import type { Erasure } from "./erasure/requests_api.ts";
import type { Suppression } from "./erasure/suppression.ts";
import type { Forwarding } from "./forwarding/forwarding.ts";
import type { EventContracts } from "./governance/contracts.ts";
import type { Quarantine } from "./governance/quarantine.ts";
import type { RateLimits } from "./governance/rate_limits.ts";
import type { WriteKeys } from "./governance/write_keys.ts";
import type { AppendObserver } from "./appending/attempt.ts";
import type { Receipt, StoredBefore } from "./appending/commit_group.ts";
import type { Live } from "./live/live_feed.ts";
import type { Traces } from "./reading/event_trace.ts";
import type { Reader } from "./reading/profiles.ts";
import type { Replays } from "./replay/requests.ts";
import type { Transformations } from "./transformation/transformations.ts";
import type { EventCounts } from "./stats/counts.ts";
import type { Gauges, Stats } from "./stats/gauges.ts";
import type { StoredEvent } from "../domain/event/event.ts";

/** Observes the actors, for figures. Called once per commit or round; must never throw. */
export interface Observer extends AppendObserver {
  /** This process settled a round. */
  settled?(round: { durationMs: number; events: number }): void;
  /** A round failed. */
  settlingFailed?(): void;
}

/** signalfold behind the routes. */
export interface System {
  /**
   * Makes a request's events durable, all or none, and gives a receipt for each in order. Throws {@link
   * StorageUnavailable} if nothing was acknowledged. `judged` is the version of the suppression list by which the events
   * were judged, the present one by default.
   */
  commit(events: StoredEvent[], writeKeyId: string, judged?: number): Promise<Receipt[]>;
  /**
   * Appends events of another journal, all or none, in their order and with their senders. Those whose digest is known
   * are skipped; tells of each whether it was appended. Throws as `commit` does.
   */
  commitStored(stored: readonly StoredBefore[]): Promise<boolean[]>;
  reader: Reader;
  traces: Traces;
  live: Live;
  writeKeys: WriteKeys;
  erasure: Erasure;
  suppression: Suppression;
  contracts: EventContracts;
  audit: Audit;
  feed: Feed;
  lookup: Lookup;
  quarantine: Quarantine;
  rateLimits: RateLimits;
  replays: Replays;
  transformations: Transformations;
  audiences: Audiences;
  forwarding: Forwarding;
  stats(): Promise<Stats & { oldestUnsettledMs: number }>;
  /** Never throws, and takes a second at the most. */
  gauges(): Promise<Gauges>;
  counts: EventCounts;
  /**
   * Resolves if this process can accept and settle events: storage accepts a write, the clock was not moved, and
   * settling does not fail. Otherwise throws {@link StorageUnavailable}, or {@link NotServing} if the reason is known.
   */
  ready(): Promise<void>;
  /** Settles the rest, for a schedule outside the process: idempotent, by any process at any time. */
  tick?(): Promise<void>;
  /** Accepts nothing more, finishes accepted work, closes storage. */
  close(): Promise<void>;
}
