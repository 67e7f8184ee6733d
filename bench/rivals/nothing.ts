/** The ceiling: signalfold's own HTTP edge, checks and stamps, and nothing stored. */
import { serveRival } from "./rival.ts";

let taken = 0;

serveRival({
  commit: (events) => {
    taken += events.length;
    return Promise.resolve(events.map(({ messageId }) => ({ messageId, duplicate: false })));
  },
  stored: () => Promise.resolve(taken),
  close: () => Promise.resolve(),
});
