import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { accept } from "../../../domain/event/accept.ts";
import { makeChecked } from "../../../domain/contract/checked_contract.ts";
import { commonContracts } from "../../../domain/contract/common_contracts.ts";
import { type Contract, createContracts, judge, type Judging } from "../../../domain/contract/contract.ts";
import type { StoredEvent } from "../../../domain/event/event.ts";
import { MAX_ERRORS } from "../../../domain/event/rejection.ts";
import { EXAMPLE_BATCH, EXAMPLE_EVENTS, EXAMPLE_TRACK_NAMES } from "../../spec_examples.ts";

function stored(item: unknown): StoredEvent {
  const { event, rejection } = accept(item, {
    receivedAt: Date.parse("2026-01-01T00:00:00Z"),
    newId: () => "made",
  });
  ok(event !== undefined, JSON.stringify(rejection));
  return event;
}

const track = (event: string, properties?: object, more: object = {}) =>
  stored({ type: "track", userId: "u", event, ...properties && { properties }, ...more });

const asking = (name: string, more: Partial<Contract> = {}): Contract => ({
  name,
  type: "track",
  schema: { properties: { properties: { required: ["total"] } }, required: ["properties"] },
  mode: "enforce",
  ...more,
});

/** Judges, and gives the rejection and what was counted. */
function judged(contracts: readonly Contract[], event: StoredEvent, more: Partial<Judging> = {}) {
  const counted: string[] = [];
  const rejection = judge(createContracts(contracts.map(makeChecked)), event, {
    writeKeyId: "k",
    unknown: "allow",
    count: (contract, mode) => counted.push(`${mode} ${contract}`),
    ...more,
  });
  return { rejection, counted };
}

Deno.test("an event that breaks an enforced contract is refused, with path, rule and contract, and counted", () => {
  const { rejection, counted } = judged(
    [asking("order", { event: "Order Completed" })],
    track("Order Completed", {}),
  );
  const message = "properties.total is required; got nothing (contract order: required).";
  deepStrictEqual(rejection, {
    reason: "contract",
    code: "contract_violation",
    path: "properties.total",
    message,
    errors: [{ path: "properties.total", message }],
  });
  deepStrictEqual(counted, ["enforce order"]);
});

Deno.test("an event that breaks a monitored contract passes, and is counted", () => {
  const { rejection, counted } = judged([asking("order", { mode: "monitor" })], track("Order Completed", {}));
  deepStrictEqual([rejection, counted], [undefined, ["monitor order"]]);
});

Deno.test("an event that keeps its contracts is not counted", () => {
  deepStrictEqual(judged([asking("order")], track("Order Completed", { total: 1 })), {
    rejection: undefined,
    counted: [],
  });
});

const MEANT: [what: string, contract: Partial<Contract>, event: StoredEvent, isMeant: boolean][] = [
  ["another type", { type: "identify" }, track("A"), false],
  ["the type", {}, track("A"), true],
  ["another event", { event: "B" }, track("A"), false],
  ["the event", { event: "A" }, track("A"), true],
  ["the event in other letters", { event: "a" }, track("A"), false],
  ["another write key", { writeKeyIds: ["x", "y"] }, track("A"), false],
  ["one of the write keys", { writeKeyIds: ["x", "k"] }, track("A"), true],
  ["the event of another write key", { event: "A", writeKeyIds: ["x"] }, track("A"), false],
  ["a page", { type: "page" }, stored({ type: "page", userId: "u" }), true],
];

for (const [what, contract, event, isMeant] of MEANT) {
  Deno.test(`a contract of ${what} ${isMeant ? "is" : "is not"} checked against an event`, () => {
    strictEqual(judged([asking("c", contract)], event).rejection !== undefined, isMeant);
    const contracts = createContracts([makeChecked(asking("c", contract))]);
    deepStrictEqual(contracts.meeting(event, "k").map(({ name }) => name), isMeant ? ["c"] : []);
  });
}

Deno.test("all contracts of an event are checked, and only enforced ones reject", () => {
  const schema = (member: string) => ({ required: [member] });
  const { rejection, counted } = judged([
    asking("one", { schema: schema("a") }),
    asking("two", { schema: schema("b"), mode: "monitor" }),
    asking("three", { schema: schema("c"), event: "A" }),
    asking("four", { schema: schema("type") }),
  ], track("A"));
  deepStrictEqual(rejection!.errors.map(({ path }) => path), ["a", "c"]);
  deepStrictEqual(counted, ["enforce one", "monitor two", "enforce three"]);
});

Deno.test("the schema is checked against the whole stored event", () => {
  const schema = {
    required: ["receivedAt", "originalTimestamp", "messageId"],
    properties: { userId: { const: "5" }, timestamp: { const: "2025-03-15T00:00:00.000Z" } },
  };
  const event = stored({ type: "track", event: "A", userId: 5, timestamp: "2025-03-15" });
  strictEqual(judged([asking("c", { schema })], event).rejection, undefined);
});

Deno.test("the number of reported errors is limited", () => {
  const schema = { properties: { properties: { properties: { list: { items: { type: "string" } } } } } };
  const { rejection } = judged(
    [asking("c", { schema })],
    track("A", { list: Array.from({ length: 100 }, () => 1) }),
  );
  strictEqual(rejection!.errors.length, MAX_ERRORS);
});

