/** Write keys: who may send what, how much, and what they sent lately. A secret is shown once. */
import { type VNode } from "preact";
import { useState } from "preact/hooks";
import { apiUrl } from "../app/api.ts";
import { useApi } from "../app/load.ts";
import { linkTo } from "../app/router.ts";
import { tags, view } from "../app/tags.ts";
import { type Json } from "../core/json.ts";
import { count, curl, visible } from "../core/text.ts";
import { action, badge, empty, loaded, when } from "../parts/basics.ts";
import { requestOfScreen, Title } from "../parts/title.ts";
import { DeleteDialog, EditDialog, type Over, RotateDialog, SecretDialog } from "../parts/key_dialogs.ts";

const { a, code, div, p, span, table, tbody, td, th, thead, tr } = tags;

/** The screen. */
export function Screen(): VNode {
  const keys = useApi("admin/keys");
  const stats = useApi("admin/stats", { everyMs: 30_000 });
  const [over, setOver] = useState<Over | undefined>();
  requestOfScreen.value = curl({ url: apiUrl("admin/keys") });
  const sums = new Map<string, Json>(
    (stats.value?.counts.writeKeys ?? []).map((each: Json) => [each.writeKeyId, each]),
  );
  const done = (next?: Over) => (setOver(next), keys.reload());
  return div(
    null,
    view(Title, {
      children: action("Create a key", () => setOver({ kind: "edit" }), { kind: "primary", icon: "plus" }),
    }),
    loaded(
      keys,
      ({ keys: all }) =>
        all.length === 0
          ? empty(
            "No write key yet",
            p(null, "A write key says who sends, and may only send. Create one for each sender."),
          )
          : div(
            { class: "card flush scroll", tabIndex: 0, role: "region", "aria-label": "Write keys" },
            tableOf(all, { sums, setOver }),
          ),
    ),
    over?.kind === "edit" && view(EditDialog, { existing: over.key, close: () => setOver(undefined), done }),
    over?.kind === "rotate" &&
      view(RotateDialog, { existing: over.key, close: () => setOver(undefined), done }),
    over?.kind === "delete" &&
      view(DeleteDialog, { existing: over.key, close: () => setOver(undefined), done }),
    over?.kind === "secret" &&
      view(SecretDialog, { name: over.key.name, secret: over.secret, close: () => setOver(undefined) }),
  );
}

function tableOf(
  all: readonly Json[],
  { sums, setOver }: { sums: ReadonlyMap<string, Json>; setOver: (over: Over) => void },
): VNode {
  return table(
    { class: "list" },
    thead(
      null,
      tr(
        null,
        ["name", "may send", "limit", "last used", "accepted / duplicate / rejected, 24 h", "state", ""].map((
          name,
        ) => th({ key: name, scope: "col" }, name || span({ class: "visually-hidden" }, "actions"))),
      ),
    ),
    tbody(
      null,
      all.map((key) => {
        const { id, name, allowedTypes, rateLimit, lastUsedAt, source, enabled, previousValidUntil } = key;
        const { accepted = 0, duplicate = 0, rejected = 0 } = sums.get(id) ?? {};
        const isFixed = source === "environment";
        return tr(
          { key: id },
          td(
            null,
            span({ class: "strong" }, isFixed ? "default" : visible(name)),
            " ",
            isFixed ? span({ class: "tag" }, "WRITE_KEY") : div({ class: "hint" }, code(null, id)),
          ),
          td(null, allowedTypes ? allowedTypes.join(", ") : "all types"),
          td(
            null,
            rateLimit
              ? `${rateLimit.perSecond}/s, burst ${count(rateLimit.burst)}`
              : span({ class: "soft" }, "none"),
          ),
          td({ class: "tight" }, lastUsedAt ? when(lastUsedAt, "ago") : span({ class: "soft" }, "never")),
          td(
            { class: "number" },
            a(
              { ...linkTo("live", { writeKeyId: id }) },
              `${count(accepted)} / ${count(duplicate)} / `,
              span({ class: rejected > 0 ? "fall" : "" }, count(rejected)),
            ),
          ),
          td(
            null,
            enabled ? badge("accepted", "good", "enabled") : badge("off", "calm", "disabled"),
            previousValidUntil && div({ class: "hint" }, "old secret until ", when(previousValidUntil)),
          ),
          td(
            { class: "tight" },
            isFixed
              ? span(
                { class: "hint", tabIndex: 0 },
                "Set by WRITE_KEY in the server's environment; change it there.",
              )
              : div(
                { class: "row nowrap" },
                action("Edit", () => setOver({ kind: "edit", key }), {
                  kind: "quiet",
                  label: `Edit ${visible(name)}`,
                }),
                action("Rotate", () => setOver({ kind: "rotate", key }), {
                  kind: "quiet",
                  label: `Rotate ${visible(name)}`,
                }),
                action("", () => setOver({ kind: "delete", key }), {
                  kind: "quiet",
                  icon: "trash",
                  label: `Delete ${visible(name)}`,
                }),
              ),
          ),
        );
      }),
    ),
  );
}
