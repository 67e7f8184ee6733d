/**
 * Headers: what the journal says of the events of one commit besides their bodies. Settling, and processes that follow
 * others, read nothing else.
 *
 * A stored format: what an old journal holds stays readable. A header is bytes in columns that are read in place: 40
 * bytes, then times, digests, references to texts, lengths of the texts, flags, the facts of the commit, the texts.
 */
import { Buffer } from "node:buffer";
import { parseExact } from "../../domain/event/exact_json.ts";
import { EVENT_TYPES, type StoredEvent } from "../../domain/event/event.ts";
import type { Position } from "../../domain/event/position.ts";
import type { Fact, Names } from "../../domain/profile/fact.ts";
import { DAMAGED } from "../store/store.ts";
import { StorageFault } from "../store/errors.ts";
import { DIGEST_WORDS } from "../dedup/digest.ts";

/** Version of this format. */
const FORMAT = 1;

/** Bytes before the columns. */
const FIXED_BYTES = 40;

/** Bytes of a part of a header: a value takes 64 KiB. */
export const HEADER_PART_BYTES = 60_000;

/** Beyond so many bytes of text the header has no texts: readers take ids and names from the bodies. */
const MAX_TEXT_BYTES = 150_000;

/** References have 16 bits; the largest is {@link IN_BODY}. */
const MAX_TEXTS = 0xfffe;

/** Traits of more characters than this stand in the body alone. */
const MAX_TRAITS_LENGTH = 512;

/** The reference of traits that stand in the body. */
const IN_BODY = 0xffff;

/** References of an event: user id, anonymous id, group id or previous id (by type), name or traits (by type). */
const REFS = 4;

/** Bits of the flags of an event; the lowest three are its type. */
export const FLAGS = {
  neverLinks: 8,
  hasContext: 16,
  derived: 32,
  /** Nothing is left of it but its digest and its place. */
  erased: 64,
  /** It has the message id of an earlier one, and counts for nobody. */
  copy: 128,
};

/** An event that is not in the journal for anybody any more. */
const GONE = FLAGS.erased | FLAGS.copy;

const GROUP = EVENT_TYPES.indexOf("group");
const ALIAS = EVENT_TYPES.indexOf("alias");
const IDENTIFY = EVENT_TYPES.indexOf("identify");
const TRACK = EVENT_TYPES.indexOf("track");

/** What a header says of its commit. */
export interface CommitFacts {
  /** The attempt that wrote it. */
  commit: string;
  /** When, by the clock of its process (ms). */
  at: number;
  /** About how many events the journal had with it: exact while its process was alone. */
  total: number;
  /** Up to where its process knew all message ids; `undefined` if it was alone, so that it has no copies. */
  known: Position | undefined;
  /** Who sent the events: write key ids, each with the number of events in a row. */
  senders: [writeKeyId: string, count: number][];
  /** How many events each body has. */
  bodies: number[];
}

/** The header of a commit. */
export interface Header extends CommitFacts {
  n: number;
  /** Whether ids, names and traits stand in the bodies alone. */
  isThin: boolean;
  flags: Uint8Array;
  times: Float64Array;
  digests: Uint32Array;
  refs: Uint16Array;
  texts: readonly string[];
}

/** The columns of a header that is made. */
export type Columns = Pick<Header, "flags" | "times" | "refs" | "texts" | "isThin">;

