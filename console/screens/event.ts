/** An event alone: a page to send to a colleague. */
import type { VNode } from "preact";
import { apiPath, apiUrl } from "../app/api.ts";
import { chosen } from "../app/router.ts";
import { requestOfScreen, Title } from "../parts/title.ts";
import { tags, view } from "../app/tags.ts";
import { curl, visible } from "../core/text.ts";
import { empty } from "../parts/basics.ts";
import { EventDetail } from "../parts/event_detail.ts";

const { div, p } = tags;

/** The screen. */
export function Screen(): VNode {
  const id = chosen("id");
  requestOfScreen.value = id === "" ? "" : curl({ url: apiUrl(apiPath("admin", "events", id)) });
  return div(
    { class: "alone-page" },
    view(Title, { of: id === "" ? undefined : visible(id) }),
    id === ""
      ? empty("Which event?", p(null, "Press Ctrl K and enter a message id."))
      : div({ class: "card" }, view(EventDetail, { messageId: id, before: chosen("before") || undefined })),
  );
}
