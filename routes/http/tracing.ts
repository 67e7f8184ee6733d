/** The route of a request for OpenTelemetry. Deno itself traces if `OTEL_DENO` is set; only the route is missing. */
import { trace } from "@opentelemetry/api";

/** Names the span of the request under way, if there is one: by its route, so that spans of one route are alike. */
export function nameSpan(method: string, route: string): void {
  const span = trace.getActiveSpan();
  if (span === undefined) return;
  span.updateName(`${method} ${route}`);
  span.setAttribute("http.route", route);
}
