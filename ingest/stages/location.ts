/** The stage that says where events come from. */
import { type AddressPolicy, locate, type LookUp } from "../../domain/enrichment/location.ts";
import type { Stage } from "../pipeline.ts";

/** What the stage is given. */
export interface LocationOptions {
  lookUp?: LookUp | undefined;
  policy: AddressPolicy;
}

/**
 * A stage that refuses nothing and puts `context.location` into events; `undefined` where there is nothing to do. The
 * peer's address counts for a browser alone, which says its origin with each request that sends: a server's address says
 * nothing of its user.
 */
export function locationStage({ lookUp, policy }: LocationOptions): Stage | undefined {
  if (lookUp === undefined && policy === "keep") return undefined;
  return {
    check(event, { peer = NO_PEER }) {
      locate(event, { lookUp, policy, peer });
      return undefined;
    },
  };
}

const NO_PEER = () => undefined;
