/**
 * The keys of the store that several rooms use, and how keys are made. A room whose keys nobody else uses has a `keys.ts` of
 * its own; no other file spells a key. `docs/architecture.md` lists their values.
 */
import { Buffer } from "node:buffer";
import { hash } from "node:crypto";
import type { ActorKind, Mark } from "../../domain/profile/fact.ts";
import type { Period } from "../../domain/stats/counts.ts";

/** A key of the store. */
export type Key = readonly (string | number)[];

/**
 * Ids longer than this are digests in keys: a key has at most 2 KiB and may have three ids, of up to three bytes per
 * UTF-16 unit. Ids are read from a key's value, never from the key, so a digest loses nothing.
 */
const PLAIN_ID_UNITS = 128;

/**
 * An id in a key. `#` marks a digest, so an id that begins with it is digested too; and so is one with NUL, which a key
 * writes as two bytes.
 */
export function keyId(id: string): string {
  const isPlain = id.length <= PLAIN_ID_UNITS && !id.startsWith("#") && !id.includes("\0");
  return isPlain ? id : `#${hash("sha256", id, "hex")}`;
}

/** Bytes that a key takes as the store encodes it. */
export function keyBytes(key: Key): number {
  let bytes = 0;
  for (const part of key) bytes += typeof part === "string" ? Buffer.byteLength(part) + 2 : 9;
  return bytes;
}

/** The end of the journal of versions up to 0.3, which this one does not read. */
export const OLD_HEAD: Key = ["head"];

/** The secret that digests of message ids are made with. */
export const SECRET: Key = ["secret"];

/** The import of a whole database into this one: of which, and how far it is. */
export const IMPORTED: Key = ["imported"];

/** The settled position, the settler's lease, and the runs of the dedup index. Every write of a settler changes it. */
export const SETTLED: Key = ["settled"];

/** The key that tests whether storage accepts writes. */
export const PROBE: Key = ["probe"];

/** How far a rebuild of all actors is. */
export const REBUILD: Key = ["rebuild"];

/** A replay that an administrator requested, by its id. */
export const replayKey = (id: string): Key => ["replay", id];
export const REPLAYS: Key = ["replay"];

/** All headers of the journal; the header of a commit, by its stamp; a further part of it; and a part of its events. */
export const JOURNAL: Key = ["journal"];
export const journalKey = (stamp: string): Key => ["journal", stamp];
export const headerPrefix = (part: number): Key => ["header", part];
export const headerKey = (part: number, stamp: string): Key => ["header", part, stamp];
export const bodyPrefix = (n: number): Key => ["body", n];
export const bodyKey = (n: number, stamp: string): Key => ["body", n, stamp];

/** The journal's keys behind one stamp (or from it on) and up to another. */
export const journalRange = (
  { from, behind, upTo }: { from: string; behind: boolean; upTo: string },
): { start: Key; end: Key } => ({
  start: ["journal", behind ? `${from}0` : from],
  end: ["journal", `${upTo}0`],
});

/** A position behind all commits up to a time (ms). */
export const timeKey = (ms: number): Key => ["time", ms];
export const timesBefore = (ms: number): { start: Key; end: Key } => ({ start: ["time"], end: ["time", ms] });

/** All lanes; a lane of a process: the last attempt at a commit in one of its slots. */
export const LANES: Key = ["lane"];
export const laneKey = (process: string, slot: number): Key => ["lane", process, slot];

/** What a process moves while it serves. */
export const heartbeatKey = (process: string): Key => ["heartbeat", process];

/** Changes whenever a process joins or is evicted. */
export const ROSTER: Key = ["roster"];

/** The value of an actor. */
export const actorKey = (generation: number, kind: ActorKind, id: string): Key => [
  "actor",
  generation,
  kind,
  keyId(id),
];

/** All actors of one kind. */
export const actorPrefix = (generation: number, kind: ActorKind): Key => ["actor", generation, kind];

/** The actor keys from one to another, both within; both are of one kind. */
export const actorRange = (from: Key, to: Key): { start: Key; end: Key } => ({
  start: from,
  end: [...to.slice(0, -1), `${to[to.length - 1]}\0`],
});

/**
 * The actor keys of one kind whose ids can begin with a prefix, after a part of a key: first those of ids that stand in
 * keys as digests, since nobody can tell from the key, then those of plain ids.
 */