/** Makes columns for so many events; call `add` for each in order. */
export function createColumns(n: number) {
  const flags = new Uint8Array(n);
  const times = new Float64Array(n);
  const refs = new Uint16Array(n * REFS);
  const numbers = new Map<string, number>();
  const texts: string[] = [];
  let length = 0;
  let at = 0;

  function refOf(text: string | undefined): number {
    if (text === undefined) return 0;
    let number = numbers.get(text);
    if (number === undefined) {
      length += text.length;
      number = texts.push(text);
      numbers.set(text, number);
    }
    return number;
  }

  return {
    /** Adds an event: flags with its type, time, and its four texts. */
    add(flag: number, ms: number, [user, anonymous, third, fourth]: readonly (string | undefined)[]): void {
      flags[at] = flag;
      times[at] = ms;
      const from = REFS * at++;
      refs[from] = refOf(user);
      refs[from + 1] = refOf(anonymous);
      refs[from + 2] = refOf(third);
      const isLong = (flag & 7) !== TRACK && fourth !== undefined && fourth.length > MAX_TRAITS_LENGTH;
      refs[from + 3] = isLong ? IN_BODY : refOf(fourth);
    },
    done(): Columns {
      // An estimate by characters: what it lets through is at most three times as long.
      if (length <= MAX_TEXT_BYTES && texts.length <= MAX_TEXTS) {
        return { flags, times, refs, texts, isThin: false };
      }
      return { flags, times, refs: new Uint16Array(n * REFS), texts: [], isThin: true };
    },
  };
}

/** The columns of accepted events. */
export function columnsOf(events: readonly StoredEvent[]): Columns {
  const columns = createColumns(events.length);
  for (const event of events) {
    // It was erased in the journal that it comes from.
    if (event.type === undefined) {
      columns.add(FLAGS.erased, 0, NO_TEXTS);
      continue;
    }
    const type = EVENT_TYPES.indexOf(event.type);
    const flag = type | (event.neverLinks === true ? FLAGS.neverLinks : 0) |
      (event.derived === true ? FLAGS.derived : 0) |
      (event.context === undefined ? 0 : FLAGS.hasContext);
    columns.add(flag, Date.parse(event.timestamp), [
      event.userId,
      event.anonymousId,
      type === GROUP ? event.groupId : type === ALIAS ? event.previousId : undefined,
      type === TRACK
        ? event.event
        : (type === IDENTIFY || type === GROUP) && event.traits !== undefined
        ? JSON.stringify(event.traits)
        : undefined,
    ]);
  }
  return columns.done();
}

/** A header as bytes. */
export function encodeHeader(facts: CommitFacts, columns: Columns, digests: Uint32Array): Uint8Array {
  const { flags, times, refs, texts } = columns;
  const n = flags.length;
  const joined = texts.join("");
  const senders = facts.senders.map(([id, count]) => `${count} ${id}`).join("\n");
  const meta = `${facts.commit}\n${facts.known ?? ""}\n${facts.bodies.join(" ")}\n${senders}`;
  const metaBytes = Buffer.byteLength(meta);
  const textBytes = Buffer.byteLength(joined);
  const columnBytes = n * (8 + DIGEST_WORDS * 4 + REFS * 2) + texts.length * 4;
  const bytes = new Uint8Array(FIXED_BYTES + columnBytes + n + metaBytes + textBytes);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, FORMAT);
  view.setUint8(1, columns.isThin ? 1 : 0);
  view.setUint32(4, n, true);
  view.setFloat64(8, facts.at, true);
  view.setFloat64(16, facts.total, true);
  view.setUint32(24, texts.length, true);
  view.setUint32(28, metaBytes, true);
  view.setUint32(32, textBytes, true);
  let end = FIXED_BYTES;
  new Float64Array(bytes.buffer, end, n).set(times);
  new Uint32Array(bytes.buffer, end += 8 * n, n * DIGEST_WORDS).set(digests);
  new Uint16Array(bytes.buffer, end += 4 * DIGEST_WORDS * n, n * REFS).set(refs);
  const lengths = new Uint32Array(bytes.buffer, end += 2 * REFS * n, texts.length);
  for (let i = 0; i < texts.length; i++) lengths[i] = texts[i]!.length;
  bytes.set(flags, end += 4 * texts.length);
  const target = Buffer.from(bytes.buffer);
  target.write(meta, end += n);
  target.write(joined, end + metaBytes);
  return bytes;
}

