/** The menu: which screens there are, who may open them, and where their modules are. */
import type { VNode } from "preact";
import { hasFeature } from "../app/session.ts";
import type { Screen } from "../core/place.ts";

/** A screen: what the shell needs to know of it. */
export interface ScreenModule {
  Screen: () => VNode;
}

/** An entry of the menu. */
export interface Entry {
  screen: Screen;
  /** The second key after `g`. */
  key: string;
  /** Readers see it too. */
  forReaders?: true;
  feature?: string;
}

export const MENU: readonly { group: string; entries: readonly Entry[] }[] = [
  {
    group: "Watch",
    entries: [
      { screen: "overview", key: "o" },
      { screen: "live", key: "l" },
      { screen: "test", key: "t" },
    ],
  },
  {
    group: "Data",
    entries: [
      { screen: "users", key: "u", forReaders: true },
      { screen: "groups", key: "g", forReaders: true },
      { screen: "audiences", key: "a", feature: "audiences" },
    ],
  },
  {
    group: "Quality",
    entries: [
      { screen: "contracts", key: "c" },
      { screen: "quarantine", key: "q" },
    ],
  },
  {
    group: "Flow",
    entries: [
      { screen: "forwarding", key: "f", feature: "forwarding" },
      { screen: "transformations", key: "x", feature: "transformations" },
    ],
  },
  {
    group: "Admin",
    entries: [
      { screen: "keys", key: "k" },
      { screen: "settings", key: "s", forReaders: true },
    ],
  },
];

export const ENTRIES = MENU.flatMap(({ entries }) => entries);

/** The screens that this session can open, for the menu and for the search. */
export const openEntries = () =>
  ENTRIES.filter(({ screen, feature }) =>
    screen in LOADERS && (feature === undefined || hasFeature(feature))
  );

/** A module is loaded when its screen is first opened. */
export const LOADERS: Partial<Record<Screen, () => Promise<ScreenModule>>> = {
  overview: () => import("../screens/overview.ts"),
  live: () => import("../screens/live.ts"),
  test: () => import("../screens/test.ts"),
  users: () => import("../screens/users.ts"),
  groups: () => import("../screens/groups.ts"),
  audiences: () => import("../screens/audiences.ts"),
  quarantine: () => import("../screens/quarantine.ts"),
  keys: () => import("../screens/keys.ts"),
  settings: () => import("../screens/settings.ts"),
  contracts: () => import("../screens/contracts.ts"),
  forwarding: () => import("../screens/forwarding.ts"),
  transformations: () => import("../screens/transformations.ts"),
  event: () => import("../screens/event.ts"),
};
