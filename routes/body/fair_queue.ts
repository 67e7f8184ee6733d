/**
 * Turns on the one thread: which body is processed next. Work is shared by the time that it took (start-time fair
 * queueing): between the top groups, then between the members of a group, and so on. So a thousand senders of one group
 * get no more than one of another. The event loop has a turn between pieces of work, for I/O and for everything that
 * needs no turn here.
 */
import { setImmediate } from "node:timers";
import { createDeadlines, DeadlinePassed, type Deadlines } from "./deadlines.ts";
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
  /** Reports that the work is done, and its duration. The next may begin. */
  spent(ms: number): void;
  /** Changes the weight to what is known now. More than there is room for delays the next. */
  reweigh(weight: number): void;
  /** Gives back all that is left. */
  leave(): void;
}

/** A queue for turns. */
export interface FairQueue {
  /**
   * Requests a turn: at once if nobody waits and there is room, otherwise a promise of one, or of `undefined` if none
   * came in time. `path` names the top group, its member, and so on.
   */
  enter(path: readonly string[], weight: number): Turn | Promise<Turn | undefined>;
  /** How many wait. */
  waiting(): number;
}

export interface FairQueueOptions {
  /** Weights that may be in at once; one alone may weigh more. */
  room: number;
  /** Work after which the event loop gets a turn, in ms. */
  turnMs: number;
  /** The price of time for each top group; 1 by default. */
  prices?: Readonly<Record<string, number>>;
  now: () => number;
}

/** A group, a member, or a sender. */
interface Node {
  price: number;
  members: Map<string, Node>;
  /** The waiting bodies of a sender, in order of arrival. */
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

/** What the functions of a queue share. */
interface Queue extends Pick<FairQueueOptions, "room" | "turnMs" | "now"> {
  deadlines: Deadlines;
  root: Node;
  /** Weights that are in. */
  taken: number;
  isWorking: boolean;
  /** Work since the event loop had a turn. */
  usedMs: number;
  isTurnDue: boolean;
}

/** Creates a queue. Its timers end when nobody waits. */
export function createFairQueue({ room, turnMs, prices = {}, now }: FairQueueOptions): FairQueue {
  const deadlines = createDeadlines(now);
  const root = nodeOf(1);
  const queue: Queue = {
    usedMs: 0,
    isTurnDue: false,
    isWorking: false,
    turnMs,
    taken: 0,
    room,
    root,
    deadlines,
    now,
  };
  return {
    enter(path, weight) {
      const nodes = enterNodes(root, path, prices);
      if (root.waiting === 0 && mayBegin(queue, weight)) return grant(queue, nodes, weight);
      return root.waiting < MAX_WAITING ? wait(queue, nodes, weight) : Promise.resolve(undefined);
    },
    waiting: () => root.waiting,
  };
}

/** The event loop takes its turn before this is called. */
function endTurn(queue: Queue): void {
  if (queue.usedMs < LONG_MS) return begin(queue);
  const restMs = Math.min(MAX_REST_MS, queue.usedMs * REST);
  queue.usedMs = Infinity;
  setTimeout(() => begin(queue), restMs);
}

function begin(queue: Queue): void {
  queue.isTurnDue = false;
  queue.usedMs = 0;
  advance(queue);
}

function mayBegin(queue: Queue, weight: number): boolean {
  return !queue.isWorking && queue.usedMs < queue.turnMs &&
    (queue.taken === 0 || queue.taken + weight <= queue.room);
}

function advance(queue: Queue): void {
  while (queue.root.waiting > 0) {
    const next = first(queue.root);
    if (!mayBegin(queue, next.weight)) return;
    remove(queue, next);
    next.resolve(grant(queue, next.nodes, next.weight));
  }
}

function grant(queue: Queue, nodes: readonly Node[], weight: number): Turn {
  advanceClocks(queue.root, nodes);
  queue.taken += weight;
  queue.isWorking = true;
  let left = weight;
  let hasSpent = false;
  const spent = (ms: number) => {
    if (hasSpent) return;
    hasSpent = true;
    queue.isWorking = false;
    queue.usedMs += ms;
    if (!queue.isTurnDue) {
      queue.isTurnDue = true;
      setImmediate(() => endTurn(queue));
    }
    for (const node of nodes) node.at += Math.max(ms, weight * MS_PER_BYTE) * node.price;
    advance(queue);
  };
  const reweigh = (to: number) => {
    queue.taken += to - left;
    // The work that is still to come, as it is known now.
    if (to > left) { for (const node of nodes) node.at += (to - left) * MS_PER_BYTE * node.price; }
    const isLess = to < left;
    left = to;
    if (isLess) advance(queue);
  };
  return {
    spent,
    reweigh,
    leave() {
      spent(0);
      reweigh(0);
    },
  };
}

async function wait(queue: Queue, nodes: readonly Node[], weight: number): Promise<Turn | undefined> {
  const { promise, resolve } = Promise.withResolvers<Turn>();
  const waiting = { nodes, weight, resolve };
  nodes.at(-1)!.line.push(waiting);
  queue.root.waiting++;
  for (const node of nodes) node.waiting++;
  try {
    return await queue.deadlines.within(promise, queue.now() + WAIT_MS);
  } catch (error) {
    if (!(error instanceof DeadlinePassed)) throw error;
    remove(queue, waiting);
    advance(queue); // One that weighs less may have stood behind.
    return undefined;
  }
}

function remove(queue: Queue, waiting: Waiting): void {
  const { line } = waiting.nodes.at(-1)!;
  line.splice(line.indexOf(waiting), 1);
  queue.root.waiting--;
  for (const node of waiting.nodes) node.waiting--;
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

/** Sets the clock of each group on the path to the time of the served member. */
function advanceClocks(root: Node, nodes: readonly Node[]): void {
  let group = root;
  for (const node of nodes) {
    group.clock = Math.max(group.clock, node.at);
    group = node;
  }
}

/** The next body: in each group, of the member that has used least. */
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
