/** One contract: its schema, what the last events say to it, and its versions. */
import type { ComponentChildren, VNode } from "preact";
import { useState } from "preact/hooks";
import { api, ApiError, apiPath, refuseChanged, TYPES } from "../app/api.ts";
import { choose, chosen, linkTo } from "../app/router.ts";
import { tags, view } from "../app/tags.ts";
import { type Json, outline, parseJson, pretty } from "../core/json.ts";
import { count, percent, visible } from "../core/text.ts";
import { action, badge, Dialog, eventLink, failure, notice, tabs, when } from "./basics.ts";
import { diffView, Versions } from "./diff_view.ts";
import { Editor, type Mark, marksIn, useDraft } from "./editor.ts";

const { a, code, div, h2, input, label, li, option, p, section, select, span, ul } = tags;

/** A contract that exists, or a new one. */
export interface ContractEditorProps {
  existing: Json;
  /** How often it was broken in a day. */
  broken?: number;
  onSaved(saved: Json): void;
  onDeleted?(): void;
}

const FIRST_SCHEMA = {
  type: "object",
  properties: {
    properties: {
      type: "object",
      required: ["order_id", "total"],
      properties: { order_id: { type: "string" }, total: { type: "number", minimum: 0 } },
    },
  },
};

/** A draft as the form has it. */
interface Draft {
  name: string;
  type: string;
  event: string;
  schema: string;
}

function firstDraft(existing: Json): Draft {
  return existing === undefined ? { name: "", type: "track", event: "", schema: pretty(FIRST_SCHEMA) } : {
    name: existing.name,
    type: existing.type,
    event: existing.event ?? "",
    schema: pretty(existing.schema),
  };
}

/** The editor with its tabs. */
export function ContractEditor({ existing, broken = 0, onSaved, onDeleted }: ContractEditorProps): VNode {
  const stored = firstDraft(existing);
  const { draft, setDraft, isChanged, forget } = useDraft(`contract.${existing?.name ?? ""}`, stored, {
    isNew: existing === undefined,
  });
  const [marks, setMarks] = useState<Mark[]>([]);
  const [error, setError] = useState<ApiError | undefined>();
  const [check, setCheck] = useState<Json>();
  const [isBusy, setBusy] = useState(false);
  const [asks, setAsks] = useState<"" | "enforce" | "delete">("");
  const tab = chosen("tab") || "schema";
  const change = (
    values: Partial<Draft>,
  ) => (setDraft({ ...draft, ...values }), setMarks([]), setCheck(undefined), setError(undefined));
  const path = (rest = "") => apiPath("admin", "contracts", draft.name || "draft") + rest;
  /** Runs something with the draft; a refusal stands at its line. */
  const withDraft = async (run: (body: Json) => Promise<void>) => {
    const { problem } = outline(draft.schema);
    if (problem !== undefined) {
      return setMarks([{ line: problem.line, message: `column ${problem.column}: ${problem.message}` }]);
    }
    setBusy(true);
    setError(undefined);
    setMarks([]);
    try {
      const body = {
        type: draft.type,
        ...draft.type === "track" && draft.event !== "" && { event: draft.event },
        schema: parseJson(draft.schema),
        ...existing?.writeKeyIds && { writeKeyIds: existing.writeKeyIds },
      };
      await run(body);
    } catch (problem) {
      if (!(problem instanceof ApiError)) throw problem;
      setError(problem);
      setMarks(marksIn(draft.schema, "schema", problem));
    }
    setBusy(false);
  };
  const tryOut = () =>
    withDraft(async (body) =>
      setCheck(await api(path("/check?last=1000"), { method: "POST", body: { ...body, mode: "monitor" } }))
    );
  const save = (mode: string) =>
    withDraft(async (body) => {
      if (existing !== undefined) await refuseChanged(path(), existing.version);
      const saved = await api(path(), { method: "PUT", body: { ...body, mode } });
      forget();
      setAsks("");
      onSaved(saved);
    });
  const askToEnforce = async () => (await tryOut(), setAsks("enforce"));
  return div(
    { class: "stack" },
    existing &&
      headOf(existing, broken, {
        onMode: (mode) => mode === "enforce" ? void askToEnforce() : void save(mode),
        onDelete: () => setAsks("delete"),
      }),
    existing &&
      tabs("Parts of the contract", [{ name: "schema", text: "Schema" }, {
        name: "versions",
        text: "Versions",
        count: existing.version,
      }], {
        current: tab === "try" ? "schema" : tab,
        onChoose: (name) => choose({ tab: name === "schema" ? undefined : name }),
      }),
    tab === "versions" && existing !== undefined ? versionsOf(existing, onSaved) : div(
      { class: "split" },
      section(
        { class: "card stack" },
        existing === undefined &&
          div(
            { class: "field" },
            label({ for: "contract-name" }, "Name"),
            input({
              id: "contract-name",
              type: "text",
              placeholder: "order",
              value: draft.name,
              onInput: (event: Event) => change({ name: (event.target as HTMLInputElement).value }),
            }),
          ),
        div(
          { class: "form" },
          div(
            { class: "pair" },
            div(
              { class: "field" },
              label({ for: "contract-type" }, "Type of event"),
              select({
                id: "contract-type",
                "data-filter": "",
                value: draft.type,
                onChange: (event: Event) => change({ type: (event.target as HTMLSelectElement).value }),
              }, TYPES.map((type) => option({ key: type, value: type }, type))),
            ),
            draft.type === "track" &&
              div(
                { class: "field" },
                label({ for: "contract-event" }, "Name of event (empty: all)"),
                input({
                  id: "contract-event",
                  type: "text",
                  placeholder: "Order Completed",
                  value: draft.event,
                  onInput: (event: Event) => change({ event: (event.target as HTMLInputElement).value }),
                }),
              ),
          ),
        ),
        view(Editor, {
          label: "JSON Schema of the whole event",
          text: draft.schema,
          onText: (schema) => change({ schema }),
          marks,
          onSubmit: tryOut,
          rows: 20,
        }),
        error && marks.length === 0 && failure(error),
        div(
          { class: "row" },
          action("Try on the last 1,000 events", tryOut, { busy: isBusy, title: "Ctrl Enter" }),
          action(
            existing === undefined || existing.mode === "monitor" ? "Save and monitor" : "Save as monitor",
            () => void save("monitor"),
            {
              kind: "primary",
              disabled: isBusy || draft.name === "" || !isChanged && existing?.mode === "monitor",
            },
          ),
          action("Save and enforce…", () => void askToEnforce(), {
            disabled: isBusy || draft.name === "" || !isChanged && existing?.mode === "enforce",
          }),
        ),
      ),
      div(
        { class: "stack" },
        section(
          { class: "card stack" },
          h2(null, "Try"),
          check === undefined
            ? p(
              { class: "hint" },
              "Nothing is stored: the text as it stands is held against the last events.",
            )
            : checkView(check),
        ),
        existing && isChanged &&
          section(
            { class: "card stack" },
            h2(null, `Changed against v${existing.version}`),
            diffView(pretty(existing.schema), draft.schema),
            div(
              { class: "row" },
              action("Discard the changes", () => setDraft(stored), { kind: "quiet" }),
            ),
          ),
      ),
    ),
    asks === "enforce" && view(Dialog, {
      title: "Enforce this contract?",
      onClose: () => setAsks(""),
      children: [
        check === undefined ? p({ class: "problem" }, "It could not be tried: see the marks.") : p(
          null,
          `Of the last ${count(check.checked)} events, `,
          tags.strong(null, percent(check.failed, check.checked)),
          ` (${count(check.failed)}) would have been refused with 422.`,
        ),
        div(
          { class: "row end" },
          action("Cancel", () => setAsks("")),
          action("Enforce", () => void save("enforce"), { kind: "primary", disabled: check === undefined }),
        ),
      ],
    }),
    asks === "delete" && view(Dialog, {
      title: `Delete ${visible(draft.name)}?`,
      onClose: () => setAsks(""),
      children: [
        p(null, "Its events are no longer checked. Its versions stay, and any of them can be restored."),
        div(
          { class: "row end" },
          action("Cancel", () => setAsks("")),
          action(
            "Delete the contract",
            async () => (await api(path(), { method: "DELETE" }), onDeleted?.()),
            { kind: "danger" },
          ),
        ),
      ],
    }),
  );
}

