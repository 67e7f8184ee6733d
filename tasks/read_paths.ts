/**
 * Prints what a server reads besides its database, for its permissions: the code of the thread that settles, and the
 * database of addresses where `GEOIP_DB` names a file.
 */
const path = Deno.env.get("GEOIP_DB") ?? "";
console.log(path === "" || path === "off" || path.includes(",") ? "actors,domain" : `actors,domain,${path}`);
