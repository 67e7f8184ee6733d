/** S3 and what speaks like it: one compressed object of NDJSON per batch, named by its positions, so a repeat is the same. */
import { hash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { createHttpClient } from "./http_request.ts";
import type { Outgoing, Sender, SenderOptions } from "./sender.ts";

interface S3Settings {
  endpoint: string;
  bucket: string;
  prefix: string;
  region: string;
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
}

/** Creates the sender of a bucket. */
export function createS3(options: SenderOptions): Sender {
  const { endpoint, bucket, prefix, region, ...keys } = options.definition.settings as unknown as S3Settings;
  const client = createHttpClient(options);
  return {
    async prepare({ events, span }) {
      const text = events.map(({ json }) => `${json}\n`).join("");
      const body = new Uint8Array(gzipSync(text));
      const name = objectName(prefix, events[0]!, span);
      const url = `${endpoint.replace(/\/+$/, "")}/${bucket}/${name}`;
      const { AwsV4Signer } = await import("aws4fetch");
      const { accessKeyId, secretAccessKey, sessionToken } = keys;
      const signer = new AwsV4Signer({
        method: "PUT",
        url,
        headers: {
          "content-type": "application/x-ndjson",
          "content-encoding": "gzip",
          "x-amz-content-sha256": hash("sha256", body, "hex"),
        },
        body,
        accessKeyId,
        secretAccessKey,
        ...sessionToken !== undefined && { sessionToken },
        region,
        service: "s3",
        datetime: new Date(options.clock.now()).toISOString().replace(/[-:]|\.\d{3}/g, ""),
      });
      const { headers } = await signer.sign();
      const signed = Object.fromEntries(headers.entries());
      return client.prepare({ method: "PUT", url, headers: signed, body, shownBody: text });
    },
    close: client.close,
  };
}

/** `prefix/2026/12/01/<first position>-<last position>.ndjson.gz`: the date is that of receipt, in UTC. */
function objectName(prefix: string, { event }: Outgoing, { from, to }: { from: string; to: string }): string {
  const folder = prefix === "" || prefix.endsWith("/") ? prefix : `${prefix}/`;
  const day = event.receivedAt.slice(0, 10).replaceAll("-", "/");
  return `${folder}${day}/${from}-${to}.ndjson.gz`;
}
