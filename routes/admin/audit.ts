/** `GET /api/v1/admin/audit`: who changed what. */
import { Hono } from "hono";
import { z } from "zod";
import { InvalidCursor } from "../../actors/store/errors.ts";
import { adminOnly, type Parts, type RouteEnv } from "../handler/handle.ts";
import { cursor, limit } from "../http/paging.ts";
import { invalid, jsonResponse } from "../http/problem.ts";

/** Its query. */
export const auditQuery = z.object({ limit, cursor });

/** The audit log, newest first. */
export function auditRoutes(parts: Parts): Hono<RouteEnv> {
  const routes = new Hono<RouteEnv>();
  routes.get(
    "/api/v1/admin/audit",
    adminOnly(parts, async (_, { limit, cursor }) => {
      try {
        return jsonResponse(await parts.system.audit.list({ limit, ...cursor !== undefined && { cursor } }));
      } catch (error) {
        if (!(error instanceof InvalidCursor)) throw error;
        return invalid("invalid_query", "cursor", "is invalid: use the cursor of the previous page");
      }
    }, auditQuery),
  );
  return routes;
}
