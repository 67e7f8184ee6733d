/** The form of a destination: fields for its kind, and what it gets. */
import type { ComponentChildren, VNode } from "preact";
import { useState } from "preact/hooks";
import { api, ApiError, apiPath } from "../app/api.ts";
import { useApi } from "../app/load.ts";
import { hasFeature } from "../app/session.ts";
import { tags, view } from "../app/tags.ts";
import { type Json, outline, parseJson, pretty } from "../core/json.ts";
import { visible } from "../core/text.ts";
import { failure } from "../parts/basics.ts";
import { Editor, type Mark, marksIn } from "../parts/editor.ts";

const { button, div, fieldset, form, h2, input, label, legend, option, p, section, select } = tags;

/** A field of the settings of a kind. */
interface Field {
  name: string;
  words: string;
  hint?: string;
  isSecret?: true;
  isOptional?: true;
  choices?: readonly string[];
}

/** The fields of each kind, by the names of the API. */
const KINDS: Readonly<Record<string, { words: string; fields: readonly Field[] }>> = {
  webhook: {
    words: "Webhook: a signed POST to your own server",
    fields: [
      { name: "url", words: "URL", hint: "https://example.com/hook" },
      { name: "method", words: "Method", choices: ["POST", "PUT", "PATCH"] },
      {
        name: "secret",
        words: "Secret",
        hint: "empty: one is made and shown once",
        isSecret: true,
        isOptional: true,
      },
    ],
  },
  segment: {
    words: "Segment, or another signalfold",
    fields: [{ name: "url", words: "URL", hint: "https://api.segment.io" }, {
      name: "writeKey",
      words: "Write key",
      isSecret: true,
    }],
  },
  postgres: {
    words: "PostgreSQL: one row per event",
    fields: [
      { name: "url", words: "URL", hint: "postgres://db.example.com:5432/analytics" },
      { name: "schema", words: "Schema", hint: "public", isOptional: true },
      { name: "table", words: "Table", hint: "events", isOptional: true },
      { name: "user", words: "User", isOptional: true },
      { name: "password", words: "Password", isSecret: true, isOptional: true },
    ],
  },
  clickhouse: {
    words: "ClickHouse: one row per event",
    fields: [
      { name: "url", words: "URL", hint: "https://clickhouse.example.com:8443" },
      { name: "database", words: "Database", hint: "default", isOptional: true },
      { name: "table", words: "Table", hint: "events", isOptional: true },
      { name: "user", words: "User", isOptional: true },
      { name: "password", words: "Password", isSecret: true, isOptional: true },
    ],
  },
  s3: {
    words: "S3: compressed files of events",
    fields: [
      { name: "endpoint", words: "Endpoint", hint: "https://s3.eu-central-1.amazonaws.com" },
      { name: "bucket", words: "Bucket" },
      { name: "prefix", words: "Prefix", isOptional: true },
      { name: "region", words: "Region", hint: "us-east-1", isOptional: true },
      { name: "accessKeyId", words: "Access key id", isSecret: true },
      { name: "secretAccessKey", words: "Secret access key", isSecret: true },
    ],
  },
  http: { words: "HTTP: a product by a recipe", fields: [] },
};

const FIRST_RECIPE = { recipe: "slack", url: "https://hooks.slack.com/services/…" };

/** Members of a definition that the form does not show and keeps as they are. */
const KEPT = ["consent", "onErase", "order"] as const;

