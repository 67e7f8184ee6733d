/** The frame of the console: header, menu, and the screen that the address names. */
import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { signal } from "@preact/signals";
import { type Screen, SCREEN_NAMES } from "../core/place.ts";
import { ENTRIES, LOADERS, MENU, openEntries, type ScreenModule } from "./menu.ts";
import { overlay, requestOfScreen, Title } from "../parts/title.ts";
import { action, announcement, Copy, Dialog, notice, skeleton } from "../parts/basics.ts";
import { icon, type IconName } from "../parts/icons.ts";
import { readiness } from "../app/api.ts";
import { boundKeys, followKeys } from "../app/keys.ts";
import { preferences } from "../app/preferences.ts";
import { go, linkTo, place } from "../app/router.ts";
import { about, hasFeature, isAdmin, leave, sessionState } from "../app/session.ts";
import { tags, view } from "../app/tags.ts";

const { a, button, div, header, kbd, main, nav, p, span, table, tbody, td, tr, ul, li } = tags;

const isMenuOpen = signal(false);

/** Binds the keys of the whole console. */
export function bindConsoleKeys(): void {
  followKeys([
    { key: "Mod+k", what: "go to an id or a screen", inFields: true, run: () => overlay.value = "go" },
    { key: "/", what: "the filter of the screen", run: focusFilter },
    { key: "?", what: "these keys", run: () => overlay.value = "help" },
    { key: "a", what: "the request of this screen", run: () => overlay.value = "api" },
    ...ENTRIES.filter(({ screen }) => screen in LOADERS).map(({ screen, key }) => ({
      key: `g ${key}`,
      what: SCREEN_NAMES[screen],
      run: () => go({ screen, query: {} }),
    })),
  ]);
}

function focusFilter(): void {
  const field = document.querySelector<HTMLElement>("main [data-filter]");
  if (field === null) overlay.value = "go";
  else field.focus();
}

/** The whole page of a session. */
export function Shell(): VNode {
  return div(
    { class: "shell" },
    a({ class: "skip", href: "#main" }, "Skip to content"),
    view(Header),
    view(Menu),
    view(Content),
    div({ class: "announcer", role: "status", "aria-live": "polite" }, announcement.value),
    overlay.value === "go" &&
      view(Lazy, { load: () => import("./go_to.ts"), close: () => overlay.value = "" }),
    overlay.value === "help" && view(Help),
    overlay.value === "api" && view(ApiDialog),
    sessionState.value === "locked" && view(Lazy, { load: () => import("./sign_in.ts"), close: () => {} }),
  );
}

function Header(): VNode {
  const dark = preferences.theme.value;
  return header(
    { class: "top" },
    action("", () => isMenuOpen.value = !isMenuOpen.value, {
      icon: "menu",
      kind: "quiet",
      label: "Menu",
      expanded: isMenuOpen.value,
      id: "menu-button",
    }),
    a({ ...linkTo(isAdmin() ? "overview" : "users"), class: "brand" }, mark(), span(null, "signalfold")),
    button(
      { type: "button", class: "go-to", onClick: () => overlay.value = "go" },
      icon("search"),
      span(null, "Go to an id or a screen"),
      kbd(null, navigator.platform.startsWith("Mac") ? "⌘K" : "Ctrl K"),
    ),
    view(Readiness),
    action("", () => preferences.theme.value = dark === "dark" ? "light" : "dark", {
      icon: "moon",
      kind: "quiet",
      label: dark === "dark" ? "Use the light theme" : "Use the dark theme",
    }),
    action("", () => overlay.value = "help", { icon: "help", kind: "quiet", label: "Help and keys" }),
  );
}

function mark(): VNode {
  return tags.svg(
    { class: "mark", viewBox: "0 0 16 16", width: "20", height: "20", "aria-hidden": "true" },
    tags.rect({ width: "16", height: "16", rx: "4" }),
    tags.path({ d: "M3.5 11.5 6 8l2 2 4.5-5.5" }),
  );
}

/** How often the server is asked whether it is ready. */
const READY_MS = 15_000;

function Readiness(): VNode | null {
  const [state, setState] = useState({ isReady: true, code: "", detail: "" });
  useEffect(() => {
    const ask = () => void (document.hidden || readiness().then(setState));
    ask();
    const timer = setInterval(ask, READY_MS);
    return () => clearInterval(timer);
  }, []);
  if (state.code === "") return null;
  const title = state.isReady ? "The server accepts events" : state.detail;
  return span(
    { class: `ready ${state.isReady ? "good" : "bad"}`, title },
    span({ class: "dot", "aria-hidden": "true" }),
    state.isReady ? "ready" : state.code,
  );
}

