/**
 * `node vendors.mjs VENDOR`: sends the events of standard input by the vendor's own client, as its documentation says how,
 * to VENDOR_URL. What a client has no call for is not sent. Ends once all are sent.
 */
import { text } from "node:stream/consumers";

const { VENDOR_URL: url } = process.env;
const events = JSON.parse(await text(process.stdin));

/** A page or a screen as an event of a client that has none. */
const nameOf = ({ type, event }) =>
  type === "page" ? "Page Viewed" : type === "screen" ? "Screen Viewed" : event;
const propertiesOf = ({ type, name, category, properties }) => {
  const all = { ...properties, ...type !== "track" && { name, category } };
  return Object.values(all).every((value) => value === undefined) ? undefined : all;
};

async function posthog() {
  const { PostHog } = await import("posthog-node");
  const client = new PostHog("phc_key", {
    host: url,
    flushAt: 100,
    flushInterval: 60_000,
  });
  for (const each of events) {
    const {
      type,
      userId,
      anonymousId,
      previousId,
      groupId,
      messageId,
      timestamp,
      traits,
      name,
      context,
    } = each;
    const distinctId = userId ?? anonymousId;
    if (type === "identify") {
      client.identify({
        distinctId,
        properties: { $set: traits, $anon_distinct_id: anonymousId },
      });
    } else if (type === "alias") {
      client.alias({ distinctId, alias: previousId });
    } else if (type === "group") {
      client.groupIdentify({
        groupType: "company",
        groupKey: groupId,
        properties: traits,
        distinctId,
      });
    } else {
      const page = {
        $current_url: each.properties?.url ?? context?.page?.url,
        $referrer: each.properties?.referrer ?? context?.page?.referrer,
      };
      client.capture({
        distinctId,
        event: { track: each.event, page: "$pageview", screen: "$screen" }[type],
        properties: {
          ...propertiesOf(each),
          ...type === "page" && page,
          ...type === "screen" && { $screen_name: name },
          ...context?.ip && { $ip: context.ip },
        },
        ...context?.groupId && { groups: { company: context.groupId } },
        timestamp: new Date(timestamp),
        uuid: messageId,
        ...context?.ip && { disableGeoip: false },
      });
    }
  }
  await client.shutdown();
}

async function amplitude() {
  const { createInstance, Identify } = await import(
    "@amplitude/analytics-node"
  );
  const client = createInstance();
  await client.init("key", {
    serverUrl: `${url}/2/httpapi`,
    flushQueueSize: 100,
    minIdLength: 1,
  }).promise;
  const identifying = (traits) => {
    const identify = new Identify();
    for (const [name, value] of Object.entries(traits)) {
      identify.set(name, value);
    }
    return identify;
  };
  for (const each of events) {
    const {
      type,
      userId,
      anonymousId,
      groupId,
      messageId,
      timestamp,
      traits,
      context = {},
    } = each;
    const { ip, locale, app, os, device } = context;
    const options = {
      user_id: userId,
      device_id: anonymousId,
      time: Date.parse(timestamp),
      insert_id: messageId,
      session_id: each.integrations?.Amplitude?.session_id,
      ip,
      language: locale,
      app_version: app?.version,
      os_name: os?.name,
      os_version: os?.version,
      device_manufacturer: device?.manufacturer,
      device_model: device?.model,
    };
    if (type === "identify") client.identify(identifying(traits), options);
    else if (type === "group") {
      client.setGroup("company", groupId, options);
      client.groupIdentify("company", groupId, identifying(traits), {
        ...options,
        insert_id: `${messageId}-group`,
      });
    } else if (type !== "alias") {
      client.track(nameOf(each), propertiesOf(each), {
        ...options,
        ...context.groupId && { groups: { company: context.groupId } },
      });
    }
  }
  await client.flush().promise;
}