export function actorIdRange(
  generation: number,
  kind: ActorKind,
  { prefix, after = "" }: { prefix: string; after?: string | undefined },
): { start: Key; end: Key }[] {
  const key = (part: string): Key => ["actor", generation, kind, part];
  const digests: [string, string] = ["#", "$"];
  const plain: [string, string] = [prefix, `${prefix}\u{10ffff}`];
  const parts = prefix === "" ? [plain] : [digests, plain];
  return parts.filter(([, end]) => after < end).map(([start, end]) => ({
    start: key(after >= start ? `${after}\0` : start),
    end: key(end),
  }));
}

/** An actor's id and its key. */
export interface NamedKey {
  id: string;
  key: Key;
}

/** The keys of actors of one kind, in the order of the store: by the bytes of their ids in UTF-8. */
export function actorKeysInOrder(generation: number, kind: ActorKind, ids: readonly string[]): NamedKey[] {
  const idOf = new Map<string, string>();
  const inKeys = ids.map((id) => {
    const inKey = keyId(id);
    if (inKey !== id) idOf.set(inKey, id);
    return inKey;
  }).sort();
  // In UTF-16, which `sort` uses, surrogates come before characters that UTF-8 sorts before them.
  if (inKeys.some((inKey) => /[\ud800-\udfff]/.test(inKey))) inKeys.sort(compareInUtf8);
  return inKeys.map((inKey) => ({ id: idOf.get(inKey) ?? inKey, key: ["actor", generation, kind, inKey] }));
}

function compareInUtf8(a: string, b: string): number {
  const isSurrogate = (unit: number) => unit >= 0xd800 && unit <= 0xdfff;
  for (let i = 0; i < a.length && i < b.length; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (x !== y) return isSurrogate(x) === isSurrogate(y) ? x - y : isSurrogate(x) ? 1 : -1;
  }
  return a.length - b.length;
}

/** A piece of a state too large for one value; `stamp` tells the writes of one key apart. */
export const pieceKey = (of: Key, stamp: string, n: number): Key => ["piece", ...of, stamp, n];

/** A sealed page of a log: its events from the time `from` to the next page. */
export const pageKey = (generation: number, kind: ActorKind, id: string, from: Mark): Key => [
  ...logPrefix(generation, kind, id),
  from[0],
  from[1],
];

/** All sealed pages of a log. */
export const logPrefix = (generation: number, kind: ActorKind, id: string): Key => [
  "log",
  generation,
  kind,
  keyId(id),
];

/** A user's share of an anonymous id. */
export const partKey = (generation: number, userId: string, anonymousId: string): Key => [
  "part",
  generation,
  keyId(userId),
  keyId(anonymousId),
];

/** All parts of a user. */
export const partPrefix = (generation: number, userId: string): Key => ["part", generation, keyId(userId)];

/** The members of a group: a user or an anonymous id, by each source (own log, or an anonymous id of theirs). */
export const memberKey = (generation: number, groupId: string, who: Member, source: string): Key => [
  ...memberPrefix(generation, groupId),
  who[0],
  keyId(who[1]),
  source === "" ? "" : keyId(source),
];

/** A member of a group: its kind and id. */
export type Member = ["user" | "anonymous", string];

/** All rows of one member. */
export const memberSources = (generation: number, groupId: string, who: Member): Key => [
  ...memberPrefix(generation, groupId),
  who[0],
  keyId(who[1]),
];

/** All rows of a group's members. */
export const memberPrefix = (
  generation: number,
  groupId: string,
): Key => ["member", generation, keyId(groupId)];

/** The number of a group's members. */
export const memberCountKey = (
  generation: number,
  groupId: string,
): Key => ["members", generation, keyId(groupId)];

/** The prefixes of all keys of one generation of actors. */
export const generationPrefixes = (generation: number): Key[] =>
  ["actor", "log", "part", "member", "members"].map((name) => [name, generation]);

/** Pieces of one generation, by the key that they belong to. */
export const piecePrefixes = (generation: number): Key[] =>
  ["actor", "part"].map((name) => ["piece", name, generation]);

/** All runs of the dedup index; a part of one, and a part of its filter. */
export const SEEN: Key = ["seen"];
export const seenKey = (run: number, part: number): Key => ["seen", run, "ids", part];
export const seenFilterKey = (run: number, part: number): Key => ["seen", run, "filter", part];

