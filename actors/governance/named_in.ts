/**
 * Whether a rejected event names an erased person anywhere. The event may be invalid, so their ids may be in any
 * member, in a key, or within a longer text.
 */
import { idText, MAX_ID_LENGTH } from "../../domain/event/event.ts";
import { isShortText, type JsonObject } from "../../domain/event/json.ts";

/** Shorter ids occur in text by chance: they count only without a letter or digit next to them. */
const SHORT_UNITS = 6;

/** Text is compared with all ids only if one of them begins with this many characters of it. */
const START_UNITS = 4;

/** The members for ids: there an id is compared as a whole, and a longer one names somebody else. */
const ID_MEMBERS = ["userId", "anonymousId", "previousId", "groupId"] as const;

/** The members that another person's event can lose. */
export const LOSABLE_MEMBERS = ["anonymousId", "previousId"] as const;

/** The fate of a rejected event when a person is erased. */
export type Fate = "stays" | "goes" | "loses its names";

/** The erased person, prepared for the search. */
export interface Erased {
  userId: string | undefined;
  /** All ids: the user's own, and anonymous ones. */
  ids: ReadonlySet<string>;
  isIn(text: string): boolean;
}

/** Prepares an erased person for the search in many events. */
export function erasedBy(
  { userId, anonymousIds = [] }: { userId?: string; anonymousIds?: readonly string[] },
): Erased {
  const ids = new Set(userId === undefined ? anonymousIds : [userId, ...anonymousIds]);
  const forms = [...ids].flatMap((id) => [inJson(id), encodeURIComponent(id)]);
  const hasLong = finderOf(forms.filter((form) => form.length >= SHORT_UNITS));
  const hasShort = wordFinderOf(forms.filter((form) => form.length < SHORT_UNITS));
  return { userId, ids, isIn: (text) => hasLong(text) || hasShort(text) };
}

/** Decides the fate of a rejected event; `text` is its JSON, `words` its error message. */
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

/** An id as it is read: numbers become text; `undefined` if there is none or if it is invalid. */
export function idIn(value: unknown): string | undefined {
  const id = idText(value);
  return id !== undefined && isShortText(id, MAX_ID_LENGTH) ? id : undefined;
}

/** An id as it is written in a string of JSON. */
function inJson(id: string): string {
  return JSON.stringify(id).slice(1, -1);
}

/**
 * Creates a search for any of many texts. They are sorted, and none begins with another: so if the input begins with
 * one, it is the last that is not after the input. A person may have thousands of anonymous ids.
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

/** Creates a search for short texts without a letter or digit next to them. */
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
