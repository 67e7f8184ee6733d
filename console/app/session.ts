/** Who uses the console: a token in memory and in this tab's storage, and what it may do. */
import { signal } from "@preact/signals";

/** What `GET /api/v1/admin/about` says. */
export interface About {
  version: string;
  deno: string;
  rights: "admin" | "read";
  storage: string;
  features: string[];
  settings: Record<string, string | number | boolean>;
}

/** `in`: signed in; `locked`: the token is no longer known, and the screen waits below a dialog. */
export type SessionState = "out" | "in" | "locked";

export const sessionState = signal<SessionState>("out");
export const about = signal<About | undefined>(undefined);

const KEY = "signalfold.session";

/** A token that is not used is forgotten after this time. */
const FORGOTTEN_MS = 12 * 3_600_000;

/** Use is noted this often. */
const NOTED_MS = 60_000;

let token: string | undefined;
let notedMs = 0;

/** The token, for requests alone: it is never in a URL, a title, a copied text or an error. */
export function currentToken(): string | undefined {
  if (token !== undefined && Date.now() - notedMs > NOTED_MS) keep(token);
  return token;
}

/** The token of a sign-in link (`#token=…`), taken out of the address bar at once. */
export function takeTokenOfLink(): string | undefined {
  const found = /^#token=([\x21-\x7e]+)$/.exec(location.hash)?.[1];
  if (found === undefined) return undefined;
  history.replaceState(history.state, "", location.pathname + location.search);
  return found;
}

/** The token that this tab kept, if it was used lately. */
export function keptToken(): string | undefined {
  try {
    const { token, at } = JSON.parse(sessionStorage.getItem(KEY) ?? "{}");
    if (typeof token === "string" && Date.now() - at < FORGOTTEN_MS) return token;
  } catch {
    // What another version kept is no token.
  }
  sessionStorage.removeItem(KEY);
  return undefined;
}

/** Begins a session. */
export function enter(accepted: string, who: About): void {
  keep(accepted);
  about.value = who;
  sessionState.value = "in";
}

/** The token is refused: the screen stays, and a dialog asks for another. */
export function lock(): void {
  if (sessionState.value === "in") sessionState.value = "locked";
}

/** Forgets the token, and everything that this tab kept. */
export function leave(): void {
  token = undefined;
  sessionStorage.clear();
  about.value = undefined;
  sessionState.value = "out";
}

/** Whether the session may do what needs the admin token. */
export const isAdmin = (): boolean => about.value?.rights === "admin";

/** Whether the server has a part of the product. */
export const hasFeature = (name: string): boolean => about.value?.features.includes(name) ?? false;

function keep(used: string): void {
  token = used;
  notedMs = Date.now();
  sessionStorage.setItem(KEY, JSON.stringify({ token: used, at: notedMs }));
}
