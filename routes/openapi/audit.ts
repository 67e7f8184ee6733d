/** The audit log. */
import { z } from "zod";
import { auditQuery } from "../admin/audit.ts";
import type { Group } from "../operation/operation.ts";
import { time } from "./reading.ts";

const entry = z.object({
  at: time,
  by: z.string().meta({
    description: "The name of the admin token (`admin` is `ADMIN_TOKEN`), or the task.",
  }),
  address: z.string(),
  action: z.string().meta({ examples: ["write_key.created"] }),
  target: z.string().meta({ description: "An id or a name; for a person, the kind and a digest." }),
  changes: z.record(z.string(), z.object({ from: z.unknown().optional(), to: z.unknown().optional() })).meta({
    description: "By member: before and after. Secrets and long values are replaced by a word.",
  }),
}).meta({ id: "AuditEntry" });

/** The group of the audit log. */
export const audit: Group = {
  name: "Audit log",
  description: "Changes by administrators. Needs the admin token.",
  operations: {
    "GET /api/v1/admin/audit": {
      summary: "Changes of keys, contracts, destinations and suppressions, and erasures",
      description: "Newest first. Entries are kept forever.",
      right: "admin",
      query: auditQuery,
      answers: {
        200: {
          description: "A page of entries.",
          schema: z.object({ entries: z.array(entry), cursor: z.string().nullable() }).meta({
            id: "AuditPage",
          }),
        },
      },
    },
  },
};
