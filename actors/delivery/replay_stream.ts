/** The stream of a replay: history, sent again beside live traffic. */
import { readCondition } from "../../domain/condition/condition.ts";
import type { ReplayRecord } from "./state.ts";
import { createStream } from "./stream.ts";
import type { Running, Work } from "./work.ts";

/** Creates the stream of a replay, from where it is. */
export function replayStream(work: Work, replay: ReplayRecord): Running {
  const condition = replay.where === undefined ? undefined : readCondition(replay.where);
  const test = condition !== undefined && !("problem" in condition) ? condition.test : undefined;
  const running: Running = {
    name: replay.id,
    stored: new Map(),
    replay,
    stream: createStream({
      ...work.parts,
      destination: () => work.destination,
      // Live traffic has counted them.
      onFiltered() {},
      ...test && { takes: test },
      onMatched: (times) => replay.matched += times,
      begin: { position: replay.position, events: 0 },
      to: replay.to,
    }),
  };
  return running;
}
