/** The console in a browser: an audience from its first condition to the reason why somebody is in it. */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { eventually } from "../process/server.ts";
import { testWhere } from "../needs.ts";
import { missingForBrowser } from "./browser.ts";
import { axeFindings, type ConsoleTest, openConsole } from "./console.ts";

const PATH = "/api/v1/admin/audiences";
const purchase = (userId: string, no: number) => ({
  type: "track",
  userId,
  event: "Order Completed",
  messageId: `${userId}-${no}`,
  properties: { total: 10 },
});

/** Changes a field of the builder, by its label: the n-th of that label. */
const set = (console: ConsoleTest, label: string, value: string, n = 0) =>
  console.value(`(() => {
    const field = document.querySelectorAll('.conditions [aria-label="${label}"]')[${n}];
    field.value = ${JSON.stringify(value)};
    field.dispatchEvent(new Event(field.tagName === "SELECT" ? "change" : "input", { bubbles: true }));
    return 0;
  })()`);

/** Waits until an audience is live. */
const live = (console: ConsoleTest, name: string) =>
  eventually(`${name} is live`, async () => {
    const { status, body } = await console.server.ask(`${PATH}/${name}`);
    return status === 200 && body.state === "live";
  });

const main = "document.querySelector('main').innerText";

/** What a reader does, and what becomes of it: all on the same server. */
const STEPS: Readonly<Record<string, (console: ConsoleTest) => Promise<void>>> = {
  "an audience is built from rows; the preview counts whom it would have before it is saved": async (
    console,
  ) => {
    const { body: { accepted } } = await console.server.send([
      { type: "identify", userId: "jane", traits: { plan: "pro" } },
      { type: "identify", userId: "joe", traits: { plan: "free" } },
      purchase("jane", 1),
      purchase("jane", 2),
      purchase("joe", 1),
    ]);
    strictEqual(accepted, 5);
    await console.open("/console/audiences");
    await console.shows("No audience yet");
    await console.push("Define an audience");
    await console.until(`document.querySelector("#audience-name")`);
    await console.fill("#audience-name", "buyers");
    await console.shows("2 users");
    await set(console, "Number", "2");
    await console.shows("1 user");
    await console.push("Condition");
    await console.until(`document.querySelector('.conditions [aria-label="Trait"]')`);
    await set(console, "Value", "enterprise");
    await console.shows("0 users");
    await set(console, "Value", "pro");
    await console.shows("1 user");
    await console.push("JSON");
    await console.until(`document.querySelector('textarea[aria-label="Condition"]')`);
    const where = {
      all: [{ event: "Order Completed", count: { $gte: 2 }, within: "30d" }, { traits: { plan: "pro" } }],
    };
    deepStrictEqual(
      JSON.parse(await console.value(`document.querySelector('textarea[aria-label="Condition"]').value`)),
      where,
    );
    await console.push("Save");
    await console.until(`location.search === "?id=buyers"`);
    deepStrictEqual((await console.server.ask(`${PATH}/buyers`)).body.where, where);
  },
  "what is wrong with a condition is shown at its line, and nothing is saved": async (console) => {
    await console.open("/console/audiences?new=1&as=json");
    await console.until(`document.querySelector("#audience-name")`);
    await console.fill("#audience-name", "wrong");
    await console.fill(
      'textarea[aria-label="Condition"]',
      `{\n  "event": "Order Completed",\n  "within": "soon"\n}`,
    );
    await console.push("Save");
    await console.until(`document.querySelector(".marks")?.innerText.startsWith("line 3: ")`);
    strictEqual((await console.server.ask(`${PATH}/wrong`)).status, 404);
    await console.fill('textarea[aria-label="Condition"]', `{\n  "event":\n}`);
    await console.until(`document.querySelector(".marks")?.innerText.startsWith("line 3: ")`);
    await console.push("Builder");
    await console.shows("The JSON cannot be read");
  },
  "members are listed with growth; who is in it and who is not is explained with links to the events": async (
    console,
  ) => {
    await live(console, "buyers");
    await console.open("/console/audiences?id=buyers");
    await console.until(`document.querySelector("main td a")?.innerText === "jane"`);
    await console.until(`document.querySelector("meter")?.value === 1`);
    await console.value(`document.querySelector('[aria-label="Why is jane in it?"]').click()`);
    await console.shows("is a member since");
    deepStrictEqual(
      await console.value(
        `[...document.querySelectorAll('.explained a')].map((link) => new URL(link).searchParams.get("id")).slice(0, 2)`,
      ),
      ["jane-2", "jane-1"],
    );
    await console.fill("#explained-user", "joe");
    await console.press("Enter");
    await console.shows("is not a member.");
    ok(/does not hold\s+plan is "pro"/.test(await console.value<string>(main)));
    await console.fill("#explained-user", "nobody");
    await console.press("Enter");
    await console.shows("Nobody has the user id nobody.");
  },
  "a user's page shows their audiences with since and until, and leads to the reason": async (console) => {
    await console.open("/console/users?id=jane&tab=audiences");
    await console.until(`document.querySelector("main tbody a")?.innerText === "buyers"`);
    strictEqual(await console.value(`document.querySelectorAll("main tbody time").length`), 2);
    await console.push("buyers");
    await console.shows("is a member since");
    await console.open("/console/users?id=joe&tab=audiences");
    await console.shows("In no audience");
  },
  "a change is previewed as entries and exits; another's version that was saved meanwhile is not overwritten":
    async (
      console,
    ) => {
      await console.open("/console/audiences?id=buyers&tab=condition");
      await console.until(`document.querySelector('.conditions [aria-label="Number"]')`);
      await set(console, "Value", "free", 0);
      await set(console, "Number", "1");
      await console.shows("1 would enter, 1 would leave.");
      const { body: { where } } = await console.server.ask(`${PATH}/buyers`);
      await console.server.ask(`${PATH}/buyers`, { method: "PUT", body: { where, description: "theirs" } });
      await console.push("Save v2");
      await console.shows("Version 2 was saved meanwhile");
      strictEqual((await console.server.ask(`${PATH}/buyers`)).body.description, "theirs");
    },
  "an audience that another one uses cannot be deleted; one that nothing uses can": async (console) => {
    const { status } = await console.server.ask(`${PATH}/others`, {
      method: "PUT",
      body: { where: { not: { audience: "buyers" } } },
    });
    strictEqual(status, 200);
    const remove = async (name: string) => {
      await console.open(`/console/audiences?id=${name}`);
      await console.until(`document.querySelector('[aria-label="Delete the audience"]')`);
      await console.value(`document.querySelector('[aria-label="Delete the audience"]').click()`);
      await console.push("Delete the audience");
    };
    await remove("buyers");
    await console.shows(`The audience "others" uses this one.`);
    await remove("others");
    await console.until(`location.search === "" && !${main}.includes("others")`);
    strictEqual((await console.server.ask(`${PATH}/others`)).status, 404);
  },
  "the keyboard alone opens an audience and explains; axe-core finds nothing, and nothing scrolls sideways at 320 px":
    async (console) => {
      await live(console, "buyers");
      await console.open("/console/audiences");
      await console.press("g", "a");
      await console.until(`document.querySelector("tbody a")`);
      const tabTo = async (wanted: string) => {
        for (let n = 0; n < 200; n++) {
          await console.press("Tab");
          if (await console.value(`document.activeElement.matches(${JSON.stringify(wanted)})`)) return;
        }
        throw new Error(`Tab does not reach ${wanted}`);
      };
      await tabTo('a[href*="id=buyers"]');
      await console.press("Enter");
      await console.until(`document.querySelector("#explained-user")`);
      await tabTo("#explained-user");
      await console.browser.step("type", "jane");
      await console.press("Enter");
      await console.shows("is a member since");
      const seen = async (what: string) => {
        for (const colorScheme of ["light", "dark"]) {
          await console.browser.step("media", { colorScheme });
          deepStrictEqual(await axeFindings(console), [], `${what}, ${colorScheme}`);
        }
        await console.browser.step("viewport", [320, 700]);
        strictEqual(
          await console.value("document.documentElement.scrollWidth <= document.documentElement.clientWidth"),
          true,
          what,
        );
        await console.browser.step("viewport", [1280, 800]);
      };
      await seen("members");
      await console.open("/console/audiences?id=buyers&tab=condition");
      await console.until(`document.querySelector('.conditions [aria-label="Number"]')`);
      await console.shows("user");
      await seen("condition");
      await console.open("/console/users?id=jane&tab=audiences");
      await console.until(`document.querySelector("main tbody a")?.innerText === "buyers"`);
      await seen("audiences of a user");
    },
};

testWhere(missingForBrowser, {
  name: "an audience is defined, previewed, saved, explained and deleted in the console",
  async fn(test) {
    await using console = await openConsole();
    for (const [name, run] of Object.entries(STEPS)) {
      await test.step(name, () => run(console));
    }
  },
});
