/** Transformations that use everything that could differ from one process to another. */

/** Clock, local time, chance, order of members, sorting, floating point, text and errors. */
export const WHIMSICAL = {
  kind: "javascript",
  code: `export default function transform(event) {
    const { list, more } = event.properties;
    if (Math.random() < 0.05) return null;
    if (Math.random() < 0.05) throw new Error("unlucky " + Math.random());
    event.context = {
      now: Date.now(), local: new Date().toString(), made: new Date(2026, 5, 1, 12).getTime(),
      random: [Math.random(), Math.random()], trig: [Math.sin(event.messageId.length), Math.pow(1.1, 33.3), Math.exp(0.1)],
      sorted: Object.keys(more ?? {}).sort((a, b) => b.localeCompare(a)), text: JSON.stringify(list).normalize("NFD").toUpperCase(),
      float: [0.1 + 0.2, (1e21).toLocaleString(), (123.456).toFixed(1), parseFloat("1e-7")],
    };
    console.log(event.userId, list);
    return Math.random() < 0.2 ? [event, { ...event, event: "Again" }] : event;
  }`,
};

/** Every rule. */
export const RULES_OF_ALL = {
  kind: "rules",
  rules: [
    { rename: { from: "properties.more", to: "properties.rest" } },
    { copy: { from: "properties.list", to: "context.list" } },
    { set: { path: "context.n", value: 1 } },
    { hash: { paths: ["properties.list[]"] } },
    { mask: { paths: ["properties.rest"] }, where: { "properties.rest": { $regex: "@" } } },
    { coerce: { path: "context.list[]", to: "string" } },
    { map: { path: "event", values: { "E 1": "one" } } },
    { keep: { paths: ["properties", "context.list"] } },
    { remove: { paths: ["properties.k0"] } },
    { renameEvent: { to: "two" }, where: { event: "E 2" } },
    { sample: { rate: 0.8 } },
    { drop: {}, where: { event: "E 3" } },
  ],
};
