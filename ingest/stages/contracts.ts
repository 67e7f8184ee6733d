/** The stage that checks events with their contracts. */
import type { System } from "../../actors/system.ts";
import type { UnknownEvents } from "../../domain/contract/contract.ts";
import type { Stage } from "../pipeline.ts";

/** `unknown` decides on events without a contract. */
export function contractStage({ contracts }: Pick<System, "contracts">, unknown: UnknownEvents): Stage {
  return {
    reserve: () => contracts.fresh()?.then(() => undefined),
    check: (event, { sender: { writeKeyId }, isTrial = false }) =>
      contracts.judge(event, { writeKeyId, unknown, isTrial }),
  };
}
