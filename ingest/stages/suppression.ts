/** Keeps events of people who are suppressed out of the journal. */
import { nothingSeen, type Seen, type Suppression } from "../../actors/erasure/suppression.ts";
import type { Rejection } from "../../domain/event/rejection.ts";
import type { Source, Stage } from "../pipeline.ts";

/**
 * Keeps events of people who are suppressed from being stored: last of all stages, so that what is wrong with an event is
 * told whoever's it is. Costs a comparison while nobody is suppressed, else a digest for each event.
 */
export function suppressionStage(suppression: Suppression, what: "drop" | "refuse"): Stage {
  const seen = new WeakMap<Source, Seen>();
  const verdict = what === "drop" ? DROPPED : REFUSED;
  return {
    reserve: () => suppression.fresh()?.then(() => undefined),
    check(event, source) {
      if (suppression.isEmpty()) return undefined;
      let known = seen.get(source);
      if (known === undefined) seen.set(source, known = nothingSeen());
      const isTheirs = suppression.judge(event, known);
      if (isTheirs instanceof Promise) return isTheirs.then((yes) => yes ? verdict : undefined);
      return isTheirs ? verdict : undefined;
    },
  };
}

const MESSAGE = "Events of this person are rejected: the person was erased and suppressed.";

/** Names nobody: not even the message id is told, which a sender may have made of an id. */
const REFUSED: Rejection = {
  reason: "forbidden",
  code: "suppressed",
  message: MESSAGE,
  path: "",
  errors: [{ path: "", message: MESSAGE }],
};

/** Its sender is told what is told of an event that is taken: so nobody learns who was erased. */
const DROPPED: Rejection = { ...REFUSED, isDropped: true };
