/**
 * Ready-made contracts for the eight common track events of the specification ("Common Track Events"). Each requires
 * the properties that identify the subject, and the right kind of every given property of the table; the
 * specification's own examples omit the others. More properties are always allowed.
 */
import type { Contract, ContractMode } from "./contract.ts";
import type { JsonObject } from "../event/json.ts";

const text = { type: "string", minLength: 1 };
const amount = { type: "number", minimum: 0 };
const count = { type: "integer", minimum: 1 };
/** ISO 4217, as `USD`. */
const currency = { type: "string", minLength: 3, maxLength: 3 };
const products = {
  type: "array",
  items: {
    type: "object",
    required: ["product_id"],
    properties: { product_id: text, name: text, price: amount, quantity: count },
  },
};

/** The properties of each event, and the required ones. */
const EVENTS: Record<string, { properties: JsonObject; required?: string[] }> = {
  "Signed Up": { properties: { plan: text, source: text } },
  "Logged In": { properties: { method: text } },
  "Product Viewed": {
    properties: { product_id: text, name: text, category: text, price: amount },
    required: ["product_id"],
  },
  "Product Added": {
    properties: { product_id: text, name: text, price: amount, quantity: count, cart_id: text },
    required: ["product_id"],
  },
  "Cart Viewed": { properties: { cart_id: text, products, total: amount }, required: ["cart_id"] },
  "Checkout Started": { properties: { order_id: text, total: amount, products }, required: ["order_id"] },
  "Order Completed": {
    properties: { order_id: text, total: amount, currency, products, coupon: text },
    required: ["order_id", "total"],
  },
  "Subscription Created": {
    properties: { plan: text, price: amount, interval: text },
    required: ["plan"],
  },
};

/** The eight contracts, named as their events: `Order Completed` is `order-completed`. */
export function commonContracts(mode: ContractMode): Contract[] {
  return Object.entries(EVENTS).map(([event, { properties, required }]) => ({
    name: event.toLowerCase().replaceAll(" ", "-"),
    type: "track",
    event,
    schema: {
      type: "object",
      ...required && { required: ["properties"] },
      properties: { properties: { type: "object", ...required && { required }, properties } },
    },
    mode,
  }));
}
