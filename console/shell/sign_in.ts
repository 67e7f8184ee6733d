/** Signing in: as the first page, or as a dialog over a screen whose token is no longer known. */
import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { action, Dialog } from "../parts/basics.ts";
import { ApiError, readiness, signIn } from "../app/api.ts";
import { leave } from "../app/session.ts";
import { tags, view } from "../app/tags.ts";

const { button, div, form, h1, input, label, main, p } = tags;

/** The page of somebody without a session. */
export function SignInPage(): VNode {
  useEffect(() => {
    document.title = "Sign in · signalfold";
  }, []);
  return main(
    { class: "sign-in" },
    div(
      { class: "card" },
      h1(null, "signalfold"),
      p({ class: "lead" }, "See, understand and operate your events."),
      view(Form),
    ),
  );
}

/** The dialog over a screen: what is typed there stays. */
export function Overlay(): VNode {
  return view(Dialog, {
    title: "Sign in again",
    closable: false,
    onClose: () => {},
    children: [
      p(null, "The server does not know this token any more. Your work on the screen stays as it is."),
      view(Form),
      div({ class: "row end" }, action("Sign out instead", leave, { kind: "quiet" })),
    ],
  });
}

function Form(): VNode {
  const [problem, setProblem] = useState("");
  const [isBusy, setBusy] = useState(false);
  const [isShown, setShown] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  async function submit(event: Event): Promise<void> {
    event.preventDefault();
    setBusy(true);
    try {
      await signIn(field.current!.value.trim());
    } catch (error) {
      setBusy(false);
      setProblem(await words(error));
      field.current?.focus();
    }
  }
  return form(
    { onSubmit: submit, class: "token-form" },
    input({
      class: "visually-hidden",
      type: "text",
      autoComplete: "username",
      value: location.host,
      readOnly: true,
      tabIndex: -1,
      "aria-hidden": "true",
    }),
    label({ for: "token" }, "Admin or read token"),
    div(
      { class: "joined" },
      input({
        ref: field,
        id: "token",
        type: (isShown ? "text" : "password") as "password",
        autoComplete: "current-password",
        spellcheck: false,
        required: true,
        "aria-describedby": problem === "" ? "token-hint" : "token-problem",
        ...problem !== "" && { "aria-invalid": "true" },
      }),
      action(isShown ? "Hide" : "Show", () => setShown(!isShown), {
        label: isShown ? "Hide the token" : "Show the token",
      }),
    ),
    problem !== "" && p({ id: "token-problem", class: "problem", role: "alert" }, problem),
    button(
      { type: "submit", class: "button primary wide", "aria-busy": isBusy ? "true" : undefined },
      "Open the console",
    ),
    p(
      { id: "token-hint", class: "hint" },
      "Printed by deno task dev, or ADMIN_TOKEN of the server. It stays in this tab and goes with it.",
    ),
  );
}

/** Why a token was refused, and what to do. */
async function words(error: unknown): Promise<string> {
  if (!(error instanceof ApiError)) return `The console failed: ${String(error)}`;
  if (error.status === 401) return "This token is not known here.";
  if (error.status === 403) return "This is a write key: it sends events and cannot read.";
  if (error.status === 429) {
    return `Too many wrong tokens from this address. Try again in ${error.retryAfterS ?? 60} s.`;
  }
  const { isReady, code, detail } = await readiness();
  return `The server does not answer (${error.status || "no connection"} ${error.code}).${
    isReady ? "" : ` It reports ${code}: ${detail}`
  }`;
}
