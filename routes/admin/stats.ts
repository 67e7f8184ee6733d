/** The figures of administrators: how far the journal and settling are, and how many events came, of which kind. */
import { Hono } from "hono";
import { z } from "zod";
import {
  addCounts,
  type Counts,
  MAX_NAMES,
  nameKey,
  newCounts,
  NO_TYPE,
  OTHER_KEYS,
  outcomeOf,
  type Period,
  PERIOD_MS,
  PERIODS,
  rejectedCells,
  takenCells,
  topNames,
  violationsOf,
} from "../../domain/stats/counts.ts";
import { EVENT_TYPES } from "../../domain/event/event.ts";
import { adminOnly, type Parts, type RouteEnv } from "../handler/handle.ts";
import { invalid, jsonResponse, type Problem, type Reason, STATUS_OF } from "../http/problem.ts";
import { moment } from "../http/paging.ts";
import type { CountsSpan } from "../../actors/stats/counts_store.ts";

/** Periods in one answer: a day of minutes, or 30 days of hours. */
const MAX_PERIODS = 1_500;

/** Names in one answer, over all its periods. */
const MAX_NAMES_SHOWN = 50_000;

/** The default number of periods, up to now. */
const DEFAULT_PERIODS: Record<Period, number> = { minute: 60, hour: 24, day: 30 };

const STATUSES = ["accepted", "duplicate", "rejected", "suppressed"] as const;
const TYPES = [...EVENT_TYPES, NO_TYPE] as const;
const PARTS = ["type", "writeKey", "rejection", "event"] as const;

const oneOf = <T extends readonly [string, ...string[]]>(values: T) =>
  z.enum(values, `must be one of ${values.join(", ")}`);

const BY_RULE = `must be a comma-separated list of ${PARTS.join(", ")}`;

/** The query of counts. */
export const statsQuery = z.object({
  per: oneOf(PERIODS).optional(),
  from: moment,
  to: moment,
  by: z.string().transform((text, context) => {
    const parts = text.split(",");
    if (parts.every((part) => (PARTS as readonly string[]).includes(part))) return new Set(parts);
    context.addIssue({ code: "custom", message: BY_RULE });
    return z.NEVER;
  }).optional(),
  type: oneOf(TYPES).optional(),
  writeKeyId: z.string().min(1, "must not be empty").max(200, "must have at most 200 characters").optional(),
  status: oneOf(STATUSES).optional(),
  event: z.string().min(1, "must not be empty").optional(),
  limit: z.string().regex(/^([1-9]\d{0,2}|1000)$/, `must be a whole number from 1 to ${MAX_NAMES}`)
    .default("10").transform(Number),
});

type StatsQuery = z.output<typeof statsQuery>;

/** `GET /api/v1/admin/stats`. */
export function statsRoutes(parts: Parts): Hono<RouteEnv> {
  const { system, now } = parts;
  const routes = new Hono<RouteEnv>();
  routes.get(
    "/api/v1/admin/stats",
    adminOnly(parts, async (_, query) => {
      const span = spanOf(query, now());
      const problem = "reason" in span ? span : refuse(query, span);
      if (problem !== undefined) return problem;
      const asked = span as CountsSpan;
      const counts = await system.counts.read(asked, () => readingOf(query));
      const { per, from, to } = asked;
      return jsonResponse({
        ...await system.stats(),
        counts: {
          from: new Date(from).toISOString(),
          to: new Date(to).toISOString(),
          ...query.per !== undefined && { per },
          ...counts,
        },
      });
    }, statsQuery),
  );
  return routes;
}

/** The span of a query, in whole periods; by the hour without `per`. */
function spanOf({ per = "hour", from, to }: StatsQuery, nowMs: number): CountsSpan | Problem {
  const length = PERIOD_MS[per];
  const end = Math.ceil((to ?? nowMs + 1) / length) * length;
  const start = from === undefined ? end - DEFAULT_PERIODS[per] * length : Math.floor(from / length) * length;
  if (start >= end) return invalid("invalid_query", "from", "must be before to");
  if (end - start <= MAX_PERIODS * length) return { per, from: start, to: end };
  const rule = `must be at most ${MAX_PERIODS} ${per}s before to: request a shorter range or longer periods`;
  return invalid("invalid_query", "from", rule);
}

