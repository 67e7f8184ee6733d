/** The events of the document's examples: sent in this order, they make its profiles. */

/** One of each type; the alias comes before anybody is known by `anon_1`. */
export const EVENTS = {
  track: {
    type: "track",
    userId: "user_123",
    event: "Order Completed",
    properties: { order_id: "ord_456", total: 99.99, currency: "USD" },
    timestamp: "2025-03-15T14:30:00Z",
    messageId: "example-track",
  },
  identify: {
    type: "identify",
    userId: "user_123",
    anonymousId: "anon_1",
    traits: { email: "jane@example.com", plan: "enterprise" },
    context: { locale: "en-US" },
    timestamp: "2025-03-15T14:31:00Z",
    messageId: "example-identify",
  },
  page: {
    type: "page",
    anonymousId: "anon_1",
    name: "Pricing",
    category: "Marketing",
    properties: { url: "https://www.example.com/pricing", title: "Pricing - Example" },
    timestamp: "2025-03-15T14:00:00Z",
    messageId: "example-page",
  },
  screen: {
    type: "screen",
    userId: "user_123",
    name: "Settings",
    category: "Account",
    properties: { variation: "dark_mode" },
    timestamp: "2025-03-15T14:33:00Z",
    messageId: "example-screen",
  },
  group: {
    type: "group",
    userId: "user_123",
    groupId: "comp_456",
    traits: { name: "Acme Corp", employee_count: 250 },
    timestamp: "2025-03-15T14:34:00Z",
    messageId: "example-group",
  },
  alias: {
    type: "alias",
    userId: "user_123",
    previousId: "anon_2",
    timestamp: "2025-03-15T14:35:00Z",
    messageId: "example-alias",
  },
} as const;

/** A batch as a server sends it. */
export const BATCH = {
  batch: [
    {
      type: "track",
      userId: "user_123",
      event: "Product Viewed",
      properties: { product_id: "prod_789" },
      timestamp: "2025-03-15T14:20:00Z",
      messageId: "example-batch-1",
    },
    {
      type: "track",
      userId: "user_456",
      event: "Order Completed",
      properties: { order_id: "ord_789", total: 149.99 },
      timestamp: "2025-03-15T14:31:00Z",
      messageId: "example-batch-2",
    },
  ],
} as const;

/** The group event as it is stored. */
export const STORED_GROUP = {
  ...EVENTS.group,
  timestamp: "2025-03-15T14:34:00.000Z",
  receivedAt: "2026-11-24T18:00:00.000Z",
  originalTimestamp: EVENTS.group.timestamp,
};
