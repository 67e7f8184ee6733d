/** A worker of the hunt: it loads the product, with a bug if one is to be planted, and lives through the seeds that it is told. */
import { live } from "./history.ts";
import { addTold, type FromWorker, noTotals, type ToWorker } from "./hunt.ts";
import { bugNamed } from "./planted.ts";
import { loadProducts, type Products } from "./product.ts";

const thread = self as unknown as {
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  postMessage(message: FromWorker): void;
};
let products: Promise<Products>;

thread.onmessage = async ({ data }) => {
  if ("bug" in data) {
    products = loadProducts(data.bug === undefined ? [] : bugNamed(data.bug).patches);
    return;
  }
  const loaded = await products;
  const totals = noTotals();
  for (let seed = data.from; seed < data.from + data.count; seed++) {
    const told = await live(seed, loaded);
    addTold(totals, told);
    const { violation, digest } = told;
    if (violation !== undefined) return thread.postMessage({ totals, find: { seed, violation, digest } });
  }
  thread.postMessage({ totals });
};
