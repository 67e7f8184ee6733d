/** The recipes of docs/audiences.md: each is read from there, and tells apart two people. */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { evaluatePerson } from "../../../domain/audience/evaluate.ts";
import { intervalAt } from "../../../domain/audience/intervals.ts";
import { personAt } from "../../../domain/audience/person.ts";
import type { StoredEvent } from "../../../domain/event/event.ts";
import { personOf, setOf } from "./people.ts";

const DAY = 86_400_000;
const NOW = Date.parse("2026-06-01T12:00:00Z");

/** The recipes by their titles. */
function recipes(): Map<string, { where: Record<string, unknown> }> {
  const text = Deno.readTextFileSync(new URL("../../../docs/audiences.md", import.meta.url));
  const section = text.slice(text.indexOf("## Ten recipes"), text.indexOf("## Limits"));
  const found = new Map<string, { where: Record<string, unknown> }>();
  for (const [, title, json] of section.matchAll(/^### (.+?)$[^]*?```json\n([^]*?)```/gm)) {
    found.set(title!, JSON.parse(json!));
  }
  return found;
}

/** Something that happened so many days ago. */
type Ago = [days: number, what: Partial<StoredEvent>];

const did = (event: string, properties: Record<string, unknown> = {}): Partial<StoredEvent> => ({
  type: "track",
  event,
  properties,
});
const is = (traits: Record<string, unknown>): Partial<StoredEvent> => ({ type: "identify", traits });
const joins = (groupId: string, traits: Record<string, unknown>): Partial<StoredEvent> => ({
  type: "group",
  groupId,
  traits,
});
const times = (n: number, ago: Ago): Ago[] => Array.from({ length: n }, () => ago);

/** By recipe: what a member did, and what somebody did who is none. */
const PEOPLE: Record<string, { member: Ago[]; other: Ago[] }> = {
  "Abandoned cart": {
    member: [[0.2, did("Checkout Started")]],
    other: [[0.2, did("Checkout Started")], [0.19, did("Order Completed")]],
  },
  "Trial ending": {
    member: [[12, did("Trial Started")]],
    other: [[12, did("Trial Started")], [1, did("Subscription Started")]],
  },
  "Power users": {
    member: times(10, [2, did("Session Started")]),
    other: times(10, [8, did("Session Started")]),
  },
  "Churn risk": {
    member: [[90, is({ plan: "pro" })], [20, did("Logged In")]],
    other: [[90, is({ plan: "pro" })], [20, did("Logged In")], [2, did("Logged In")]],
  },
  "Accounts in an industry with an active admin": {
    member: [[9, joins("acme", { industry: "Technology" })], [9, is({ role: "admin" })], [
      1,
      did("Session Started"),
    ]],
    other: [[9, joins("farm", { industry: "Food" })], [9, is({ role: "admin" })], [
      1,
      did("Session Started"),
    ]],
  },
  "First purchase": {
    member: [[3, did("Order Completed")]],
    other: [[3, did("Order Completed")], [200, did("Order Completed")]],
  },
  "Win-back": {
    member: [[100, did("Order Completed", { total: 150 })], [120, did("Order Completed", { total: 80 })]],
    other: [[100, did("Order Completed", { total: 150 })], [20, did("Order Completed", { total: 80 })]],
  },
  "Frequency cap": {
    member: times(3, [1, did("Message Sent")]),
    other: times(2, [1, did("Message Sent")]),
  },
  "Exclusion list": {
    member: [[1, is({ email: "jane@customer.com" })]],
    other: [[1, is({ email: "jane@example.com" })]],
  },
  "Look-alikes of a trait": {
    member: [[1, is({ lookalikeOf: "vip", score: 0.9 })]],
    other: [[1, is({ lookalikeOf: "vip", score: 0.9 })], [0.5, did("Order Completed")]],
  },
};

function isMember(where: Record<string, unknown>, log: readonly Ago[]): boolean {
  const events = log.map(([days, what], index): StoredEvent => {
    const timestamp = new Date(NOW - days * DAY).toISOString();
    return {
      type: "track",
      messageId: `m${index}`,
      timestamp,
      receivedAt: timestamp,
      userId: "jane",
      ...what,
    };
  });
  const set = setOf({ recipe: where });
  const person = personAt(personOf(set, events, "jane"), NOW)!;
  return intervalAt(evaluatePerson(set, person).audience(0), NOW) !== undefined;
}

Deno.test("the document has ten recipes, and each is tested", () => {
  deepStrictEqual([...recipes().keys()], Object.keys(PEOPLE));
  strictEqual(recipes().size, 10);
});

for (const [title, { where }] of recipes()) {
  Deno.test(`the recipe "${title}" tells apart who is meant and who is not`, () => {
    const { member, other } = PEOPLE[title]!;
    ok(isMember(where, member), "who is meant is a member");
    ok(!isMember(where, other), "who is not meant is none");
  });
}
