/** The path parameters, each by one name everywhere. */
import { z } from "zod";
import { MAX_ID_LENGTH } from "../../domain/event/event.ts";

const id = (description: string, example: string) =>
  z.string().min(1).meta({ description, param: { example } });

/** A position in the journal. */
export const position = z.string().regex(/^[0-9a-f]{24}$/);

/** By name. */
export const PARAMETERS: Readonly<Record<string, z.ZodType>> = {
  userId: id(`The user's id, of at most ${MAX_ID_LENGTH} characters, percent-encoded.`, "user_123"),
  anonymousId: id("The id that a client created for an unknown visitor, percent-encoded.", "anon_1"),
  groupId: id("The group's id, percent-encoded.", "comp_456"),
  trait: id("The trait's name, percent-encoded.", "plan"),
  groupTrait: id("The trait's name, percent-encoded.", "name"),
  messageId: id("The event's `messageId`, percent-encoded.", "example-group"),
  transformation: id("The transformation's name, percent-encoded.", "hide-email"),
  destination: id("The destination's name, percent-encoded, in any letter case.", "Orders"),
  replayId: id("`id` of the replay.", "01M84NYA09JNNE65BQ3GBSTT6Y"),
  audience: id("The audience's name, percent-encoded.", "vip"),
  contract: id("The contract's name, percent-encoded.", "page-views"),
  version: id("Number of the version.", "1"),
  rejectedId: id(
    "`id` of the rejected event, from the list of rejected events.",
    "01M84NYA09JNNE65BQ3GBSTT6Y",
  ),
  digest: id("The digest of the console's files, as its page has it.", "0123456789ab"),
  room: id("A folder of the console.", "shell"),
  file: id("A file in it.", "main.ts"),
  writeKey: id("The write key, which is public.", "YOUR_WRITE_KEY"),
  part: id("The name of a part of the script.", "auto-track.bundle.f131ce01a05e3a33a8c1.js"),
  keyId: id("`id` of the write key, from the list of keys.", "01M84NYA09JNNE65BQ3GBSTT6Y"),
};

/** The path parameters of a route, as one schema; `undefined` if it has none. */
export function pathParameters(route: string): z.ZodObject | undefined {
  const names = [...route.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!);
  if (names.length === 0) return undefined;
  return z.object(Object.fromEntries(names.map((name) => {
    const schema = PARAMETERS[name];
    if (schema === undefined) throw new Error(`${route} has a parameter that PARAMETERS has not`);
    return [name, schema];
  })));
}