/** The form; a refusal stands at its field. */
export function DestinationForm(
  { existing, onSaved }: { existing: Json; onSaved: (name: string, secret?: string) => void },
): VNode {
  const [kind, setKind] = useState<string>(existing?.kind ?? "webhook");
  const [name, setName] = useState<string>(existing?.name ?? "");
  const [settings, setSettings] = useState<Json>(() => ({ ...existing?.settings }));
  const [recipe, setRecipe] = useState(pretty(existing?.kind === "http" ? existing.settings : FIRST_RECIPE));
  const [where, setWhere] = useState(existing?.where ? pretty(existing.where) : "");
  const [writeKeyIds, setWriteKeyIds] = useState<string[]>(existing?.writeKeyIds ?? []);
  const [transformations, setTransformations] = useState<string[]>(existing?.transformations ?? []);
  const [from, setFrom] = useState("now");
  const [perSecond, setPerSecond] = useState(String(existing?.rateLimit?.perSecond ?? ""));
  const [maxEvents, setMaxEvents] = useState(String(existing?.batch?.maxEvents ?? "1"));
  const [error, setError] = useState<ApiError | undefined>();
  const [whereMarks, setWhereMarks] = useState<Mark[]>([]);
  const [recipeMarks, setRecipeMarks] = useState<Mark[]>([]);
  const keys: Json[] = useApi("admin/keys").value?.keys ?? [];
  const known: Json[] =
    useApi(hasFeature("transformations") ? "admin/transformations" : undefined).value?.transformations ?? [];
  const errorAt = (path: string): string =>
    error?.body?.errors?.find((each: Json) => each.path === path)?.message ?? "";
  const submit = async (event: Event) => {
    event.preventDefault();
    const [inWhere, inRecipe] = [
      where.trim() === "" ? undefined : outline(where).problem,
      kind === "http" ? outline(recipe).problem : undefined,
    ];
    setWhereMarks(inWhere ? [{ line: inWhere.line, message: inWhere.message }] : []);
    setRecipeMarks(inRecipe ? [{ line: inRecipe.line, message: inRecipe.message }] : []);
    if (inWhere || inRecipe) return;
    const definition = {
      kind,
      ...existing === undefined && { from },
      ...Object.fromEntries(
        KEPT.flatMap((each) => existing?.[each] === undefined ? [] : [[each, existing[each]]]),
      ),
      ...where.trim() !== "" && { where: parseJson(where) },
      ...writeKeyIds.length > 0 && { writeKeyIds },
      ...transformations.length > 0 && { transformations },
      ...perSecond !== "" && { rateLimit: { perSecond: Number(perSecond) } },
      batch: { ...existing?.batch, maxEvents: Number(maxEvents) },
      settings: kind === "http" ? parseJson(recipe) : settingsOf(kind, settings, existing),
    };
    setError(undefined);
    try {
      const saved = await api(apiPath("admin", "destinations", name), { method: "PUT", body: definition });
      const secret = saved.settings?.secret;
      onSaved(saved.name, typeof secret === "string" && secret !== "***" ? secret : undefined);
    } catch (problem) {
      if (!(problem instanceof ApiError)) throw problem;
      setError(problem);
      if (where.trim() !== "") setWhereMarks(marksIn(where, "where", problem));
      if (kind === "http") setRecipeMarks(marksIn(recipe, "settings", problem));
    }
  };
  const field = ({ name: of, words, hint, isSecret, isOptional, choices }: Field) => {
    const id = `setting-${of}`;
    const problem = errorAt(`settings.${of}`);
    const onInput = (event: Event) =>
      setSettings({ ...settings, [of]: (event.target as HTMLInputElement).value });
    const common = {
      id,
      ...problem !== "" && { "aria-invalid": "true" as const, "aria-describedby": `${id}-problem` },
    };
    const isKept = isSecret && existing !== undefined && existing.kind === kind;
    return div(
      { class: "field", key: of },
      label({ for: id }, words, isOptional && " (optional)"),
      choices
        ? select(
          { ...common, value: settings[of] ?? choices[0], onChange: onInput },
          choices.map((each) => option({ key: each, value: each }, each)),
        )
        : isSecret
        ? input({
          ...common,
          type: "password",
          autoComplete: "off",
          placeholder: isKept ? "kept as it is" : hint ?? "",
          value: settings[of] === "***" ? "" : settings[of] ?? "",
          onInput,
        })
        : input({
          ...common,
          type: "text",
          autoComplete: "off",
          spellcheck: false,
          placeholder: hint ?? "",
          value: settings[of] ?? "",
          onInput,
        }),
      problem !== "" && p({ id: `${id}-problem`, class: "problem" }, visible(problem)),
    );
  };
  return form(
    { class: "split", onSubmit: submit },
    section(
      { class: "card stack" },
      h2(null, existing === undefined ? "A new destination" : "Where it sends"),
      existing === undefined &&
        div(
          { class: "field" },
          label({ for: "destination-name" }, "Name"),
          input({
            id: "destination-name",
            type: "text",
            required: true,
            maxLength: 100,
            placeholder: "CRM",
            value: name,
            onInput: (event: Event) => setName((event.target as HTMLInputElement).value),
          }),
          p({ class: "hint" }, 'Events name it in integrations: { "CRM": false } keeps one from it.'),
        ),
      div(
        { class: "field" },
        label({ for: "destination-kind" }, "Kind"),
        select({
          id: "destination-kind",
          "data-filter": "",
          value: kind,
          disabled: existing !== undefined,
          onChange: (event: Event) => setKind((event.target as HTMLSelectElement).value),
        }, Object.entries(KINDS).map(([each, { words }]) => option({ key: each, value: each }, words))),
      ),
      kind === "http"
        ? view(Editor, {
          label: "Recipe and its settings",
          text: recipe,
          onText: setRecipe,
          marks: recipeMarks,
          rows: 8,
        })
        : KINDS[kind]!.fields.map(field),
      error && failure(error),
      div(
        { class: "row" },
        button(
          { type: "submit", class: "button primary" },
          existing === undefined ? "Create the destination" : "Save",
        ),
      ),
    ),
    section(
      { class: "card stack" },
      h2(null, "What it gets"),
      view(Editor, {
        label: "Condition, empty for all events",
        text: where,
        onText: setWhere,
        marks: whereMarks,
        rows: 6,
      }),
      p({ class: "hint" }, 'For example { "type": "track", "properties.total": { "$gte": 50 } }'),
      choices(
        "From these write keys; none chosen: from all",
        keys.map(({ id, name: of }) => [id, of === "WRITE_KEY" ? "default" : of]),
        writeKeyIds,
        setWriteKeyIds,
      ),
      known.length > 0 &&
        choices("Transformed by", known.map(({ name: of }) => [of, of]), transformations, setTransformations),
      div(
        { class: "form" },
        div(
          { class: "pair" },
          existing === undefined &&
            div(
              { class: "field" },
              label({ for: "destination-from" }, "Begin with"),
              select(
                {
                  id: "destination-from",
                  value: from,
                  onChange: (event: Event) => setFrom((event.target as HTMLSelectElement).value),
                },
                option({ value: "now" }, "events from now on"),
                option({ value: "start" }, "the whole history"),
              ),
            ),
          div(
            { class: "field" },
            label({ for: "destination-batch" }, "Events in a request"),
            input({
              id: "destination-batch",
              type: "number",
              min: "1",
              max: "1000",
              value: maxEvents,
              onInput: (event: Event) => setMaxEvents((event.target as HTMLInputElement).value),
            }),
          ),
          div(
            { class: "field" },
            label({ for: "destination-limit" }, "At most a second"),
            input({
              id: "destination-limit",
              type: "number",
              min: "0",
              step: "any",
              placeholder: "no limit",
              value: perSecond,
              onInput: (event: Event) => setPerSecond((event.target as HTMLInputElement).value),
            }),
          ),
        ),
      ),
    ),
  );
}

/** The settings that were given; a secret that was not typed again stays as it is. */
function settingsOf(kind: string, settings: Json, existing: Json): Json {
  const given: Json = existing?.kind === kind
    ? Object.fromEntries(Object.entries(existing.settings).filter(([, value]) => value !== "***"))
    : {};
  for (const { name, isSecret } of KINDS[kind]!.fields) {
    const value = settings[name];
    if (value === undefined || value === "" || value === "***") {
      if (!isSecret) delete given[name];
    } else given[name] = value;
  }
  return given;
}

function choices(
  words: string,
  all: readonly (readonly [string, string])[],
  picked: readonly string[],
  onPick: (picked: string[]) => void,
): ComponentChildren {
  return fieldset(
    null,
    legend(null, words),
    all.map(([value, shown]) =>
      label(
        { class: "choice", key: value },
        input({
          type: "checkbox",
          checked: picked.includes(value),
          onChange: () =>
            onPick(
              picked.includes(value) ? picked.filter((each) => each !== value) : [...picked, value],
            ),
        }),
        visible(shown),
      )
    ),
  );
}
