/** What the soak sends: requests as many senders and readers make them, each by its number, the same for the same seed. */
import { between, type Random } from "../process/ledger.ts";

/** How many there are of each kind: enough that most are cold, few enough that each has a history after some minutes. */
const USERS = 2_000;
const ANONYMOUS = 1_000;
const GROUPS = 50;
/** Largest batch. */
const BATCH_EVENTS = 100;

/** A request to be made. */
export interface Planned {
  path: string;
  /** The body of what is sent; absent for a read. */
  body?: unknown;
  /** How many events it brings. */
  events: number;
}

/** Makes events; `run` begins their messageIds. */
export function createEvents(run: string, random: Random): () => Record<string, unknown> {
  let made = 0;

  return function event() {
    const n = made++;
    const base = { messageId: `${run}_${n}` };
    const userId = `user_${between(random, 0, USERS - 1)}`;
    const anonymous = between(random, 0, ANONYMOUS - 1);
    const kind = random();
    if (kind < 0.03) {
      return {
        ...base,
        type: "identify",
        userId: `user_${anonymous}`,
        anonymousId: `anon_${anonymous}`,
        traits: { n },
      };
    }
    if (kind < 0.15) return { ...base, type: "page", anonymousId: `anon_${anonymous}`, name: "Pricing" };
    if (kind < 0.2) {
      const groupId = `group_${between(random, 0, GROUPS - 1)}`;
      return { ...base, type: "group", userId, groupId, traits: { name: groupId, n } };
    }
    if (kind < 0.3) {
      return { ...base, type: "identify", userId, traits: { email: `${userId}@example.com`, n } };
    }
    const properties = { total: n % 1000, currency: "USD", text: "x".repeat(120) };
    return { ...base, type: "track", userId, event: `Event ${n % 12}`, properties };
  };
}

/** Makes the plan of requests; `run` begins the messageIds. A read may ask for who was not seen yet: 404 is no error there. */
export function createTraffic(run: string, random: Random): () => Planned {
  const event = createEvents(run, random);

  function read(): Planned {
    const paths = [
      `users/user_${between(random, 0, USERS - 1)}`,
      `users/user_${between(random, 0, USERS - 1)}/events`,
      `anonymous/anon_${between(random, 0, ANONYMOUS - 1)}`,
      `groups/group_${between(random, 0, GROUPS - 1)}`,
      `groups/group_${between(random, 0, GROUPS - 1)}/members`,
    ];
    return { path: `/api/v1/${paths[between(random, 0, paths.length - 1)]}`, events: 0 };
  }

  return function plan() {
    const kind = random();
    if (kind < 0.2) return read();
    if (kind > 0.05 + 0.2) return { path: "/api/v1/events", body: event(), events: 1 };
    const batch = Array.from({ length: between(random, 2, BATCH_EVENTS) }, event);
    return { path: "/api/v1/events/batch", body: { batch }, events: batch.length };
  };
}