/** How many bytes a whole header has, by the beginning of its first part. */
export function wholeBytes(first: Uint8Array): number {
  const view = new DataView(first.buffer, first.byteOffset, first.byteLength);
  if (first.length < FIXED_BYTES || view.getUint8(0) !== FORMAT) throw new StorageFault(DAMAGED);
  const n = view.getUint32(4, true);
  return FIXED_BYTES + n * (9 + DIGEST_WORDS * 4 + REFS * 2) + view.getUint32(24, true) * 4 +
    view.getUint32(28, true) + view.getUint32(32, true);
}

/** The header in bytes. Throws {@link StorageFault} where they were damaged. */
export function decodeHeader(stored: Uint8Array): Header {
  if (stored.length !== wholeBytes(stored)) throw new StorageFault(DAMAGED);
  // Columns are read in place, so they must be aligned.
  const bytes = stored.byteOffset % 8 === 0 ? stored : stored.slice();
  const { buffer, byteOffset } = bytes;
  const view = new DataView(buffer, byteOffset, bytes.length);
  const n = view.getUint32(4, true);
  const count = view.getUint32(24, true);
  let end = byteOffset + FIXED_BYTES;
  const times = new Float64Array(buffer, end, n);
  const digests = new Uint32Array(buffer, end += 8 * n, n * DIGEST_WORDS);
  const refs = new Uint16Array(buffer, end += 4 * DIGEST_WORDS * n, n * REFS);
  const lengths = new Uint32Array(buffer, end += 2 * REFS * n, count);
  const flags = new Uint8Array(buffer, end += 4 * count, n);
  const metaEnd = (end += n) + view.getUint32(28, true);
  const text = Buffer.from(buffer, 0);
  const meta = text.toString("utf8", end, metaEnd);
  const [commit, known, bodies, ...senders] = meta.split("\n") as [string, string, string, ...string[]];
  return {
    commit,
    at: view.getFloat64(8, true),
    total: view.getFloat64(16, true),
    known: known === "" ? undefined : known as Position,
    senders: senders.map((sender) => {
      const space = sender.indexOf(" ");
      return [sender.slice(space + 1), Number(sender.slice(0, space))];
    }),
    bodies: bodies.split(" ").map(Number),
    n,
    isThin: view.getUint8(1) === 1,
    flags,
    times,
    digests,
    refs,
    texts: textsIn(text.toString("utf8", metaEnd, byteOffset + bytes.length), lengths),
  };
}

function textsIn(joined: string, lengths: Uint32Array): string[] {
  const texts: string[] = new Array(lengths.length);
  let end = 0;
  for (let i = 0; i < lengths.length; i++) texts[i] = joined.slice(end, end += lengths[i]!);
  return texts;
}

/** When a commit was made, about how many events the journal had with it, by its first part. */
export function timesOfHeader(first: Uint8Array): { at: number; total: number } {
  wholeBytes(first);
  const view = new DataView(first.buffer, first.byteOffset, first.byteLength);
  return { at: view.getFloat64(8, true), total: view.getFloat64(16, true) };
}

/** The text at a reference of an event. */
export function textAt(
  { refs, texts }: Pick<Header, "refs" | "texts">,
  index: number,
  which: number,
): string | undefined {
  const ref = refs[REFS * index + which]!;
  return ref === 0 ? undefined : texts[ref - 1];
}

/** Which text stands where. */
export const TEXTS = { user: 0, anonymous: 1, third: 2, fourth: 3 };

/** Whether an event counts: it was neither erased nor is it a copy. `copies` are those that a header does not know yet. */
export function counts({ flags }: Pick<Header, "flags">, index: number, copies?: Uint8Array): boolean {
  return (flags[index]! & GONE) === 0 && (copies === undefined || copies[index] === 0);
}

/** Whether the facts of an event can be read without its body. */
export function isWhole({ isThin, refs }: Pick<Header, "isThin" | "refs">, index: number): boolean {
  return !isThin && refs[REFS * index + TEXTS.fourth] !== IN_BODY;
}

