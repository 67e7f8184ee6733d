/** The title of a screen, with its tools: the request that it makes, and its link. */
import type { VNode } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { signal } from "@preact/signals";
import { place } from "../app/router.ts";
import { tags, view } from "../app/tags.ts";
import { SCREEN_NAMES } from "../core/place.ts";
import { action, Copy } from "./basics.ts";

const { div, h1, header } = tags;

/** What lies over the screen. */
export const overlay = signal<"" | "go" | "help" | "api">("");

/** The request of the screen that is shown, for the API button: a curl command. */
export const requestOfScreen = signal<string>("");

/** The title of the screen that is shown; a screen that shows one thing adds its name. */
export function Title({ of, children }: { of?: string | undefined; children?: VNode | undefined }): VNode {
  const { screen } = place.value;
  const name = SCREEN_NAMES[screen];
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${of ? `${of} · ` : ""}${name} · signalfold`;
  }, [of, name]);
  useEffect(() => {
    if (document.activeElement === document.body || document.activeElement?.closest("nav.menu")) {
      heading.current?.focus({ preventScroll: true });
    }
  }, [screen]);
  return header(
    { class: "screen-head" },
    h1({ ref: heading, tabIndex: -1 }, name),
    div({ class: "screen-actions" }, children),
    div(
      { class: "screen-tools" },
      action("API", () => overlay.value = "api", {
        kind: "quiet",
        title: "The request of this screen as a command",
      }),
      view(Copy, { text: () => location.href, label: "Link", what: "Link" }),
    ),
  );
}
