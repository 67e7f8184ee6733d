/** Settings: this tab, the server, and erasing a person. */
import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { api, ApiError, apiPath, apiQuery, apiUrl } from "../app/api.ts";
import { CHOICES, preferences } from "../app/preferences.ts";
import { choose, chosen } from "../app/router.ts";
import { about, isAdmin, leave } from "../app/session.ts";
import { tags, view } from "../app/tags.ts";
import type { Json } from "../core/json.ts";
import { curl, plural, visible } from "../core/text.ts";
import { action, Copy, facts, failure, idText, notice } from "../parts/basics.ts";
import { requestOfScreen, Title } from "../parts/title.ts";

const { button, div, fieldset, form, h2, input, label, legend, option, p, section, select } = tags;

const WORDS: Record<string, string> = {
  theme: "Theme",
  zone: "Times",
  density: "Rows",
  keys: "Keys of one character",
  system: "as the system",
  utc: "UTC",
  local: "local time",
};

/** The screen. */
export function Screen(): VNode {
  requestOfScreen.value = curl({ url: apiUrl("admin/about") });
  return div(
    null,
    view(Title),
    div(
      { class: "stack settings" },
      view(ThisBrowser),
      isAdmin() && view(Erase, { key: `${chosen("kind")} ${chosen("erase")}` }),
      view(Server),
    ),
  );
}

function ThisBrowser(): VNode {
  return section(
    { class: "card stack" },
    h2(null, "This browser"),
    div(
      { class: "form pairs" },
      div(
        { class: "pair" },
        (Object.keys(CHOICES) as (keyof typeof CHOICES)[]).map((name) =>
          div(
            { class: "field", key: name },
            label({ for: `preference-${name}` }, WORDS[name]),
            select(
              {
                id: `preference-${name}`,
                value: preferences[name].value,
                onChange: (event: Event) =>
                  preferences[name].value = (event.target as HTMLSelectElement).value as never,
              },
              CHOICES[name].map((value) => option({ key: value, value }, WORDS[value] ?? value)),
            ),
          )
        ),
      ),
    ),
    div(
      { class: "row" },
      p(
        { class: "soft grow" },
        `Signed in with the ${isAdmin() ? "admin" : "read"} token, in this tab alone.`,
      ),
      action("Sign out", leave, { icon: "out" }),
    ),
  );
}

function Server(): VNode {
  const { version, deno, storage, settings, features } = about.value!;
  return section(
    { class: "card stack" },
    h2(null, "Server"),
    facts([
      ["version", version],
      ["Deno", deno],
      ["storage", storage],
      ["features", features.join(", ") || "—"],
      ...Object.entries(settings).map(([name, value]) => [name, visible(String(value))] as const),
    ]),
    p({ class: "hint" }, "Settings are variables of the server's environment. Secrets are not shown."),
  );
}

type Step =
  | { is: "asking" }
  | { is: "looked"; would: Json }
  | { is: "erased"; receipt: Json }
  | { is: "failed"; error: ApiError; again: () => void };

