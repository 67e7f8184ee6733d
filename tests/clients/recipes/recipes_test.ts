/**
 * The recipes, against the vendors' own clients: the same ten events go through a client to a local server and through
 * the recipe, and the requests are compared field by field. Each difference has its explanation here, and each
 * explanation its difference. No request leaves this machine: the real services were not tried.
 */
import { deepStrictEqual } from "node:assert";
import { parseExact } from "../../../domain/event/exact_json.ts";
import { optionsFor } from "../../../domain/forwarding/filter.ts";
import { compileRecipe, eventByRecipe, requestsByRecipe } from "../../../domain/recipe/recipe.ts";
import { RECIPES } from "../../../domain/recipe/recipes.ts";
import type { StoredEvent } from "../../../domain/event/event.ts";
import { testWhere } from "../../needs.ts";
import { installPackages } from "../packages.ts";
import { type Explained, type Sent, unexplained } from "./differences.ts";
import { AMPLITUDE, CUSTOMERIO, GA4, MIXPANEL, POSTHOG } from "./explained.ts";
import { makeCertificate, missingForVendors, sendByVendor } from "./vendor_server.ts";

const EVENTS = Deno.readTextFileSync(
  new URL("ten_events.json", import.meta.url),
);
const NOW = "2026-07-01T03:00:00.000Z";

interface Vendor {
  recipe: string;
  /** The package and the name under which events have options in `integrations`. */
  client: string;
  destination: string;
  settings: Record<string, string>;
  explained: readonly Explained[];
  /** Whether each event is a request of its own, as the client sends it. */
  isAlone?: true;
  /** Whether the client speaks HTTPS only. */
  isTls?: true;
}

const VENDORS: Vendor[] = [
  {
    recipe: "posthog",
    client: "posthog-node",
    destination: "PostHog",
    settings: {
      url: "http://127.0.0.1",
      apiKey: "phc_key",
      groupType: "company",
    },
    explained: POSTHOG,
  },
  {
    recipe: "amplitude",
    client: "@amplitude/analytics-node",
    destination: "Amplitude",
    settings: {
      url: "http://127.0.0.1/2/httpapi",
      apiKey: "key",
      groupType: "company",
    },
    explained: AMPLITUDE,
  },
  {
    recipe: "mixpanel",
    client: "mixpanel",
    destination: "Mixpanel",
    settings: { url: "http://127.0.0.1", token: "token", groupKey: "company" },
    explained: MIXPANEL,
    isAlone: true,
    isTls: true,
  },
  {
    recipe: "customerio",
    client: "customerio-node",
    destination: "Customer.io",
    settings: { url: "http://127.0.0.1/api/v1", siteId: "site", apiKey: "key", objectTypeId: "1" },
    explained: CUSTOMERIO,
    isAlone: true,
    isTls: true,
  },
  {
    recipe: "ga4",
    client: "electron-google-analytics4",
    destination: "GA4",
    settings: { url: "http://127.0.0.1", measurementId: "G-1", apiSecret: "secret" },
    explained: GA4,
    isAlone: true,
  },
];

/** The requests of a recipe for the ten events. */
function sendByRecipe(
  { recipe, destination, settings, isAlone }: Vendor,
): Sent[] {
  const compiled = compileRecipe(RECIPES[recipe]!);
  const made = (parseExact(EVENTS) as StoredEvent[]).flatMap((event) => {
    const options = optionsFor(event, destination);
    const each = eventByRecipe(compiled, {
      event,
      settings,
      options,
      now: NOW,
    });
    return each === undefined ? [] : [each];
  });
  const batches = isAlone ? made.map((each) => [each]) : [made];
  return batches.flatMap((events) =>
    requestsByRecipe(compiled, { events, settings, now: NOW }).map((
      { request },
    ) => request)
  );
}

testWhere(missingForVendors, {
  name: "a recipe sends what the vendor's own client sends, but for what is explained",
  async fn(t) {
    await using packages = await installPackages();
    const certificate = await makeCertificate(packages);
    for (const vendor of VENDORS) {
      await t.step(`${vendor.recipe}, by ${vendor.client}`, async () => {
        const theirs = await sendByVendor(packages, vendor.recipe, {
          events: EVENTS,
          ...vendor.isTls && { certificate },
        });
        const ours = sendByRecipe(vendor);
        deepStrictEqual(unexplained({ theirs, ours }, vendor.explained), {
          differences: [],
          explanations: [],
        });
      });
    }
  },
});
