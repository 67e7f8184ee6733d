/** One audience: its condition as a builder or JSON with a live preview, its members, and why somebody is in it. */
import type { ComponentChildren, VNode } from "preact";
import { useState } from "preact/hooks";
import { api, ApiError, apiPath, refuseChanged } from "../app/api.ts";
import { useLoad } from "../app/load.ts";
import { choose, chosen } from "../app/router.ts";
import { tags, view } from "../app/tags.ts";
import { type Json, parseJson, pretty } from "../core/json.ts";
import { count, plural, visible } from "../core/text.ts";
import { action, actorLink, badge, Dialog, failure, loaded, notice, tabs, when } from "./basics.ts";
import { Builder } from "./audience_builder.ts";
import { Members } from "./audience_members.ts";
import { Editor, type Mark, marksIn, marksOfText, useDraft } from "./editor.ts";

const { code, div, h2, input, label, li, p, section, span, ul } = tags;

/** An audience that exists, or a new one. */
export interface AudienceEditorProps {
  existing: Json;
  /** Names of all audiences. */
  names: readonly string[];
  onSaved(saved: Json): void;
  onDeleted(): void;
}

/** The preview waits this long after the last change (ms). */
const PREVIEW_MS = 400;

const FIRST = { all: [{ event: "Order Completed", count: { $gte: 1 }, within: "30d" }] };

/** The editor with its tabs. */
export function AudienceEditor(props: AudienceEditorProps): VNode {
  const { existing, onDeleted } = props;
  const [isDeleting, setDeleting] = useState(false);
  const tab = chosen("tab");
  return div(
    { class: "stack" },
    existing && headOf(existing, () => setDeleting(true)),
    existing && tabs("Parts of the audience", [
      { name: "", text: "Members", count: existing.members },
      { name: "condition", text: "Condition" },
    ], { current: tab, onChoose: (name) => choose({ tab: name || undefined, user: undefined }) }),
    existing && tab === "" ? view(Members, { name: existing.name }) : view(Work, props),
    isDeleting && view(DeleteDialog, { name: existing.name, close: () => setDeleting(false), onDeleted }),
  );
}

function headOf(
  { name, description, members, version, state, builtAt, emit, notice: told }: Json,
  onDelete: () => void,
): VNode {
  return div(
    { class: "card person" },
    div(
      { class: "grow" },
      h2(null, visible(name)),
      description && p(null, visible(description)),
      p(
        { class: "soft facts-line" },
        span(null, plural(members, "member")),
        span(null, `v${version}`),
        builtAt && span(null, "built ", when(builtAt)),
        span(null, emit ? "entries and exits are events" : "entries and exits are no events"),
      ),
      told && p({ class: "hint" }, told),
    ),
    state === "live" ? badge("running", "good", "live") : badge("retrying", "warn", "building"),
    action("", onDelete, { icon: "trash", kind: "quiet", label: "Delete the audience" }),
  );
}

interface Draft {
  name: string;
  description: string;
  emit: boolean;
  where: string;
}

function draftOf(existing: Json): Draft {
  return {
    name: existing?.name ?? "",
    description: existing?.description ?? "",
    emit: existing?.emit ?? false,
    where: pretty(existing?.where ?? FIRST),
  };
}

/** The form, and beside it whom the draft would have. */
function Work({ existing, names, onSaved }: AudienceEditorProps): VNode {
  const stored = draftOf(existing);
  const { draft, setDraft, isChanged, forget } = useDraft(`audience.${existing?.name ?? ""}`, stored, {
    isNew: existing === undefined,
  });
  const [marks, setMarks] = useState<readonly Mark[]>([]);
  const [error, setError] = useState<ApiError | undefined>();
  const [isBusy, setBusy] = useState(false);
  const change = (values: Partial<Draft>) => {
    setDraft({ ...draft, ...values });
    setMarks([]);
    setError(undefined);
  };
  const problems = marksOfText(draft.where);
  const save = async () => {
    setBusy(true);
    try {
      const path = apiPath("admin", "audiences", draft.name);
      if (existing !== undefined) await refuseChanged(path, existing.version);
      const { description, emit } = draft;
      const body = { where: parseJson(draft.where), emit, ...description !== "" && { description } };
      const saved = await api(path, { method: "PUT", body });
      forget();
      onSaved(saved);
    } catch (problem) {
      if (!(problem instanceof ApiError)) throw problem;
      setError(problem);
      setMarks(marksIn(draft.where, "where", problem));
    }
    setBusy(false);
  };
  return div(
    { class: "split" },
    section(
      { class: "card stack" },
      formOf(draft, existing === undefined, change),
      conditionOf(draft, { marks: problems.length > 0 ? problems : marks, names, change }),
      error && failure(error),
      div(
        { class: "row" },
        action(existing === undefined ? "Save" : `Save v${existing.version + 1}`, () => void save(), {
          kind: "primary",
          disabled: isBusy || draft.name === "" || problems.length > 0 || !isChanged,
        }),
        existing && isChanged && action("Discard the changes", () => change(stored), { kind: "quiet" }),
      ),
    ),
    problems.length === 0 && view(Preview, { where: draft.where, audience: existing?.name }),
  );
}

