/** The dialogs of a write key: create, change, rotate, delete, and its secret, which is shown once. */
import { type ComponentChildren, type VNode } from "preact";
import { useState } from "preact/hooks";
import { api, ApiError, apiPath, apiUrl, TYPES } from "../app/api.ts";
import { useApi } from "../app/load.ts";
import { tags, view } from "../app/tags.ts";
import { type Json } from "../core/json.ts";
import { visible } from "../core/text.ts";
import { action, Copy, Dialog, failure, notice } from "./basics.ts";

const { button, code, div, fieldset, form, input, label, legend, option, p, pre, select } = tags;

/** What lies over the screen. */
export type Over =
  | { kind: "edit"; key?: Json }
  | { kind: "rotate"; key: Json }
  | { kind: "delete"; key: Json }
  | { kind: "secret"; key: Json; secret: string };

interface DialogProps {
  existing: Json;
  close: () => void;
  done: (next?: Over) => void;
}

/** Sends a change; a refusal stays in the dialog. */
function useSend() {
  const [error, setError] = useState<ApiError | undefined>();
  const [isBusy, setBusy] = useState(false);
  const send = async (change: () => Promise<void>) => {
    setBusy(true);
    setError(undefined);
    try {
      await change();
    } catch (problem) {
      if (!(problem instanceof ApiError)) throw problem;
      setError(problem);
      setBusy(false);
    }
  };
  return { error, isBusy, send };
}

export function EditDialog({ existing, close, done }: DialogProps): VNode {
  const { error, isBusy, send } = useSend();
  const [types, setTypes] = useState<string[] | null>(existing?.allowedTypes ?? null);
  const [hasLimit, setHasLimit] = useState(existing?.rateLimit !== undefined);
  const submit = (event: Event) => {
    event.preventDefault();
    const values = new FormData(event.currentTarget as HTMLFormElement);
    const rateLimit = hasLimit
      ? { perSecond: Number(values.get("perSecond")), burst: Number(values.get("burst")) }
      : null;
    const body = {
      name: String(values.get("name")),
      allowedTypes: types,
      rateLimit,
      enabled: values.get("enabled") === "on",
    };
    send(async () => {
      if (existing !== undefined) {
        await api(apiPath("admin", "keys", existing.id), { method: "PATCH", body });
        return done();
      }
      const { key, ...made } = await api("admin/keys", { method: "POST", body });
      done({ kind: "secret", key: made, secret: key });
    });
  };
  return view(Dialog, {
    title: existing === undefined ? "Create a write key" : `Edit ${visible(existing.name)}`,
    onClose: close,
    children: form(
      { class: "form", onSubmit: submit },
      div(
        { class: "field" },
        label({ for: "key-name" }, "Name"),
        input({
          id: "key-name",
          name: "name",
          type: "text",
          required: true,
          maxLength: 200,
          defaultValue: existing?.name ?? "",
          placeholder: "website",
        }),
      ),
      fieldset(
        null,
        legend(null, "May send"),
        label(
          { class: "choice" },
          input({
            type: "checkbox",
            checked: types === null,
            onChange: () => setTypes(types === null ? [...TYPES] : null),
          }),
          "all types",
        ),
        types !== null &&
          TYPES.map((type) =>
            label(
              { class: "choice", key: type },
              input({
                type: "checkbox",
                checked: types.includes(type),
                onChange: () =>
                  setTypes(
                    types.includes(type) ? types.filter((each) => each !== type) : [...types, type],
                  ),
              }),
              type,
            )
          ),
      ),
      fieldset(
        null,
        legend(null, "Limit"),
        label(
          { class: "choice" },
          input({ type: "checkbox", checked: hasLimit, onChange: () => setHasLimit(!hasLimit) }),
          "limit its events",
        ),
        hasLimit && div(
          { class: "pair" },
          div(
            { class: "field" },
            label({ for: "per-second" }, "events a second"),
            input({
              id: "per-second",
              name: "perSecond",
              type: "number",
              min: "0.01",
              step: "any",
              required: true,
              defaultValue: String(existing?.rateLimit?.perSecond ?? 200),
            }),
          ),
          div(
            { class: "field" },
            label({ for: "burst" }, "at once (burst)"),
            input({
              id: "burst",
              name: "burst",
              type: "number",
              min: "1",
              step: "1",
              required: true,
              defaultValue: String(existing?.rateLimit?.burst ?? 2000),
            }),
          ),
        ),
      ),
      label(
        { class: "choice" },
        input({ type: "checkbox", name: "enabled", defaultChecked: existing?.enabled ?? true }),
        "enabled",
      ),
      error && failure(error),
      div(
        { class: "row end" },
        action("Cancel", close),
        button(
          { type: "submit", class: "button primary", disabled: isBusy || types?.length === 0 },
          existing === undefined ? "Create the key" : "Save",
        ),
      ),
    ),
  });
}

const GRACES = [["0", "at once"], ["3600", "in an hour"], ["86400", "in a day"], [
  "604800",
  "in 7 days",
]] as const;

