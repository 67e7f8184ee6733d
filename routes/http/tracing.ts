/** What OpenTelemetry shows of a request. Deno traces by itself where `OTEL_DENO` is set; all that it lacks is the route. */
import { trace } from "@opentelemetry/api";

/** Names the span of the request under way, if there is one: by its route, so that spans of one route are alike. */
export function nameSpan(method: string, route: string): void {
  const span = trace.getActiveSpan();
  if (span === undefined) return;
  span.updateName(`${method} ${route}`);
  span.setAttribute("http.route", route);
}
