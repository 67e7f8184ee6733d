/** The events that the load is made of: track calls as a shop sends them, 350 to 450 bytes each. */

/** A track call cut where user id, message id and timestamp go in, in that order. */
export type Template = [string, string, string, string];

const BROWSER = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Safari/605.1.15";

/** A slot is a JSON string that no event would hold. */
const SLOT = "<slot>";

/** Name, path of the page, and properties; ten of them, so that a profile counts ten names. */
const CALLS: [string, string, Record<string, unknown>][] = [
  ["Product Viewed", "/p/789", {
    product_id: "prod_789",
    name: "T-Shirt",
    category: "Apparel",
    price: 29.99,
  }],
  ["Product Viewed", "/p/012", {
    product_id: "prod_012",
    name: "Sticker Pack",
    category: "Fun",
    price: 9.99,
  }],
  ["Product Added", "/p/789", {
    product_id: "prod_789",
    name: "T-Shirt",
    price: 29.99,
    quantity: 2,
    cart_id: "c1",
  }],
  ["Product Removed", "/cart", { product_id: "prod_012", name: "Sticker Pack", price: 9.99, quantity: 1 }],
  ["Product List Viewed", "/c/apparel", { category: "Apparel", list_id: "summer", sort: "price", page: 3 }],
  ["Cart Viewed", "/cart", {
    cart_id: "c1",
    products: [{ product_id: "prod_789", quantity: 2 }],
    total: 59.98,
  }],
  ["Checkout Started", "/checkout", {
    order_id: "ord_456",
    total: 59.98,
    currency: "USD",
    coupon: "SUMMER20",
  }],
  ["Coupon Applied", "/checkout", {
    order_id: "ord_456",
    coupon_id: "SUMMER20",
    discount: 12,
    currency: "USD",
  }],
  ["Payment Entered", "/checkout/pay", { order_id: "ord_456", payment_method: "credit_card", step: 3 }],
  ["Logged In", "/login", { method: "password", remembered: true, plan: "premium" }],
  ["Order Completed", "/checkout/done", {
    order_id: "ord_456",
    total: 99.99,
    currency: "USD",
    products: [{ product_id: "prod_789", price: 29.99, quantity: 2 }],
    coupon: "SUMMER20",
  }],
];

/** One template for each call. */
export const TEMPLATES: Template[] = CALLS.map(([event, path, properties]) => {
  const call = {
    type: "track",
    userId: SLOT,
    messageId: SLOT,
    timestamp: SLOT,
    event,
    properties,
    context: { locale: "en-US", userAgent: BROWSER, page: { url: `https://shop.example.com${path}` } },
  };
  return JSON.stringify(call).split(SLOT) as Template;
});