export function RotateDialog({ existing, close, done }: DialogProps): VNode {
  const { error, isBusy, send } = useSend();
  const [grace, setGrace] = useState("86400");
  const rotate = () =>
    send(async () => {
      const { key, ...made } = await api(apiPath("admin", "keys", existing.id, "rotate"), {
        method: "POST",
        body: { graceSeconds: Number(grace) },
      });
      done({ kind: "secret", key: made, secret: key });
    });
  return view(Dialog, {
    title: `Rotate ${visible(existing.name)}`,
    onClose: close,
    children: [
      p(
        null,
        "The key gets a new secret. Until the old one ends, both are accepted, so that senders can switch.",
      ),
      div(
        { class: "field" },
        label({ for: "grace" }, "The old secret ends"),
        select({
          id: "grace",
          value: grace,
          onChange: (event: Event) => setGrace((event.target as HTMLSelectElement).value),
        }, GRACES.map(([value, words]) => option({ key: value, value }, words))),
      ),
      error && failure(error),
      div(
        { class: "row end" },
        action("Cancel", close),
        action("Rotate the key", rotate, { kind: "primary", disabled: isBusy }),
      ),
    ],
  });
}

export function DeleteDialog({ existing, close, done }: DialogProps): VNode {
  const { error, isBusy, send } = useSend();
  const [typed, setTyped] = useState("");
  const contracts = useApi("admin/contracts").value?.contracts ?? [];
  const naming = contracts.filter((each: Json) => each.writeKeyIds?.includes(existing.id)).length;
  return view(Dialog, {
    title: `Delete ${visible(existing.name)}`,
    onClose: close,
    children: [
      p(
        null,
        "Senders with this key are refused at once. Its events stay. Disabling can be undone; deleting cannot.",
      ),
      naming > 0 &&
      notice("warn", `${naming} ${naming === 1 ? "contract names" : "contracts name"} this key.`),
      div(
        { class: "field" },
        label({ for: "typed-name" }, "Type its name to delete it"),
        input({
          id: "typed-name",
          type: "text",
          autoComplete: "off",
          value: typed,
          onInput: (event: Event) => setTyped((event.target as HTMLInputElement).value),
        }),
      ),
      error && failure(error),
      div(
        { class: "row end" },
        action("Cancel", close),
        action(
          "Delete the key",
          () =>
            send(
              async () => (await api(apiPath("admin", "keys", existing.id), { method: "DELETE" }), done()),
            ),
          { kind: "danger", disabled: isBusy || typed !== existing.name },
        ),
      ),
    ],
  });
}

const NEXT = '"@segment/analytics-next"';
const NODE = '"@segment/analytics-node"';

/** How a sender uses a key, by the way it sends. */
const SNIPPETS: Readonly<Record<string, (key: string) => string>> = {
  curl: (key) =>
    `curl ${
      apiUrl("events")
    } -u '${key}:' -H 'Content-Type: application/json' \\\n  -d '{"type":"track","userId":"user_123","event":"Order Completed"}'`,
  "analytics.js": (key) =>
    `import { AnalyticsBrowser } from ${NEXT};\n\nconst analytics = AnalyticsBrowser.load(\n  { writeKey: "${key}", cdnURL: "${hostOf()}" },\n  { integrations: { "Segment.io": { apiHost: "${
      hostOf().replace(/^https?:\/\//, "")
    }/v1", protocol: "${location.protocol.slice(0, -1)}" } } },\n);`,
  Node: (key) =>
    `import { Analytics } from ${NODE};\n\nconst analytics = new Analytics({ writeKey: "${key}", host: "${hostOf()}" });`,
  Python: (key) =>
    `import segment.analytics as analytics\n\nanalytics.write_key = "${key}"\nanalytics.host = "${hostOf()}"`,
};

const hostOf = () => apiUrl("").replace(/\/api\/v1\/$/, "");

/** The secret is in this dialog alone: nothing keeps it when it closes. */
export function SecretDialog(
  { name, secret, close }: { name: string; secret: string; close: () => void },
): VNode {
  const [way, setWay] = useState("curl");
  const [asks, setAsks] = useState(false);
  const parts: ComponentChildren[] = [
    p(null, "Copy it now: it is shown this once. What the server keeps is a digest."),
    div(
      { class: "command secret" },
      code({ tabIndex: 0 }, secret),
      view(Copy, { text: () => secret, kind: "primary", what: "Write key" }),
    ),
    div(
      { class: "segments", role: "group", "aria-label": "Sender" },
      Object.keys(SNIPPETS).map((each) =>
        button({
          key: each,
          type: "button",
          "aria-pressed": each === way ? "true" : "false",
          onClick: () => setWay(each),
        }, each)
      ),
    ),
    pre({ class: "command-text", tabIndex: 0 }, SNIPPETS[way]!(secret)),
    asks && notice("warn", "Have you stored the key? It cannot be shown again."),
    div(
      { class: "row end" },
      view(Copy, { text: () => SNIPPETS[way]!(secret), label: "Copy the example", what: "Example" }),
      action("I have stored it", close, { kind: "primary" }),
    ),
  ];
  return view(Dialog, {
    title: `The key of ${visible(name)}`,
    wide: true,
    onClose: () => asks ? close() : setAsks(true),
    children: parts,
  });
}
