/** Chooses rejected events by what they are and who sent them. */
import { idText } from "../../domain/event/event.ts";
import type { JsonObject } from "../../domain/event/json.ts";
import type { Stored } from "./rejected_event.ts";

/** An event must have all given members; without any, all events are chosen. */
export interface RejectedFilter {
  code?: string | undefined;
  /** The contract that the event violated first. */
  contract?: string | undefined;
  writeKeyId?: string | undefined;
  type?: string | undefined;
  userId?: string | undefined;
  messageId?: string | undefined;
}

/** Whether an event may be chosen, by what is stored beside its JSON: parsing is most of the cost. */
export function mayMatch(
  { code, contract, writeKeyId }: RejectedFilter,
  stored: Partial<Omit<Stored, "at" | "body">>,
): boolean {
  return (code === undefined || stored.code === code) &&
    (writeKeyId === undefined || stored.writeKeyId === writeKeyId) &&
    // As the message of a violation ends (`domain/contract/contract.ts`).
    (contract === undefined ||
      stored.code === "contract_violation" && `${stored.message}`.includes(`(contract ${contract}: `));
}

/** Whether an event is chosen, if {@link mayMatch} says that it may be. */
export function matches({ type, userId, messageId }: RejectedFilter, event: JsonObject): boolean {
  return (type === undefined || event.type === type) &&
    (userId === undefined || idText(event.userId) === userId) &&
    (messageId === undefined || idText(event.messageId) === messageId);
}
