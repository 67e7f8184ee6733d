/** Text as people read it: ids without hidden characters, numbers, and commands for a shell. Pure. */

/** Control and bidirectional characters, lone surrogates, and spaces that look like none. */
const HIDDEN =
  // deno-lint-ignore no-control-regex -- these are the characters that it looks for.
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** Shows hidden characters as escapes (`\u202e`): a text must look like what it is. */
export function visible(text: string): string {
  return text.replace(HIDDEN, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** At most `max` characters, with an ellipsis in the middle: the ends of ids differ most. */
export function shortened(text: string, max: number): string {
  const characters = [...text];
  if (characters.length <= max) return text;
  const tail = Math.floor((max - 1) / 3);
  return `${characters.slice(0, max - 1 - tail).join("")}…${
    characters.slice(characters.length - tail).join("")
  }`;
}

const GROUPED = new Intl.NumberFormat("en-US");
const COMPACT = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });

/** 12345 → `12,345`. */
export const count = (value: number): string => GROUPED.format(value);

/** 12345 → `12.3K`. */
export const compact = (value: number): string =>
  value < 10_000 ? GROUPED.format(value) : COMPACT.format(value);

/** `1 event`, `2 events`. */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** A share as a percentage with one digit: `98.8%`; nothing of nothing is `0%`. */
export function percent(part: number, whole: number): string {
  if (whole === 0 || part === 0) return "0%";
  const share = 100 * part / whole;
  if (share === 100) return "100%";
  return share < 0.1 ? "<0.1%" : `${Math.min(share, 99.9).toFixed(1)}%`;
}

/** A word of a POSIX shell that stands for exactly this text. */
export function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A request as a curl command; secrets are variables (`$TOKEN`, `$KEY`). */
export function curl(
  { url, method = "GET", body, as = "TOKEN" }: {
    url: string;
    method?: string;
    body?: string | undefined;
    as?: "TOKEN" | "KEY";
  },
): string {
  const parts = ["curl", "-sS"];
  if (method !== "GET" && !(method === "POST" && body !== undefined)) parts.push("-X", method);
  parts.push(quoted(url));
  if (as === "KEY") parts.push("-u", '"$KEY:"');
  else parts.push("-H", '"Authorization: Bearer $TOKEN"');
  if (body !== undefined) parts.push("-H", "'Content-Type: application/json'", "--data-binary", quoted(body));
  return parts.join(" ");
}

/** An id of 26 characters that sorts by time, from random bytes of any page (`crypto.randomUUID` needs https). */
export function newId(nowMs: number, random: Uint8Array): string {
  const digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  let time = "";
  for (let rest = nowMs; time.length < 10; rest = Math.floor(rest / 32)) time = digits[rest % 32] + time;
  return time + [...random.subarray(0, 16)].map((byte) => digits[byte % 32]).join("");
}
