/** Requests made by hand to do harm, and what each must come to. */
import { ofBatches, ofBodies, ofEncodings, ofEvents } from "./hostile_bodies.ts";
import { ofCredentials, ofHeads, ofKeys, ofPaths, ofStalls } from "./hostile_heads.ts";
import type { Hostile } from "./hostile_request.ts";

/** Every attack: more than 300. */
export function hostile(): Hostile[] {
  return [
    ...ofStalls(),
    ...ofEvents(),
    ...ofBodies(),
    ...ofBatches(),
    ...ofEncodings(),
    ...ofPaths(),
    ...ofHeads(),
    ...ofCredentials(),
    ...ofKeys(),
  ];
}
