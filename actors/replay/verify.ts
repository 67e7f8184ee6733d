/**
 * Compares stored data with the fold of the journal: everything is folded into another store, or into another
 * generation of the same one, then each value of the live generation is compared with its twin. Settling goes on
 * meanwhile; values that differ are compared once more while settling is stopped for a moment.
 */
import { hash } from "node:crypto";
import type { PersonJson } from "../../domain/profile/person.ts";
import { canonicalPerson, canonicalState } from "../settling/canonical_state.ts";
import { NOTHING_SETTLED, type Settled } from "../journal/journal_state.ts";
import { generationPrefixes, type Key, SETTLED } from "../store/keys.ts";
import { encodeEntries, type LogEntry, readLog } from "../settling/actor_log.ts";
import {
  beginRebuild,
  type Rebuilding,
  type RebuildOptions,
  refuseErasing,
  REPLAY_LIMITS,
  ReplayRefused,
  stopSettling,
} from "./replay_all.ts";
import { type ActorHead, type PartHead, whole } from "../settling/snapshot.ts";
import type { Entry, Store } from "../store/store.ts";
import type { ActorKind } from "../../domain/profile/fact.ts";

/** Bounds of a comparison, in addition to those of the replay. */
export const VERIFY_LIMITS = {
  ...REPLAY_LIMITS,
  /** Values that are held against their twins at once. */
  comparedValues: 100,
};
export type VerifyLimits = typeof VERIFY_LIMITS;

/** The result of a comparison. */
export interface Comparison {
  events: number;
  /** How many values were compared: actors with their logs, parts, members, their numbers. */
  compared: number;
  /** The keys that differ, without the generation. */
  differences: Key[];
}

/**
 * Compares everything. `options.target` is an empty store of its own; or the live store, if there is no other: then the
 * generation for the comparison is deleted at the end.
 */
export async function verifyAll(
  options: RebuildOptions & { limits: VerifyLimits },
): Promise<Comparison> {
  const { source, target } = options;
  const erasures = await refuseErasing(source);
  const rebuilding = await beginRebuild(options);
  try {
    const comparison = await compare(options, rebuilding);
    // An erasure or a replay deletes what was compared with.
    if (comparison.differences.length > 0) {
      await refuseErasing(source, erasures);
      await rebuilding.hold();
    }
    return comparison;
  } finally {
    // The process that took the lease, or the next replay, deletes it too.
    if (target === source) await rebuilding.discard().catch(() => {});
  }
}

async function compare(
  options: RebuildOptions & { limits: VerifyLimits },
  rebuilding: Rebuilding,
): Promise<Comparison> {
  const { source, target, limits } = options;
  const live = (await source.get<Settled>(SETTLED)).value ?? NOTHING_SETTLED;
  await rebuilding.advance(live.position);
  const pair = {
    live: { store: source, generation: live.generation },
    twin: { store: target, generation: rebuilding.generation },
  };
  let compared = 0;
  let suspects: Key[] = [];
  for await (const some of namesIn(pair.live, limits)) {
    await rebuilding.renew();
    compared += some.length;
    suspects.push(...await differing(pair, { names: some, limits }));
  }
  for await (const some of namesIn(pair.twin, limits)) {
    await rebuilding.renew();
    const entries = await source.getMany(some.map((name) => keyIn(pair.live, name)));
    suspects.push(...some.filter((_, index) => entries[index]!.stamp === null));
  }
  if (suspects.length > 0) {
    // Close to the head first, so that settling is stopped for a moment only.
    await rebuilding.advance((await source.get<Settled>(SETTLED)).value?.position ?? live.position);
    const fence = await stopSettling(options, { betweenRounds: true });
    const { position, target: end, generation } = fence.value();
    if (generation !== live.generation) {
      throw new ReplayRefused("Another replay replaced the data during the comparison. Verify again.");
    }
    // A round may have been stopped: each value is as before it, or as after it.
    for (const to of [position, end ?? position]) {
      await rebuilding.advance(to);
      suspects = await differing(pair, { names: suspects, limits });
    }
    await fence.write({ change: { until: 0 } });
  }
  return { events: live.events, compared, differences: suspects };
}

/** One side of a comparison. */
interface Side {
  store: Store;
  generation: number;
}

/** A key without its generation: the same on both sides. */
type Name = Key;

function keyIn({ generation }: Side, [first, ...rest]: Name): Key {
  return [first!, generation, ...rest];
}

/** The names of all that is compared on a side, some at a time. Logs are compared with their actors. */
async function* namesIn(
  { store, generation }: Side,
  { comparedValues }: VerifyLimits,
): AsyncGenerator<Name[]> {
  let names: Name[] = [];
  for (const prefix of generationPrefixes(generation)) {
    if (prefix[0] === "log") continue;
    for await (const { key } of store.list({ prefix }, { batchSize: comparedValues })) {
      names.push([key[0]!, ...key.slice(2)]);
      if (names.length < comparedValues) continue;
      yield names;
      names = [];
    }
  }
  yield names;
}

/** The names for which the two sides differ. */
async function differing(
  pair: { live: Side; twin: Side },
  { names, limits: { comparedValues } }: { names: Name[]; limits: VerifyLimits },
): Promise<Name[]> {
  const different: Name[] = [];
  for (let i = 0; i < names.length; i += comparedValues) {
    const some = names.slice(i, i + comparedValues);
    const [live, twin] = await Promise.all([printsOf(pair.live, some), printsOf(pair.twin, some)]);
    different.push(...some.filter((_, index) => live[index] !== twin[index]));
  }
  return different;
}

async function printsOf(side: Side, names: Name[]): Promise<(string | undefined)[]> {
  const entries = await side.store.getMany(names.map((name) => keyIn(side, name)));
  return Promise.all(entries.map((entry) => printOf(side, entry)));
}

/** A value in comparable form; `undefined` if there is none. */
async function printOf({ store, generation }: Side, entry: Entry): Promise<string | undefined> {
  if (entry.value === null) return undefined;
  if (entry.key[0] === "part") {
    const { head, state } = await whole<PartHead>(store, entry as Entry<Uint8Array>);
    if (head === undefined) return undefined;
    return JSON.stringify([head.userId, head.anonymousId, canonicalPerson(state as PersonJson)]);
  }
  if (entry.key[0] !== "actor") return JSON.stringify(entry.value);
  const { head, state } = await whole<ActorHead>(store, entry as Entry<Uint8Array>);
  if (head === undefined) return undefined;
  const kind = entry.key[2] as ActorKind;
  const entries: LogEntry[] = [];
  for await (const each of readLog(store, { generation, kind, id: head.id }, { log: head, order: "asc" })) {
    entries.push(each);
  }
  const log = hash("sha256", encodeEntries(entries), "hex");
  return JSON.stringify([head.version, head.position, entries.length, log, canonicalState(kind, state)]);
}
