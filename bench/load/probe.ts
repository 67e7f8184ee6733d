/** Before anything is measured: does a target do what it is measured for? */
import { TEMPLATES } from "./events.ts";
import type { Server } from "./server.ts";
import { ADMIN_TOKEN, WRITE_KEY } from "./target.ts";

const EVENTS = 100;
const USERS = 10;
const TIMES = 4;

/**
 * Sends one batch several times at once, and each of its events by itself too, and reads the profiles: every event
 * must count once. Throws with what was seen otherwise.
 */
export async function probe(server: Server): Promise<void> {
  const origin = `http://127.0.0.1:${server.port}`;
  const batch = Array.from({ length: EVENTS }, (_, index) => eventOf(index));
  const bodies = batch.map((text): [string, string] => ["/api/v1/events", text]);
  for (let time = 0; time < TIMES; time++) {
    bodies.push(["/api/v1/events/batch", `{"batch":[${batch.join()}]}`]);
  }
  await Promise.all(bodies.map(async ([path, body]) => {
    const headers = { authorization: `Basic ${btoa(`${WRITE_KEY}:`)}`, "content-type": "application/json" };
    const response = await fetch(`${origin}${path}`, { method: "POST", headers, body });
    const text = await response.text();
    const answer = JSON.parse(text);
    const accepted = path.endsWith("batch") ? answer.accepted === EVENTS : answer.success;
    if (!response.ok || !accepted) {
      throw new Error(`${server.name} answered a probe ${response.status}: ${text}`);
    }
  }));
  let counted = 0;
  for (let user = 0; user < USERS; user++) {
    const response = await fetch(`${origin}/api/v1/users/probe_${user}`, {
      headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${server.name} answered a probe's read ${response.status}: ${text}`);
    const profile: { eventCount: number; events: Record<string, { count: number }> } = JSON.parse(text);
    const byName = Object.values(profile.events).reduce((sum, { count }) => sum + count, 0);
    if (byName !== profile.eventCount) throw new Error(`${server.name} counts ${byName} by name in ${text}`);
    counted += profile.eventCount;
  }
  if (counted !== EVENTS) {
    throw new Error(`${server.name} counts ${counted} of ${EVENTS} events sent several times`);
  }
}

function eventOf(index: number): string {
  const [start, afterUser, afterId, end] = TEMPLATES[index % TEMPLATES.length]!;
  const at = new Date(Date.now() - 60_000 + index).toISOString();
  return `${start}probe_${index % USERS}${afterUser}${crypto.randomUUID()}${afterId}${at}${end}`;
}
