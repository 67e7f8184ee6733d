/** Starts the console. */
import { render, type VNode } from "preact";
import { signal } from "@preact/signals";
import { notice, skeleton } from "../parts/basics.ts";
import { ApiError, signIn } from "../app/api.ts";
import { applyPreferences } from "../app/preferences.ts";
import { followHistory } from "../app/router.ts";
import { keptToken, leave, sessionState, takeTokenOfLink } from "../app/session.ts";
import { bindConsoleKeys, Shell } from "./shell.ts";
import { tags, view } from "../app/tags.ts";

const isStarting = signal(true);
const problem = signal<ApiError | undefined>(undefined);
const signInPage = signal<(() => VNode) | undefined>(undefined);

function Page(): VNode {
  if (problem.value !== undefined) return unreachable(problem.value);
  if (isStarting.value) return tags.main({ class: "starting" }, skeleton());
  if (sessionState.value !== "out") return view(Shell);
  if (signInPage.value === undefined) {
    import("./sign_in.ts").then(({ SignInPage }) => signInPage.value = SignInPage);
    return tags.main({ class: "starting" });
  }
  return view(signInPage.value);
}

function unreachable(error: ApiError): VNode {
  const again = tags.button({ type: "button", class: "button", onClick: () => start(keptToken()) }, "Retry");
  return tags.main(
    { class: "starting" },
    notice("bad", `The server does not answer (${error.status || "no connection"} ${error.code}).`, again),
  );
}

/** Tries a token that is known already. */
async function start(token: string | undefined): Promise<void> {
  problem.value = undefined;
  try {
    if (token !== undefined) await signIn(token);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 401 || error.status === 403) leave();
    else problem.value = error;
  }
  isStarting.value = false;
}

const token = takeTokenOfLink() ?? keptToken();
applyPreferences();
followHistory();
bindConsoleKeys();
render(view(Page), document.getElementById("console")!);
await start(token);