/** Erasing: look first, then type the id. It cannot be undone. */
function Erase(): VNode {
  const [kind, setKind] = useState(chosen("kind") === "anonymous" ? "anonymous" : "user");
  const [id, setId] = useState(chosen("erase"));
  const [suppress, setSuppress] = useState("false");
  const [typed, setTyped] = useState("");
  const [step, setStep] = useState<Step>({ is: "asking" });
  const [isBusy, setBusy] = useState(false);
  const path = apiPath(kind === "user" ? "users" : "anonymous", id);
  const run = async (dryRun: boolean) => {
    setBusy(true);
    try {
      const answer = await api(
        path +
          apiQuery({
            suppress: suppress === "false" ? undefined : suppress,
            dryRun: dryRun ? "true" : undefined,
          }),
        { method: "DELETE" },
      );
      setStep(dryRun ? { is: "looked", would: answer.wouldErase } : { is: "erased", receipt: answer });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setStep({ is: "failed", error, again: () => run(dryRun) });
    }
    setBusy(false);
  };
  const change = () => (setStep({ is: "asking" }), setTyped(""));
  return section(
    { class: "card stack", id: "erase" },
    h2(null, "Erase a person"),
    p(
      { class: "soft" },
      "Removes every event, profile and log of a person, for good. Exports and backups that you have made are not reached.",
    ),
    form(
      { class: "form", onSubmit: (event: Event) => (event.preventDefault(), id !== "" && run(true)) },
      div(
        { class: "joined erase-who" },
        select(
          {
            "aria-label": "Kind of id",
            value: kind,
            onChange: (event: Event) => (setKind((event.target as HTMLSelectElement).value), change()),
          },
          option({ value: "user" }, "user"),
          option({ value: "anonymous" }, "anonymous"),
        ),
        input({
          type: "text",
          "aria-label": "Id of the person",
          placeholder: "Exact id",
          value: id,
          autoComplete: "off",
          spellcheck: false,
          onInput: (event: Event) => (setId((event.target as HTMLInputElement).value), change()),
        }),
        button({ type: "submit", class: "button", disabled: id === "" || isBusy }, "Look"),
      ),
      fieldset(
        null,
        legend(null, "Later events of this person"),
        [["false", "are accepted as those of a new person"], ["true", "are dropped, if they name this id"], [
          "all",
          "are dropped, also under the linked anonymous ids",
        ]].map(([value, words]) =>
          label(
            { class: "choice", key: value! },
            input({
              type: "radio",
              name: "suppress",
              checked: suppress === value,
              onChange: () => setSuppress(value!),
            }),
            words,
          )
        ),
      ),
    ),
    stepView(step, { id, typed, setTyped, isBusy, erase: () => run(false) }),
  );
}

function stepView(
  step: Step,
  { id, typed, setTyped, isBusy, erase }: {
    id: string;
    typed: string;
    setTyped: (text: string) => void;
    isBusy: boolean;
    erase: () => void;
  },
): VNode | null {
  if (step.is === "failed") {
    return step.error.code === "erasure_under_way"
      ? notice(
        "warn",
        "The erasure is in progress and continues by itself.",
        div({ class: "row" }, action("Ask again", step.again)),
      )
      : failure(step.error, step.again);
  }
  if (step.is === "erased") {
    const { erased, suppressed, at } = step.receipt;
    return notice(
      "good",
      erased.events + erased.logs === 0 ? "Nobody with this id was here." : "The person is erased.",
      facts([
        ["events", String(erased.events)],
        ["logs", String(erased.logs)],
        ["groups", String(erased.groups)],
        ["rejected events", String(erased.rejected)],
        ["later events", suppressed ? "are dropped" : "are accepted"],
        ["at", at],
      ]),
      div(
        { class: "row" },
        view(Copy, {
          text: () => JSON.stringify(step.receipt),
          label: "Copy the receipt",
          what: "Receipt",
          kind: "plain",
        }),
        action("Erase somebody else", () => choose({ erase: undefined, kind: undefined })),
      ),
    );
  }
  if (step.is === "asking") return null;
  const { events, logs, groups, rejected, anonymousIds = [] } = step.would;
  return div(
    { class: "stack danger-zone" },
    p(
      null,
      "This would erase ",
      tags.strong(null, plural(events, "event")),
      ` in ${plural(logs, "log")}, ${plural(groups, "group")} and ${plural(rejected, "rejected event")}.`,
    ),
    anonymousIds.length > 0 &&
      p(
        null,
        "Linked anonymous ids, if you want to note them: ",
        anonymousIds.map((each: string) => [idText(each, 60), " "]),
      ),
    div(
      { class: "field" },
      label({ for: "erase-typed" }, "Type the id to erase this person"),
      input({
        id: "erase-typed",
        type: "text",
        autoComplete: "off",
        spellcheck: false,
        value: typed,
        onInput: (event: Event) => setTyped((event.target as HTMLInputElement).value),
      }),
    ),
    div(
      { class: "row" },
      action("Erase for good", erase, { kind: "danger", disabled: typed !== id || isBusy, busy: isBusy }),
    ),
  );
}
