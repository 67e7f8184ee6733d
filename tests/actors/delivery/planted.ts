/** Bugs that are planted in a copy of the source, to see that random histories of a stream find them. */
import type { Patch } from "../../simulation/product.ts";

/** A planted bug. */
export interface StreamBug {
  name: string;
  patch: Patch;
}

const bug = (name: string, file: string, find: string, replace: string): StreamBug => ({
  name,
  patch: { file, find, replace },
});

const STREAM = "actors/delivery/stream.ts";
const ORDER = "domain/forwarding/person_order.ts";

/** The bugs. */
export const STREAM_BUGS: readonly StreamBug[] = [
  bug(
    "the checkpoint moves before the delivery",
    STREAM,
    "if (first !== undefined) return { position: justBefore(first.position), events: first.eventsBefore };",
    "",
  ),
  bug(
    "people whose events are yet to be read again are not stored",
    STREAM,
    "of order.starvedBehind())",
    "of [] as [Position, string[]][])",
  ),
  bug(
    "the record of a held event does not say that more waits behind it",
    STREAM,
    "[key, order.hasMore(item, key)]",
    "[key, false]",
  ),
  bug(
    "the records of people who wait for another attempt are lost",
    STREAM,
    "if (item.keys.length > 0 && !order.isFirstOfOne(item)) continue;",
    'if (item.state === "retrying") continue;',
  ),
  bug(
    "an event is attempted while an earlier one of its person waits for another attempt",
    STREAM,
    "    retrying.add(item);\n    nextDue = Math.min(nextDue, nextAt);\n  }",
    "    retrying.add(item);\n    nextDue = Math.min(nextDue, nextAt);\n    makeReady(order.remove(item));\n  }",
  ),
  bug(
    "a restored event is attempted whoever stands before it",
    STREAM,
    "if (item.again || order.isFirst(item)) {\n          if (item.nextAt",
    "if (item.n > 0) {\n          if (item.nextAt",
  ),
  bug(
    "what is restored behind the checkpoint does not wait for what is read again before it",
    STREAM,
    "if (position > readTo && to === undefined && !attempts.again) {",
    "if (false) {",
  ),
  bug(
    "what is left out of memory is not read again",
    ORDER,
    "          starved.add(key);\n        } else if (first === undefined) queues.delete(key);",
    "          queues.delete(key);\n        } else if (first === undefined) queues.delete(key);",
  ),
  bug(
    "a stream with events that are yet to be read again counts as empty",
    STREAM,
    "order.size() === 0 && !order.hasUnread() && gathered.length === 0",
    "order.size() === 0 && gathered.length === 0",
  ),
];
