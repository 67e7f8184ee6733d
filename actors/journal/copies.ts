/**
 * Which events of an entry are copies: of all entries with one message id, within the window of dedup, the first counts.
 * Settling and readers of the tail decide it by the same rule, from the journal and the dedup index alone.
 *
 * A header says up to where its process knew all ids, so only what is behind that may have one of its ids too; a commit
 * that was made alone has no copies.
 */
import type { Position } from "../../domain/event/position.ts";
import type { Store } from "../store/store.ts";
import { addProbes, lookUp, type Probe, type SeenView } from "../dedup/dedup_index.ts";
import { FLAGS, type Header } from "./header.ts";

/** What is known of the ids before an entry. */
export interface KnownIds {
  store: Store;
  /** Whether an id is in an entry behind `after`, before this one. */
  has(digests: Uint32Array, at: number): boolean;
  after: Position;
  /** The dedup index, which has all ids up to `after`. */
  seen(): SeenView;
}

/** The copies of an entry (1); `undefined` if all its events count. Waits only for the few ids that a filter may know. */
export function copiesIn(
  header: Header,
  known: KnownIds,
): Uint8Array | undefined | Promise<Uint8Array | undefined> {
  let copies: Uint8Array | undefined;
  for (let at = 0; at < header.n; at++) {
    if ((header.flags[at]! & FLAGS.copy) !== 0) (copies ??= new Uint8Array(header.n))[at] = 1;
  }
  if (header.known === undefined) return copies;
  const { runs, filters } = known.seen();
  const view = {
    runs: header.known < known.after ? runs.filter(({ end }) => end > header.known!) : [],
    filters,
  };
  const probes: Probe[] = [];
  const { digests } = header;
  for (let at = 0; at < header.n; at++) {
    if (copies?.[at] === 1) continue;
    if (known.has(digests, at)) (copies ??= new Uint8Array(header.n))[at] = 1;
    else addProbes(probes, view, { digests, at });
  }
  return probes.length === 0 ? copies : withFound(known.store, header, { copies, probes });
}

async function withFound(
  store: Store,
  { n, digests }: Header,
  { copies, probes }: { copies: Uint8Array | undefined; probes: Probe[] },
): Promise<Uint8Array | undefined> {
  const found = await lookUp(store, digests, probes);
  if (found === undefined) throw new RunsChanged();
  for (const at of found) (copies ??= new Uint8Array(n))[at] = 1;
  return copies;
}

/** Thrown if the list of runs is out of date: read it again. */
export class RunsChanged extends Error {
  override name = "RunsChanged";
}
