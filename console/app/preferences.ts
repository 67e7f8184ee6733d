/** How this browser shows the console. Nothing secret: it is kept in `localStorage`. */
import { effect, signal } from "@preact/signals";
import type { Zone } from "../core/time.ts";

/** The choices of each preference; the first is the default. */
export const CHOICES = {
  theme: ["system", "light", "dark"],
  zone: ["local", "utc"],
  density: ["comfortable", "compact"],
  keys: ["on", "off"],
} as const;
type Name = keyof typeof CHOICES;

const KEY = "signalfold.preferences";

const kept = readKept();

/** The preferences, each a signal. */
export const preferences = {
  theme: signal(readOne("theme")),
  zone: signal(readOne("zone")),
  density: signal(readOne("density")),
  keys: signal(readOne("keys")),
};

/** The zone of all times. */
export const zone = (): Zone => preferences.zone.value;

/** Applies the preferences to the page and keeps them. */
export function applyPreferences(): void {
  effect(() => {
    const { theme, zone, density, keys } = preferences;
    document.documentElement.dataset.theme = theme.value;
    document.documentElement.dataset.density = density.value;
    const values = { theme: theme.value, zone: zone.value, density: density.value, keys: keys.value };
    try {
      localStorage.setItem(KEY, JSON.stringify(values));
    } catch {
      // A browser without storage shows the defaults next time.
    }
  });
}

function readKept(): Record<string, unknown> {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "{}");
  } catch {
    return {};
  }
}

function readOne<Key extends Name>(name: Key): typeof CHOICES[Key][number] {
  const value = kept[name] as typeof CHOICES[Key][number];
  return (CHOICES[name] as readonly unknown[]).includes(value) ? value : CHOICES[name][0];
}
