/** The shapes of load that ingestion is measured by, and the bars it is held to. */

/** One shape of load. */
export interface Shape {
  name: string;
  says: string;
  connections: number;
  /** How many users the events are spread over. */
  users: number;
  /** Events of a request; 0 for one event by itself. */
  batch: number;
  /** Whether a batch holds each user at most once. */
  distinct: boolean;
  /** Share of the events that go to one user. */
  hot: number;
  /** Length of a measurement, in units of `--seconds`. */
  length: number;
  /**
   * Whether each target gets its whole time in one piece. Otherwise it comes in slices in turn with the others;
   * a load meant to be sustained must not be allowed a rest in between.
   */
  whole: boolean;
}

const SINGLE = { users: 10_000, batch: 0, distinct: false, hot: 0, length: 1, whole: false };
// Eight senders keep either side busy on two cores; more of them only wait longer.
const BATCH = { connections: 8, users: 10_000, batch: 500, distinct: true, hot: 0, length: 1, whole: false };

/** In the order in which they are run. */
export const SHAPES: Shape[] = [
  { ...SINGLE, name: "single-1", says: "single posts, 1 connection, 10,000 users", connections: 1 },
  { ...SINGLE, name: "single-32", says: "single posts, 32 connections, 10,000 users", connections: 32 },
  { ...SINGLE, name: "single-128", says: "single posts, 128 connections, 10,000 users", connections: 128 },
  {
    ...SINGLE,
    name: "hot-128",
    says: "single posts, 128 connections, half to one user",
    connections: 128,
    hot: 0.5,
  },
  { ...BATCH, name: "batch-10k", says: "batches of 500 over 500 of 10,000 users" },
  { ...BATCH, name: "batch-20", says: "batches of 500 over 20 users", users: 20, distinct: false },
  {
    ...BATCH,
    name: "batch-200k",
    says: "batches of 500 over 500 of 200,000 users",
    users: 200_000,
    length: 3,
    whole: true,
  },
];

/** A figure of one target in one shape. */
export interface Figure {
  target: string;
  shape: string;
  of: "eventsPerS" | "p99Ms";
}

/** A bar: the ratio of two figures of the same run. */
export interface Bar {
  says: string;
  figure: Figure;
  against: Figure;
  atLeast?: number;
  atMost?: number;
}

const own = (shape: string, of: Figure["of"] = "eventsPerS"): Figure => ({ target: "signalfold", shape, of });

/** The same figure of a rival. */
function rival(target: string, shape: string, of: Figure["of"] = "eventsPerS"): Figure {
  return { target, shape, of };
}

const P99 = "p99Ms";

/** What signalfold is held to, settling included. */
export const BARS: Bar[] = [
  {
    says: "single posts at 128: the ordinary one",
    figure: own("single-128"),
    against: rival("ordinary", "single-128"),
    atLeast: 10,
  },
  {
    says: "single posts at 128: PostgreSQL",
    figure: own("single-128"),
    against: rival("postgres", "single-128"),
    atLeast: 4,
  },
  {
    says: "single posts at 128: a bare Deno.serve (the aim is 0.5)",
    figure: own("single-128"),
    against: rival("bare", "single-128"),
    atLeast: 0.45,
  },
  {
    says: "single posts at 128, p99: PostgreSQL's",
    figure: own("single-128", P99),
    against: rival("postgres", "single-128", P99),
    atMost: 1,
  },
  {
    says: "half to one user: all users alike",
    figure: own("hot-128"),
    against: own("single-128"),
    atLeast: 0.9,
  },
  {
    says: "batches over 10,000 users: the ordinary one",
    figure: own("batch-10k"),
    against: rival("ordinary", "batch-10k"),
    atLeast: 30,
  },
  {
    says: "batches over 10,000 users: PostgreSQL",
    figure: own("batch-10k"),
    against: rival("postgres", "batch-10k"),
    atLeast: 2,
  },
  {
    says: "batches over 20 users: PostgreSQL",
    figure: own("batch-20"),
    against: rival("postgres", "batch-20"),
    atLeast: 1.5,
  },
  {
    says: "batches over 200,000 users: PostgreSQL",
    figure: own("batch-200k"),
    against: rival("postgres", "batch-200k"),
    atLeast: 1.2,
  },
  {
    says: "batches over 200,000 users, p99: PostgreSQL's",
    figure: own("batch-200k", P99),
    against: rival("postgres", "batch-200k", P99),
    atMost: 3,
  },
];
