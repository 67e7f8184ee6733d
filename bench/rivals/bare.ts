/** The ceiling: `Deno.serve` alone. It parses an event, checks it by the same zod schema and answers; it stores nothing. */
import { eventShapes } from "../../domain/event/event.ts";
import { variable } from "./rival.ts";

const JSON_TYPE = { "content-type": "application/json" };
let taken = 0;

/** Whether an event fits the schema of its type. */
function fits(event: { type: keyof typeof eventShapes }): boolean {
  return eventShapes[event.type].safeParse(event).success;
}

async function take(request: Request): Promise<Response> {
  const body = await request.json();
  if (request.url.endsWith("/batch")) {
    const received = body.batch.length;
    const accepted = body.batch.filter(fits).length;
    taken += accepted;
    return answer({ received, accepted, rejected: received - accepted, errors: [] });
  }
  if (!fits(body)) return new Response(null, { status: 400 });
  taken++;
  return answer({ success: true, messageId: body.messageId, duplicate: false });
}

const answer = (value: unknown) => new Response(JSON.stringify(value), { headers: JSON_TYPE });

const server = Deno.serve({
  hostname: variable("HOST"),
  port: Number(variable("PORT")),
  onListen: () => {},
  handler: (request) => request.method === "POST" ? take(request) : answer({ head: taken, unsettled: 0 }),
});
Deno.addSignalListener("SIGTERM", async () => {
  await server.shutdown();
  Deno.exit(0);
});
