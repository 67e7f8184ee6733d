import { deepStrictEqual, ok, throws } from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { createCodec } from "../../../actors/store/codec.ts";
import { runs } from "../../domain/profile/facts.ts";

/** A runtime with zstd, and one like Deno 2.5.0 without. */
const CODECS = [createCodec({ zstd: true }), createCodec({ zstd: false })];

Deno.test("every runtime reads what any other compressed", () => {
  const texts = fc.array(fc.string({ unit: "grapheme", maxLength: 200 }), { maxLength: 200 });
  fc.assert(
    fc.property(texts, (parts) => {
      const raw = Buffer.from(parts.join(parts[0] ?? ""));
      for (const { compress } of CODECS) {
        const compressed = compress(raw);
        for (const { decompress } of CODECS) deepStrictEqual(decompress(compressed), raw);
      }
    }),
    runs(200),
  );
});

Deno.test("repeated JSON takes a fraction of its bytes with either codec", () => {
  const raw = Buffer.from(JSON.stringify({ type: "track", event: "Order Completed" }).repeat(500));
  for (const { compress } of CODECS) ok(compress(raw).length < raw.length / 20);
});

Deno.test("bytes that no codec made are refused", () => {
  for (const { decompress } of CODECS) {
    throws(() => decompress(new Uint8Array([1, 2, 3, 4, 5])));
    throws(() => decompress(new Uint8Array()));
  }
});
