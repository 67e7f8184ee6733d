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

export const MIXPANEL: readonly Explained[] = [
  {
    at: "*/encoding",
    theirs: /^"(form|query)"$/,
    ours: "json",
    why:
      "The client sends JSON as Base64 in a form or a query, as Mixpanel took it first. It takes JSON, too.",
  },
  {
    at: "*/headers/content-type",
    theirs: "application/x-www-form-urlencoded",
    ours: "application/json",
    why: "The same.",
  },
  { at: "*/headers/content-type", ours: "application/json", why: "The same: a query has no body." },
  {
    at: "*/method",
    theirs: "GET",
    ours: "POST",
    why: "The same: a body needs POST, and several profiles fit in it.",
  },
  {
    at: "*/query/strict",
    ours: "1",
    why: "Without it Mixpanel drops what is invalid and says nothing. With it the answer names what failed.",
  },
  {
    at: "*/query/verbose",
    theirs: "0",
    ours: "1",
    why: "Profiles are answered with 200 whatever happens. Only a verbose answer says what went wrong.",
  },
  { at: "*/query/verbose", theirs: "0", why: "Events have answers with details by strict=1." },
  {
    at: "*/query/ip",
    theirs: "0",
    why:
      "Events have the address of the person, or none: the API of imports never takes the one of the sender.",
  },
  {
    at: "1/body/0/properties/$insert_id",
    theirs: "ajs-next-17-visit",
    ours: "8556c1f2-a7c3-8d88-9576-4048d03f03fa",
    why:
      "The program passes the message id on. Mixpanel takes 36 letters, digits and hyphens, so it is made a UUID.",
  },
  {
    at: "9/path",
    theirs: "/track",
    ours: "/import",
    why: "The client has no alias for imports. /track takes nothing that is older than five days.",
  },
  { at: "9/body/0/properties/time", ours: 1782873540000, why: "The alias of the client takes no time." },
  {
    at: "9/body/0/properties/$insert_id",
    ours: "0190c2f0-0000-7000-8000-00000000000a",
    why: "The alias of the client takes no id. With one a retry is no second event.",
  },
  { at: "9/body/0/properties/mp_lib", theirs: "node", why: "The client names itself, here and in no batch." },
  { at: "9/body/0/properties/$lib_version", theirs: "0.24.0", why: "The same." },
  longInteger("0/body/0/properties/number"),
];
export const CUSTOMERIO: readonly Explained[] = [
  {
    at: "*/body/id",
    ours: /^"01KWDR[0-9A-Z]{20}"$/,
    why:
      "Customer.io knows a repeated event by it. It is made of the message id, and the client does not send one.",
  },
  longInteger("0/body/data/number"),
];
/** Google has no client for this protocol. The one on npm that is made for it does less than the protocol has. */
export const GA4: readonly Explained[] = [
  {
    at: "*/body/user_id",
    ours: /^"(u1|jane@example.com)"$/,
    why: "The client cannot send it. The protocol has it for users who are known.",
  },
  {
    at: "*/body/timestamp_micros",
    ours: /^178287[34]\d{9}$/,
    why: "The client cannot send it. Without it an event that is sent later has the wrong time.",
  },
  {
    at: "*/body/events/0/params/session_id",
    theirs: /^"[0-9a-f-]{36}"$/,
    why: "The client makes up a session. The recipe sends the one that the event names, or none.",
  },
  {
    at: "*/body/events/0/params/event_name",
    ours: /^"(Order Completed|Übersicht geöffnet|Signed Up)"$/,
    why: "The name as it was: the one of the protocol has small letters and underscores.",
  },
  {
    at: "1/body/events/0/name",
    theirs: "übersicht_geöffnet",
    ours: "bersicht_ge_ffnet",
    why: "The client sends any name. The protocol takes letters from a to z, digits and underscores.",
  },
  {
    at: "0/body/events/0/params/number",
    theirs: /^12345678901234567000$/,
    ours: "12345678901234567890",
    why: "JavaScript rounds a long integer. The protocol takes no such number, so it is sent as text.",
  },
];
