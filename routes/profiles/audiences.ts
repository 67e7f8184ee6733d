/** The routes that show members of audiences, and the audiences of a user. */
import { Hono } from "hono";
import { z } from "zod";
import { InvalidCursor } from "../../actors/store/errors.ts";
import { createSemaphore } from "../body/semaphore.ts";
import { type Outcome, type Parts, type RouteEnv, withAccess } from "../handler/handle.ts";
import { cursor, limit, moment } from "../http/paging.ts";
import { pathParam } from "../http/path_params.ts";
import { invalid, jsonResponse, type Problem } from "../http/problem.ts";
import { NO_QUERY } from "../http/query.ts";
import { SECURITY_HEADERS } from "../http/security_headers.ts";
import { illFormed, MAX_ID_UNITS, neverSeen } from "./actor_id.ts";
import { inTurn, READ_WAIT_MS, READS_AT_ONCE } from "./read_turns.ts";

/** Of a list of members. */
export const audienceMembersQuery = z.object({ limit, cursor });

/** Of one member. */
export const membershipQuery = z.object({
  at: moment.meta({ description: "The membership at this time, by the events up to it." }),
});

/** The type of a list that is streamed. */
const NDJSON = "application/x-ndjson";

/** Members that are put into one piece of a stream. */
const MEMBERS_PER_PIECE = 500;

/** Everything about members of audiences. */
export function audienceRoutes(parts: Parts): Hono<RouteEnv> {
  const { system: { audiences } } = parts;
  const routes = new Hono<RouteEnv>();
  // These reads may wait for the subscription, and others must not wait for them.
  const reads = createSemaphore(READS_AT_ONCE, parts.now, { waitMs: READ_WAIT_MS });
  const isThere = async (name: string | undefined) =>
    name !== undefined && await audiences.get(name) !== undefined;

  routes.get(
    "/api/v1/audiences/:name/members",
    withAccess(
      parts,
      { right: "read", query: audienceMembersQuery },
      (c, { limit, cursor }) =>
        inTurn(reads, 1, async () => {
          const name = pathParam(c, "name");
          if (!await isThere(name)) return NO_SUCH_AUDIENCE;
          if (c.req.header("accept")?.includes(NDJSON)) return await streamed(parts, name!);
          try {
            return jsonResponse(
              await audiences.list(name!, { limit, ...cursor !== undefined && { cursor } }),
            );
          } catch (error) {
            if (!(error instanceof InvalidCursor)) throw error;
            return invalid("invalid_query", "cursor", "is invalid: use the cursor of the previous page");
          }
        }),
    ),
  );
  routes.get(
    "/api/v1/audiences/:name/members/:id",
    withAccess(parts, { right: "read", query: membershipQuery }, (c, { at }) =>
      inTurn(reads, 1, async () => {
        const [name, id] = [pathParam(c, "name"), pathParam(c, "id")];
        if (!await isThere(name)) return NO_SUCH_AUDIENCE;
        if (id === undefined) return illFormed("id");
        const found = id.length > MAX_ID_UNITS ? null : await audiences.member(name!, id, at);
        return found === null ? neverSeen("user") : jsonResponse(found);
      })),
  );
  routes.get(
    "/api/v1/users/:id/audiences",
    withAccess(parts, { right: "read", query: NO_QUERY }, (c) =>
      inTurn(reads, 1, async () => {
        const id = pathParam(c, "id");
        if (id === undefined) return illFormed("id");
        const found = id.length > MAX_ID_UNITS ? null : await audiences.audiencesOf(id);
        return found === null ? neverSeen("user") : jsonResponse({ audiences: found });
      })),
  );
  return routes;
}

/** All members as a stream. It breaks off where it cannot be completed, so that no client takes a part for all. */
async function streamed({ system, log }: Parts, name: string): Promise<Outcome> {
  const members = await system.audiences.stream(name);
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        let text = "";
        for (let n = 0; n < MEMBERS_PER_PIECE; n++) {
          const { done, value } = await members.next();
          if (done) {
            if (text !== "") controller.enqueue(encoder.encode(text));
            return controller.close();
          }
          text += `${JSON.stringify(value)}\n`;
        }
        controller.enqueue(encoder.encode(text));
      } catch (error) {
        log.line("warn", "stream_broken", { error: String(error) });
        controller.error(error);
      }
    },
    async cancel() {
      await members.return(undefined);
    },
  }, { highWaterMark: 0 });
  return new Response(body, { headers: { ...SECURITY_HEADERS, "content-type": NDJSON } });
}

const NO_SUCH_AUDIENCE: Problem = {
  reason: "not_found",
  code: "not_found",
  detail: "No audience has this name.",
};
