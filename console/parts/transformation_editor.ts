/** One transformation: its code and tests, what it does to events, its versions, and who uses it. */
import type { ComponentChildren, VNode } from "preact";
import { useState } from "preact/hooks";
import { api, ApiError, apiPath, refuseChanged } from "../app/api.ts";
import { choose, chosen, linkTo } from "../app/router.ts";
import { tags, view } from "../app/tags.ts";
import type { Json } from "../core/json.ts";
import { plural, visible } from "../core/text.ts";
import { action, announce, badge, Dialog, failure, notice, tabs, when } from "./basics.ts";
import { diffView, Versions } from "./diff_view.ts";
import { Editor, useDraft } from "./editor.ts";
import { Check } from "./transformation_check.ts";
import {
  bodyOf,
  type Draft,
  draftOf,
  type Field,
  fieldsOf,
  type Marks,
  marksOf,
  type RunsProps,
  textOf,
} from "./transformation_draft.ts";
import { Try } from "./transformation_try.ts";

const { a, code, div, h2, input, label, li, option, p, section, select, span, ul } = tags;

/** A transformation that exists, or a new one. */
export interface TransformationEditorProps {
  existing: Json;
  /** The destinations that use it. */
  usedBy: readonly Json[];
  onSaved(saved: Json): void;
  onDeleted(): void;
}

const EDITORS: Readonly<Record<Field, { label: string; rows: number; hint?: string }>> = {
  rules: { label: "Rules", rows: 16 },
  code: { label: "Code", rows: 18 },
  params: {
    label: "Params",
    rows: 4,
    hint: 'Values that the code needs and that nobody reads. "***" keeps a stored value, null removes it.',
  },
  tests: { label: "Tests", rows: 12, hint: "They run at each save. If one fails, nothing is saved." },
};

/** The editor with its tabs. */
export function TransformationEditor(props: TransformationEditorProps): VNode {
  const { existing, usedBy, onSaved, onDeleted } = props;
  const [isDeleting, setDeleting] = useState(false);
  const tab = chosen("tab");
  return div(
    { class: "stack" },
    existing && headOf(existing, { usedBy, onDelete: () => setDeleting(true) }),
    existing && tabs("Parts of the transformation", [
      { name: "", text: kindWords(existing.kind) },
      { name: "versions", text: "Versions", count: existing.version },
      { name: "used", text: "Used by", count: usedBy.length },
    ], { current: tab, onChoose: (name) => choose({ tab: name || undefined }) }),
    tab === "versions" && existing
      ? versionsOf(existing, onSaved)
      : tab === "used" && existing
      ? usersOf(existing.name, usedBy)
      : view(Work, { existing, onSaved }),
    isDeleting &&
      view(DeleteDialog, { name: existing.name, usedBy, close: () => setDeleting(false), onDeleted }),
  );
}

/** A kind in words. */
export const kindWords = (kind: string): string => kind === "rules" ? "Rules" : "JavaScript";

function headOf(
  { name, kind, version, updatedAt, tests = [] }: Json,
  { usedBy, onDelete }: { usedBy: readonly Json[]; onDelete: () => void },
): VNode {
  return div(
    { class: "card person" },
    div(
      { class: "grow" },
      h2(null, code(null, visible(name))),
      p(
        { class: "soft facts-line" },
        span(null, kindWords(kind)),
        span(null, `v${version}`),
        span(null, "changed ", when(updatedAt)),
        span(null, plural(tests.length, "test")),
      ),
    ),
    usedBy.length > 0
      ? badge("running", "good", `used by ${plural(usedBy.length, "destination")}`)
      : badge("off", "calm", "not used"),
    action("", onDelete, { icon: "trash", kind: "quiet", label: "Delete the transformation" }),
  );
}

/** The form, and beside it what the draft does. */
function Work({ existing, onSaved }: Pick<TransformationEditorProps, "existing" | "onSaved">): VNode {
  const stored = draftOf(existing);
  const { draft, setDraft, isChanged, forget } = useDraft(`transformation.${existing?.name ?? ""}`, stored, {
    isNew: existing === undefined,
    secret: "params",
  });
  const [marks, setMarks] = useState<Marks>({});
  const [error, setError] = useState<ApiError | undefined>();
  const [said, setSaid] = useState("");
  const [isBusy, setBusy] = useState(false);
  const path = apiPath("admin", "transformations", draft.name || "draft");
  const change = (values: Partial<Draft>) => {
    setDraft({ ...draft, ...values });
    setMarks({});
    setError(undefined);
    setSaid("");
  };
  /** Runs something with the draft; a refusal stands at its lines. */
  const withDraft = async (run: (body: Json) => Promise<void>) => {
    const made = bodyOf(draft);
    setMarks("marks" in made ? made.marks : {});
    setError(undefined);
    setSaid("");
    if ("marks" in made) return;
    setBusy(true);
    try {
      await run(made.body);
    } catch (problem) {
      if (!(problem instanceof ApiError)) throw problem;
      setError(problem);
      setMarks(marksOf(draft, problem));
    }
    setBusy(false);
  };
  const save = (dryRun: boolean) =>
    withDraft(async (body) => {
      if (!dryRun && existing !== undefined) await refuseChanged(path, existing.version);
      const saved = await api(`${path}${dryRun ? "?dryRun=true" : ""}`, { method: "PUT", body });
      if (dryRun) {
        const words = body.tests.length === 0
          ? "The code can be read. There are no tests."
          : `${plural(body.tests.length, "test")} passed.`;
        announce(words);
        return setSaid(words);
      }
      forget();
      onSaved(saved);
    });
  return div(
    { class: "split" },
    section(
      { class: "card stack" },
      formOf(draft, { isNew: existing === undefined, marks, change }),
      error && failure(error),
      said !== "" && notice("good", said),
      div(
        { class: "row" },
        action("Run the tests", () => void save(true), { busy: isBusy, disabled: isBusy }),
        action(existing === undefined ? "Save" : `Save v${existing.version + 1}`, () => void save(false), {
          kind: "primary",
          disabled: isBusy || draft.name === "" || !isChanged,
        }),
        existing && isChanged && action("Discard the changes", () => change(stored), { kind: "quiet" }),
      ),
      existing && isChanged && [
        h2(null, `Changed against v${existing.version}`),
        diffView(textOfDraft(stored), textOfDraft(draft)),
      ],
    ),
    view(Runs, {
      path,
      draft,
      sendsDraft: isChanged,
      standing: existing && (isChanged ? `v${existing.version}` : "the original"),
      withDraft,
      onCodeMarks: (found) => setMarks({ code: found }),
    }),
  );
}

