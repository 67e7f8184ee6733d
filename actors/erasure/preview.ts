/** A preview of an erasure. It changes nothing. */
import type { Journal } from "../journal/journal_state.ts";
import type { Settling } from "../settling/backpressure.ts";
import { changedTooOften } from "../reading/consistent_read.ts";
import type { Store } from "../store/store.ts";
import type { ErasureLimits } from "./erasure_limits.ts";
import type { ErasedNames } from "./execute.ts";
import { type Owned, planAnonymous, type PlanPlace, planUser, sizeOfPlan } from "./plan.ts";
import type { Erased, Person } from "./requests.ts";

/** Time to wait for earlier events to be settled. */
const SETTLE_MS = 10_000;

/** A full replay may replace the generation during the read; then the read is repeated. */
const TRIES = 3;

/** What would be erased; for a user also when each linked anonymous id was theirs. */
export interface WouldErase extends Erased {
  anonymousIds: string[];
  intervals: Owned[];
}

export interface PreviewOptions {
  store: Store;
  journal: Journal;
  settling: Settling;
  limits: ErasureLimits;
  foldVersion: number;
  /** How many rejected events would go. */
  countRejected(names: ErasedNames): Promise<number>;
}

/** Finds what an erasure would remove. Writes nothing. */
export async function previewErasure(
  person: Person,
  { store, journal, settling, limits, foldVersion, countRejected }: PreviewOptions,
): Promise<WouldErase> {
  for (let tries = 0; tries < TRIES; tries++) {
    await journal.sync();
    await settling.until(journal.end(), SETTLE_MS);
    const { generation } = journal.settledNow();
    const place: PlanPlace = {
      store,
      generation,
      limits,
      foldVersion,
      factsAt: journal.events.factsAt,
      isReadOnly: true,
      write: () => Promise.reject(new Error("a preview of an erasure must not write")),
    };
    const { id, kind } = person;
    const { plan, owned } = await (kind === "user" ? planUser : planAnonymous)(place, id);
    await journal.sync();
    if (journal.settled().generation !== generation) continue;
    const names = kind === "user" ? { userId: id, anonymousIds: plan.owned } : { anonymousIds: [id] };
    return {
      ...sizeOfPlan(plan, kind),
      rejected: await countRejected(names),
      anonymousIds: kind === "user" ? [...plan.owned].sort() : [id],
      intervals: owned.sort((a, b) =>
        a.anonymousId < b.anonymousId ? -1 : Number(a.anonymousId > b.anonymousId)
      ),
    };
  }
  throw changedTooOften();
}
