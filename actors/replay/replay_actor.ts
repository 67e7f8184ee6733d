/** Replays one user, group or anonymous id: its log is folded again, and those of its parts. */
import { partPrefix } from "../store/keys.ts";
import { type RebuildOptions, refuseErasing, stopSettling } from "./replay_all.ts";
import { replayActor } from "../settling/actor_update.ts";
import { type PartHead, whole } from "../settling/snapshot.ts";
import type { ActorKind } from "../../domain/profile/fact.ts";

/** The result of a replay. */
export interface ReplaySummary {
  actors: number;
  events: number;
  /** The actors whose stored state differed from the fold of their log. */
  differences: string[];
}

/** Replays an actor; of a user, their anonymous ids too. With `verify` it only compares. */
export async function replayOne(
  options: Pick<
    RebuildOptions,
    "source" | "journal" | "owner" | "clock" | "newId" | "limits" | "foldVersion"
  >,
  { kind, id, verify }: { kind: ActorKind; id: string; verify: boolean },
): Promise<ReplaySummary> {
  const { source: store, journal, limits, foldVersion } = options;
  const fence = await stopSettling({ ...options, target: store, onProgress: () => {} });
  const { generation } = fence.value();
  await refuseErasing(store).catch(async (error) => {
    await fence.write({ change: { until: 0 } });
    throw error;
  });
  const place = {
    store,
    generation,
    write: fence.write,
    factsAt: journal.events.factsAt,
    renew: fence.renew,
    limits,
    foldVersion,
  };
  const actors: [ActorKind, string][] = [[kind, id]];
  if (kind === "user") {
    for await (const entry of store.list<Uint8Array>({ prefix: partPrefix(generation, id) })) {
      const { head } = await whole<PartHead>(store, entry);
      if (head !== undefined) actors.push(["anonymous", head.anonymousId]);
    }
  }
  const summary: ReplaySummary = { actors: 0, events: 0, differences: [] };
  for (const [kind, id] of actors) {
    const { events, same } = await replayActor(place, { generation, kind, id }, { verify });
    if (events === 0) continue;
    summary.actors++;
    summary.events += events;
    if (!same) summary.differences.push(`${kind}/${id}`);
  }
  await fence.write({ change: { until: 0 } });
  return summary;
}
