/** Whether an event is for a destination: its condition, write keys, the event's `integrations`, and consent. */
import { type Condition, readCondition } from "../condition/condition.ts";
import { isObject } from "../event/json.ts";
import type { StoredEvent } from "../event/event.ts";
import type { Definition } from "./definition.ts";

/** Why an event is not sent. */
export const FILTERS = ["where", "writeKey", "integrations", "consent"] as const;
export type FilteredBy = typeof FILTERS[number];

/** The filter of one destination. */
export interface Filter {
  /** Whether events of a type and name can be wanted at all: one look-up in an index. */
  mayWant(kind: string): boolean;
  /** Why an event is not sent, apart from consent; `undefined` if it is. */
  refuses(event: StoredEvent, writeKeyId: string): FilteredBy | undefined;
  /** Categories that need the person's consent. */
  consent: readonly string[];
}

/** The type and name of an event, as the index has them. */
export function kindOf({ type, event }: StoredEvent): string {
  return typeof event === "string" ? `${type}\n${event}` : type;
}

/** Kinds of events whose answer is remembered: names are chosen by senders, so there can be any number. */
const MAX_KINDS = 10_000;

/** The filter of a destination of a name. */
export function createFilter(name: string, { where, writeKeyIds, consent = [] }: Definition): Filter {
  const condition: Condition | undefined = where === undefined ? undefined : read(where);
  const types = condition?.requires.get("type");
  const events = condition?.requires.get("event");
  const keys = writeKeyIds && new Set(writeKeyIds);
  const lowerName = name.toLowerCase();
  const known = new Map<string, boolean>();
  return {
    consent,
    mayWant(kind) {
      let wanted = known.get(kind);
      if (wanted === undefined) {
        const [type, event] = kind.split("\n", 2) as [string, string | undefined];
        wanted = (types?.includes(type) ?? true) &&
          (events === undefined || (event !== undefined && events.includes(kind.slice(type.length + 1))));
        if (known.size >= MAX_KINDS) known.clear();
        known.set(kind, wanted);
      }
      return wanted;
    },
    refuses(event, writeKeyId) {
      if (condition !== undefined && !condition.test(event)) return "where";
      if (keys !== undefined && !keys.has(writeKeyId)) return "writeKey";
      return isOff(event.integrations, lowerName) ? "integrations" : undefined;
    },
  };
}

function read(where: unknown): Condition {
  const condition = readCondition(where);
  // It was checked when it was saved.
  if ("problem" in condition) throw new Error(`where.${condition.problem.path} ${condition.problem.message}`);
  return condition;
}

/** What an event says of one destination, in any letter case: `false`, `true` or an object; `undefined`: nothing. */
function saidOf(integrations: Record<string, unknown> | undefined, lowerName: string): unknown {
  if (!isObject(integrations)) return undefined;
  for (const key in integrations) {
    if (key.toLowerCase() === lowerName && integrations[key] !== null) return integrations[key];
  }
  return undefined;
}

function isOff(integrations: Record<string, unknown> | undefined, lowerName: string): boolean {
  if (integrations === undefined) return false;
  const said = saidOf(integrations, lowerName);
  return said === undefined ? saidOf(integrations, "all") === false : said === false;
}

/** The options that an event has for a destination: an object in `integrations`, which means `true`. */
export function optionsFor({ integrations }: StoredEvent, name: string): Record<string, unknown> {
  const said = saidOf(integrations, name.toLowerCase());
  return isObject(said) ? said : {};
}

/**
 * Whether all categories have consent: by the event's own `context.consent.categoryPreferences`, or else by
 * `traits.consent` of the person as of now. Without an answer there is none.
 */
export function hasConsent(
  event: StoredEvent,
  categories: readonly string[],
  traits: Record<string, unknown>,
): boolean {
  const own = isObject(event.context?.consent) ? event.context.consent.categoryPreferences : undefined;
  return categories.every((category) => {
    for (const answers of [own, traits.consent]) {
      if (!isObject(answers) || !Object.hasOwn(answers, category)) continue;
      if (typeof answers[category] === "boolean") return answers[category];
    }
    return false;
  });
}