/** The names of an event, of a header that is not thin. */
export function namesAt(header: Pick<Header, "flags" | "refs" | "texts">, index: number): Names {
  const flag = header.flags[index]!;
  const type = flag & 7;
  const third = textAt(header, index, TEXTS.third);
  const names: Names = {
    type: EVENT_TYPES[type]!,
    userId: textAt(header, index, TEXTS.user),
    anonymousId: textAt(header, index, TEXTS.anonymous),
    groupId: type === GROUP ? third : undefined,
    previousId: type === ALIAS ? third : undefined,
  };
  if ((flag & FLAGS.neverLinks) !== 0) names.neverLinks = true;
  if ((flag & FLAGS.derived) !== 0) names.derived = true;
  return names;
}

/** The fact of an event at a position, where {@link isWhole}. */
export function factAt(header: Header, index: number, place: Position): Fact {
  const { type, userId, anonymousId, groupId, previousId, neverLinks, derived } = namesAt(header, index);
  const fourth = textAt(header, index, TEXTS.fourth);
  const fact: Fact = {
    place,
    at: header.times[index]!,
    type,
    name: type === "track" ? fourth : undefined,
    userId,
    anonymousId,
    groupId,
    previousId,
    traits: type === "track" || fourth === undefined
      ? undefined
      : parseExact(fourth) as Record<string, unknown>,
    hasContext: (header.flags[index]! & FLAGS.hasContext) !== 0,
  };
  if (neverLinks) fact.neverLinks = true;
  if (derived) fact.derived = true;
  return fact;
}

/** The write key id that sent the event at an index. */
export function senderOf({ senders, n }: Pick<Header, "senders" | "n">, index: number): string {
  let end = 0;
  for (const [writeKeyId, count] of senders) if (index < (end += count)) return writeKeyId;
  throw new RangeError(`commit of ${n} events has none at ${index}`);
}

/** Who sent some events, in a row. */
export function sendersOf(writeKeyIds: readonly string[]): [string, number][] {
  const senders: [string, number][] = [];
  for (const id of writeKeyIds) {
    const last = senders[senders.length - 1];
    if (last !== undefined && last[0] === id) last[1]++;
    else senders.push([id, 1]);
  }
  return senders;
}

/** What becomes of an event of a header: nothing but its flag remains, or it loses an anonymous id. */
export type Change = { gone: number } | { without: string };

/** A header whose events are changed as told: the texts that nobody names any more are left out. */
export function changeHeader(header: Header, changeOf: (index: number) => Change | undefined): Uint8Array {
  const columns = createColumns(header.n);
  const senders: string[] = [];
  for (let index = 0; index < header.n; index++) {
    const change = changeOf(index);
    const flag = header.flags[index]!;
    const isGone = change !== undefined && "gone" in change;
    senders.push(isGone ? "" : senderOf(header, index));
    if (isGone) {
      columns.add((flag & GONE) | change.gone, 0, NO_TEXTS);
      continue;
    }
    const texts = [0, 1, 2, 3].map((which) => textAt(header, index, which));
    if (change !== undefined) {
      if (texts[1] === change.without) texts[1] = undefined;
      // An alias must have a previous id: this one never links.
      if ((flag & 7) === ALIAS && texts[2] === change.without) texts[2] = "none";
    }
    columns.add(flag, header.times[index]!, texts);
  }
  const made = columns.done();
  // Traits that stand in the body alone are none of the texts.
  for (let index = 0; index < header.n; index++) {
    const at = REFS * index + TEXTS.fourth;
    if (header.refs[at] === IN_BODY && (made.flags[index]! & GONE) === 0) made.refs[at] = IN_BODY;
  }
  return encodeHeader(
    { ...header, senders: sendersOf(senders) },
    { ...made, isThin: header.isThin || made.isThin },
    header.digests,
  );
}

const NO_TEXTS: readonly undefined[] = [undefined, undefined, undefined, undefined];

/** The parts of a header, each for one value. */
export function partsOfHeader(bytes: Uint8Array): Uint8Array[] {
  if (bytes.length <= HEADER_PART_BYTES) return [bytes];
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += HEADER_PART_BYTES) {
    parts.push(bytes.slice(at, at + HEADER_PART_BYTES));
  }
  return parts;
}
