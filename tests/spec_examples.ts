/** Every example of the public specification ("Sending Events"), as data, in its order. */

/** An example event, under the heading that it stands below. */
export interface Example {
  name: string;
  event: Record<string, unknown>;
}

/** The examples of single events: "Format" and "curl Example" of each type. */
export const EXAMPLE_EVENTS: readonly Example[] = [
  {
    name: "Track Events, Format",
    event: {
      type: "track",
      userId: "user_123",
      event: "Order Completed",
      properties: {
        order_id: "ord_456",
        total: 99.99,
        currency: "USD",
        products: [
          { product_id: "prod_789", name: "SignalSmith T-Shirt", price: 29.99, quantity: 2 },
          { product_id: "prod_012", name: "SignalSmith Sticker Pack", price: 9.99, quantity: 4 },
        ],
        coupon: "SUMMER20",
        payment_method: "credit_card",
      },
      timestamp: "2025-03-15T14:30:00Z",
      context: {
        ip: "203.0.113.42",
        userAgent: "Mozilla/5.0 ...",
        locale: "en-US",
        page: {
          url: "https://shop.example.com/checkout/confirmation",
          referrer: "https://shop.example.com/checkout/payment",
        },
      },
    },
  },
  {
    name: "Track Events, curl Example",
    event: {
      type: "track",
      userId: "user_123",
      event: "Order Completed",
      properties: {
        order_id: "ord_456",
        total: 99.99,
        currency: "USD",
        products: [{ product_id: "prod_789", name: "SignalSmith T-Shirt", price: 29.99, quantity: 2 }],
      },
      timestamp: "2025-03-15T14:30:00Z",
    },
  },
  {
    name: "Identify Calls, Format",
    event: {
      type: "identify",
      userId: "user_123",
      traits: {
        email: "jane@example.com",
        name: "Jane Smith",
        plan: "enterprise",
        company: { id: "comp_456", name: "Acme Corp", industry: "Technology", employee_count: 250 },
        created_at: "2024-01-15T09:00:00Z",
        lifetime_value: 4500.00,
        newsletter_subscribed: true,
        tags: ["vip", "beta-tester"],
      },
      timestamp: "2025-03-15T14:30:00Z",
      context: { ip: "203.0.113.42", userAgent: "Mozilla/5.0 ..." },
    },
  },
  {
    name: "Identify Calls, curl Example",
    event: {
      type: "identify",
      userId: "user_123",
      traits: { email: "jane@example.com", name: "Jane Smith", plan: "enterprise", lifetime_value: 4500.00 },
    },
  },
  {
    name: "Page Views, Format",
    event: {
      type: "page",
      userId: "user_123",
      name: "Pricing",
      category: "Marketing",
      properties: {
        url: "https://www.example.com/pricing",
        path: "/pricing",
        title: "Pricing - Example",
        referrer: "https://www.google.com/",
        search: "?plan=enterprise",
        utm_source: "google",
        utm_medium: "cpc",
        utm_campaign: "brand-q1",
      },
      timestamp: "2025-03-15T14:30:00Z",
    },
  },
  {
    name: "Page Views, curl Example",
    event: {
      type: "page",
      userId: "user_123",
      name: "Pricing",
      properties: {
        url: "https://www.example.com/pricing",
        path: "/pricing",
        title: "Pricing - Example",
        referrer: "https://www.google.com/",
      },
    },
  },
  {
    name: "Screen Views, Format",
    event: {
      type: "screen",
      userId: "user_123",
      name: "Settings",
      category: "Account",
      properties: { variation: "dark_mode" },
      timestamp: "2025-03-15T14:30:00Z",
      context: {
        device: { type: "ios", model: "iPhone 15 Pro", manufacturer: "Apple" },
        os: { name: "iOS", version: "18.2" },
        app: { name: "MyApp", version: "3.1.0", build: "245" },
      },
    },
  },
  {
    name: "Screen Views, curl Example",
    event: {
      type: "screen",
      userId: "user_123",
      name: "Settings",
      category: "Account",
      properties: { variation: "dark_mode" },
      context: { device: { type: "ios", model: "iPhone 15 Pro" } },
    },
  },
  {
    name: "Group Calls, Format",
    event: {
      type: "group",
      userId: "user_123",
      groupId: "comp_456",
      traits: {
        name: "Acme Corp",
        industry: "Technology",
        plan: "enterprise",
        employee_count: 250,
        website: "https://acme.example.com",
        created_at: "2023-06-01T00:00:00Z",
        mrr: 15000.00,
      },
      timestamp: "2025-03-15T14:30:00Z",
    },
  },
  {
    name: "Group Calls, curl Example",
    event: {
      type: "group",
      userId: "user_123",
      groupId: "comp_456",
      traits: { name: "Acme Corp", industry: "Technology", plan: "enterprise", employee_count: 250 },
    },
  },
];

/** The body of the example under "Batch Endpoint". */
export const EXAMPLE_BATCH: { readonly batch: readonly Record<string, unknown>[] } = {
  batch: [
    {
      type: "track",
      userId: "user_123",
      event: "Product Viewed",
      properties: { product_id: "prod_789" },
      timestamp: "2025-03-15T14:30:00Z",
    },
    {
      type: "track",
      userId: "user_456",
      event: "Order Completed",
      properties: { order_id: "ord_789", total: 149.99 },
      timestamp: "2025-03-15T14:31:00Z",
    },
  ],
};

/** "Batch Response": the answer to {@link EXAMPLE_BATCH}. */
export const EXAMPLE_BATCH_ANSWER = { received: 2, accepted: 2, rejected: 0, errors: [] };

/** "Common Track Events": the names, and the properties that are listed for each. */
export const EXAMPLE_TRACK_NAMES: Readonly<Record<string, readonly string[]>> = {
  "Signed Up": ["plan", "source"],
  "Logged In": ["method"],
  "Product Viewed": ["product_id", "name", "category", "price"],
  "Product Added": ["product_id", "name", "price", "quantity", "cart_id"],
  "Cart Viewed": ["cart_id", "products", "total"],
  "Checkout Started": ["order_id", "total", "products"],
  "Order Completed": ["order_id", "total", "currency", "products", "coupon"],
  "Subscription Created": ["plan", "price", "interval"],
};

/** "Context Object": every field of the table. */
export const EXAMPLE_CONTEXT: Readonly<Record<string, unknown>> = {
  ip: "203.0.113.42",
  userAgent: "Mozilla/5.0 ...",
  locale: "en-US",
  timezone: "America/New_York",
  page: {
    url: "https://www.example.com/pricing",
    path: "/pricing",
    referrer: "https://www.google.com/",
    title: "Pricing",
  },
  device: { type: "ios", model: "iPhone 15 Pro", manufacturer: "Apple" },
  os: { name: "iOS", version: "18.2" },
  app: { name: "MyApp", version: "3.1.0" },
  campaign: { source: "google", medium: "cpc", name: "brand-q1" },
};
