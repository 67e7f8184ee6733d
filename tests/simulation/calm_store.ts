/** A store in memory in which nothing goes wrong: many times faster than SQLite's. `database_test.ts` holds it against that. */
import { systemClock } from "../../actors/store/clock.ts";
import { type Store, STORE_LIMITS, storeOf } from "../../actors/store/store.ts";
import { createDatabase } from "./database.ts";
import { openHandle } from "./handle.ts";
import { createRandom } from "./random.ts";
import { drawWeather, noCounts } from "./weather.ts";
import { createWorld } from "./world.ts";

/** Makes an empty store. */
export function createCalmStore(): Store {
  const random = createRandom(1);
  const handle = openHandle({
    world: createWorld(random, { trace: false }),
    database: createDatabase(),
    weather: drawWeather(random, 1),
    counts: noCounts(),
    owner: { id: 0, alive: true, frozenUntilMs: 0 },
    die() {},
    isCalm: () => true,
  });
  return storeOf(handle, { clock: systemClock, limits: STORE_LIMITS });
}
