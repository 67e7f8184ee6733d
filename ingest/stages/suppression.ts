/** The stage that keeps events of suppressed people out of the journal. */
import { type Noted, nothingNoted, type Suppression } from "../../actors/erasure/suppression.ts";
import type { Rejection } from "../../domain/event/rejection.ts";
import type { Source, Stage } from "../pipeline.ts";

/**
 * Creates the stage. It is the last one, so that an invalid event is reported whoever it belongs to. It costs a comparison
 * while nobody is suppressed, otherwise a digest per event.
 */
export function suppressionStage(suppression: Suppression, what: "drop" | "refuse"): Stage {
  const notedOf = new WeakMap<Source, Noted>();
  const verdict = what === "drop" ? DROPPED : REFUSED;
  return {
    reserve: () => suppression.fresh()?.then(() => undefined),
    check(event, source) {
      source.judged ??= suppression.version();
      if (suppression.isEmpty()) return undefined;
      let noted = notedOf.get(source);
      if (noted === undefined) notedOf.set(source, noted = nothingNoted());
      const isTheirs = suppression.judge(event, noted);
      if (isTheirs instanceof Promise) return isTheirs.then((yes) => yes ? verdict : undefined);
      return isTheirs ? verdict : undefined;
    },
  };
}

const MESSAGE = "Events of this person are rejected: the person was erased and suppressed.";

/** It names nobody. It omits even the message id, which a sender may have derived from an id. */
const REFUSED: Rejection = {
  reason: "forbidden",
  code: "suppressed",
  message: MESSAGE,
  path: "",
  errors: [{ path: "", message: MESSAGE }],
};

/** The sender gets the answer of an accepted event, so that nobody learns who was erased. */
const DROPPED: Rejection = { ...REFUSED, isDropped: true };
