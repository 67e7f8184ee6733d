/** The bounds of an erasure, and the place that it works on. */
import { GENERATION_LIMITS } from "../settling/generation.ts";
import { type Place, ROUND_LIMITS } from "../settling/fold_round.ts";
import { LANE_LIMITS } from "../lanes/membership.ts";
import { SUPPRESSION_LIMITS } from "./suppressed_records.ts";

/** Bounds of an erasure, in addition to those of a round. */
export const ERASURE_LIMITS = {
  ...ROUND_LIMITS,
  ...GENERATION_LIMITS,
  ...SUPPRESSION_LIMITS,
  ...LANE_LIMITS,
  /** Positions in one value of a plan, and names: a name may have 1.5 KB. */
  planPlaces: 5_000,
  planNames: 30,
  /** Entries of the journal that are read at once, and bytes of them in one operation. */
  erasedEntries: 10,
  erasedBytes: 400_000,
  /** Facts that are read at once. */
  erasedFacts: 100,
};
export type ErasureLimits = typeof ERASURE_LIMITS;

/** What an erasure works on. */
export interface ErasurePlace extends Place {
  limits: ErasureLimits;
}
