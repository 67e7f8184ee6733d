/** Erases replays that name the person in their scope or outcome. */
import type { EraseParticipant } from "../erasure/execute.ts";
import { REPLAYS } from "../store/keys.ts";
import type { Replay } from "./record.ts";

/** Deletes these replays. They are not events, so the count is 0. */
export const erasedReplays: EraseParticipant = {
  async erase({ userId, anonymousIds = [] }, _no, { store }) {
    const ids = [...userId === undefined ? [] : [userId], ...anonymousIds];
    for await (const { key, value } of store.list<Replay>({ prefix: REPLAYS })) {
      const names = [value!.scope ?? "", ...value!.examples ?? []].map((name) => `/${name}/`);
      if (!ids.some((id) => names.some((name) => name.includes(`/${id}/`)))) continue;
      await store.commit({ checks: [], sets: [], deletes: [key] });
    }
    return 0;
  },
};
