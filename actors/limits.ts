/** The bounds of all rooms that a test or the simulation makes smaller, so that little data goes over each. */
import { AUDIENCE_LIMITS } from "./audiences/follow.ts";
import { ERASURE_LIMITS } from "./erasure/erasure_limits.ts";
import { COMMIT_LIMITS } from "./appending/commit_group.ts";
import { JOURNAL_LIMITS } from "./journal/journal_state.ts";
import { LANE_LIMITS } from "./lanes/membership.ts";
import { LIVE_LIMITS } from "./live/live_feed.ts";
import { SEARCH_LIMITS } from "./reading/find_event.ts";
import { PACE_LIMITS } from "./replay/paced_store.ts";
import { VERIFY_LIMITS } from "./replay/verify.ts";
import { BACKPRESSURE_LIMITS } from "./settling/backpressure.ts";
import { SETTLER_LIMITS } from "./settling/settler.ts";
import { STORE_LIMITS } from "./store/store.ts";

/** The bounds, as they are unless somebody says otherwise. Each room is handed its own. */
export const LIMITS = {
  ...STORE_LIMITS,
  ...LANE_LIMITS,
  ...COMMIT_LIMITS,
  ...JOURNAL_LIMITS,
  ...SETTLER_LIMITS,
  ...BACKPRESSURE_LIMITS,
  ...SEARCH_LIMITS,
  ...ERASURE_LIMITS,
  ...VERIFY_LIMITS,
  ...PACE_LIMITS,
  ...LIVE_LIMITS,
  ...AUDIENCE_LIMITS,
};
export type Limits = typeof LIMITS;
