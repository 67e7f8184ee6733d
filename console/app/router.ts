/** The place that the address bar shows, as a signal. */
import { signal } from "@preact/signals";
import { type Place, prefixOf, readPlace, type Screen, withValues, writePlace } from "../core/place.ts";

const prefix = prefixOf(location.pathname);

/** Where the reader is. */
export const place = signal<Place>(readPlace(location));

/** The address of a place in this console. */
export const hrefOf = (screen: Screen, query: Record<string, string> = {}): string =>
  writePlace({ screen, query }, prefix);

/** Goes to a place: choosing something makes a step of the history, typing does not. */
export function go(to: Place, { replace = false }: { replace?: boolean } = {}): void {
  const href = writePlace(to, prefix);
  if (href === location.pathname + location.search) return;
  history[replace ? "replaceState" : "pushState"](null, "", href);
  place.value = to;
}

/** Changes values of the current place. */
export function choose(values: Record<string, string | undefined>, options?: { replace?: boolean }): void {
  go(withValues(place.value, values), options);
}

/** The value of the current place's query; `""` if it has none. */
export const chosen = (name: string): string => place.value.query[name] ?? "";

/** Attributes of a link to a place: an ordinary link, which a click follows without loading the page. */
export function linkTo(screen: Screen, query: Record<string, string> = {}) {
  return {
    href: hrefOf(screen, query),
    onClick(event: MouseEvent) {
      if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
      event.preventDefault();
      event.stopPropagation();
      go({ screen, query });
    },
  };
}

/** Follows the browser's Back and Forward. */
export function followHistory(): void {
  addEventListener("popstate", () => place.value = readPlace(location));
}
