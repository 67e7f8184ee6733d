/**
 * Prints the other paths that a server reads, for its permissions: the code of the settling thread, and the database of
 * addresses if `GEOIP_DB` names a file.
 */
const path = Deno.env.get("GEOIP_DB") ?? "";
console.log(path === "" || path === "off" || path.includes(",") ? "actors,domain" : `actors,domain,${path}`);
