/** The stage that adds the location of events. */
import { type AddressPolicy, createPlaceOf, locate, type LookUp } from "../../domain/enrichment/location.ts";
import type { Stage } from "../pipeline.ts";

export interface LocationOptions {
  lookUp?: LookUp | undefined;
  policy: AddressPolicy;
}

/**
 * Creates the stage: it rejects nothing and adds `context.location` to events; `undefined` if there is nothing to do.
 * The peer's address counts for browsers only, which send their origin with each request: a server's address says
 * nothing about its user.
 */
export function locationStage({ lookUp, policy }: LocationOptions): Stage | undefined {
  if (lookUp === undefined && policy === "keep") return undefined;
  const placeOf = createPlaceOf(lookUp);
  return {
    check(event, { peer }) {
      locate(event, { placeOf, policy, peer: lookUp && peer });
      return undefined;
    },
  };
}
