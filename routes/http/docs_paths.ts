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
