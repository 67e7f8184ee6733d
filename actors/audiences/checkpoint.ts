/** The checkpoint of audiences: how far they follow the journal, which world is live, and which one is being built. */
import type { Position } from "../../domain/event/position.ts";
import type { AudienceSet } from "../../domain/audience/evidence.ts";
import { readWhere } from "../../domain/audience/definition.ts";
import { createAudienceSet } from "../../domain/audience/evidence.ts";
import { evaluatePerson } from "../../domain/audience/evaluate.ts";
import type { JsonObject } from "../../domain/event/json.ts";
import { type Checkpoint, NO_CHECKPOINT } from "../journal/subscription.ts";

/** A stored format. The position is the live world's; a world that is built has its own. */
export interface Followed extends Checkpoint {
  /** The live world; 0 while there is none. */
  world: number;
  /** Members of the live world's audiences, by their number. */
  counts: number[];
  /** The earliest next moment of a person in the live world (ms); `null` if there is none. */
  dueAt: number | null;
  /** Transitions that were written to the outbox, and of these how many are in the journal. */
  announced: number;
  appended: number;
  /** While transitions are being appended: the end of the journal before. They are looked for behind it. */
  appendFrom: Position | null;
  /** The world that is being built. */
  build: Build | null;
  /** The generation of actors that the newest world was built under: a replay makes another. */
  generation: number;
  /** The mark of the definitions that the newest world, built or live, was made of. */
  mark: string;
  /** Changes with each erasure: what was read of the journal before is out of date. */
  erasures: number;
  /** The newest world that was ever begun. */
  newest: number;
  /** A world that is deleted in slices, the oldest first. */
  unused: number[];
}

/** How far a build is. */
export interface Build {
  world: number;
  /** Everything up to here is evidence of the new world. */
  position: Position;
  events: number;
  /** The user after whom people are evaluated next; `null` while evidence is gathered. */
  after: string | null;
  /** Whether nothing of the world was written yet. */
  isFresh: boolean;
  /** Whether all people are evaluated, so that only what came since is missing. */
  isEvaluated: boolean;
  counts: number[];
  dueAt: number | null;
  /** When it began (ms). */
  since: number;
}

/** Before the first stretch. */
export const NOTHING_FOLLOWED: Followed = {
  ...NO_CHECKPOINT,
  world: 0,
  counts: [],
  dueAt: null,
  announced: 0,
  appended: 0,
  appendFrom: null,
  build: null,
  generation: 1,
  mark: "",
  erasures: 0,
  newest: 0,
  unused: [],
};

/** An audience of a world: its definition with the version that the registry gave it. */
export interface WorldAudience {
  name: string;
  version: number;
  where: JsonObject;
  emit: boolean;
}

/** The definitions of a world, as they are stored. */
export interface StoredWorld {
  audiences: WorldAudience[];
  /** When it went live (ms); `null` before. */
  builtAt: number | null;
}

/** A world that is ready to evaluate people. */
export interface World extends StoredWorld {
  no: number;
  set: AudienceSet;
  /** The audiences that hold for a person with no evidence: they concern everybody who has any event. */
  vacuous: readonly number[];
  /** The mark of the definitions under which a reader opened it. */
  mark?: string;
}

/** Compiles a stored world. Throws where a definition is invalid: it was checked when it was saved. */
export function openWorld(no: number, stored: StoredWorld): World {
  const nodes = stored.audiences.map(({ name, where }) => {
    const read = readWhere(where);
    if ("problems" in read) throw new Error(`audience ${name}: ${JSON.stringify(read.problems)}`);
    return { name, where: read.where };
  });
  const set = createAudienceSet(nodes);
  const nobody = evaluatePerson(set, { first: 0, known: [], groups: new Map() });
  const vacuous = nodes.flatMap((_, index) => nobody.audience(index).length > 0 ? [index] : []);
  return { ...stored, no, set, vacuous };
}
