/** The paths of the OpenAPI document and of the page that shows it. */

/** The document. */
export const OPENAPI_PATH = "/openapi.json";

/** The page. */
export const DOCS_PATH = "/docs";

/** The files of the page: all of them come from here. */
export const ASSET_PATHS = {
  "/docs/swagger-ui.css": { contentType: "text/css", what: "Styles of the page" },
  "/docs/swagger-ui-bundle.js": {
    contentType: "text/javascript",
    what: "Swagger UI",
  },
  "/docs/start.js": { contentType: "text/javascript", what: "Start script of the page" },
} as const;

/** One of them. */
export type AssetPath = keyof typeof ASSET_PATHS;

/** The console's screens, each with its path; the first is the start. */
export const CONSOLE_PATHS = {
  overview: "/console",
  live: "/console/live",
  test: "/console/test",
  users: "/console/users",
  groups: "/console/groups",
  audiences: "/console/audiences",
  quarantine: "/console/quarantine",
  keys: "/console/keys",
  settings: "/console/settings",
  contracts: "/console/contracts",
  forwarding: "/console/forwarding",
  transformations: "/console/transformations",
  event: "/console/event",
} as const;

/** The console's files. */
export const CONSOLE_ASSET_PATH = "/console/assets/:digest/:room/:file";