function formOf(draft: Draft, isNew: boolean, change: (values: Partial<Draft>) => void): VNode {
  const field = (id: "name" | "description", text: string, placeholder: string) =>
    div(
      { class: "field" },
      label({ for: `audience-${id}` }, text),
      input({
        id: `audience-${id}`,
        type: "text",
        maxLength: id === "name" ? 100 : 1_000,
        placeholder,
        value: draft[id],
        onInput: (event: Event) => change({ [id]: (event.target as HTMLInputElement).value }),
      }),
    );
  return div(
    { class: "form" },
    div(
      { class: "pair" },
      isNew && field("name", "Name", "big-spenders"),
      field("description", "Description", "Who is in it, and what for"),
    ),
    label(
      { class: "row" },
      input({
        type: "checkbox",
        checked: draft.emit,
        onChange: (event: Event) => change({ emit: (event.target as HTMLInputElement).checked }),
      }),
      " Each entry and exit is an event (Audience Entered, Audience Exited) that destinations receive",
    ),
  );
}

function conditionOf(
  { where }: Draft,
  { marks, names, change }: {
    marks: readonly Mark[];
    names: readonly string[];
    change: (values: Partial<Draft>) => void;
  },
): ComponentChildren {
  const isJson = chosen("as") === "json";
  const read = marksOfText(where).length === 0 ? parseJson(where) : undefined;
  return [
    tabs("Form of the condition", [{ name: "", text: "Builder" }, { name: "json", text: "JSON" }], {
      current: isJson ? "json" : "",
      onChoose: (name) => choose({ as: name || undefined }, { replace: true }),
    }),
    isJson
      ? view(Editor, {
        label: "Condition",
        text: where,
        onText: (text) => change({ where: text }),
        marks,
        rows: 16,
      })
      : read === undefined
      ? notice("warn", "The JSON cannot be read: correct it first.")
      : [
        view(Builder, {
          node: read,
          audiences: names,
          onChange: (node) => change({ where: pretty(node) }),
        }),
        marks.length > 0 &&
        ul({ class: "marks" }, marks.map(({ message }, n) => li({ key: n }, visible(message)))),
      ],
  ];
}

/** Whom a condition would have, some time after its last change. */
function Preview({ where, audience }: { where: string; audience: string | undefined }): VNode {
  const body = JSON.stringify({ where: parseJson(where), ...audience !== undefined && { audience } });
  const preview = useLoad<Json>(
    body,
    (signal) => api("admin/audiences/preview", { method: "POST", body, signal }),
    { delayMs: PREVIEW_MS },
  );
  return section(
    { class: "card stack", "aria-live": "polite" },
    h2(null, "Would be in it"),
    preview.value === undefined && preview.error?.status === 400
      ? notice("warn", preview.error.message)
      : loaded(preview, ({ members, exact, sample, wouldEnter, wouldLeave, tookMs }) => [
        p(
          { class: "strong" },
          `${exact ? "" : "about "}${plural(members, "user")}`,
        ),
        p(
          { class: "hint" },
          exact ? "Exact" : "An estimate from a sample of all users",
          `, counted in ${count(Math.round(tookMs))} ms. Visitors without an account are never members.`,
        ),
        audience !== undefined &&
        p(null, `${count(wouldEnter)} would enter, ${count(wouldLeave)} would leave.`),
        sample.length > 0 && p({ class: "soft" }, "Some of them:"),
        ul({ class: "inline" }, sample.map((id: string) => li({ key: id }, actorLink("user", id)))),
      ]),
  );
}

function DeleteDialog(
  { name, close, onDeleted }: { name: string; close: () => void; onDeleted: () => void },
): VNode {
  const [error, setError] = useState<ApiError | undefined>();
  const remove = async () => {
    try {
      await api(apiPath("admin", "audiences", name), { method: "DELETE" });
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
        "Its members are listed nowhere any more, and no exits are sent. An audience that another one uses stays: ",
        code(null, "409"),
        ".",
      ),
      error && failure(error),
      div(
        { class: "row end" },
        action("Cancel", close),
        action("Delete the audience", () => void remove(), { kind: "danger" }),
      ),
    ],
  });
}