function Menu(): VNode {
  const { screen } = place.value;
  return nav(
    {
      class: `menu${isMenuOpen.value ? " open" : ""}`,
      "aria-label": "Screens",
      onClick: () => isMenuOpen.value = false,
    },
    MENU.map(({ group, entries }) => {
      const shown = entries.filter((entry) => openEntries().includes(entry));
      return shown.length > 0 && div(
        { key: group, class: "menu-group" },
        p({ class: "menu-title" }, group),
        ul(
          null,
          shown.map(({ screen: to }) =>
            li(
              { key: to },
              a(
                { ...linkTo(to), ...to === screen && { "aria-current": "page" } },
                icon(to as IconName),
                span(null, SCREEN_NAMES[to]),
              ),
            )
          ),
        ),
      );
    }),
    div(
      { class: "menu-foot" },
      p(null, `${about.value?.version ?? ""} · ${isAdmin() ? "admin token" : "read token"}`),
      action("Sign out", leave, { icon: "out", kind: "quiet" }),
    ),
  );
}

const modules = new Map<Screen, ScreenModule>();

function Content(): VNode {
  const { screen } = place.value;
  const [, redraw] = useState(0);
  const [problem, setProblem] = useState<{ screen: Screen; text: string } | undefined>();
  const entry = ENTRIES.find((entry) => entry.screen === screen);
  const mayOpen = isAdmin() || entry?.forReaders === true;
  const module = modules.get(screen);
  const isAbsent = entry?.feature !== undefined && !hasFeature(entry.feature);
  useEffect(() => {
    if (!mayOpen || isAbsent || modules.has(screen)) return;
    LOADERS[screen]!().then(
      (loaded) => (modules.set(screen, loaded), redraw((n) => n + 1)),
      () =>
        setProblem({
          screen,
          text: "This screen cannot be loaded: the server is away, or has another version.",
        }),
    );
  }, [screen, mayOpen]);
  const body = isAbsent
    ? [view(Title), notice("calm", "This server does not have this part.")]
    : !mayOpen
    ? [view(Title), needsAdmin()]
    : module !== undefined
    ? view(module.Screen, { key: screen })
    : problem?.screen === screen
    ? notice("bad", problem.text, div({ class: "row" }, action("Reload the page", () => location.reload())))
    : skeleton();
  return main({ id: "main", tabIndex: -1 }, body);
}

function needsAdmin(): VNode {
  return notice(
    "calm",
    "This screen needs the admin token.",
    p({ class: "hint" }, "You are signed in with the read token, which reads users and groups."),
    div({ class: "row" }, action("Sign in with another token", leave)),
  );
}

/** What lies over the screen: it is loaded when it is first opened. */
interface OverlayModule {
  Overlay: (props: { close: () => void }) => VNode;
}

function Lazy({ load, close }: { load: () => Promise<OverlayModule>; close: () => void }): VNode | null {
  const [module, setModule] = useState<OverlayModule | undefined>();
  useEffect(() => void load().then(setModule), []);
  return module === undefined ? null : view(module.Overlay, { close });
}

function Help(): VNode {
  const { ofScreen, ofConsole } = boundKeys();
  const part = (title: string, bindings: typeof ofScreen) =>
    bindings.length > 0 && div(
      null,
      tags.h3(null, title),
      table(
        { class: "keys" },
        tbody(
          null,
          bindings.map(({ key, what }) => tr({ key }, td(null, kbd(null, shownKey(key))), td(null, what))),
        ),
      ),
    );
  return view(
    Dialog,
    {
      title: "Keys",
      onClose: () => overlay.value = "",
      children: [
        div({ class: "key-parts" }, part("This screen", ofScreen), part("Everywhere", ofConsole)),
        p(
          { class: "hint" },
          "Settings turns keys of one character off. The whole API is described at ",
          a({ href: "/docs" }, "/docs"),
          ".",
        ),
      ],
    },
  );
}

const shownKey = (key: string) => key.replace("Mod+k", "Ctrl K").replace("Mod+Enter", "Ctrl Enter");

function ApiDialog(): VNode {
  const text = requestOfScreen.value;
  return view(Dialog, {
    title: "The request of this screen",
    wide: true,
    onClose: () => overlay.value = "",
    children: text === "" ? p(null, "This screen has asked for nothing yet.") : [
      tags.pre({ class: "command-text", tabIndex: 0 }, text),
      p({ class: "hint" }, "TOKEN is the admin token; it is not copied."),
      div(
        { class: "row" },
        view(Copy, { text: () => text, kind: "primary", label: "Copy as curl", what: "Command" }),
      ),
    ],
  });
}
