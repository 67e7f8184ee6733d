/** Contracts: write, try on what came, monitor, and only then enforce. */
import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { api, apiUrl } from "../app/api.ts";
import { useApi } from "../app/load.ts";
import { choose, chosen, linkTo } from "../app/router.ts";
import { tags, view } from "../app/tags.ts";
import type { Json } from "../core/json.ts";
import { count, curl, visible } from "../core/text.ts";
import { action, badge, Dialog, empty, loaded, notice, when } from "../parts/basics.ts";
import { ContractEditor } from "../parts/contract_editor.ts";
import { requestOfScreen, Title } from "../parts/title.ts";

const { a, div, p, span, table, tbody, td, th, thead, tr } = tags;

/** The screen. */
export function Screen(): VNode {
  const contracts = useApi("admin/contracts");
  const stats = useApi("admin/stats?by=rejection", { everyMs: 60_000 });
  const [isAsking, setAsking] = useState(false);
  const name = chosen("name");
  const isNew = chosen("new") !== "";
  requestOfScreen.value = curl({
    url: apiUrl(name === "" ? "admin/contracts" : `admin/contracts/${encodeURIComponent(name)}`),
  });
  const violations = new Map<string, number>();
  for (const { contract, count: times } of stats.value?.counts.violations ?? []) {
    violations.set(contract, (violations.get(contract) ?? 0) + times);
  }
  const tools = div(
    { class: "row" },
    (name !== "" || isNew) && a({ class: "button", ...linkTo("contracts") }, "All contracts"),
    !isNew && action("Common events…", () => setAsking(true)),
    !isNew &&
      action("Write a contract", () => choose({ new: "1", name: undefined, tab: undefined }), {
        kind: "primary",
        icon: "plus",
      }),
  );
  return div(
    null,
    view(Title, { of: name === "" ? undefined : visible(name), children: tools }),
    isNew
      ? view(ContractEditor, {
        existing: undefined,
        onSaved: (saved) => (contracts.reload(), choose({ new: undefined, name: saved.name })),
      })
      : loaded(contracts, ({ contracts: all }) => {
        const found = all.find((each: Json) => each.name === name);
        if (name !== "" && found === undefined) {
          return notice(
            "calm",
            `No contract is named ${visible(name)}.`,
            div({ class: "row" }, a({ class: "button", ...linkTo("contracts") }, "All contracts")),
          );
        }
        if (found !== undefined) {
          return view(ContractEditor, {
            key: name,
            existing: found,
            broken: violations.get(name) ?? 0,
            onSaved: contracts.reload,
            onDeleted: () => (contracts.reload(), choose({ name: undefined, tab: undefined })),
          });
        }
        return all.length === 0 ? teach(() => setAsking(true)) : list(all, violations);
      }),
    isAsking &&
      view(CommonDialog, {
        close: () => setAsking(false),
        done: () => (setAsking(false), contracts.reload()),
      }),
  );
}

function teach(onCommon: () => void): VNode {
  return empty(
    "No contract yet",
    p(
      null,
      "A contract says what an event must look like. Monitored, it counts what breaks it; enforced, it refuses it with 422 and keeps it in the quarantine.",
    ),
    div(
      { class: "row" },
      action("Write a contract", () => choose({ new: "1" }), { kind: "primary", icon: "plus" }),
      action("Start with common events", onCommon),
    ),
  );
}

function list(all: readonly Json[], violations: ReadonlyMap<string, number>): VNode {
  return div(
    { class: "card flush" },
    table(
      { class: "list cards" },
      thead(
        null,
        tr(
          null,
          ["name", "events", "mode", "broken, 24 h", "version", "changed"].map((name) =>
            th({ key: name, scope: "col" }, name)
          ),
        ),
      ),
      tbody(
        null,
        all.map(({ name, type, event, mode, version, updatedAt, writeKeyIds, notice: problem }) => {
          const broken = violations.get(name) ?? 0;
          return tr(
            { key: name, class: "clickable", onClick: () => choose({ name }) },
            td(
              null,
              a({ ...linkTo("contracts", { name }), class: "strong" }, visible(name)),
              problem && div({ class: "problem" }, "checks nothing: its schema is not supported"),
            ),
            td(
              null,
              span({ class: "tag" }, type),
              " ",
              event ? visible(event) : span({ class: "soft" }, "all"),
              writeKeyIds && span({ class: "hint" }, ` of ${writeKeyIds.length} keys`),
            ),
            td(
              { class: "tight" },
              mode === "enforce" ? badge("accepted", "good", "enforced") : badge("", "calm", "monitored"),
            ),
            td(
              { class: "number" },
              broken > 0
                ? a({ ...linkTo("quarantine", { contract: name }), class: "fall" }, count(broken))
                : "0",
            ),
            td({ class: "number" }, `v${version}`),
            td({ class: "tight" }, when(updatedAt)),
          );
        }),
      ),
    ),
  );
}

function CommonDialog({ close, done }: { close: () => void; done: () => void }): VNode {
  const [problem, setProblem] = useState("");
  const save = async (mode: string) => {
    try {
      await api("admin/common-contracts", { method: "POST", body: { mode } });
      done();
    } catch (error) {
      setProblem(String((error as Error).message));
    }
  };
  return view(Dialog, {
    title: "Contracts of common events",
    onClose: close,
    children: [
      p(
        null,
        "Eight contracts for events that most shops and products send, such as Order Completed and Product Viewed. Each can be changed afterwards.",
      ),
      problem !== "" && p({ class: "problem", role: "alert" }, problem),
      div(
        { class: "row end" },
        action("Cancel", close),
        action("Add and enforce", () => save("enforce")),
        action("Add and monitor", () => save("monitor"), { kind: "primary" }),
      ),
    ],
  });
}