/** The token stands for the secret: it is what the service recommends for its API of events. */
async function mixpanel() {
  const { default: Mixpanel } = await import("mixpanel");
  const { host } = new URL(url);
  const logger = { ...console, warn() {} };
  const client = Mixpanel.init("token", { host, protocol: "https", secret: "token", logger });
  const done = (start) =>
    new Promise((resolve, reject) => start((error) => error ? reject(error) : resolve()));
  for (const each of events) {
    const { type, userId, anonymousId, previousId, groupId, messageId, timestamp, traits, context = {} } =
      each;
    const distinctId = userId ?? `$device:${anonymousId}`;
    const names = {
      email: "$email",
      name: "$name",
      firstName: "$first_name",
      lastName: "$last_name",
      phone: "$phone",
      createdAt: "$created",
    };
    if (type === "identify") {
      const profile = Object.entries(traits).map(([name, value]) => [names[name] ?? name, value]);
      await done((callback) => client.people.set(distinctId, Object.fromEntries(profile), {}, callback));
    } else if (type === "group") {
      await done((callback) => client.groups.set("company", groupId, traits, {}, callback));
    } else if (type === "alias") {
      await done((callback) => client.alias(previousId, userId, callback));
    } else {
      const properties = {
        ...propertiesOf(each),
        time: new Date(timestamp),
        distinct_id: distinctId,
        $insert_id: messageId,
        $user_id: userId,
        $device_id: anonymousId,
        ip: context.ip,
        ...type === "page" && { $current_url: each.properties?.url ?? context.page?.url },
        ...context.groupId && { company: context.groupId },
      };
      await done((callback) => client.import_batch([{ event: nameOf(each), properties }], callback));
    }
  }
}

async function customerio() {
  const { TrackClient } = await import("customerio-node");
  const { port } = new URL(url);
  const client = new TrackClient("site", "key", { url: `${url}/api/v1`, port });
  const seconds = (time) => Math.floor(Date.parse(time) / 1000);
  for (const each of events) {
    const { type, userId, anonymousId, previousId, groupId, timestamp, traits, properties, context } = each;
    if (type === "identify") {
      const { createdAt, ...attributes } = traits;
      await client.identify(userId, {
        ...attributes,
        ...createdAt && { created_at: seconds(createdAt) },
        ...anonymousId && { anonymous_id: anonymousId },
      });
    } else if (type === "group") {
      const identifiers = { object_type_id: "1", object_id: groupId };
      const relationships = [{ identifiers }];
      await client.identify(userId, { cio_relationships: { action: "add_relationships", relationships } });
    } else if (type === "alias") await client.mergeCustomers("id", userId, "id", previousId);
    else {
      const data = {
        name: each.event ?? each.name ?? context?.page?.url,
        ...type !== "track" && { type },
        data: properties,
        timestamp: seconds(timestamp),
      };
      await (userId ? client.track(userId, data) : client.trackAnonymous(anonymousId, data));
    }
  }
}

/** Google has no client for the Measurement Protocol; this is the one on npm that is made for it. */
async function ga4() {
  const { default: module } = await import("electron-google-analytics4");
  const Analytics = module.default ?? module;
  const flat = (values, length) =>
    Object.fromEntries(
      Object.entries(values ?? {}).flatMap(([name, value]) => {
        if (value === null || name === "") return [];
        const isText = typeof value !== "number";
        return [[
          name,
          isText ? (typeof value === "string" ? value : JSON.stringify(value)).slice(0, length) : value,
        ]];
      }),
    );
  for (const each of events) {
    const { type, userId, anonymousId, groupId, name, traits, properties = {}, context = {} } = each;
    if (type === "alias") continue;
    const client = new Analytics("G-1", "secret", anonymousId ?? userId, each.integrations?.GA4?.sessionId);
    client.baseURL = `${url}/mp`;
    const page = {
      page_title: properties.title ?? name,
      page_location: properties.url ?? context.page?.url,
      page_referrer: properties.referrer ?? context.page?.referrer,
    };
    client.setParams({
      ...flat(properties, 100),
      ...{ page, screen: { screen_name: name }, group: { group_id: groupId } }[type],
      engagement_time_msec: 1,
    });
    if (type === "identify") {
      const values = Object.entries(flat(traits, 36)).map(([key, value]) => [key, { value }]);
      client.setUserProperties(Object.fromEntries(values));
    }
    const names = { page: "page_view", screen: "screen_view", group: "join_group", identify: "identify" };
    await client.event(names[type] ?? each.event.toLowerCase().replaceAll(" ", "_"));
  }
}

await { posthog, amplitude, mixpanel, customerio, ga4 }[process.argv[2]]();
process.exit();
