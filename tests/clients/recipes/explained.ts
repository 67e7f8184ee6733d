/** Where recipes differ from the vendors' clients, and why. */
import type { Explained } from "./differences.ts";

const longInteger = (at: string): Explained => ({
  at,
  theirs: /^12345678901234567000$/,
  ours: /^12345678901234567890$/,
  why: "JavaScript rounds a long integer. signalfold keeps its digits.",
});

export const POSTHOG: readonly Explained[] = [
  {
    at: "0/body/batch/*/properties/$lib",
    theirs: "posthog-node",
    ours: "signalfold",
    why: "Each names itself.",
  },
  {
    at: "0/body/batch/*/properties/$lib_version",
    theirs: "5.70.0",
    why: "A new version of signalfold would send other bytes for the same event.",
  },
  {
    at: "0/body/batch/*/properties/$is_server",
    theirs: true,
    why: "The event may come from a browser: signalfold only passes it on.",
  },
  {
    at: "0/body/batch/*/properties/$set_once",
    theirs: {},
    why: "It is always empty: there is no such call in the API of signalfold.",
  },
  {
    at: "0/body/batch/0/properties/$raw_user_agent",
    ours: "Mozilla/5.0 (X11)",
    why: "A client of a server does not know the browser. The event does.",
  },
  {
    at: "0/body/batch/*/timestamp",
    theirs: /^"20/,
    ours: /^"2026-07-01T02:3[3-9]:00.000Z"$/,
    why: "identify, group and alias of the client take no time. Events that are sent later need their own.",
  },
  {
    at: "0/body/batch/1/uuid",
    theirs: /^"[0-9a-f-]{36}"$/,
    ours: "8556c1f2-a7c3-8d88-9576-4048d03f03fa",
    why: "The message id is no UUID. The client makes a random one, the recipe always the same one.",
  },
  {
    at: "0/body/batch/*/uuid",
    theirs: /^"[0-9a-f-]{36}"$/,
    ours: /^"0190c2f0-0000-7000-8000-00000000000[459a]"$/,
    why:
      "identify, group and alias of the client take no id. With the message id a retry is no second event.",
  },
  {
    at: "0/body/sent_at",
    theirs: /^"20/,
    ours: "2026-07-01T03:00:00.000Z",
    why: "It is the time of the attempt.",
  },
  longInteger("0/body/batch/0/properties/number"),
];

export const AMPLITUDE: readonly Explained[] = [
  {
    at: "0/body/events/*/library",
    theirs: "amplitude-node-ts/1.5.73",
    ours: "signalfold",
    why: "Each names itself.",
  },
  {
    at: "0/body/events/*/event_id",
    theirs: /^\d$/,
    why: "It counts the events of one client. A replay would count anew; `insert_id` tells events apart.",
  },
  {
    at: "0/body/events/4/user_properties/$set/nickname",
    ours: null,
    why: "The client leaves out a trait that is null. The person has it, as null.",
  },
  {
    at: "0/body/client_upload_time",
    theirs: /^"20/,
    why: "Amplitude corrects a wrong clock by it. signalfold has corrected the times already.",
  },
  longInteger("0/body/events/0/event_properties/number"),
];
