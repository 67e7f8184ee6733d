/** What this server is, and what the caller may do with it: for the console, and for people who look after servers. */
import { Hono } from "hono";
import { isDatabaseFile } from "../../actors/store/database_file.ts";
import { type Parts, type RouteEnv, withAccess } from "../handler/handle.ts";
import { jsonResponse } from "../http/problem.ts";
import { VERSION } from "../http/version.ts";

export interface AboutOptions {
  /** A file path, `:memory:`, the URL of a KV Connect server, or `undefined` for the platform's own storage. */
  storage: string | undefined;
  /** The settings that are no secrets, by the names of their variables. */
  settings: Readonly<Record<string, string | number | boolean | undefined>>;
  /** The paths of all routes: a feature is there if its routes are. */
  paths: () => readonly string[];
}

/** The paths by which features are known. */
const FEATURES: Readonly<Record<string, string>> = {
  forwarding: "/api/v1/admin/destinations",
  transformations: "/api/v1/admin/transformations",
  audiences: "/api/v1/admin/audiences",
  lookup: "/api/v1/users",
};

/** `GET /api/v1/admin/about`, for readers too. */
export function aboutRoutes(parts: Parts, { storage, settings, paths }: AboutOptions): Hono<RouteEnv> {
  const routes = new Hono<RouteEnv>();
  let features: string[] | undefined;
  routes.get(
    "/api/v1/admin/about",
    withAccess(parts, { right: "read" }, async (c) => {
      const caller = await parts.authentication.byHeaders(c.req.raw.headers);
      features ??= featuresOf(new Set(paths()));
      return jsonResponse({
        version: VERSION,
        deno: Deno.version.deno,
        rights: caller?.rights.includes("admin") ? "admin" : "read",
        storage: storageOf(storage),
        features,
        settings: Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)),
      });
    }),
  );
  return routes;
}

function featuresOf(paths: ReadonlySet<string>): string[] {
  return Object.entries(FEATURES).filter(([, path]) => paths.has(path)).map(([name]) => name);
}

/** The kind of a storage: its path may tell more than a reader should know. */
function storageOf(url: string | undefined): "file" | "memory" | "server" | "platform" {
  if (url === undefined) return "platform";
  if (url === ":memory:") return "memory";
  return isDatabaseFile(url) ? "file" : "server";
}