/** The number of requests for erasure; a request by its number; a part of a list of its plan. */
export const ERASING: Key = ["erasing"];
export const erasureRequestKey = (no: number): Key => ["erasing", no];
export const planKey = (no: number, list: string, n: number): Key => ["erasing", no, list, n];
export const planPrefix = (no: number): Key => ["erasing", no];

/** The receipt of an erasure, by the digest of the person. */
export const erasedKey = (digest: string): Key => ["erased", digest];

/** How many digests are suppressed, a page of them, and when some of them hold. */
export const SUPPRESSED: Key = ["suppressed"];
export const suppressedKey = (page: number): Key => ["suppressed", page];
export const suppressedSpansPrefix: Key = ["suppressed", "spans"];
export const suppressedSpansKey = (value: number): Key => [...suppressedSpansPrefix, value];

/** An entry of the audit log, by its id, a ULID. */
export const auditKey = (id: string): Key => ["audit", id];
export const AUDIT: Key = ["audit"];

/** A write key, and the value that changes with each change of any of them. */
export const writeKeyKey = (id: string): Key => ["writeKey", id];
export const WRITE_KEYS: Key = ["writeKey"];
export const WRITE_KEYS_CHANGED: Key = ["writeKeysChanged"];

/** Counts of a minute, an hour or a day, by its number since 1970; of a minute each process has its own at first. */
export const countsKey = (period: Period, n: number, process = ""): Key => ["counts", period, n, process];

/** All counts of one kind of period from one to another, without the latter. */
export const countsRange = (period: Period, from: number, to: number): { start: Key; end: Key } => ({
  start: ["counts", period, from],
  end: ["counts", period, to],
});

/** The hour up to which counts are summed up, and the lease for it. */
export const COUNTS_SUMMED: Key = ["countsSummed"];

/** The process with listeners that wrote last; and the last notes of each process. */
export const LISTENING: Key = ["listening"];
export const notesKey = (processId: string): Key => ["notes", processId];
export const NOTES: Key = ["notes"];

/** A contract, its versions, and the mark that changes with every change. */
export const contractKey = (name: string): Key => ["contract", name];
export const CONTRACTS: Key = ["contract"];
export const contractVersionKey = (name: string, version: number): Key => ["contractVersion", name, version];
export const contractVersions = (name: string): Key => ["contractVersion", name];
export const CONTRACTS_CHANGED: Key = ["contractsChanged"];

/** A transformation, its versions, and the mark that changes with every change. */
export const transformationKey = (name: string): Key => ["transformation", name];
export const TRANSFORMATIONS: Key = ["transformation"];
export const transformationVersionKey = (name: string, version: number): Key => [
  "transformationVersion",
  name,
  version,
];
export const transformationVersions = (name: string): Key => ["transformationVersion", name];
export const TRANSFORMATIONS_CHANGED: Key = ["transformationsChanged"];

/** A rejected event, by the time of its receipt; and their number. */
export const rejectedKey = (id: string): Key => ["rejected", id];
export const REJECTED: Key = ["rejected"];
export const REJECTED_COUNT: Key = ["rejectedCount"];
export const rejectedCountKey = (writeKeyId: string): Key => ["rejectedCount", writeKeyId];
/** The remaining budget of a limited write key; when a write key was last used. */
export const rateLimitKey = (id: string): Key => ["rateLimit", id];
export const writeKeyUsedKey = (id: string): Key => ["writeKeyUsed", id];

/** An audience, its versions, and the mark that changes with every change. */
export const audienceKey = (name: string): Key => ["audienceDefinition", keyId(name)];
export const AUDIENCES: Key = ["audienceDefinition"];
export const audienceVersionKey = (
  name: string,
  version: number,
): Key => [...audienceVersions(name), version];
export const audienceVersions = (name: string): Key => ["audienceVersion", keyId(name)];
export const AUDIENCES_CHANGED: Key = ["audiencesChanged"];

/** How far audiences follow the journal, and the lease for it; the definitions of a world. */
export const AUDIENCES_FOLLOWED: Key = ["audiencesFollowed"];
export const audienceWorldKey = (world: number): Key => ["audienceWorld", world];

