/** The figures of audiences in `/metrics`. */
import type { Counter, Gauge } from "prom-client";
import type { AudienceFigures } from "../../actors/audiences/audiences.ts";

/** Makes the figures of a registry. */
interface Makers {
  gauge(name: string, help: string, labels?: string[]): Gauge;
  counter(name: string, help: string, labels?: string[]): Counter;
}

/** The gauges of audiences, and the function that sets them; `undefined` where storage does not answer. */
export function audienceFigures(
  { gauge, counter }: Makers,
): (figures: AudienceFigures | undefined) => void {
  const members = gauge("signalfold_audience_members", "Members of an audience.", ["audience"]);
  const evaluations = counter(
    "audience_evaluations",
    "Evaluations of one person for one audience by this process.",
  );
  const agendaLag = gauge(
    "signalfold_audience_agenda_lag_seconds",
    "How long the oldest entry or exit because of passing time is overdue.",
  );
  const build = gauge(
    "signalfold_audience_build_seconds",
    "How long the running build of audiences takes so far; 0 without one.",
  );
  return function set(figures) {
    if (figures === undefined) return;
    members.reset();
    for (const each of figures.members) members.set({ audience: each.audience }, each.members);
    evaluations.reset();
    evaluations.inc(figures.evaluations);
    agendaLag.set(figures.agendaLagSeconds);
    build.set(figures.buildSeconds);
  };
}