/** Why a query can't be answered whose values are right one by one. */
function refuse(query: StatsQuery, { per, from, to }: CountsSpan): Problem | undefined {
  const { event, writeKeyId, status, type, limit } = query;
  const isCounted = writeKeyId === undefined && (status ?? "accepted") === "accepted" &&
    (type ?? "track") === "track";
  if (event !== undefined && !isCounted) {
    const rule = "counts accepted track events of all write keys: omit writeKeyId, status and type";
    return invalid("invalid_query", "event", rule);
  }
  const periods = (to - from) / PERIOD_MS[per];
  if (query.per !== undefined && query.by?.has("event") && periods * limit > MAX_NAMES_SHOWN) {
    const rule = `must be smaller for this many ${per}s: one response holds at most ${MAX_NAMES_SHOWN} names`;
    return invalid("invalid_query", "limit", rule);
  }
  return undefined;
}

function readingOf(query: StatsQuery) {
  const total = newCounts();
  const periods: Record<string, unknown>[] = [];
  const { by = new Set<string>() } = query;
  return {
    take({ at, counts }: { at: number; counts: Counts }) {
      addCounts(total, counts);
      if (query.per === undefined) return;
      periods.push({ at: new Date(at).toISOString(), ...shown(counts, query, by) });
    },
    result: () => ({
      ...shown(total, query, query.by ?? new Set(PARTS)),
      ...query.per !== undefined && { periods },
    }),
  };
}

interface Sums {
  accepted: number;
  duplicate: number;
  rejected: number;
  /** Only if there are any. */
  suppressed?: number;
}

/** The shown counts: after the query's filters, and split by the parts in `by`. */
function shown(counts: Counts, query: StatsQuery, by: ReadonlySet<string>): Record<string, unknown> {
  const { type, writeKeyId, status, event, limit } = query;
  if (event !== undefined) {
    return { accepted: counts.names.get(nameKey(event)) ?? 0, otherEvents: counts.otherNames };
  }
  const total: Sums = { accepted: 0, duplicate: 0, rejected: 0 };
  const types = new Map<string, Sums>();
  const writeKeys = new Map<string, Sums>();
  const rejections = new Map<string, { status: number; code: string; count: number }>();
  const add = (cell: { type: string; writeKeyId: string }, outcome: keyof Sums, count: number): boolean => {
    if (count === 0 || (status ?? outcome) !== outcome || (type ?? cell.type) !== cell.type) return false;
    if ((writeKeyId ?? cell.writeKeyId) !== cell.writeKeyId) return false;
    for (const sums of [total, sumsOf(types, cell.type), sumsOf(writeKeys, cell.writeKeyId)]) {
      sums[outcome] = (sums[outcome] ?? 0) + count;
    }
    return true;
  };
  for (const cell of takenCells(counts)) {
    add(cell, "accepted", cell.accepted);
    add(cell, "duplicate", cell.duplicate);
  }
  for (const [cell, count] of rejectedCells(counts)) {
    const outcome = outcomeOf(cell);
    if (!add(cell, outcome, count) || outcome === "suppressed") continue;
    const rejection = { status: STATUS_OF[cell.reason as Reason], code: cell.code, count };
    const known = rejections.get(cell.code);
    if (known === undefined) rejections.set(cell.code, rejection);
    else known.count += count;
  }
  // Names and violations are counted over everything: they cannot be filtered.
  const isAll = type === undefined && writeKeyId === undefined && status === undefined;
  return {
    ...total,
    ...by.has("type") && { types: Object.fromEntries(types) },
    ...by.has("writeKey") && {
      writeKeys: [...writeKeys].map(([id, sums]) => ({ writeKeyId: id === OTHER_KEYS ? null : id, ...sums }))
        .sort((a, b) => b.accepted - a.accepted),
    },
    ...by.has("rejection") && { rejections: [...rejections.values()].sort((a, b) => b.count - a.count) },
    ...isAll && by.has("event") && shownNames(counts, limit),
    ...isAll && by.has("rejection") && {
      violations: violationsOf(counts).map(({ contract, ...rest }) => ({
        contract: contract || null,
        ...rest,
      }))
        .sort((a, b) => b.count - a.count),
    },
  };
}

function shownNames(counts: Counts, limit: number) {
  const { names, other } = topNames(counts, limit);
  return { events: names.map(([event, count]) => ({ event, count })), otherEvents: other };
}

function sumsOf(map: Map<string, Sums>, key: string): Sums {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = { accepted: 0, duplicate: 0, rejected: 0 };
  map.set(key, made);
  return made;
}
