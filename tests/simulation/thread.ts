/**
 * A thread of a process, in a world: what the product has as a `Worker`. It has an owner and a handle of its own, so it
 * stands still and dies by itself, and its process goes on. What either tells the other arrives in order, but late.
 */
import type { Clock } from "../../actors/store/clock.ts";
import type { FromSettler, ToSettler } from "../../actors/settling/settler_thread.ts";
import type { Store } from "../../actors/store/store.ts";
import { beginLife, type Site } from "./machine.ts";
import type { Product } from "./product.ts";
import type { Owner } from "./world.ts";

/** The thread as its own code sees it: a worker's `self`, and what a thread makes for itself in the product. */
export interface ThreadSelf {
  onmessage: ((event: { data: ToSettler }) => Promise<void>) | null;
  postMessage(message: FromSettler): void;
  close(): void;
  openStore(): Promise<Store>;
  clock: Clock;
  newId(): string;
}

/** The thread as its process sees it. */
interface Outside {
  onmessage: ((event: { data: FromSettler }) => void) | null;
  onerror: ((event: Pick<ErrorEvent, "preventDefault" | "filename" | "lineno">) => void) | null;
  postMessage(message: ToSettler): void;
  terminate(): void;
}

/** Most of what is told arrives at once; some of it when its reader comes to it. */
const LATE_SHARE = 0.05;
const LATE_MS = 2_000;

/** Begins a thread of a process. */
export function beginThread(
  site: Site,
  product: Product,
  { process, frailty, now }: { process: ReturnType<typeof beginLife>; frailty: number; now(): number },
): Outside {
  const life = beginLife(site, product, { frailty, now });
  const toThread = channel(site, life.owner);
  const toProcess = channel(site, process.owner);
  const self: ThreadSelf = {
    onmessage: null,
    postMessage: (data) => toProcess(() => outside.onmessage?.({ data })),
    close: end,
    openStore: () => Promise.resolve(life.store),
    clock: life.clock,
    newId: life.newId,
  };
  const outside: Outside = {
    onmessage: null,
    onerror: null,
    // What fails in a thread and is met by nobody ends it.
    postMessage: (data) => toThread(() => void self.onmessage?.({ data }).catch(life.die)),
    terminate: end,
  };
  let isOver = false;
  life.onDeath(() => {
    if (isOver || !process.owner.alive) return;
    site.counts["thread died"]++;
    toProcess(() => outside.onerror?.({ preventDefault() {}, filename: "thread", lineno: 0 }));
  });
  process.onDeath(end);
  toThread(() => product.settleIn(self));
  return outside;

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
