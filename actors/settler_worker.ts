/** The entry of the thread that settles: it has the machine's clock, and opens the storage of its process itself. */
import { settleIn, type ThreadSelf } from "./settler_host.ts";
import { systemClock } from "./store/clock.ts";
import { openStore } from "./store/store.ts";

settleIn(self as unknown as ThreadSelf, {
  clock: systemClock,
  newId: () => crypto.randomUUID(),
  openStore,
});
