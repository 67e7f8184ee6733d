/**
 * A thread of a process, in a world: what the product has as a `Worker`. It has an owner and a handle of its own, so it
 * stands still and dies by itself, and its process goes on. What either tells the other arrives in order, but late.
 */
import type { ThreadSelf, ThreadSettings, ToThread } from "../../actors/settler_host.ts";
import type { SettlerThread } from "../../actors/settling/settler_thread.ts";
import { beginLife, type Site } from "./machine.ts";
import type { Product } from "./product.ts";
import { createRandom } from "./random.ts";
import type { Owner } from "./world.ts";

/** Most of what is told arrives at once; some of it when its reader comes to it. */
const LATE_SHARE = 0.05;
const LATE_MS = 2_000;

/** So many threads end by a fault of their own, within so long. */
const DIES_SHARE = 0.3;
const DIES_MS = [50, 1_000, 10_000];

/** Begins a thread of a process. */
export function beginThread(
  site: Site,
  product: Product,
  { settings, process, frailty, now }: {
    settings: ThreadSettings;
    process: ReturnType<typeof beginLife>;
    frailty: number;
    now(): number;
  },
): SettlerThread {
  const life = beginLife(site, product, { frailty, now });
  const toThread = channel(site, life.owner);
  const toProcess = channel(site, process.owner);
  const self: ThreadSelf = {
    onmessage: null,
    postMessage: (data) => toProcess(() => outside.onmessage?.({ data })),
    close: end,
  };
  const outside: SettlerThread = {
    onmessage: null,
    onerror: null,
    postMessage: tell,
    terminate: end,
  };
  // Drawn from what has happened so far, so that all else that is drawn stays as it is.
  const fate = createRandom(parseInt(site.world.digest(), 16));
  if (fate.chance(DIES_SHARE)) {
    site.world.at(fate.between(0, fate.pick(DIES_MS)), life.owner, () => {
      if (!site.isCalm()) life.die();
    });
  }
  let isOver = false;
  life.onDeath(() => {
    if (isOver || !process.owner.alive) return;
    site.counts["thread died"]++;
    toProcess(() => outside.onerror?.({ preventDefault() {}, filename: "thread", lineno: 0 }));
  });
  process.onDeath(end);
  const { clock, newId, store } = life;
  toThread(() => product.settleIn(self, { clock, newId, openStore: () => Promise.resolve(store) }));
  tell({ type: "open", settings });
  return outside;

  function tell(data: ToThread): void {
    // What fails in a thread and is met by nobody ends it.
    toThread(() => void self.onmessage?.({ data }).catch(life.die));
  }

  function end(): void {
    isOver = true;
    life.end();
  }
}

/** What is told one way: it happens to whom it is told, one after the other. */
function channel({ world, isCalm }: Site, to: Owner): (act: () => void) => void {
  const { random } = world;
  const under: (() => void)[] = [];
  let lastMs = 0;
  return (act) => {
    const delayMs = isCalm() ? 0 : random.next() * (random.chance(LATE_SHARE) ? LATE_MS : 1);
    lastMs = Math.max(lastMs, world.nowMs() + delayMs);
    under.push(act);
    world.at(lastMs - world.nowMs(), to, () => under.shift()!());
  };
}
