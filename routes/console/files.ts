/**
 * The files of the console, each by a literal import: such an import needs no permission to read. A test compares the
 * list with the folder `console/`.
 */

/** Loads the text of a file. */
export type Load = () => Promise<{ default: string }>;

/** The console's own files, by their paths in `console/`. */
export const FILES: Readonly<Record<string, Load>> = {
  "app/api.ts": () => import("../../console/app/api.ts", { with: { type: "text" } }),
  "app/copy.ts": () => import("../../console/app/copy.ts", { with: { type: "text" } }),
  "app/keys.ts": () => import("../../console/app/keys.ts", { with: { type: "text" } }),
  "app/load.ts": () => import("../../console/app/load.ts", { with: { type: "text" } }),
  "app/preferences.ts": () => import("../../console/app/preferences.ts", { with: { type: "text" } }),
  "app/router.ts": () => import("../../console/app/router.ts", { with: { type: "text" } }),
  "app/session.ts": () => import("../../console/app/session.ts", { with: { type: "text" } }),
  "app/tags.ts": () => import("../../console/app/tags.ts", { with: { type: "text" } }),
  "core/audience.ts": () => import("../../console/core/audience.ts", { with: { type: "text" } }),
  "core/diff.ts": () => import("../../console/core/diff.ts", { with: { type: "text" } }),
  "core/json.ts": () => import("../../console/core/json.ts", { with: { type: "text" } }),
  "core/place.ts": () => import("../../console/core/place.ts", { with: { type: "text" } }),
  "core/stream.ts": () => import("../../console/core/stream.ts", { with: { type: "text" } }),
  "core/text.ts": () => import("../../console/core/text.ts", { with: { type: "text" } }),
  "core/time.ts": () => import("../../console/core/time.ts", { with: { type: "text" } }),
  "parts/basics.ts": () => import("../../console/parts/basics.ts", { with: { type: "text" } }),
  "parts/audience_builder.ts": () =>
    import("../../console/parts/audience_builder.ts", { with: { type: "text" } }),
  "parts/audience_editor.ts": () =>
    import("../../console/parts/audience_editor.ts", { with: { type: "text" } }),
  "parts/audience_members.ts": () =>
    import("../../console/parts/audience_members.ts", { with: { type: "text" } }),
  "parts/chart.ts": () => import("../../console/parts/chart.ts", { with: { type: "text" } }),
  "parts/contract_editor.ts": () =>
    import("../../console/parts/contract_editor.ts", { with: { type: "text" } }),
  "parts/destination_replays.ts": () =>
    import("../../console/parts/destination_replays.ts", { with: { type: "text" } }),
  "parts/diff_view.ts": () => import("../../console/parts/diff_view.ts", { with: { type: "text" } }),
  "parts/editor.ts": () => import("../../console/parts/editor.ts", { with: { type: "text" } }),
  "parts/event_detail.ts": () => import("../../console/parts/event_detail.ts", { with: { type: "text" } }),
  "parts/event_log.ts": () => import("../../console/parts/event_log.ts", { with: { type: "text" } }),
  "parts/event_picker.ts": () => import("../../console/parts/event_picker.ts", { with: { type: "text" } }),
  "parts/icons.ts": () => import("../../console/parts/icons.ts", { with: { type: "text" } }),
  "parts/id_search.ts": () => import("../../console/parts/id_search.ts", { with: { type: "text" } }),
  "parts/json_tree.ts": () => import("../../console/parts/json_tree.ts", { with: { type: "text" } }),
  "parts/key_dialogs.ts": () => import("../../console/parts/key_dialogs.ts", { with: { type: "text" } }),
  "parts/live_filters.ts": () => import("../../console/parts/live_filters.ts", { with: { type: "text" } }),
  "parts/live_stream.ts": () => import("../../console/parts/live_stream.ts", { with: { type: "text" } }),
  "parts/resend_job.ts": () => import("../../console/parts/resend_job.ts", { with: { type: "text" } }),
  "parts/time_travel.ts": () => import("../../console/parts/time_travel.ts", { with: { type: "text" } }),
  "parts/title.ts": () => import("../../console/parts/title.ts", { with: { type: "text" } }),
  "parts/trait_table.ts": () => import("../../console/parts/trait_table.ts", { with: { type: "text" } }),
  "parts/transformation_check.ts": () =>
    import("../../console/parts/transformation_check.ts", { with: { type: "text" } }),
  "parts/transformation_draft.ts": () =>
    import("../../console/parts/transformation_draft.ts", { with: { type: "text" } }),
  "parts/transformation_editor.ts": () =>
    import("../../console/parts/transformation_editor.ts", { with: { type: "text" } }),
  "parts/transformation_try.ts": () =>
    import("../../console/parts/transformation_try.ts", { with: { type: "text" } }),
  "parts/user_audiences.ts": () =>
    import("../../console/parts/user_audiences.ts", { with: { type: "text" } }),
  "parts/window_list.ts": () => import("../../console/parts/window_list.ts", { with: { type: "text" } }),
  "screens/audiences.ts": () => import("../../console/screens/audiences.ts", { with: { type: "text" } }),
  "screens/contracts.ts": () => import("../../console/screens/contracts.ts", { with: { type: "text" } }),
  "screens/event.ts": () => import("../../console/screens/event.ts", { with: { type: "text" } }),
  "screens/forwarding.ts": () => import("../../console/screens/forwarding.ts", { with: { type: "text" } }),
  "screens/forwarding_form.ts": () =>
    import("../../console/screens/forwarding_form.ts", { with: { type: "text" } }),
  "screens/forwarding_work.ts": () =>
    import("../../console/screens/forwarding_work.ts", { with: { type: "text" } }),
  "screens/groups.ts": () => import("../../console/screens/groups.ts", { with: { type: "text" } }),
  "screens/keys.ts": () => import("../../console/screens/keys.ts", { with: { type: "text" } }),
  "screens/live.ts": () => import("../../console/screens/live.ts", { with: { type: "text" } }),
  "screens/overview.ts": () => import("../../console/screens/overview.ts", { with: { type: "text" } }),
  "screens/quarantine.ts": () => import("../../console/screens/quarantine.ts", { with: { type: "text" } }),
  "screens/settings.ts": () => import("../../console/screens/settings.ts", { with: { type: "text" } }),
  "screens/test.ts": () => import("../../console/screens/test.ts", { with: { type: "text" } }),
  "screens/transformations.ts": () =>
    import("../../console/screens/transformations.ts", { with: { type: "text" } }),
  "screens/users.ts": () => import("../../console/screens/users.ts", { with: { type: "text" } }),
  "shell/go_to.ts": () => import("../../console/shell/go_to.ts", { with: { type: "text" } }),
  "shell/main.ts": () => import("../../console/shell/main.ts", { with: { type: "text" } }),
  "shell/menu.ts": () => import("../../console/shell/menu.ts", { with: { type: "text" } }),
  "shell/shell.ts": () => import("../../console/shell/shell.ts", { with: { type: "text" } }),
  "shell/sign_in.ts": () => import("../../console/shell/sign_in.ts", { with: { type: "text" } }),
  "style/console.css": () => import("../../console/style/console.css", { with: { type: "text" } }),
  "style/icon.svg": () => import("../../console/style/icon.svg", { with: { type: "text" } }),
  "style/parts.css": () => import("../../console/style/parts.css", { with: { type: "text" } }),
  "style/screens.css": () => import("../../console/style/screens.css", { with: { type: "text" } }),
  "style/tables.css": () => import("../../console/style/tables.css", { with: { type: "text" } }),
  "style/work.css": () => import("../../console/style/work.css", { with: { type: "text" } }),
};

/** The ES modules of npm's packages as they are published, by the names by which the console imports them. */
export const PACKAGES: Readonly<Record<string, () => Promise<{ default: Uint8Array<ArrayBuffer> }>>> = {
  "preact": () => import("preact", { with: { type: "bytes" } }),
  "preact/hooks": () => import("preact/hooks", { with: { type: "bytes" } }),
  "@preact/signals": () => import("@preact/signals", { with: { type: "bytes" } }),
  "@preact/signals-core": () => import("@preact/signals-core", { with: { type: "bytes" } }),
};
