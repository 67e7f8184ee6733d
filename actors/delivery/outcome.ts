/** What becomes of events that are not sent. */
import type { FilteredBy } from "../../domain/forwarding/filter.ts";
import type { Verdict } from "../../domain/forwarding/verdict.ts";
import type { VersionName } from "../transformation/chain.ts";

/** What became of one event. */
export interface EventOutcome {
  verdict: Verdict | "filtered" | "dropped" | "erased";
  filteredBy?: FilteredBy;
  reason?: string;
  /** Of a transformation that failed. */
  message?: string;
  /** The transformations that decided. */
  by?: readonly VersionName[];
}
