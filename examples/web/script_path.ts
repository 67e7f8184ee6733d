/** Prints where the published script of `@segment/analytics-next` is on this machine, for the permissions of the example. */
import { fileURLToPath } from "node:url";

console.log(fileURLToPath(import.meta.resolve("@segment/analytics-next/dist/umd/index.js")));
