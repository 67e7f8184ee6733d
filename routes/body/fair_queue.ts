/**
 * Turns at the one thread: who may work on a body next. Work is shared out by the time that it took (start-time fair
 * queueing): between the groups at the top, then between the members of a group, and so on, so that a thousand senders
 * of one group get no more than one of another. Between pieces of work the event loop gets its turn, so that I/O, and
 * whatever needs no turn here, comes between.
 */
import { setImmediate } from "node:timers";
import { createDeadlines, DeadlinePassed } from "./deadlines.ts";
import { MAX_WAITING, WAIT_MS } from "./semaphore.ts";

/** Members of a group that are remembered while they have nothing to do; so that coming and going is no way to the front. */
const MAX_IDLE = 1_000;

/** Work from which on the next waits for a time and not just for a turn: requests that wait need several turns each. */
const LONG_MS = 10;

/** The part of long work that the next waits for, and the longest that it waits. */
const REST = 0.5;
const MAX_REST_MS = 50;

/** Least time that a byte counts for, in ms: work that is too quick to be measured is shared out by size. */
const MS_PER_BYTE = 1e-5;

/** A turn, and room for a weight. Work begins at once and is synchronous up to {@link Turn.spent}. */
export interface Turn {
  /** Says that the work is done, and how many ms it took. The next may begin. */
  spent(ms: number): void;
  /** Gives room back, all but so much. */
  shrink(weight: number): void;
  /** Gives back all that is left. */
  leave(): void;
}

/** A queue for turns. */
export interface FairQueue {
  /**
   * Asks for a turn: one at once where nobody waits and there is room, otherwise a promise of one, or of `undefined` if
   * none came in time. `path` names the group at the top, its member, and so on.
   */
  enter(path: readonly string[], weight: number): Turn | Promise<Turn | undefined>;
  /** How many wait. */
  waiting(): number;
}

/** What {@link createFairQueue} needs. */
export interface FairQueueOptions {
  /** Weights that may be in at once; one alone may weigh more. */
  room: number;
  /** Work after which the event loop gets a turn, in ms. */
  turnMs: number;
  /** How much the time of a group at the top counts; 1 where nothing is said. */
  prices?: Readonly<Record<string, number>>;
  now: () => number;
}

/** A group, a member, or a sender. */
interface Node {
  price: number;
  members: Map<string, Node>;
  /** Of a sender: who waits, in the order in which they came. */
  line: Waiting[];
  waiting: number;
  /** Time that was used, by the clock of the group that it is in. */
  at: number;
  /** The clock of this group: that of the member who was served last. */
  clock: number;
}

interface Waiting {
  nodes: readonly Node[];
  weight: number;
  resolve(turn: Turn): void;
}

/** Makes a queue. Its timers end by themselves when nobody waits. */
export function createFairQueue({ room, turnMs, prices = {}, now }: FairQueueOptions): FairQueue {
  const deadlines = createDeadlines(now);
  const root = nodeOf(1);
  let taken = 0;
  let isWorking = false;
  let usedMs = 0;
  let isTurnDue = false;

  /** The event loop takes its turn before this is called. */
  function endTurn(): void {
    if (usedMs < LONG_MS) return begin();
    const restMs = Math.min(MAX_REST_MS, usedMs * REST);
    usedMs = Infinity;
    setTimeout(begin, restMs);
  }

  function begin(): void {
    isTurnDue = false;
    usedMs = 0;
    advance();
  }

  const mayBegin = (weight: number) =>
    !isWorking && usedMs < turnMs && (taken === 0 || taken + weight <= room);

  function advance(): void {
    while (root.waiting > 0) {
      const next = first(root);
      if (!mayBegin(next.weight)) return;
      remove(next);
      next.resolve(grant(next.nodes, next.weight));
    }
  }

  function grant(nodes: readonly Node[], weight: number): Turn {
    advanceClocks(root, nodes);
    taken += weight;
    isWorking = true;
    let left = weight;
    let hasSpent = false;
    const spent = (ms: number) => {
      if (hasSpent) return;
      hasSpent = true;
      isWorking = false;
      usedMs += ms;
      if (!isTurnDue) {
        isTurnDue = true;
        setImmediate(endTurn);
      }
      for (const node of nodes) node.at += Math.max(ms, weight * MS_PER_BYTE) * node.price;
      advance();
    };
    const shrink = (to: number) => {
      if (to >= left) return;
      taken -= left - to;
      left = to;
      advance();
    };
    return {
      spent,
      shrink,
      leave() {
        spent(0);
        shrink(0);
      },
    };
  }

  async function wait(nodes: readonly Node[], weight: number): Promise<Turn | undefined> {
    const { promise, resolve } = Promise.withResolvers<Turn>();
    const waiting = { nodes, weight, resolve };
    nodes.at(-1)!.line.push(waiting);
    root.waiting++;
    for (const node of nodes) node.waiting++;
    try {
      return await deadlines.within(promise, now() + WAIT_MS);
    } catch (error) {
      if (!(error instanceof DeadlinePassed)) throw error;
      remove(waiting);
      advance(); // One that weighs less may have stood behind.
      return undefined;
    }
  }

  function remove(waiting: Waiting): void {
    const { line } = waiting.nodes.at(-1)!;
    line.splice(line.indexOf(waiting), 1);
    root.waiting--;
    for (const node of waiting.nodes) node.waiting--;
  }

  return {
    enter(path, weight) {
      const nodes = enterNodes(root, path, prices);
      if (root.waiting === 0 && mayBegin(weight)) return grant(nodes, weight);
      return root.waiting < MAX_WAITING ? wait(nodes, weight) : Promise.resolve(undefined);
    },
    waiting: () => root.waiting,
  };
}

function nodeOf(price: number): Node {
  return { price, members: new Map(), line: [], waiting: 0, at: 0, clock: 0 };
}

/** The nodes of a path below the root. A node that had nothing to do has no claim on the time in which others worked. */
function enterNodes(
  root: Node,
  path: readonly string[],
  prices: Readonly<Record<string, number>>,
): readonly Node[] {
  const nodes: Node[] = [];
  let group = root;
  for (const name of path) {
    let node = group.members.get(name);
    if (node === undefined) {
      if (group.members.size >= MAX_IDLE) forgetIdle(group);
      node = nodeOf(group === root ? prices[name] ?? 1 : 1);
      group.members.set(name, node);
    }
    if (node.waiting === 0) node.at = Math.max(node.at, group.clock);
    nodes.push(node);
    group = node;
  }
  return nodes;
}

function forgetIdle({ members }: Node): void {
  for (const [name, node] of members) if (node.waiting === 0) members.delete(name);
}

/** The clock of each group on the way to who is served shows that member's time. */
function advanceClocks(root: Node, nodes: readonly Node[]): void {
  let group = root;
  for (const node of nodes) {
    group.clock = Math.max(group.clock, node.at);
    group = node;
  }
}

/** Who goes next: in each group the member that has used least. */
function first(root: Node): Waiting {
  let node = root;
  while (node.line.length === 0) {
    let next: Node | undefined;
    for (const member of node.members.values()) {
      if (member.waiting > 0 && (next === undefined || member.at < next.at)) next = member;
    }
    if (next === undefined) throw new Error("somebody waits, and nobody is in line");
    node = next;
  }
  return node.line[0]!;
}
