/** Whether the process lives, and whether storage answers: for load balancers, without a credential. */
import { Hono } from "hono";
import { handle, type Parts, type RouteEnv } from "../handler/handle.ts";
import { jsonResponse } from "../http/problem.ts";

/** `GET` and `HEAD` of `/healthz` and `/readyz`. */
export function healthRoutes(parts: Parts): Hono<RouteEnv> {
  const routes = new Hono<RouteEnv>();
  // Requests at the same time share one check of storage: anybody may send them.
  let looking: Promise<void> | undefined;
  routes.get("/healthz", handle(parts, () => jsonResponse({ status: "ok" })));
  routes.get(
    "/readyz",
    handle(parts, async () => {
      looking ??= parts.system.ready().finally(() => looking = undefined);
      await looking;
      return jsonResponse({ status: "ready" });
    }),
  );
  return routes;
}
