/** Where a reader is: a screen and what varies in it. Every state has a URL; this reads and writes it. Pure. */

/** The screens, in the order of the menu, with their paths below the console's. */
export const SCREENS = {
  overview: "",
  live: "/live",
  test: "/test",
  users: "/users",
  groups: "/groups",
  audiences: "/audiences",
  contracts: "/contracts",
  quarantine: "/quarantine",
  forwarding: "/forwarding",
  transformations: "/transformations",
  keys: "/keys",
  settings: "/settings",
  event: "/event",
} as const;
export type Screen = keyof typeof SCREENS;

/** The names of the screens, as the menu and the titles have them. */
export const SCREEN_NAMES: Readonly<Record<Screen, string>> = {
  overview: "Overview",
  live: "Live",
  test: "Test",
  users: "Users",
  groups: "Groups",
  audiences: "Audiences",
  contracts: "Contracts",
  quarantine: "Quarantine",
  forwarding: "Forwarding",
  transformations: "Transformations",
  keys: "Write keys",
  settings: "Settings",
  event: "Event",
};

/** A screen, and the values of its query. */
export interface Place {
  screen: Screen;
  query: Readonly<Record<string, string>>;
}

const BASE = "/console";

/** What stands before the console's path: a proxy may put signalfold below a path of its own. */
export function prefixOf(pathname: string): string {
  const at = pathname.lastIndexOf(BASE);
  return at === -1 ? "" : pathname.slice(0, at);
}

/** Reads a place; an unknown path is the first screen. */
export function readPlace({ pathname, search }: { pathname: string; search: string }): Place {
  const rest = pathname.slice(prefixOf(pathname).length + BASE.length);
  const screen = Object.entries(SCREENS).find(([, path]) => path === rest)?.[0] ?? "overview";
  return { screen: screen as Screen, query: Object.fromEntries(new URLSearchParams(search)) };
}

/** The path and query of a place; empty values are left out. */
export function writePlace({ screen, query }: Place, prefix: string): string {
  const values = Object.entries(query).filter(([, value]) => value !== "");
  const search = new URLSearchParams(values).toString();
  return `${prefix}${BASE}${SCREENS[screen]}${search === "" ? "" : `?${search}`}`;
}

/** A place with some values changed; `undefined` removes one. */
export function withValues({ screen, query }: Place, values: Record<string, string | undefined>): Place {
  const merged = { ...query, ...values };
  return {
    screen,
    query: Object.fromEntries(
      Object.entries(merged).filter(([, value]) => value !== undefined && value !== ""),
    ) as Record<string, string>,
  };
}