function headOf(
  { mode, version, updatedAt, notice: problem, name }: Json,
  broken: number,
  { onMode, onDelete }: { onMode: (mode: string) => void; onDelete: () => void },
): ComponentChildren {
  return [
    problem && notice("warn", visible(problem)),
    div(
      { class: "card person" },
      div(
        { class: "grow" },
        h2(null, code(null, visible(name))),
        p(
          { class: "soft facts-line" },
          span(null, `v${version}`),
          span(null, "changed ", when(updatedAt)),
          a({ ...linkTo("quarantine", { contract: name }) }, `${count(broken)} broken in 24 h`),
        ),
      ),
      mode === "enforce" ? badge("accepted", "good", "enforced") : badge("", "calm", "monitored"),
      mode === "enforce"
        ? action("Monitor only", () => onMode("monitor"))
        : action("Enforce…", () => onMode("enforce")),
      action("", onDelete, { icon: "trash", kind: "quiet", label: "Delete the contract" }),
    ),
  ];
}

function checkView({ checked, failed, complete, examples }: Json): ComponentChildren {
  const groups = new Map<string, Json[]>();
  for (const example of examples) {
    const rule = example.message.replace(/; got .*? \(contract/, " (contract").replace(/ \(contract .*$/, "");
    groups.set(rule, [...groups.get(rule) ?? [], example]);
  }
  return [
    p(
      null,
      tags.strong(null, `${count(checked)} looked at, ${count(failed)} would break it`),
      checked > 0 ? ` (${percent(failed, checked)})` : ": none of the last 1,000 events is meant",
      complete ? "." : ". The search took too long and stopped early.",
    ),
    ul(
      { class: "stack" },
      [...groups].map(([rule, all]) =>
        li(
          { key: rule },
          span({ class: "fall" }, visible(rule)),
          ul(
            { class: "inline" },
            all.slice(0, 5).map(({ messageId }) => li({ key: messageId }, eventLink(messageId, 20))),
          ),
        )
      ),
    ),
  ];
}

function versionsOf(existing: Json, onRestored: (saved: Json) => void): VNode {
  const path = apiPath("admin", "contracts", existing.name);
  return view(Versions, {
    path: `${path}/versions`,
    current: existing.version,
    isDeletion: ({ contract }) => contract === null,
    textOf: ({ contract }) => contract === null ? "" : pretty(contract),
    restore: (version) => api(`${path}/versions/${version}/restore`, { method: "POST" }),
    onRestored,
  });
}
