/**
 * Compression of stored bytes. Their first bytes identify the codec, so every version of Deno reads what any other
 * wrote. Deno 2.5.0, which Deno Deploy runs, has the functions of zstd, but they throw.
 */
import { Buffer } from "node:buffer";
import { constants, deflateSync, inflateSync, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { decompress as decompressZstd } from "fzstd";

/** Zstd at level 1 is as fast as deflate at level 1 on such JSON, and gives half the size. */
const ZSTD = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };
const DEFLATE = { level: 1 };

/** The first bytes of a zstd frame (RFC 8878, section 3.1.1), as a number; those of deflate's are never these. */
const ZSTD_MAGIC = 0xfd2fb528;

/** Whether this runtime has zstd of its own. */
const hasZstd = (() => {
  try {
    return zstdDecompressSync(zstdCompressSync(new Uint8Array(1), ZSTD)).length === 1;
  } catch {
    return false;
  }
})();

/** Creates a compressor: zstd if the runtime has it, otherwise deflate. */
export function createCodec({ zstd }: { zstd: boolean }) {
  return {
    /** Compresses bytes. */
    compress: (raw: Uint8Array): Uint8Array =>
      new Uint8Array(zstd ? zstdCompressSync(raw, ZSTD) : deflateSync(raw, DEFLATE)),
    /** Decompresses, by whatever codec. Throws if the bytes are damaged. */
    decompress(bytes: Uint8Array): Buffer {
      if (bytes.length < 4 || Buffer.from(bytes.buffer, bytes.byteOffset).readUInt32LE() !== ZSTD_MAGIC) {
        return inflateSync(bytes);
      }
      return zstd ? zstdDecompressSync(bytes) : Buffer.from(decompressZstd(bytes));
    },
  };
}

/** The codec of this runtime. */
export const { compress, decompress } = createCodec({ zstd: hasZstd });
