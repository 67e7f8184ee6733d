/** Transformations: what changes events on their way out. Each is seen at work before it is saved. */
import type { VNode } from "preact";
import { apiPath, apiUrl } from "../app/api.ts";
import { useApi, useModule } from "../app/load.ts";
import { choose, chosen, linkTo } from "../app/router.ts";
import { tags, view } from "../app/tags.ts";
import type { Json } from "../core/json.ts";
import { curl, plural, visible } from "../core/text.ts";
import { action, empty, loaded, notice, skeleton, when } from "../parts/basics.ts";
import type { TransformationEditorProps } from "../parts/transformation_editor.ts";
import { requestOfScreen, Title } from "../parts/title.ts";

const { a, div, p, span, table, tbody, td, th, thead, tr } = tags;

/** The screen. */
export function Screen(): VNode {
  const transformations = useApi("admin/transformations");
  const destinations = useApi("admin/destinations");
  const name = chosen("id");
  const isNew = chosen("new") !== "";
  requestOfScreen.value = curl({
    url: apiUrl(name === "" ? "admin/transformations" : apiPath("admin", "transformations", name)),
  });
  const usersOf = (of: string): Json[] =>
    (destinations.value?.destinations ?? []).filter((each: Json) => each.transformations?.includes(of));
  const onSaved = (saved: Json) => {
    transformations.reload();
    choose({ new: undefined, id: saved.name });
  };
  const onDeleted = () => {
    transformations.reload();
    choose({ id: undefined, tab: undefined });
  };
  const tools = div(
    { class: "row" },
    (name !== "" || isNew) && a({ class: "button", ...linkTo("transformations") }, "All transformations"),
    !isNew && action("Write a transformation", () => choose({ new: "1", id: undefined, tab: undefined }), {
      kind: "primary",
      icon: "plus",
    }),
  );
  return div(
    null,
    view(Title, { of: name === "" ? undefined : visible(name), children: tools }),
    isNew
      ? view(OneEditor, { existing: undefined, usedBy: [], onSaved, onDeleted })
      : loaded(transformations, ({ transformations: all }) => {
        const found = all.find((each: Json) => each.name === name);
        if (found !== undefined) {
          return view(OneEditor, {
            key: `${name} ${found.version}`,
            existing: found,
            usedBy: usersOf(name),
            onSaved,
            onDeleted,
          });
        }
        if (name !== "" && transformations.isLoading) return skeleton(8);
        if (name !== "") return notice("calm", `No transformation is named ${visible(name)}.`);
        return all.length === 0 ? teach() : list(all, usersOf);
      }),
  );
}

function teach(): VNode {
  return empty(
    "No transformation yet",
    p(
      null,
      "A transformation changes events on their way to a destination: it renames, hashes, removes, drops or computes. The journal keeps the original.",
    ),
    action("Write a transformation", () => choose({ new: "1" }), { kind: "primary", icon: "plus" }),
  );
}

function list(all: readonly Json[], usersOf: (name: string) => readonly Json[]): VNode {
  return div(
    { class: "card flush" },
    table(
      { class: "list cards" },
      thead(
        null,
        tr(
          null,
          ["name", "tests", "used by", "version", "changed"].map((column) =>
            th({ key: column, scope: "col" }, column)
          ),
        ),
      ),
      tbody(
        null,
        all.map(({ name, kind, tests = [], version, updatedAt }) =>
          tr(
            { key: name, class: "clickable", onClick: () => choose({ id: name }) },
            td(
              null,
              a({ ...linkTo("transformations", { id: name }), class: "strong" }, visible(name)),
              " ",
              span({ class: "tag" }, kind),
            ),
            td({ class: "number" }, plural(tests.length, "test")),
            td(null, usersCell(usersOf(name))),
            td({ class: "number" }, `v${version}`),
            td({ class: "tight" }, when(updatedAt)),
          )
        ),
      ),
    ),
  );
}

function usersCell(users: readonly Json[]) {
  if (users.length === 0) return span({ class: "soft" }, "no destination");
  return users.map(({ name }, n) => [
    n > 0 && ", ",
    a({ key: name, ...linkTo("forwarding", { id: name }) }, visible(name)),
  ]);
}

/** The editor is loaded when it is first needed. */
function OneEditor(props: TransformationEditorProps): VNode {
  const module = useModule(() => import("../parts/transformation_editor.ts"));
  return module === undefined ? skeleton(8) : view(module.TransformationEditor, props);
}
