/**
 * What of a history is left when somebody was erased, by the sentences of decision 0019, worked out from the list of all
 * accepted events. Naive on purpose, like the oracle: links and owners are looked for anew for each event.
 */
import type { StoredEvent } from "../../../domain/event/event.ts";
import { createOracle, linkOf } from "../oracle.ts";
import type { Person } from "../../../actors/erasure/requests.ts";

/** The events in the order of arrival, `undefined` for those that are gone; others may have lost a name. */
export function withoutPerson(
  events: readonly (StoredEvent | undefined)[],
  { kind, id }: Person,
): (StoredEvent | undefined)[] {
  const left = events.filter((event) => event !== undefined);
  const oracle = createOracle();
  for (const event of left) oracle.add(event);
  if (kind === "user") {
    return events.map((event) => event && oracle.ownerOf(event) === id ? undefined : event);
  }
  const users = new Set(left.filter((event) => linkOf(event) === id).map(({ userId }) => userId));
  return events.map((event) => {
    if (event === undefined) return undefined;
    if (event.userId === undefined) return event.anonymousId === id ? undefined : event;
    return users.has(event.userId) ? unnamed(event, id) : event;
  });
}

function unnamed(event: StoredEvent, id: string): StoredEvent {
  const { anonymousId, previousId, ...rest } = event;
  const left = JSON.parse(JSON.stringify(event)) as StoredEvent;
  if (anonymousId === id) delete left.anonymousId;
  if (previousId === id) left.previousId = "none";
  if (previousId === id && rest.type !== "alias") delete left.previousId;
  return left;
}

/** An oracle of what is left. */
export function oracleOf(events: readonly (StoredEvent | undefined)[]) {
  const oracle = createOracle();
  for (const event of events) if (event !== undefined) oracle.add(event);
  return oracle;
}
