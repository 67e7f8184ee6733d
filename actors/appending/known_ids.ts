/** Which message ids are in the journal: by the tail in memory, and by the dedup index for what is settled. */
import type { Position } from "../../domain/event/position.ts";
import { addProbes, lookUp, type Probe } from "../dedup/dedup_index.ts";
import { DIGEST_WORDS } from "../dedup/digest.ts";
import type { Journal } from "../journal/journal_state.ts";
import type { Membership } from "../lanes/membership.ts";
import type { Store } from "../store/store.ts";
import type { Known } from "./commit_group.ts";

/** Which ids are known, and of the same moment: whether the process was alone, and up to where it knew the journal. */
export interface KnownNow extends Known {
  alone: string | undefined;
  end: Position;
}

/** Which of a group's digests are in the journal, by all that is known at one moment, and what else is known then. */
export async function knownIds(
  digests: Uint32Array,
  { store, journal, membership }: { store: Store; journal: Journal; membership: Membership },
): Promise<KnownNow> {
  const count = digests.length / DIGEST_WORDS;
  for (;;) {
    const view = journal.seen();
    const now = () => ({ alone: membership.alone(), end: journal.end() });
    const known = { isKnown: new Uint8Array(count), hits: 0, ...now() };
    const mark = (at: number) => {
      known.isKnown[at] = 1;
      known.hits++;
    };
    const probes: Probe[] = [];
    for (let at = 0; at < count; at++) {
      if (journal.has(digests, at)) mark(at);
      else addProbes(probes, view, { digests, at });
    }
    if (probes.length === 0) return known;
    const found = await lookUp(store, digests, probes);
    if (found === undefined) {
      await journal.sync();
      await journal.adoptNewest();
      continue;
    }
    if (journal.seen().runs !== view.runs) continue;
    for (const at of found) if (known.isKnown[at] === 0) mark(at);
    // What came meanwhile.
    for (let at = 0; at < count; at++) if (known.isKnown[at] === 0 && journal.has(digests, at)) mark(at);
    return { ...known, ...now() };
  }
}
