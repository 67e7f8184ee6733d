/** An S3 that is not ours, in a process of its own: `moto_server`, where it is installed. */
import { gunzipSync } from "node:zlib";
import { AwsClient } from "aws4fetch";
import { missing } from "../needs.ts";
import { eventually, freePort } from "./server.ts";

/** The credentials that its clients use. */
export const S3_CREDENTIALS = { accessKeyId: "test", secretAccessKey: "testtest" };

/** What a test over it lacks. */
export const missingS3 = missing("moto_server");

/** A running S3 with an empty bucket. */
export interface S3Server extends AsyncDisposable {
  endpoint: string;
  bucket: string;
  /** The keys of all objects, in order. */
  keys(): Promise<string[]>;
  /** The lines of an object of NDJSON, compressed or not. */
  lines(key: string): Promise<string[]>;
}

/** Starts one, and creates a bucket. */
export async function startS3(): Promise<S3Server> {
  const port = freePort();
  const server = new Deno.Command("moto_server", {
    args: ["-H", "127.0.0.1", "-p", String(port)],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const endpoint = `http://127.0.0.1:${port}`;
  const bucket = "bucket";
  const client = new AwsClient({ ...S3_CREDENTIALS, service: "s3", region: "us-east-1", retries: 0 });
  const stop = async () => {
    server.kill("SIGKILL");
    await server.status;
  };
  try {
    await eventually("the S3 server listens", async () => {
      const response = await fetch(endpoint).catch(() => undefined);
      await response?.body?.cancel();
      return response !== undefined;
    });
    await (await client.fetch(`${endpoint}/${bucket}`, { method: "PUT" })).body?.cancel();
  } catch (error) {
    await stop();
    throw error;
  }

  /** One page of the list of objects, from a token on. */
  async function page(token: string | undefined): Promise<string> {
    const query = new URLSearchParams({
      "list-type": "2",
      ...token !== undefined && { "continuation-token": token },
    });
    return await (await client.fetch(`${endpoint}/${bucket}?${query}`)).text();
  }

  return {
    endpoint,
    bucket,
    async keys() {
      const keys: string[] = [];
      for (let token: string | undefined, isFirst = true; isFirst || token !== undefined; isFirst = false) {
        const text = await page(token);
        keys.push(...[...text.matchAll(/<Key>([^<]+)<\/Key>/g)].map(([, key]) => key!));
        token = /<NextContinuationToken>([^<]+)</.exec(text)?.[1];
      }
      return keys.toSorted();
    },
    async lines(key) {
      const response = await client.fetch(`${endpoint}/${bucket}/${key}`);
      const bytes = new Uint8Array(await response.arrayBuffer());
      // A client that knows the encoding has decompressed it.
      const text = new TextDecoder().decode(bytes[0] === 0x1f ? gunzipSync(bytes) : bytes);
      return text.trimEnd().split("\n");
    },
    [Symbol.asyncDispose]: stop,
  };
}
