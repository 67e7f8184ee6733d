/**
 * `node vendors.mjs VENDOR`: sends the events of standard input by the vendor's own client, as its documentation says how,
 * to URL. What a client has no call for is not sent. Ends once all are sent.
 */
import { text } from "node:stream/consumers";

const { URL: url } = process.env;
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

await { posthog, amplitude }[process.argv[2]]();
process.exit();