/** The evidence of an actor in a world; a user's memberships stand there too. */
export const evidenceKey = (world: number, kind: ActorKind, id: string): Key => [
  ...evidencePrefix(world, kind),
  keyId(id),
];
export const evidencePrefix = (world: number, kind: ActorKind): Key => ["audienceEvidence", world, kind];

/** A member of the audience with a number; all members of it. */
export const audienceMemberKey = (world: number, audience: number, userId: string): Key => [
  ...audienceMembersPrefix(world, audience),
  keyId(userId),
];
export const audienceMembersPrefix = (world: number, audience: number): Key => [
  "audienceMember",
  world,
  audience,
];

/** The next moment (ms) of a person, at which a membership begins or ends; all of a world, in order of time. */
export const audienceDueKey = (world: number, at: number, userId: string): Key => [
  ...audienceDuePrefix(world),
  at,
  keyId(userId),
];
export const audienceDuePrefix = (world: number): Key => ["audienceDue", world];

/** A transition that is not in the journal yet. */
export const audienceOutboxKey = (world: number, n: number): Key => [...audienceOutboxPrefix(world), n];
export const audienceOutboxPrefix = (world: number): Key => ["audienceOutbox", world];

/** The prefixes of all keys of one world. */
export const audienceWorldPrefixes = (world: number): Key[] =>
  ["audienceEvidence", "audienceMember", "audienceDue", "audienceOutbox", "piece"].map((name) =>
    name === "piece" ? ["piece", "audienceEvidence", world] : [name, world]
  );
/** A destination by its name in lower case, and the mark that changes with every destination. */
export const destinationKey = (lowerName: string): Key => ["destination", lowerName];
export const DESTINATIONS: Key = ["destination"];
export const DESTINATIONS_CHANGED: Key = ["destinationsChanged"];

/** How far a destination is: its checkpoint and lease. All other keys of its deliveries are by its id, too. */
export const forwardKey = (id: string): Key => ["forward", id];

/** What waits at a destination, by the stream (live events or a replay) and its position. */
export const forwardHeldKey = (id: string, stream: string, position: string): Key => [
  ...forwardHeldPrefix(id, stream),
  position,
];
export const forwardHeldPrefix = (id: string, stream: string): Key => [...forwardHeldOf(id), stream];
export const forwardHeldOf = (id: string): Key => ["forwardHeld", id];

/** What a destination will not be sent again by itself; what it was sent last; its replays; its orders. */
export const forwardDeadKey = (id: string, position: string): Key => ["forwardDead", id, position];
export const forwardDeadPrefix = (id: string): Key => ["forwardDead", id];
export const forwardSentKey = (id: string, page: number): Key => ["forwardSent", id, page];
export const forwardSentPrefix = (id: string): Key => ["forwardSent", id];
export const forwardReplayKey = (id: string, replay: string): Key => ["forwardReplay", id, replay];
export const forwardReplayPrefix = (id: string): Key => ["forwardReplay", id];
export const forwardCommandKey = (id: string, command: string): Key => ["forwardCommand", id, command];
export const forwardCommandPrefix = (id: string): Key => ["forwardCommand", id];
export const forwardNoticeKey = (id: string, no: number): Key => ["forwardNotice", id, no];
export const forwardNoticePrefix = (id: string): Key => ["forwardNotice", id];

/** Everything of one destination besides its checkpoint. */
export const forwardPrefixes = (id: string): Key[] =>
  ["forwardHeld", "forwardDead", "forwardSent", "forwardReplay", "forwardCommand", "forwardNotice"]
    .map((name) => [name, id]);

/** The mark that changes with each order; the newest erasure that destinations must know; when one is due. */
export const FORWARD_ORDERED: Key = ["forwardOrdered"];
export const FORWARD_ERASED: Key = ["forwardErased"];
export const forwardDueKey = (at: number, id: string): Key => ["forwardDue", at, id];
export const FORWARD_DUE: Key = ["forwardDue"];
/** What an erasure came to at the destinations, by the digest of the person. */
export const forwardErasureKey = (digest: string): Key => ["forwardErasure", digest];

/** A derived event of a user, in order of time, then arrival: it is in no log. */
export const derivedEventKey = (userId: string, at: number, place: string): Key => [
  ...derivedEventPrefix(userId),
  at,
  place,
];
export const derivedEventPrefix = (userId: string): Key => ["derivedEvent", keyId(userId)];
