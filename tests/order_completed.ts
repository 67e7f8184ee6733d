/** An order as clients send it, with an id and a time of its own; the user is one of `users`. */
export const orderCompleted = (n: number, users: number) => ({
  type: "track",
  event: "Order Completed",
  userId: `user_${n % users}`,
  messageId: crypto.randomUUID(),
  timestamp: new Date(1.7e12 + n * 1013).toISOString(),
  properties: {
    order_id: `o_${n}`,
    total: 12.5 + n,
    currency: "EUR",
    products: [{ sku: "a" }, { sku: "b" }],
  },
});
