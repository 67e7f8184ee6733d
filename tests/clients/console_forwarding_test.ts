/** The console in a browser: a destination from its form to a delivery that failed and is sent again. */
import { deepStrictEqual, strictEqual } from "node:assert";
import { eventually } from "../process/server.ts";
import { testWhere } from "../needs.ts";
import { missingForBrowser } from "./browser.ts";
import { openConsole, order } from "./console.ts";

testWhere(missingForBrowser, {
  name:
    "a destination is made in the form, tested, seen to fail with its reason, and delivers once it is retried",
  async fn() {
    let status = 200;
    const received: string[] = [];
    await using receiver = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
      const { messageId } = await request.json();
      if (status === 200) received.push(messageId);
      return new Response(status === 200 ? "thanks" : "out of order", { status });
    });
    await using console = await openConsole({ FORWARD_ALLOW: "127.0.0.1" });
    await console.open("/console/forwarding");
    await console.shows("No destination yet");
    await console.push("Add a destination");
    await console.until(`document.querySelector("#destination-name")`);
    await console.fill("#destination-name", "CRM");
    await console.fill("#setting-url", "not a url");
    await console.push("Create the destination");
    await console.until(`document.querySelector("#setting-url").getAttribute("aria-invalid") === "true"`);
    await console.fill("#setting-url", `http://127.0.0.1:${receiver.addr.port}/hook`);
    await console.push("Create the destination");
    await console.shows("shown this once");
    await console.shows("whsec_");

    await console.push("Test send");
    await console.push("Send it");
    await console.shows("It was delivered.");
    await console.shows("thanks");
    strictEqual(received.length, 1);

    status = 400;
    await console.server.send(order("first"));
    await console.open("/console/forwarding?id=CRM&tab=deliveries&status=dead");
    await console.shows("400");
    await console.shows("out of order");
    await console.open("/console/forwarding");
    await console.shows("failing");
    status = 200;
    await console.open("/console/forwarding?id=CRM&tab=deliveries&status=dead");
    await console.push("Retry all dead");
    await console.shows("1 attempt scheduled");
    await eventually("it is delivered", () => received.includes("first"));
    await console.open("/console/event?id=first");
    await console.shows("delivered");

    await console.open("/console/forwarding?id=CRM");
    await console.push("Pause");
    await console.shows("paused");
    await console.push("Resume…");
    await console.push("Where it stopped");
    await console.shows("running");
    await console.push("Replay");
    await console.push("Start the replay");
    await console.shows("done");
    const { body } = await console.server.ask("/api/v1/admin/destinations/CRM/replays");
    deepStrictEqual(body.replays.map(({ state }: { state: string }) => state), ["done"]);
  },
});
