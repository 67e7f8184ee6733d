/** Preflights (Fetch Standard, section 3.2.2): browsers send them before requests across origins. */
import type { Group, Operation, Route } from "../operation/operation.ts";

const preflight: Operation = {
  summary: "CORS preflight",
  right: "open",
  answers: { 204: { description: "Allowed, with the requested headers." } },
};

/** A preflight of each path that has an operation in these groups. */
export function preflights(groups: readonly Group[]): Group {
  const paths = new Set(
    groups.flatMap(({ operations }) => Object.keys(operations)).map((route) => route.split(" ")[1]),
  );
  return {
    name: "Preflights",
    description:
      "Browsers send these automatically before cross-origin requests. Other paths do not support CORS.",
    operations: Object.fromEntries([...paths].map((path) => [`OPTIONS ${path}` as Route, preflight])),
  };
}
