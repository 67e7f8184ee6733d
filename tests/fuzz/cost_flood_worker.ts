/** The thread of `cost_flood.ts`. */
import { work } from "./cost_flood.ts";

const scope = self as unknown as Worker;
scope.onmessage = async ({ data }) => scope.postMessage(await work(data));
