/**
 * `/docs` in a real headless Chromium, over a real server: the page shows the document, a reader can try an operation
 * with a token of theirs, and nothing is asked from anywhere else.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { ADMIN_TOKEN, eventually, startServer, tempDir } from "../process/server.ts";
import { type Browser, missingForBrowser, openBrowser } from "./browser.ts";
import { testWhere } from "../needs.ts";
import { installPackages } from "./packages.ts";

/** Waits until something stands in the page. */
async function appears(browser: Browser, expression: string): Promise<void> {
  await eventually(expression, async () => Boolean(await browser.evaluate(expression)));
}

const click = (selector: string) => `document.querySelector(${JSON.stringify(selector)}).click()`;

/** Types into a field that React watches, which looks at values that are set only after an event. */
const type = (selector: string, text: string) =>
  `{
  const field = document.querySelector(${JSON.stringify(selector)});
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(field, ${
    JSON.stringify(text)
  });
  field.dispatchEvent(new Event("input", { bubbles: true }));
}`;

testWhere(missingForBrowser, {
  name:
    "/docs shows every operation and lets a reader try one, with nothing from outside and no policy broken",
  async fn() {
    await using dir = await tempDir();
    await using server = await startServer(`${dir.path}/kv.db`);
    await server.send({ type: "identify", userId: "user_123", traits: { plan: "tried" } });
    await using packages = await installPackages();
    await using browser = openBrowser(packages);

    await browser.goto(`${server.url}/docs`);
    await appears(browser, `document.querySelectorAll(".opblock-tag").length > 3`);
    const { tags } = await (await fetch(`${server.url}/openapi.json`)).json();
    deepStrictEqual(
      await browser.evaluate(
        `[...document.querySelectorAll(".opblock-tag")].map((each) => each.dataset.tag)`,
      ),
      tags.map(({ name }: { name: string }) => name),
    );

    await browser.evaluate(click(".btn.authorize"));
    await appears(browser, `document.querySelector("#auth-bearer-value") !== null`);
    await browser.evaluate(type("#auth-bearer-value", ADMIN_TOKEN));
    await browser.evaluate(
      `document.querySelector("#auth-bearer-value").closest("form").querySelector("[type=submit]").click()`,
    );
    await browser.evaluate(click(".close-modal"));

    await browser.evaluate(click(`.opblock-tag[data-tag="Reading"]`));
    const block = "#operations-Reading-getApiV1UsersUserId";
    await appears(browser, `document.querySelector("${block}") !== null`);
    await browser.evaluate(click(`${block} .opblock-summary-control`));
    await appears(browser, `document.querySelector("${block} .try-out__btn") !== null`);
    await browser.evaluate(click(`${block} .try-out__btn`));
    // The user's id stands there already, from the document's example.
    await appears(browser, `document.querySelector("${block} .execute") !== null`);
    const answer = `(document.querySelector("${block} .live-responses-table")?.innerText ?? "")`;
    await browser.evaluate(click(`${block} .execute`));
    await appears(browser, `${answer}.includes("tried")`);
    ok(String(await browser.evaluate(answer)).includes("200"));

    const { errors, complaints, origins } = await browser.seen();
    deepStrictEqual([errors, complaints], [[], []]);
    deepStrictEqual(origins, [server.url]);
    strictEqual(await browser.evaluate("document.cookie + JSON.stringify({ ...localStorage })"), "{}");
  },
});
