/** Notes when a write key was last used. */
import type { System } from "../../actors/system.ts";
import type { Observer } from "../pipeline.ts";

/** `isAdmin` recognizes the administrator's id, which is not a write key. */
export function keyUseObserver(
  { writeKeys }: Pick<System, "writeKeys">,
  isAdmin: (writeKeyId: string) => boolean,
): Observer {
  return {
    committed(_events, _receipts, { sender: { writeKeyId }, receivedAt }) {
      if (!isAdmin(writeKeyId)) writeKeys.used(writeKeyId, receivedAt);
    },
  };
}