Deno.test("the handling of events without a contract is a setting", () => {
  const event = track("A");
  deepStrictEqual(judged([], event), { rejection: undefined, counted: [] });
  deepStrictEqual(judged([], event, { unknown: "monitor" }), {
    rejection: undefined,
    counted: ["monitor null"],
  });
  const { rejection, counted } = judged([asking("c", { event: "B" })], event, { unknown: "reject" });
  deepStrictEqual([rejection!.reason, rejection!.code, rejection!.path, counted], [
    "contract",
    "no_contract",
    "event",
    ["enforce null"],
  ]);
  strictEqual(
    judged([], stored({ type: "page", userId: "u" }), { unknown: "reject" }).rejection!.path,
    "type",
  );
  strictEqual(judged([asking("c", { schema: true })], event, { unknown: "reject" }).rejection, undefined);
});

Deno.test("many contracts that mean an event tell no more errors than one", () => {
  const list = { properties: { properties: { properties: { list: { items: { type: "string" } } } } } };
  const { rejection, counted } = judged(
    ["one", "two", "three"].map((name) => asking(name, { schema: list })),
    track("A", { list: Array.from({ length: 15 }, () => 1) }),
  );
  strictEqual(rejection!.errors.length, MAX_ERRORS);
  deepStrictEqual(counted, ["enforce one", "enforce two", "enforce three"]);
});

Deno.test("a contract with an unsupported schema accepts its events, and says why", () => {
  const schema = { properties: { properties: { unevaluatedProperties: false } } };
  const contract = asking("c", { schema });
  const { mode, notice } = makeChecked(contract);
  deepStrictEqual([mode, notice], [
    "monitor",
    "This contract checks no events: schema.properties.properties.unevaluatedProperties is not supported: list the properties in one " +
    "schema, with additionalProperties. Save it with another schema.",
  ]);
  // It names its events, and tells nothing of them.
  deepStrictEqual(judged([contract], track("A"), { unknown: "reject" }), {
    rejection: undefined,
    counted: [],
  });
  strictEqual(makeChecked(asking("c")).notice, undefined);
});

const SPEC = [...EXAMPLE_EVENTS.map(({ event }) => event), ...EXAMPLE_BATCH.batch]
  .filter(({ type }) => type === "track");

Deno.test("the common contracts are of the eight events of the specification, and its own examples keep them", () => {
  const properties = commonContracts("enforce").map(({ event, schema }) => {
    const asked = schema as { properties: { properties: { properties: object } } };
    return [event, Object.keys(asked.properties.properties.properties).sort()];
  });
  const listed = Object.entries(EXAMPLE_TRACK_NAMES).map(([event, names]) => [event, [...names].sort()]);
  deepStrictEqual(properties, listed);
  ok(SPEC.length >= 4);
  for (const event of SPEC) {
    deepStrictEqual(
      judged(commonContracts("enforce"), stored(event), { unknown: "reject" }).rejection,
      undefined,
    );
  }
});

/** The properties of the specification's table, each right; then what breaks the contract, by path. */
const products = [{ product_id: "p", name: "n", price: 1.5, quantity: 2 }];
const COMMON: [event: string, whole: object, broken: [object | undefined, path: string][]][] = [
  ["Signed Up", { plan: "free", source: "ad" }, [[{ plan: 5 }, "properties.plan"], [
    { source: "" },
    "properties.source",
  ]]],
  ["Logged In", { method: "password" }, [[{ method: null }, "properties.method"]]],
  ["Product Viewed", { product_id: "p", name: "n", category: "c", price: 9.99 }, [
    [undefined, "properties"],
    [{}, "properties.product_id"],
    [{ product_id: 5 }, "properties.product_id"],
    [{ product_id: "p", price: "9.99" }, "properties.price"],
  ]],
  ["Product Added", { product_id: "p", name: "n", price: 0, quantity: 1, cart_id: "c" }, [
    [{}, "properties.product_id"],
    [{ product_id: "p", quantity: 0 }, "properties.quantity"],
    [{ product_id: "p", quantity: 1.5 }, "properties.quantity"],
  ]],
  ["Cart Viewed", { cart_id: "c", products, total: 3 }, [
    [{}, "properties.cart_id"],
    [{ cart_id: "c", products: {} }, "properties.products"],
    [{ cart_id: "c", products: [{ name: "n" }] }, "properties.products.0.product_id"],
  ]],
  ["Checkout Started", { order_id: "o", total: 3, products }, [
    [{}, "properties.order_id"],
    [{ order_id: "o", total: -1 }, "properties.total"],
  ]],
  ["Order Completed", { order_id: "o", total: 3, currency: "USD", products, coupon: "X" }, [
    [{ total: 1 }, "properties.order_id"],
    [{ order_id: "o" }, "properties.total"],
    [{ order_id: "o", total: "1" }, "properties.total"],
    [{ order_id: "o", total: 1, currency: "dollars" }, "properties.currency"],
    [{ order_id: "o", total: 1, products: [{ product_id: "p", price: "1" }] }, "properties.products.0.price"],
  ]],
  ["Subscription Created", { plan: "pro", price: 10, interval: "month" }, [
    [{}, "properties.plan"],
    [{ plan: "pro", interval: 1 }, "properties.interval"],
  ]],
];

for (const [event, whole, broken] of COMMON) {
  Deno.test(`the common contract of ${event} accepts the properties of the table and more, and reports violations`, () => {
    const contracts = commonContracts("enforce");
    for (const properties of [whole, { ...whole, more: [1] }]) {
      deepStrictEqual(judged(contracts, track(event, properties)).rejection, undefined);
    }
    for (const [properties, path] of broken) {
      strictEqual(judged(contracts, track(event, properties)).rejection?.path, path);
    }
  });
}
