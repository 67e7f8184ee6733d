/** The entry of a thread of engines. It has no permissions. */
import { systemClock } from "../store/clock.ts";
import { type EngineSelf, serveEngines, useUtc } from "./engine_thread.ts";

useUtc();
const thread = Object.assign(self as unknown as Omit<EngineSelf, "fail">, { fail: reportError });
serveEngines(thread, { clock: systemClock });