/** Both runs: a difference of the check can be tried alone. */
function Runs(props: RunsProps): VNode {
  const [messageId, setMessageId] = useState("");
  return div(
    { class: "stack" },
    view(Check, { ...props, onTry: setMessageId }),
    view(Try, { ...props, messageId, onMessageId: setMessageId }),
  );
}

function formOf(
  draft: Draft,
  { isNew, marks, change }: { isNew: boolean; marks: Marks; change: (values: Partial<Draft>) => void },
): ComponentChildren {
  return [
    div(
      { class: "form" },
      div(
        { class: "pair" },
        isNew && div(
          { class: "field" },
          label({ for: "transformation-name" }, "Name"),
          input({
            id: "transformation-name",
            type: "text",
            maxLength: 100,
            placeholder: "hide-email",
            value: draft.name,
            onInput: (event: Event) => change({ name: (event.target as HTMLInputElement).value }),
          }),
        ),
        div(
          { class: "field" },
          label({ for: "transformation-kind" }, "Kind"),
          select({
            id: "transformation-kind",
            "data-filter": "",
            value: draft.kind,
            onChange: (event: Event) =>
              change({ kind: (event.target as HTMLSelectElement).value as Draft["kind"] }),
          }, ["javascript", "rules"].map((kind) => option({ key: kind, value: kind }, kindWords(kind)))),
        ),
      ),
    ),
    fieldsOf(draft.kind).map((field) => {
      const { label: words, rows, hint } = EDITORS[field];
      return div(
        { key: field, class: "stack" },
        h2(null, words),
        view(Editor, {
          label: words,
          text: draft[field],
          onText: (text) => change({ [field]: text }),
          marks: marks[field] ?? [],
          rows,
          language: field === "code" ? "code" : "json",
        }),
        hint !== undefined && p({ class: "hint" }, hint),
      );
    }),
  ];
}

function textOfDraft(draft: Draft): string {
  return fieldsOf(draft.kind).map((field) => draft[field]).join("\n");
}

function versionsOf({ name, version }: Json, onRestored: (saved: Json) => void): VNode {
  const path = apiPath("admin", "transformations", name);
  return view(Versions, {
    path: `${path}/versions`,
    current: version,
    isDeletion: ({ kind }) => kind === "deleted",
    textOf: async (entry) => textOf(await api(`${path}/versions/${entry.version}`)),
    restore: (wanted) => api(`${path}/restore`, { method: "POST", body: { version: wanted } }),
    onRestored,
  });
}

function usersOf(name: string, usedBy: readonly Json[]): VNode {
  if (usedBy.length === 0) {
    return notice(
      "calm",
      "No destination uses this transformation.",
      p({ class: "hint" }, "A destination lists the transformations that it applies, in order."),
    );
  }
  return section(
    { class: "card stack" },
    ul(
      { class: "stack" },
      usedBy.map(({ name: of, transformations, enabled }) =>
        li(
          { key: of },
          a({ ...linkTo("forwarding", { id: of }), class: "strong" }, visible(of)),
          " applies ",
          transformations.map((each: string, n: number) => [
            n > 0 && ", then ",
            each === name
              ? tags.strong({ key: each }, visible(each))
              : a({ key: each, ...linkTo("transformations", { id: each }) }, visible(each)),
          ]),
          enabled === false && span({ class: "hint" }, " (paused)"),
        )
      ),
    ),
  );
}

function DeleteDialog(
  { name, usedBy, close, onDeleted }: {
    name: string;
    usedBy: readonly Json[];
    close: () => void;
    onDeleted: () => void;
  },
): VNode {
  const [error, setError] = useState<ApiError | undefined>();
  const remove = async () => {
    try {
      await api(apiPath("admin", "transformations", name), { method: "DELETE" });
      onDeleted();
    } catch (problem) {
      if (!(problem instanceof ApiError)) throw problem;
      setError(problem);
    }
  };
  return view(Dialog, {
    title: `Delete ${visible(name)}?`,
    onClose: close,
    children: [
      p(
        null,
        usedBy.length === 0
          ? "No destination uses it. Its versions stay, and any of them can be restored."
          : `${usedBy.map((each) => visible(each.name)).join(", ")} ${
            usedBy.length === 1 ? "uses" : "use"
          } it. It can only be deleted once no destination uses it.`,
      ),
      error && failure(error),
      div(
        { class: "row end" },
        action("Cancel", close),
        action("Delete the transformation", () => void remove(), { kind: "danger" }),
      ),
    ],
  });
}
