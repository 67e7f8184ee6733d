/**
 * What the console costs: its first page, the time until the live view can be used, and a live view under load.
 * `deno task bench:console` prints it; it needs Node and Chromium. `--perSecond N --seconds N` change the load.
 */
import { parseArgs } from "node:util";
import { openConsole, order } from "../tests/clients/console.ts";
import { missingForBrowser } from "../tests/clients/browser.ts";

const { values } = parseArgs({
  options: {
    perSecond: { type: "string", default: "1000" },
    seconds: { type: "string", default: "20" },
  },
});

/** Events of a request. */
const BATCH = 100;

/** Watches long tasks, frames and memory in the page. */
const WATCH = `{
  globalThis.watched = { longest: 0, longTasks: 0, frames: 0, beganMs: performance.now() };
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) {
      watched.longTasks++;
      watched.longest = Math.max(watched.longest, duration);
    }
  }).observe({ entryTypes: ["longtask"] });
  const frame = () => (watched.frames++, requestAnimationFrame(frame));
  frame();
}`;

if (missingForBrowser !== undefined) {
  console.log(`bench:console needs ${missingForBrowser}`);
  Deno.exit(1);
}
await using page = await openConsole();
const { server } = page;

const beforeMs = performance.now();
const first = await fetch(`${server.url}/console`);
await first.text();
console.log(`first /console            ${(performance.now() - beforeMs).toFixed(0)} ms`);

const openMs = performance.now();
await page.open("/console/live");
await page.until(`/\\blive\\b/.test(document.querySelector(".toolbar .badge")?.innerText)`);
console.log(`until Live can be used    ${(performance.now() - openMs).toFixed(0)} ms`);

await page.browser.evaluate(WATCH);
const [perSecond, seconds] = [Number(values.perSecond), Number(values.seconds)];
const startMs = performance.now();
let sent = 0;
while (performance.now() - startMs < seconds * 1000) {
  if (sent >= perSecond * (performance.now() - startMs) / 1000) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    continue;
  }
  await server.send(Array.from({ length: BATCH }, (_, n) => order(`b${sent + n}`)));
  sent += BATCH;
}
const tookS = (performance.now() - startMs) / 1000;
await page.until(
  `Number(document.querySelector(".live-list").dataset.came) + Number(document.querySelector(".live-list").dataset.passedOver) === ${sent}`,
);
const { longest, longTasks, frames, beganMs, nowMs, draws, rows, passedOver } = await page.value<
  Record<string, number>
>(
  `({ ...watched, nowMs: performance.now(), draws: Number(document.querySelector(".live-list").dataset.draws),
  passedOver: Number(document.querySelector(".live-list").dataset.passedOver), rows: document.querySelectorAll(".window-row").length })`,
);
const watchedS = (nowMs! - beganMs!) / 1000;
console.log(
  `sent                      ${sent} events in ${tookS.toFixed(1)} s (${(sent / tookS).toFixed(0)}/s)`,
);
console.log(`passed over               ${passedOver}`);
console.log(`tasks over 50 ms          ${longTasks}, the longest ${longest!.toFixed(0)} ms`);
console.log(`frames a second           ${(frames! / watchedS).toFixed(0)}`);
console.log(`draws a second            ${(draws! / watchedS).toFixed(1)}, ${rows} rows in the page`);
