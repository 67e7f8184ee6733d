/** How many requests each route has answered, and with which status. */
import { Hono } from "hono";
import type { RouteEnv } from "./handle.ts";
import { nameSpan } from "../http/tracing.ts";

/** Counts the answers of one route. */
export type CountAnswer = (status: number) => void;

/** The number of answers of a route with one status. */
export interface RequestCount {
  method: string;
  route: string;
  status: number;
  count: number;
}

/** Counts of answers by route: the number of counters is that of routes and statuses, whatever requests come. */
export interface RequestCounts {
  /** The counter of a route, as the router names it. */
  of(method: string, route: string): CountAnswer;
  all(): RequestCount[];
}

/** The route of requests that no route takes. */
export const NO_ROUTE = "none";

/** Creates the counters. */
export function createRequestCounts(): RequestCounts {
  const routes: { method: string; route: string; counts: Map<number, number> }[] = [];
  return {
    of(method, route) {
      const counts = new Map<number, number>();
      routes.push({ method, route, counts });
      return (status) => void counts.set(status, (counts.get(status) ?? 0) + 1);
    },
    all: () =>
      routes.flatMap(({ method, route, counts }) =>
        [...counts].map(([status, count]) => ({ method, route, status, count }))
      ),
  };
}

/** Wraps all routes in one place so that each is counted, and named in traces. */
export function countedRoutes(
  routes: Hono<RouteEnv>,
  into: Hono<RouteEnv>,
  requests: RequestCounts,
): Hono<RouteEnv> {
  for (const { method, path, handler } of routes.routes) {
    const count = requests.of(method, path);
    const counted = (response: Response) => {
      count(response.status);
      return response;
    };
    // No function of its own that waits: that would be on the path of every event.
    into.on(method, path, (c, next): Response | Promise<Response> => {
      nameSpan(method, path);
      const answer: Response | Promise<Response> = handler(c, next);
      return answer instanceof Promise ? answer.then(counted) : counted(answer);
    });
  }
  return into;
}
