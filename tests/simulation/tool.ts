/** The tasks that run beside the servers: replay of everything or of one actor, verify, export. */
import type { Tools } from "../../actors/maintenance.ts";
import { createDatabase } from "./database.ts";
import { openHandle } from "./handle.ts";
import { beginLife, type Outcome, type Site } from "./machine.ts";
import type { Product } from "./product.ts";
import type { Random } from "./random.ts";
import { ANONYMOUS, GROUPS, USERS } from "./traffic.ts";
import type { Watch } from "./watch.ts";
import type { Theme } from "./weather.ts";
import { Violation } from "./world.ts";

/** What a tool needs of a history. */
export interface ToolScene {
  random: Random;
  site: Site;
  products: Product[];
  watch: Watch;
}

/** Tools do in seconds what servers do in days: what befalls a process must befall them too. */
const FRAILTY = 15;

/** Somebody who is told that another replay is under way tries again so often. */
const TRIES = 4;

/** Exports where one id is committed by several processes. */
const EXPORTS = 8;

/** Which tools run in a history: now and then two replays, which get in each other's way. */
export function drawTools(random: Random, theme: Theme): Tool[] {
  if (theme === "replays") return ["replay all", "replay all"];
  if (theme === "copies") return Array.from({ length: EXPORTS }, () => "export");
  const some = random.pick([0, 0, 0, 1, 1, 2]);
  return Array.from(
    { length: some },
    () => random.pick(["replay all", "replay all", "replay one", "verify", "export"]),
  );
}

type Tool = "replay all" | "replay one" | "verify" | "export";

/** Runs a tool after some time, in a process of its own. Whether it comes to an end is its own affair. */
export async function runTool(scene: ToolScene, tool: Tool, afterMs: number): Promise<void> {
  const { random, site } = scene;
  await site.world.pause(afterMs);
  for (let tries = 0; tries < TRIES; tries++) {
    const outcome = await runOnce(scene, tool);
    if (!("error" in outcome) || (outcome.error as Error).name !== "ReplayRefused") return;
    await site.world.pause(random.between(100, 3_000));
  }
}

async function runOnce(scene: ToolScene, tool: Tool): Promise<Outcome<void>> {
  const { random, site } = scene;
  const product = random.pick(scene.products);
  const life = beginLife(site, product, { frailty: FRAILTY });
  site.world.note(8, () => `p${life.owner.id} is a tool: ${tool}`);
  const outcome = await life.ask(async () => {
    const tools = await product.openTools({
      storage: life.store,
      clock: life.clock,
      limits: product.limits,
      foldVersion: product.foldVersion,
      newId: life.newId,
      onFault: () => {},
    });
    if (tool === "replay all") await tools.replayAll(() => {});
    else if (tool === "replay one") await replayOne(tools, scene);
    else if (tool === "verify") await verify(tools, scene, product);
    else await exportAll(tools, scene, product);
    tools.close();
  });
  life.end();
  return outcome;
}

async function replayOne(tools: Tools, { random, products }: ToolScene): Promise<void> {
  const kind = random.pick(["user", "anonymous", "group"] as const);
  const id = random.pick(kind === "user" ? USERS : kind === "group" ? GROUPS : ANONYMOUS);
  const { differences } = await tools.replayOne({ kind, id, verify: random.chance(0.3) });
  // To a newer version the states of an older one are others, even if they are equal.
  if (differences.length > 0 && products.length === 1) {
    throw new Violation(`invariant 3: replay found other states: ${differences}`);
  }
}

/** Verifies into a store of its own, in which nothing goes wrong. */
async function verify(tools: Tools, { site }: ToolScene, product: Product): Promise<void> {
  const { differences } = await tools.verifyAll(scratchStore(site, product), () => {});
  if (differences.length > 0) {
    throw new Violation(`invariant 3: verify found differences: ${differences.join(" ")}`);
  }
}

/** An empty store of its own, in which nothing goes wrong. */
export function scratchStore(site: Site, product: Product) {
  const database = createDatabase();
  const owner = { id: 0, alive: true, frozenUntilMs: 0 };
  return product.storeOf(openHandle({ ...site, database, owner, die() {}, isCalm: () => true }), {
    clock: site.world.clockOf(owner, site.wallMs),
    limits: product.limits,
  });
}

async function exportAll(tools: Tools, { watch }: ToolScene, product: Product): Promise<void> {
  const from = watch.head().events;
  const before = watch.erasures();
  const lines: string[] = [];
  for await (const some of product.exportEvents(tools.store, { limits: product.limits })) {
    lines.push(...some.lines);
  }
  // While somebody is erased it may be of before or of after.
  if (before.isUnderWay || before.moves !== watch.erasures().moves) return;
  // Of some nobody knows yet whether they count.
  if (watch.isUndecided(watch.heads.length - 1)) return;
  const ids = lines.map((line) => JSON.parse(line).messageId as string);
  const idsOf = (journal: typeof watch.journal) =>
    journal.filter(({ erased, copy }) => !erased && !copy).map(({ event }) => event.messageId);
  if (
    ids.length < idsOf(watch.journal.slice(0, from)).length ||
    ids.join() !== idsOf(watch.journal).slice(0, ids.length).join()
  ) {
    throw new Violation("invariant 2: an export is not the journal");
  }
}
