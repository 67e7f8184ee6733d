/** Audiences: who matches a condition, since when, until when, and why. */
import type { VNode } from "preact";
import { apiPath, apiUrl } from "../app/api.ts";
import { useApi, useModule } from "../app/load.ts";
import { choose, chosen, linkTo } from "../app/router.ts";
import { tags, view } from "../app/tags.ts";
import type { Json } from "../core/json.ts";
import { count, curl, visible } from "../core/text.ts";
import { action, badge, empty, loaded, notice, skeleton, when } from "../parts/basics.ts";
import type { AudienceEditorProps } from "../parts/audience_editor.ts";
import { requestOfScreen, Title } from "../parts/title.ts";

const { a, div, p, span, table, tbody, td, th, thead, tr } = tags;

/** The state of builds is looked at so often (ms). */
const LOOK_MS = 5_000;

/** The screen. */
export function Screen(): VNode {
  const audiences = useApi("admin/audiences", { everyMs: LOOK_MS });
  const name = chosen("id");
  const isNew = chosen("new") !== "";
  requestOfScreen.value = curl({
    url: apiUrl(name === "" ? "admin/audiences" : apiPath("admin", "audiences", name)),
  });
  const names: string[] = (audiences.value?.audiences ?? []).map((each: Json) => each.name);
  const common = {
    names: names.filter((each) => each !== name),
    onSaved(saved: Json) {
      audiences.reload();
      choose({ new: undefined, as: undefined, id: saved.name, tab: undefined });
    },
    onDeleted() {
      audiences.reload();
      choose({ id: undefined, tab: undefined });
    },
  };
  const tools = div(
    { class: "row" },
    (name !== "" || isNew) && a({ class: "button", ...linkTo("audiences") }, "All audiences"),
    !isNew && action("Define an audience", () => choose({ new: "1", id: undefined, tab: undefined }), {
      kind: "primary",
      icon: "plus",
    }),
  );
  return div(
    null,
    view(Title, { of: name === "" ? undefined : visible(name), children: tools }),
    isNew ? view(OneEditor, { existing: undefined, ...common }) : loaded(audiences, ({ audiences: all }) => {
      const found = all.find((each: Json) => each.name === name);
      if (found !== undefined) {
        return view(OneEditor, { key: `${name} ${found.version}`, existing: found, ...common });
      }
      if (name !== "" && audiences.isLoading) return skeleton(8);
      if (name !== "") return notice("calm", `No audience is named ${visible(name)}.`);
      return all.length === 0 ? teach() : list(all);
    }),
  );
}

function teach(): VNode {
  return empty(
    "No audience yet",
    p(
      null,
      "An audience is a set of users defined by a condition over traits, groups and events. It is exact at any moment, and each membership is explained.",
    ),
    action("Define an audience", () => choose({ new: "1" }), { kind: "primary", icon: "plus" }),
  );
}

function list(all: readonly Json[]): VNode {
  return div(
    { class: "card flush" },
    table(
      { class: "list cards" },
      thead(
        null,
        tr(
          null,
          ["name", "state", "members", "version", "built"].map((each) =>
            th({ key: each, scope: "col" }, each)
          ),
        ),
      ),
      tbody(
        null,
        all.map(({ name, description, state, members, version, builtAt }) =>
          tr(
            { key: name, class: "clickable", onClick: () => choose({ id: name }) },
            td(
              null,
              a({ ...linkTo("audiences", { id: name }), class: "strong" }, visible(name)),
              description && div({ class: "hint" }, visible(description)),
            ),
            td(
              { class: "tight" },
              state === "live" ? badge("running", "good", "live") : badge("retrying", "warn", "building"),
            ),
            td({ class: "number" }, count(members)),
            td({ class: "number" }, `v${version}`),
            td({ class: "tight" }, builtAt ? when(builtAt) : span({ class: "soft" }, "—")),
          )
        ),
      ),
    ),
  );
}

/** The editor is loaded when it is first needed. */
function OneEditor(props: AudienceEditorProps): VNode {
  const module = useModule(() => import("../parts/audience_editor.ts"));
  return module === undefined ? skeleton(8) : view(module.AudienceEditor, props);
}
