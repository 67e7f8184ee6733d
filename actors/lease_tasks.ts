/** What is done under the settler's lease between two rounds, by each process that settles. */
import { erasedFromAudiences } from "./audiences/erase.ts";
import type { ErasureLimits } from "./erasure/erasure_limits.ts";
import { eraseTask } from "./erasure/execute.ts";
import { erasedDeliveries } from "./forwarding/erasing.ts";
import { erasedLookups } from "./lookup/erasing.ts";
import { rejectedEvents } from "./governance/quarantine_erasure.ts";
import { erasedReplays } from "./replay/erased_replays.ts";
import type { LeaseTask } from "./settling/settler.ts";

/** The tasks of all rooms, and who else holds data about people. */
export function leaseTasks(limits: ErasureLimits): LeaseTask[] {
  const participants = [rejectedEvents, erasedReplays, erasedDeliveries, erasedFromAudiences, erasedLookups];
  return [eraseTask({ participants, limits })];
}
