/**
 * Whether a rejected event names somebody who is erased, anywhere: it was refused for being other than it should be, so its
 * ids may stand in any member, in a key, or within a longer text.
 */
import { idText, MAX_ID_LENGTH } from "../../domain/event/event.ts";
import { isShortText, type JsonObject } from "../../domain/event/json.ts";

/** Shorter ids stand in much text by chance: they are found where no letter and no digit is beside them. */
const SHORT_UNITS = 6;

/** Text is compared with all ids only where one of them begins with as much. */
const START_UNITS = 4;

/** The members in which an id stands as it should: there it is compared whole, and one that is longer names another. */
const ID_MEMBERS = ["userId", "anonymousId", "previousId", "groupId"] as const;

/** The members that another person's event can lose. */
export const LOSABLE_MEMBERS = ["anonymousId", "previousId"] as const;

/** What becomes of a rejected event when somebody is erased. */
export type Fate = "stays" | "goes" | "loses its names";

/** Who is erased, ready to be looked for. */
export interface Erased {
  userId: string | undefined;
  /** All ids: the user's own, and anonymous ones. */
  ids: ReadonlySet<string>;
  isIn(text: string): boolean;
}

/** Prepares who is erased, to be looked for in many events. */
export function erasedBy(
  { userId, anonymousIds = [] }: { userId?: string; anonymousIds?: readonly string[] },
): Erased {
  const ids = new Set(userId === undefined ? anonymousIds : [userId, ...anonymousIds]);
  const forms = [...ids].flatMap((id) => [inJson(id), encodeURIComponent(id)]);
  const hasLong = finderOf(forms.filter((form) => form.length >= SHORT_UNITS));
  const hasShort = wordFinderOf(forms.filter((form) => form.length < SHORT_UNITS));
  return { userId, ids, isIn: (text) => hasLong(text) || hasShort(text) };
}

/** What becomes of a rejected event; `text` is its JSON, `words` what was said of it. */
export function fateOf(
  event: JsonObject,
  { text, words }: { text: string; words: string },
  { userId, ids, isIn }: Erased,
): Fate {
  const user = idIn(event.userId);
  if (user !== undefined && user === userId) return "goes";
  let losesNames = false;
  let rest = text;
  for (const member of ID_MEMBERS) {
    const id = idIn(event[member]);
    if (id === undefined) continue;
    if (member !== "userId" && ids.has(id)) {
      if (user === undefined || member === "groupId") return "goes";
      losesNames = true;
    }
    rest = rest.replace(`${JSON.stringify(member)}:${JSON.stringify(event[member])}`, () => "");
  }
  if (isIn(rest) || isIn(words)) return "goes";
  return losesNames ? "loses its names" : "stays";
}

/** An id as it is read: numbers are their text; `undefined` where there is none, or something that can't be one. */
export function idIn(value: unknown): string | undefined {
  const id = idText(value);
  return id !== undefined && isShortText(id, MAX_ID_LENGTH) ? id : undefined;
}

/** An id as it stands within a string of JSON. */
function inJson(id: string): string {
  return JSON.stringify(id).slice(1, -1);
}

/**
 * Makes what looks for any of many texts at once. They are in order, and none begins with another: so the one that text
 * begins with, if any does, is the last that is not after it. A person may have thousands of anonymous ids.
 */
function finderOf(texts: readonly string[]): (text: string) => boolean {
  const sorted: string[] = [];
  for (const each of [...new Set(texts)].sort()) {
    if (sorted.length === 0 || !each.startsWith(sorted.at(-1)!)) sorted.push(each);
  }
  const starts = new Set(sorted.map((each) => each.slice(0, START_UNITS)));
  const longest = sorted.reduce((most, each) => Math.max(most, each.length), 0);
  return function find(text) {
    for (let from = 0; sorted.length > 0 && from < text.length; from++) {
      if (!starts.has(text.slice(from, from + START_UNITS))) continue;
      const found = lastUpTo(sorted, text.slice(from, from + longest));
      if (found !== undefined && text.startsWith(found, from)) return true;
    }
    return false;
  };
}

/** The last of some texts, in order, that is not after another. */
function lastUpTo(sorted: readonly string[], text: string): string | undefined {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! <= text) low = middle + 1;
    else high = middle;
  }
  return sorted[low - 1];
}

/** Makes what looks for short texts that no letter and no digit is beside. */
function wordFinderOf(texts: readonly string[]): (text: string) => boolean {
  const words = new Set(texts);
  const isInWord = (unit: string | undefined) => unit !== undefined && LETTER_OR_DIGIT.test(unit);
  return function find(text) {
    for (let from = 0; words.size > 0 && from < text.length; from++) {
      if (isInWord(text[from - 1])) continue;
      for (let to = from + 1; to < from + SHORT_UNITS; to++) {
        if (!isInWord(text[to]) && words.has(text.slice(from, to))) return true;
      }
    }
    return false;
  };
}

const LETTER_OR_DIGIT = /[\p{L}\p{N}]/u;
